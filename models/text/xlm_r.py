"""Small networks of XLM-R's architecture that read texts: offensive language, topics, newsgroups, film reviews.

Input: token ids (B, T) of one shared vocabulary, `<s>` first and `</s>` last, at most 256. Output: (B, C) logits.
Their encoders have four layers of 256 and grew from one encoder, which learned by filling gaps in texts.
Importing this module does not import transformers; asking for a network does.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

VOCABULARY, LONGEST = 16_000, 256
"""How many pieces of words the networks know, and how many of them they read at once, `<s>` and `</s>` included."""

START, PAD, END, UNKNOWN = 0, 1, 2, 3
"""Token ids of `<s>`, `<pad>`, `</s>` and `<unk>`, as in XLM-R; `<mask>` is the last one."""

ASSETS = Path(__file__).parents[2] / "assets" / "text"
REMAKE = {name: f"python -m training.text {name}" for name in LABELS}


def configuration(classes: int = 2) -> "XLMRobertaConfig":
    """The architecture: XLM-R's, with four layers of 256 in place of twelve of 768."""
    import_torchvision()  # transformers imports it, and a plain import fails where its compiled part does not fit
    from transformers import XLMRobertaConfig

    return XLMRobertaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=1024,
        max_position_embeddings=LONGEST + PAD + 1,  # positions count from the padding's id on
        type_vocab_size=1,
        num_labels=classes,
        bos_token_id=START,
        pad_token_id=PAD,
        eos_token_id=END,
    )


def network(name: str) -> "XLMRobertaForSequenceClassification":
    """The architecture of the network `name`, with fresh weights. Raises ValueError for another name."""
    bundled.check(name, REMAKE)
    configured = configuration(len(LABELS[name]))
    from transformers import XLMRobertaForSequenceClassification

    return XLMRobertaForSequenceClassification(configured)


def load(name: str, folder: Path = ASSETS) -> "XLMRobertaForSequenceClassification":
    """The trained network: float32, eval mode, no gradients.

    Raises ValueError for a name that is not in `LABELS` and FileNotFoundError where the weights are missing.
    """
    return bundled.revive(network(name), name, folder, REMAKE)


def model_card(name: str, folder: Path = ASSETS) -> dict[str, Any]:
    """What the network is, what it was trained on, and its measured figures. Errors as in `load`."""
    return bundled.card(name, folder, REMAKE)


@cache
def tokenizer(folder: Path = ASSETS) -> "Tokenizer":
    """The vocabulary that all the networks share. Raises FileNotFoundError where it is missing."""
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        remake = "python -m training.text vocabulary"
        raise FileNotFoundError(f"{path.name} is missing in {folder.name}/; remake it with `{remake}`.")
    return Tokenizer.from_file(str(path))
