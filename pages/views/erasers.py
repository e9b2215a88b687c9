"""Pictures whose patches and texts whose words can be taken away: see `pages.explaining.erasing`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import streamlit as st
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from lrp_core.evaluation import pictures as evaluation
from models.text.reading import Reading
from pages.components.erase_board import erase_board
from pages.components.words_view import Part, words_view
from pages.explaining.erasing import Batch
from pages.settings.wording import changed

ACROSS = 16
"""How many patches stand beside each other in a photo, at most; a drawing has half as many pixels as can be."""

PIXELS_AT_ONCE, MOST_AT_ONCE = 150_000, 64
TEXTS_AT_ONCE = 8
"""What is asked for together, so that others wait about a tenth of a second for the lane at most."""

PAPER = "Paper"


@dataclass(frozen=True, eq=False)
class PictureEraser:
    """An `Eraser`. inputs: of the network, the picture (1, C, H, W) first. image: as people see it, (H, W, 3) uint8.

    drawing: dark ink on paper, which is 0 to the network. alt: what there is to see."""

    inputs: tuple[Tensor, ...]
    image: np.ndarray
    drawing: bool
    alt: str

    unit = "patches"

    @property
    def fills(self) -> dict[str, str]:
        return ({"paper": PAPER} if self.drawing else {}) | {"blur": "A blur of it", "mean": "Its mean colour"}

    @property
    def most(self) -> int:
        return int(self.units.max()) + 1

    @cached_property
    def side(self) -> int:
        """Of a patch, in pixels of the network's input."""
        return max(2 if self.drawing else 1, self.inputs[0].shape[-1] // ACROSS)

    @cached_property
    def units(self) -> np.ndarray:
        """The number of each pixel's patch, (H, W)."""
        return evaluation.patches(*self.inputs[0].shape[2:], self.side).numpy()

    def relevance(self, heat: np.ndarray) -> np.ndarray:
        """heat: (H, W), or of pixels row by row and then others."""
        pixels = heat.ravel()[: self.units.size]
        return np.bincount(self.units.ravel(), weights=pixels.astype(np.float64), minlength=self.most)

    def batches(self, taken: np.ndarray, fill: str) -> Iterator[Batch]:
        some = min(MOST_AT_ONCE, max(1, PIXELS_AT_ONCE // self.units.size))
        for begin in range(0, len(taken), some):
            rows = np.arange(begin, min(begin + some, len(taken)))
            yield rows, partial(self._erased, taken[rows], fill)

    def _erased(self, taken: np.ndarray, fill: str) -> tuple[Tensor, ...]:
        first, *others = self.inputs
        gone = torch.from_numpy(taken[:, self.units])[:, None]
        pictures = torch.where(gone, self._blank(fill), first).contiguous(memory_format=torch.channels_last)
        return pictures, *(other.expand(len(taken), *other.shape[1:]) for other in others)

    def _blank(self, fill: str) -> Tensor:
        """What stands in the place of every patch, as the network gets it."""
        picture = self.inputs[0]
        if fill == "paper":
            return torch.zeros_like(picture)
        if fill == "mean":
            return picture.mean((2, 3), keepdim=True).expand_as(picture)
        return evaluation.blurred(picture, float(self.side))

    def without(self, taken: np.ndarray, fill: str) -> np.ndarray:
        """The picture as people see it with patches gone (U,): (H, W, 3) uint8."""
        if fill == "blur":
            blank = np.asarray(Image.fromarray(self.image).filter(ImageFilter.GaussianBlur(self.side)))
        else:
            blank = np.full_like(self.image, 255) if fill == "paper" else self.image.mean((0, 1)).round()
        return np.where(taken[self.units][..., None], blank, self.image).astype(np.uint8)

    def show(
        self, taken: np.ndarray, fill: str, heat: np.ndarray, *, key: str, take: Callable[[np.ndarray], None]
    ) -> None:
        rows, columns = (int(self.units[place]) for place in ((-1, 0), (0, -1)))
        erase_board(
            self.without(taken, fill),
            taken,
            (rows // (columns + 1) + 1, columns + 1),
            side=self.side,
            key=key,
            alt=f"{self.alt}, with {int(taken.sum())} of {len(taken)} patches erased",
            take=take,
        )


@dataclass(frozen=True, eq=False)
class TextEraser:
    """An `Eraser`. reading: the text. parts: its words as drawn. read: what the network gets for another one."""

    reading: Reading
    parts: Sequence[Part]
    read: Callable[[str], Reading]
    language: str

    unit = "words"

    @property
    def fills(self) -> dict[str, str]:
        return {"deleted": "Nothing: the text closes up"}

    @property
    def most(self) -> int:
        return len(self.reading.words)

    def relevance(self, heat: np.ndarray) -> np.ndarray:
        return heat

    def batches(self, taken: np.ndarray, fill: str) -> Iterator[Batch]:
        """Texts of one length together: nothing is padded."""
        ids = [self._ids(shortened(self.reading, ~row)) for row in taken]
        lengths = np.array([one.shape[1] for one in ids])
        for length in np.unique(lengths):
            same = np.flatnonzero(lengths == length)
            for begin in range(0, len(same), TEXTS_AT_ONCE):
                rows = same[begin : begin + TEXTS_AT_ONCE]
                yield rows, partial(lambda some: (torch.cat(some),), [ids[row] for row in rows])

    def _ids(self, text: str) -> Tensor:
        """Of a text of which nothing can be read, the marks that begin and end one."""
        with suppress(ValueError):
            return self.read(text).ids
        return self.reading.ids[:, [piece.special for piece in self.reading.pieces]]

    def show(
        self, taken: np.ndarray, fill: str, heat: np.ndarray, *, key: str, take: Callable[[np.ndarray], None]
    ) -> None:
        if taken.all():
            st.caption("No word is left.")
            return
        left = [part for part, gone in zip(self.parts, taken, strict=True) if not gone]
        words_view(
            left,
            heat[~taken],
            key=key,
            alt=f"The text without {int(taken.sum())} of its {len(taken)} words",
            vmax=float(np.abs(heat).max()),
            bars=False,
            language=self.language,
        )


def shortened(reading: Reading, kept: Sequence[bool] | np.ndarray) -> str:
    """The text without the words that are not kept, closed up."""
    text = reading.text
    for word, stays in reversed(list(zip(reading.words, kept, strict=True))):
        if not stays:
            text = changed(text, word.start, word.end, "")
    return text.strip()
