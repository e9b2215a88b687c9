"""Networks in folders that the operator names: where they are, and that none of them leads out of its folder."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from models.weights import classifier_files as files


@dataclass(frozen=True)
class Found:
    """Where a network is. within: the folder that none of its files may lead out of."""

    folder: Path
    title: str
    within: Path


def local(variable: str) -> Iterator[Found]:
    """The networks in the folders that this environment variable names, one or two folders deep.

    Those behind links that lead out are left out.
    """
    seen = set()
    for root in filter(None, os.environ.get(variable, "").split(os.pathsep)):
        top = Path(root).resolve()
        outer = _folders(top, top)
        for path in sorted(chain(outer, *(_folders(folder, top) for folder in outer))):
            title = path.relative_to(top).as_posix()
            if (path / files.CONFIG).exists() and title not in seen:
                seen.add(title)
                yield Found(path, title, top)


def _folders(place: Path, top: Path) -> list[Path]:
    """Those in this folder that a network may lie in."""
    try:
        found = [path for path in place.iterdir() if path.is_dir() and not path.name.startswith(".")]
        return [path for path in found if path.resolve().is_relative_to(top)]
    except OSError:  # it is gone, or may not be read
        return []
