"""The networks that the page on texts offers: our own, and sequence classifiers from Hugging Face.

Importing this module needs neither transformers nor weights.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn

from models.text import files, hugging_face, reading, xlm_r
from models.text.hugging_face import local_networks
from models.text.reading import Reading
from models.weights.checkpoints import Progress

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["BUNDLED", "ENCODER", "TextNetwork", "fetch", "load", "local_networks", "network", "prepare", "ready"]

BUNDLED = {
    "sentiment": "Film reviews (sentiment)",
    "offensive": "Offensive or hateful posts",
    "topics": "Topics of a sentence (30 languages)",
    "newsgroups": "20 Newsgroups",
}
"""Our own networks, and what they are called on the page."""

ENCODER = "multilingual-e5-small"
"""What others pretrained, in about 100 languages, and our own networks grew from."""

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
    """What a network's outputs mean, how many pieces of a text it reads at once, and in which languages it learned.

    languages: those of the texts that it learned to tell apart, empty where nobody says; its encoder may have read
    many more. exclusive: a text is of one of the classes; else of any number of them, and each output has a
    probability of its own.
    """

    name: str
    title: str
    labels: tuple[str, ...]
    longest: int
    languages: tuple[str, ...]
    exclusive: bool = True

    def read(self, text: str) -> Reading:
        """What the network gets for a text. Raises ValueError (one sentence, for visitors) where it can read nothing.

        Positions in the result are those of its own `text`, which is the cleaned one.
        """
        own = hugging_face.tokenizer(self.name) if _elsewhere(self.name) else _tokenizer()
        return reading.read(reading.clean(text), own, self.longest)


def network(name: str) -> TextNetwork:
    """What the network `name` reads and means.

    Raises ValueError for a name that is not known, FileNotFoundError (one sentence, for visitors) for a network that
    is not ours and cannot be used: what is missing, damaged or no classifier, or that it must be downloaded first.
    """
    if _elsewhere(name):
        found = hugging_face.describe(name)
        return TextNetwork(name, found.title, found.labels, found.longest, (), found.exclusive)
    _check_name(name)
    return TextNetwork(name, BUNDLED[name], xlm_r.LABELS[name], xlm_r.longest(name), _LANGUAGES[name])


def prepare(typed: str, name: str) -> Tensor:
    """What the network `name` gets for a text: token ids (1, T) int64, at most as many as it reads at once.

    Errors as of `network` and `TextNetwork.read`, which also says which pieces and words the ids are of.
    """
    return network(name).read(typed).ids


def load(name: str, progress: Progress | None = None, folder: Path = xlm_r.ASSETS) -> nn.Module:
    """The network: float32, eval mode, no gradients; called with token ids (1, T).

    progress: called in the caller's thread with 0 to 1 while weights are downloaded. folder: of our own weights.
    Raises ValueError for an unknown name, FileNotFoundError (one sentence, for visitors) where it cannot be used.
    """
    if _elsewhere(name):
        return hugging_face.load(name, progress)
    _check_name(name)
    return xlm_r.load(name, folder)


def fetch(name: str, progress: Progress | None = None) -> None:
    """Have the network on disk, without loading it. Arguments and errors as of `load`."""
    if _elsewhere(name):
        hugging_face.fetch(name, progress)
    else:
        _check_name(name)


def ready(name: str, folder: Path = xlm_r.ASSETS) -> bool:
    """Whether the network is on disk. Raises ValueError for an unknown name."""
    if _elsewhere(name):
        return hugging_face.folder(name) is not None
    _check_name(name)
    return files.upper_file(name, folder).is_file() and files.encoder_file(folder).is_file()


def _elsewhere(name: str) -> bool:
    return name.startswith(hugging_face.PREFIX)


@cache
def _tokenizer() -> "Tokenizer":
    """One in which `<s>` or `<mask>` typed by a visitor is text like any other."""
    from tokenizers import Tokenizer

    own = Tokenizer.from_file(str(xlm_r.tokenizer_file()))
    own.encode_special_tokens = True
    return own


def _check_name(name: str) -> None:
    if name not in BUNDLED:
        raise ValueError(f"There is no text network {name!r}; the names are {', '.join(BUNDLED)}.")
