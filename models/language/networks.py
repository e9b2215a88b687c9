"""The language models that the page offers: SmolLM2, and causal models from Hugging Face.

Importing this module needs neither transformers nor weights.
"""

import json
from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from models.language import hugging_face, smollm2
from models.language.hugging_face import local_models
from models.language.labels import find, labels
from models.text import reading
from models.text.reading import Reading
from models.weights.checkpoints import Progress

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = [
    "ASSETS",
    "KNOWN",
    "LONGEST",
    "LanguageModel",
    "fetch",
    "load",
    "local_models",
    "model",
    "model_card",
    "ready",
]

KNOWN = {"smollm2": "SmolLM2-135M-Instruct"}
"""The models that can be had as packages, and what they are called on the page."""

ASSETS = Path(__file__).parents[2] / "assets" / "language"
"""Samples, prompts and the model's card; its weights come in a package of their own."""

LONGEST = 64
"""Pieces of a prompt that are read, besides the one in front."""


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """What a model reads, and what its outputs mean: one label for each token that may come next."""

    name: str
    title: str
    labels: tuple[str, ...]
    tokenizer: "Tokenizer"

    def read(self, text: str, longest: int = LONGEST) -> Reading:
        """What the model gets for a prompt, with the token in front that texts begin with.

        Raises ValueError (one sentence, for visitors) where it can read nothing. Positions in the result are those of
        its own `text`, which is the cleaned one.
        """
        return reading.read(reading.clean(text), self.tokenizer, longest + 1)

    def word(self, text: str) -> int:
        """The token that says this word. Raises ValueError (one sentence, for visitors) where it takes several."""
        found = find(self.tokenizer, text)
        if found is None or found >= len(self.labels):
            raise ValueError(f"“{text.strip()[:40]}” is no single piece of this model: take a commoner word.")
        return found

    def ends(self, token: int) -> bool:
        """Whether a text is over where the model says this token: it is no part of any text."""
        known = self.tokenizer.get_added_tokens_decoder().get(token)
        return known is not None and known.special

    def written(self, ids: Tensor) -> str:
        """The text of these tokens (T,)."""
        return self.tokenizer.decode(ids.tolist(), skip_special_tokens=True)


@lru_cache(maxsize=4)
def _known(name: str) -> LanguageModel:
    own = smollm2.tokenizer()
    return LanguageModel(name, KNOWN[name], labels(own, own.get_vocab_size()), own)


def model(name: str) -> LanguageModel:
    """What the model `name` reads and means.

    Raises ValueError for a name that is not known, FileNotFoundError (one sentence, for visitors) for a model that
    cannot be used: what is missing, damaged or no language model, or which command gets it.
    """
    if _elsewhere(name):
        return _other(name, hugging_face.state(name))
    _check_name(name)
    return _known(name)


@lru_cache(maxsize=2)
def _other(name: str, state: Hashable) -> LanguageModel:
    """state: of its files, by which the cache knows that they are still the same."""
    count, own = hugging_face.pieces(name), hugging_face.tokenizer(name)
    return LanguageModel(name, name.removeprefix(hugging_face.PREFIX), labels(own, count), own)


def load(name: str, progress: Progress | None = None) -> nn.Module:
    """The model: float32, eval mode, no gradients; token ids (B, T) to the logits of the next token (B, V).

    progress: called in the caller's thread with 0 to 1 while weights are downloaded. Errors as of `model`.
    """
    if _elsewhere(name):
        return hugging_face.load(name, progress)
    _check_name(name)
    return smollm2.load()


def fetch(name: str, progress: Progress | None = None) -> None:
    """Have the model on disk, without loading it. Arguments and errors as of `load`."""
    if _elsewhere(name):
        hugging_face.fetch(name, progress)
    else:
        _check_name(name)


def ready(name: str) -> bool:
    """Whether the model is on disk. Raises ValueError for an unknown name."""
    if _elsewhere(name):
        return hugging_face.folder(name) is not None
    _check_name(name)
    return smollm2.find() is not None


def model_card(name: str) -> dict[str, Any]:
    """What the model is, and its measured figures. Raises ValueError for a name that is not in `KNOWN`."""
    _check_name(name)
    return json.loads((ASSETS / f"{name}.json").read_text(encoding="utf-8"))


def _elsewhere(name: str) -> bool:
    return name.startswith(hugging_face.PREFIX)


def _check_name(name: str) -> None:
    if name not in KNOWN:
        raise ValueError(f"There is no language model {name!r}; the names are {', '.join(KNOWN)}.")
