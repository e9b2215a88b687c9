"""How a subject is shown: what a page of pictures, of texts or of both must be able to draw.

The workbench, the tabs, the settings and the tapes are the same for all; whatever depends on the kind of input stands
behind this interface. A view knows one input, draws it with the present settings, and keeps nothing else.
"""

import io
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from streamlit.delta_generator import DeltaGenerator

import lrp_core as lrp
from pages.explaining.erasing import Eraser
from pages.settings.settings import Settings

Shown = TypeVar("Shown", contravariant=True)
"""What a view is given to draw: the page's `Subject`, which knows its view, while a view need not know that class."""


@dataclass(frozen=True)
class File:
    """One file to take home. content: called when it is asked for."""

    label: str
    name: str
    mime: str
    content: Callable[[], bytes | str]


def npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """These arrays as a compressed NumPy file."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


class View(Protocol[Shown]):
    """What is drawn differently for each kind of input. A heat is an array of any shape, one number for each part."""

    parts: str
    """what the parts are called, "pixels" or "words" """
    narrowest: int
    """how many pixels across a map among others needs"""
    how_to_read: str
    """how the numbers are read off a map; a sentence"""
    inside_words: str
    """how the inside of the network is drawn; a sentence"""
    words: tuple[tuple[str, str], ...]
    """the parts, where they are words, each with what stands between it and the next; empty for pictures"""
    code: str
    """Python lines that leave the heat in `relevance`, given `explanation` and what the subject's code made"""
    code_note: str
    """what else there is to know about the script; a sentence or nothing"""

    @property
    def key(self) -> Hashable:
        """Tells inputs apart that are the same numbers to the network."""

    def heat(self, explanation: lrp.Explanation) -> np.ndarray:
        """Relevance of each part. NumPy sums, so that torch stays in its thread."""

    def split(self, heat: np.ndarray) -> dict[str, np.ndarray]:
        """The heat as the maps that are drawn of it, by the name of their parts: (H, W) of pixels, (T,) of words."""

    def describe(self, heat: np.ndarray, asked: str, rule: str) -> str:
        """What is shown, for those who cannot see it: in one sentence, a line for each part of `split`."""

    def boxes(self, subject: Shown, settings: Settings) -> list[DeltaGenerator]:
        """Draw the input, and return the empty places for its maps, which keep their size while a slider moves."""

    def fill(
        self, subject: Shown, settings: Settings, explanation: lrp.Explanation, places: Sequence[DeltaGenerator]
    ) -> None:
        """Draw the maps into their places."""

    def small(self, heat: np.ndarray, *, key: str, alt: str, colours: str, vmax: Mapping[str, float]) -> None:
        """Draw one among others; `vmax` is the relevance of the strongest colour of all, of each part of `split`."""

    def inside(self, subject: Shown, explanation: lrp.Explanation, asked: str) -> Any:
        """What is shown of the network's inside. It holds nothing of the explanation, which would hold the tape."""

    def show_inside(self, made: Any, *, page: str, colours: str) -> None:
        """Draw what `inside` made."""

    def booked_under(self, step: lrp.Step) -> str | None:
        """The bar of the waterfall that a step belongs to; None: the same as the step above it."""

    def eraser(self, subject: Shown) -> Eraser | None:
        """What of the input can be taken away; None where nothing can be."""

    def peak(self, heat: np.ndarray) -> tuple[str, str]:
        """What the strongest part is called, and where it is."""

    def files(self, subject: Shown, settings: Settings, explanation: lrp.Explanation) -> list[File]:
        """What can be taken home."""
