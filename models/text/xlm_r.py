"""Networks of XLM-R's architecture that read texts: offensive language, topics, newsgroups, film reviews.

Input: token ids (B, T) of one shared vocabulary, `<s>` first and `</s>` last, at most `longest(name)`. Output: (B, C)
logits. Their encoder is multilingual-e5-small, pretrained by others: twelve layers of 384, of which the word table and
the first eight layers are shared and as they were found; the last four were tuned for each network.
Importing this module does not import transformers; asking for a network does.
"""

from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from models.text import files
from models.text.packing import Packed4, PackedEmbedding
from models.torchvision_compat import import_torchvision
from models.weights import bundled

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification

LABELS = {
    "offensive": ("neither", "offensive", "hateful"),
    "topics": ("entertainment", "geography", "health", "politics", "science/technology", "sports", "travel"),
    "newsgroups": (
        "alt.atheism",
        "comp.graphics",
        "comp.os.ms-windows.misc",
        "comp.sys.ibm.pc.hardware",
        "comp.sys.mac.hardware",
        "comp.windows.x",
        "misc.forsale",
        "rec.autos",
        "rec.motorcycles",
        "rec.sport.baseball",
        "rec.sport.hockey",
        "sci.crypt",
        "sci.electronics",
        "sci.med",
        "sci.space",
        "soc.religion.christian",
        "talk.politics.guns",
        "talk.politics.mideast",
        "talk.politics.misc",
        "talk.religion.misc",
    ),
    "sentiment": ("negative", "positive"),
}
"""The classes of each network, in the order of its outputs."""

VOCABULARY = 207_404
"""How many pieces of words the networks know."""

LONGEST, _LONGER = 256, {"newsgroups": 512}

START, PAD, END, UNKNOWN = 0, 1, 2, 3
"""Token ids of `<s>`, `<pad>`, `</s>` and `<unk>`, as in XLM-R; `<mask>` is the last one."""

ASSETS = Path(__file__).parents[2] / "assets" / "text"
REMAKE = {name: f"python -m training.text {name}" for name in LABELS}
_REMAKE_ENCODER = "python -m training.text encoder"
_POSITIONS = 512


def longest(name: str) -> int:
    """How many pieces the network `name` reads at once, `<s>` and `</s>` included."""
    return _LONGER.get(name, LONGEST)


def configuration(classes: int = 2, words: int = VOCABULARY) -> "XLMRobertaConfig":
    """The architecture: XLM-R's, with twelve layers of 384 in place of 768."""
    import_torchvision()  # transformers imports it, and a plain import fails where its compiled part does not fit
    from transformers import XLMRobertaConfig

    return XLMRobertaConfig(
        vocab_size=words,
        hidden_size=384,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=1536,
        max_position_embeddings=_POSITIONS + PAD + 1,  # positions count from the padding's id on
        type_vocab_size=1,
        layer_norm_eps=1e-12,
        num_labels=classes,
        bos_token_id=START,
        pad_token_id=PAD,
        eos_token_id=END,
    )


def network(name: str, words: int = VOCABULARY) -> "XLMRobertaForSequenceClassification":
    """The architecture of the network `name`, with fresh weights and a plain word table.

    Raises ValueError for another name.
    """
    bundled.check(name, REMAKE)
    configured = configuration(len(LABELS[name]), words)
    from transformers import XLMRobertaForSequenceClassification

    return XLMRobertaForSequenceClassification(configured)


def load(name: str, folder: Path = ASSETS) -> "XLMRobertaForSequenceClassification":
    """The trained network: float32 but for its word table, eval mode, no gradients.

    What is shared lies in memory once, however many networks are loaded. Raises ValueError for a name that is not in
    `LABELS` and FileNotFoundError (one sentence) where weights are missing or damaged.
    """
    bundled.check(name, REMAKE)
    upper = files.read(files.upper_file(name, folder), REMAKE[name])
    with _loading:  # one visitor loads what all share, the others wait
        below = shared(folder)
    with torch.device("meta"):  # where even a plain word table takes no memory
        net = network(name, below.words.num_embeddings)
    embeddings = net.roberta.embeddings
    embeddings.word_embeddings = below.words
    embeddings.position_ids = torch.arange(_POSITIONS + PAD + 1)[None]
    embeddings.token_type_ids = torch.zeros_like(embeddings.position_ids)
    kept = {f"roberta.embeddings.word_embeddings.{key}": value for key, value in below.words.state_dict().items()}
    try:
        net.load_state_dict(below.tensors | upper | kept, assign=True)
    except RuntimeError as error:  # a tensor is missing, or of another shape
        remake = f"`{_REMAKE_ENCODER}` and `{REMAKE[name]}`"
        raise FileNotFoundError(
            f"The weights of {name} do not fit those it shares; remake both with {remake}."
        ) from error
    return net.eval().requires_grad_(False)


class Shared(NamedTuple):
    """What all networks share: the word table, and the tensors of the lower layers by name."""

    words: PackedEmbedding
    tensors: dict[str, Tensor]


_loading = Lock()


@cache
def shared(folder: Path = ASSETS) -> Shared:
    """The shared part of the networks in a folder. Errors as of `load`."""
    found = files.read(files.encoder_file(folder), _REMAKE_ENCODER, packed=(files.WORDS,))
    table = found.pop(files.WORDS)
    assert isinstance(table, Packed4)
    return Shared(PackedEmbedding(table), found)


def model_card(name: str, folder: Path = ASSETS) -> dict[str, Any]:
    """What the network is, what it was trained on, and its measured figures. Errors as in `load`."""
    return bundled.card(name, folder, REMAKE)


def tokenizer_file(folder: Path = ASSETS) -> Path:
    """The file of the vocabulary that all the networks share. Raises FileNotFoundError where it is missing."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is missing in {folder.name}/; remake it with `{_REMAKE_ENCODER}`.")
    return path


@cache
def tokenizer(folder: Path = ASSETS) -> "Tokenizer":
    """The vocabulary that all the networks share, in which `<s>` typed in a text is special. Errors as of its file."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(tokenizer_file(folder)))
