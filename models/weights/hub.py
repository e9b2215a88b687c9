"""Classifiers by their id on the Hugging Face Hub: found in its cache, or downloaded into it.

Whether this is allowed is asked elsewhere. The server's own account there, if it has one, is never used: visitors
choose the ids. Whatever keeps a classifier from coming is a FileNotFoundError of one sentence that a visitor may read.
"""

import io
import json
import shutil
import threading
from collections.abc import Callable, Collection
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import regex

from models.weights import classifier_files as files
from models.weights.checkpoints import Progress

_ID = regex.compile(r"[A-Za-z0-9_][\w.\-]{0,95}(/[A-Za-z0-9_][\w.\-]{0,95})?", regex.ASCII)


def is_id(text: str) -> bool:
    """Whether it has the form of an id: "name" or "owner/name"."""
    if not _ID.fullmatch(text):
        return False
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(text)
    except HFValidationError:
        return False
    return True


def cache() -> Path:
    """The folder under which everything lies that was ever downloaded."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def find(name: str) -> Path | None:
    """The folder of the classifier in the cache, None unless all is there. Nothing is downloaded."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, allow_patterns=list(files.WANTED), local_files_only=True, token=False))
    except LocalEntryNotFoundError:
        return None
    there = {path.name for path in folder.iterdir()}
    return folder if there >= {files.CONFIG, files.TOKENIZER} and there & {files.WHOLE, files.INDEX} else None


def download(name: str, progress: Progress | None = None, check: files.Check = files.check_config) -> Path:
    """Fetch the network, and say in which folder it is. check: whether its settings are of a kind that is wanted.

    Whoever asks while it is under way waits for the same download. `progress` is called in the caller's thread.
    What it is and how large is checked before the weights are fetched. Raises FileNotFoundError.
    """
    with _starting:
        transfer = _under_way.get(name)
        if transfer is None:
            transfer = _under_way[name] = _Transfer(name, check)
            transfer.start()
    while transfer.is_alive():
        transfer.join(0.2)
        if progress:
            progress(transfer.fraction)
    if transfer.folder is None:
        raise FileNotFoundError(transfer.failure)
    return transfer.folder


class _Transfer(threading.Thread):
    """A download in a thread of its own: it goes on when the visitor who asked first goes away."""

    def __init__(self, name: str, check: files.Check):
        super().__init__(name=f"download {name}", daemon=True)
        self.id, self._check = name, check
        self.fraction, self.failure = 0.0, ""
        self.folder: Path | None = None

    def run(self) -> None:
        try:
            self.folder, self.fraction = self._fetch(), 1.0
        except Exception as error:  # no connection, no such classifier, a full disk: the visitor is told which
            self.failure = _sentence(self.id, error)
        finally:
            with _starting:
                del _under_way[self.id]

    def _fetch(self) -> Path:
        from huggingface_hub import HfApi, hf_hub_download, snapshot_download

        published = HfApi().model_info(self.id, files_metadata=True, token=False, timeout=10).siblings or ()
        sizes = {file.rfilename: file.size or 0 for file in published}
        wanted = {name: size for name, size in sizes.items() if any(fnmatch(name, form) for form in files.WANTED)}
        _check_names(wanted, sizes, self.id)
        files.check_size(sum(size for name, size in wanted.items() if name.endswith(".safetensors")), self.id)
        if sum(wanted.values()) > shutil.disk_usage(_existing(cache())).free:
            raise FileNotFoundError(f"{self.id} does not fit on this server's disk.")
        config = hf_hub_download(self.id, files.CONFIG, token=False, tqdm_class=_meter(lambda done: None))
        self._check(json.loads(Path(config).read_bytes()), self.id)
        meter = _meter(lambda done: self._tell(done / max(1, sum(wanted.values()))))
        return Path(snapshot_download(self.id, allow_patterns=sorted(wanted), token=False, tqdm_class=meter))

    def _tell(self, fraction: float) -> None:
        self.fraction = max(self.fraction, min(1.0, fraction))


_starting = threading.Lock()
_under_way: dict[str, _Transfer] = {}  # what visitors wait for together; guarded by _starting


def _check_names(wanted: Collection[str], published: Collection[str], title: str) -> None:
    """Raise FileNotFoundError (one sentence) where something is not published that cannot be done without."""
    if files.CONFIG not in wanted:
        raise FileNotFoundError(f"{title} has no {files.CONFIG}: it is no network of transformers.")
    if not any(name.endswith(".safetensors") for name in wanted):
        raise FileNotFoundError(files.no_weights(title, published))
    if files.TOKENIZER not in wanted:
        raise FileNotFoundError(files.no_tokenizer(title))


def _meter(tell: Callable[[float], None]) -> type:
    """A progress bar that shows nothing and tells how many bytes came."""
    from tqdm import tqdm

    class Meter(tqdm):
        def __init__(self, *positional: Any, **named: Any):
            super().__init__(*positional, **named | {"file": io.StringIO(), "disable": False})

        def update(self, n: float | None = 1) -> bool | None:
            shown = super().update(n)
            if self.unit == "B":
                tell(self.n)
            return shown

    return Meter


def _existing(folder: Path) -> Path:
    return folder if folder.exists() else _existing(folder.parent)


def _sentence(name: str, error: Exception) -> str:
    """What a visitor reads."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    if type(error) is FileNotFoundError and error.errno is None:
        return str(error)  # our own
    if isinstance(error, GatedRepoError):
        return f"{name} is only given to people who sign in at the Hugging Face Hub: put it into a folder yourself."
    if isinstance(error, RepositoryNotFoundError):
        return f"There is no public network {name} on the Hugging Face Hub."
    reason = getattr(error, "strerror", None) or type(error).__name__
    return f"{name} could not be downloaded ({reason}): try again."
