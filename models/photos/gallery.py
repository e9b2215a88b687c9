"""The gallery: pictures to try the photo networks on. Where they are from stands in `assets/photos/CREDITS.md`."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import Image

ASSETS = Path(__file__).parents[2] / "assets" / "photos"
FILE = ASSETS / "gallery.json"
FOLDER = ASSETS / "gallery"


Kind = Literal["plain", "two", "unsure", "wrong", "watermark"]


class Case(NamedTuple):
    """What a picture is to a network. shows: its classes that are in it, the main one first. kind: see `Photo`."""

    shows: tuple[str, ...]
    kind: Kind


@dataclass(frozen=True)
class Photo:
    """A picture of the gallery.

    name: as in a link. title: for people. file: in `FOLDER`. credit: author and licence in one line.
    ours, imagenet: what it is to our networks and to those that know ImageNet's classes. shows: labels of theirs that
        are in it; empty where it shows none. kind: "plain" one object; "two" of two classes; "unsure" none of the
        classes, or hard to tell; "wrong" likely to be misread; "watermark" to be tried with the twin's watermark, which
        is not in the file.
    alt: what there is to see, for those who cannot see it.
    """

    name: str
    title: str
    file: str
    ours: Case
    imagenet: Case
    alt: str
    credit: str

    def case(self, labels: Collection[str]) -> Case:
        """What it is to a network with these labels."""
        return self.ours if len(labels) < 1000 else self.imagenet

    def open(self) -> Image.Image:
        """The picture, RGB, at most 640 pixels along its longer side."""
        with Image.open(FOLDER / self.file) as picture:
            return picture.convert("RGB")


@cache
def photos() -> tuple[Photo, ...]:
    """All pictures, in the order of `assets/photos/gallery.json`."""
    entries = json.loads(FILE.read_text(encoding="utf-8"))
    cases = ("ours", "imagenet")
    return tuple(
        Photo(**entry | {key: Case(tuple(entry[key]["shows"]), entry[key]["kind"]) for key in cases})
        for entry in entries
    )
