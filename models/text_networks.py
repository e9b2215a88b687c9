"""The networks that the page on texts offers: our own, and sequence classifiers from Hugging Face.

Importing this module needs neither transformers nor weights.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from models import reading, text
from models.reading import Reading

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BUNDLED = {
    "sentiment": "Film reviews (sentiment)",
    "offensive": "Offensive or hateful posts (5 languages)",
    "topics": "Topics of a sentence (30 languages)",
    "newsgroups": "20 Newsgroups",
}
"""Our own networks, and what they are called on the page."""

_LANGUAGES = {
    "sentiment": ("English",),
    "offensive": ("English", "German", "French", "Portuguese", "Arabic"),
    "topics": (
        *("Arabic", "Bengali", "Chinese", "Czech", "Danish", "Dutch", "English", "Finnish", "French", "German"),
        *("Greek", "Hebrew", "Hindi", "Hungarian", "Indonesian", "Italian", "Japanese", "Korean", "Persian", "Polish"),
        *("Portuguese", "Romanian", "Russian", "Spanish", "Swahili", "Swedish", "Turkish", "Ukrainian", "Urdu"),
        "Vietnamese",
    ),
    "newsgroups": ("English",),
}


@dataclass(frozen=True)
class TextNetwork:
    """What a network's outputs mean, how many pieces of a text it reads at once, and in which languages it learned."""

    name: str
    title: str
    labels: tuple[str, ...]
    longest: int
    languages: tuple[str, ...]

    def read(self, text: str) -> Reading:
        """What the network gets for a text. Raises ValueError (one sentence, for visitors) where it can read nothing.

        Positions in the result are those of its own `text`, which is the cleaned one.
        """
        return reading.read(reading.clean(text), _tokenizer(), self.longest)


def network(name: str) -> TextNetwork:
    """What the network `name` reads and means. Raises ValueError for a name that is not known."""
    _check_name(name)
    return TextNetwork(name, BUNDLED[name], text.LABELS[name], text.LONGEST, _LANGUAGES[name])


def load(name: str, folder: Path = text.ASSETS) -> nn.Module:
    """The network: float32, eval mode, no gradients; called with token ids (1, T). folder: of our own weights.

    Raises ValueError for an unknown name, FileNotFoundError (one sentence, for visitors) where there are no weights.
    """
    _check_name(name)
    return text.load(name, folder)


def ready(name: str, folder: Path = text.ASSETS) -> bool:
    """Whether the network's weights are on disk. Raises ValueError for an unknown name."""
    _check_name(name)
    return (folder / f"{name}.safetensors").is_file()


@cache
def _tokenizer() -> "Tokenizer":
    """One in which `<s>` or `<mask>` typed by a visitor is text like any other."""
    from tokenizers import Tokenizer

    own = Tokenizer.from_str(text.tokenizer().to_str())
    own.encode_special_tokens = True
    return own


def _check_name(name: str) -> None:
    if name not in BUNDLED:
        raise ValueError(f"There is no text network {name!r}; the names are {', '.join(BUNDLED)}.")
