"""The gallery: pictures to try the photo networks on. Where they are from stands in `assets/photos/CREDITS.md`."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from PIL import Image

ASSETS = Path(__file__).parents[2] / "assets" / "photos"
FILE = ASSETS / "gallery.json"
FOLDER = ASSETS / "gallery"


@dataclass(frozen=True)
class Photo:
    """A picture of the gallery.

    name: as in a link. title: for people. file: in `FOLDER`. credit: author and licence in one line.
    shows: labels of `models.photos` that are in it, the main one first; empty where it shows none of them.
    kind: "plain" one object; "two" of two classes; "unsure" none of the classes, or hard to tell; "wrong" likely to be
        misread; "watermark" to be tried with the twin's watermark, which is not in the file.
    alt: what there is to see, for those who cannot see it.
    """

    name: str
    title: str
    file: str
    shows: tuple[str, ...]
    kind: Literal["plain", "two", "unsure", "wrong", "watermark"]
    alt: str
    credit: str

    def open(self) -> Image.Image:
        """The picture, RGB, at most 640 pixels along its longer side."""
        with Image.open(FOLDER / self.file) as picture:
            return picture.convert("RGB")


@cache
def photos() -> tuple[Photo, ...]:
    """All pictures, in the order of `assets/photos/gallery.json`."""
    entries = json.loads(FILE.read_text(encoding="utf-8"))
    return tuple(Photo(**entry | {"shows": tuple(entry["shows"])}) for entry in entries)
