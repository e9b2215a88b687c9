"""Published files of weights: where they are looked for, how they are fetched, and that they are what they should be.

Whatever keeps a checkpoint from being used is a FileNotFoundError of one sentence that a visitor may read.
"""

import hashlib
import os
import threading
import urllib.request
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

Progress = Callable[[float], None]
"""Told how much of a download is there, 0 to 1."""

WEIGHTS = Path(__file__).parents[2] / "assets" / "weights"
"""Where the operator puts checkpoints, and where downloads go."""

PATIENCE, CHUNK = 30, 2**20
"""Seconds without an answer after which a download fails, and the bytes that are read at a time."""


@dataclass(frozen=True)
class Checkpoint:
    """A file of weights. sha256: how the hexadecimal digest of its bytes begins. size: about how big, in MB."""

    url: str
    file: str
    sha256: str
    size: int


def find(checkpoint: Checkpoint, folder: Path = WEIGHTS) -> Path | None:
    """Where the file lies: in `folder` or in torch's hub cache. None: in neither."""
    for place in (folder, Path(torch.hub.get_dir()) / "checkpoints"):
        if os.path.isfile(place / checkpoint.file):  # False, not an error, where the folder may not be read
            return place / checkpoint.file
    return None


def obtain(checkpoint: Checkpoint, remedy: str, progress: Progress | None = None, folder: Path = WEIGHTS) -> Path:
    """The checked file: found on disk, or downloaded where the environment says LRP_ALLOW_DOWNLOADS=1.

    remedy: what the operator can do where it is missing, as the end of a sentence. Raises FileNotFoundError.
    """
    path = find(checkpoint, folder)
    if path:
        check(path, checkpoint, remedy)
        return path
    if os.environ.get("LRP_ALLOW_DOWNLOADS", "").strip() == "1":
        return download(checkpoint, progress, folder)
    raise FileNotFoundError(
        f"{checkpoint.file} ({checkpoint.size} MB) is neither in {place(folder)} nor in torch's cache: {remedy}, "
        f"or let the server download it with LRP_ALLOW_DOWNLOADS=1."
    )


def check(path: Path, checkpoint: Checkpoint, remedy: str) -> None:
    """Raise FileNotFoundError where the file is not the published one. It is read once, until it changes."""
    try:
        state = path.stat()
        found = _sha256(path, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    except OSError as error:
        raise FileNotFoundError(f"{place(path)} cannot be read ({error.strerror}).") from error
    if not found.startswith(checkpoint.sha256):
        raise FileNotFoundError(
            f"{place(path)} is damaged or another file (its SHA-256 begins with {found[:8]}, "
            f"not {checkpoint.sha256}): delete it and {remedy}."
        )


@lru_cache(maxsize=64)
def _sha256(path: Path, *state: int) -> str:
    """The file's digest. state: its size and times, by which the cache knows that it is still the same."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(checkpoint: Checkpoint, progress: Progress | None = None, folder: Path = WEIGHTS) -> Path:
    """Fetch the file into `folder` unless it is there, check it, and say where it is.

    Whoever asks while it is under way waits for the same download. `progress` is called in the caller's thread.
    Raises FileNotFoundError.
    """
    path = folder / checkpoint.file
    with _starting:
        transfer = _under_way.get(path)
        if transfer is None:
            if path.is_file():
                return path
            transfer = _under_way[path] = _Transfer(checkpoint, path)
            transfer.start()
    while transfer.is_alive():
        transfer.join(0.2)
        if progress:
            progress(transfer.fraction)
    if transfer.failure:
        raise FileNotFoundError(transfer.failure)
    return path


class _Transfer(threading.Thread):
    """A download in a thread of its own: it goes on when the visitor who asked first goes away."""

    def __init__(self, checkpoint: Checkpoint, path: Path):
        super().__init__(name=f"download {path.name}", daemon=True)
        self.checkpoint, self.path = checkpoint, path
        self.fraction, self.failure = 0.0, ""

    def run(self) -> None:
        partial = self.path.with_name(f"{self.path.name}.{uuid.uuid4().hex}.partial")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._fetch(partial).startswith(self.checkpoint.sha256):
                partial.replace(self.path)
            else:
                self.failure = f"What was downloaded as {self.path.name} is incomplete or another file: try again."
        except Exception as error:  # no connection, no such address, a full disk: the visitor is told which
            reason = getattr(error, "reason", error)
            self.failure = (
                f"{self.path.name} could not be downloaded ({getattr(reason, 'strerror', None) or reason}): "
                f"try again, or put the file into {place(self.path.parent)}."
            )
        finally:
            with suppress(OSError):
                partial.unlink()
            with _starting:
                del _under_way[self.path]

    def _fetch(self, partial: Path) -> str:
        """Write what the address serves into `partial`; its SHA-256."""
        digest, done = hashlib.sha256(), 0
        request = urllib.request.Request(self.checkpoint.url, headers={"User-Agent": "lrp-lab"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer, partial.open("xb") as file:
            total = int(answer.headers.get("Content-Length") or self.checkpoint.size * 2**20)
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                self.fraction = min(1.0, done / max(1, total))
        return digest.hexdigest()


_starting = threading.Lock()
_under_way: dict[Path, _Transfer] = {}  # what visitors wait for together; guarded by _starting


def place(path: Path) -> str:
    """A path as a visitor may see it: where it is in the project or in the cache, not on this machine."""
    return "/".join(path.parts[-3 if path.suffix else -2 :])
