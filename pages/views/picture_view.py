"""How a picture is shown: as the network sees it, and its heatmaps beside it."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image, ImageDraw
from streamlit.delta_generator import DeltaGenerator

import lrp_core as lrp
from lrp_core import heatmap
from pages.components.film import Frame, film
from pages.components.heatmap_view import heatmap_view, pixels, strongest
from pages.explaining import subject as explaining
from pages.explaining.subject import Subject
from pages.explaining.view import File, npz
from pages.settings import session
from pages.settings.rules_text import RULES
from pages.settings.settings import NO_CLASS, Settings
from pages.settings.wording import literal
from pages.views import layer_film
from pages.views.erasers import PictureEraser


@dataclass(frozen=True, eq=False)
class PictureView:
    """A `View`. image: the input as a person sees it, (H, W) or (H, W, 3), uint8 or floats in 0..1."""

    image: np.ndarray

    parts = "pixels"
    narrowest = 150
    how_to_read = "Move the pointer over the heatmap to read the numbers."
    inside_words = "Convolutions are shown as the sum over their channels, dense layers as a block of cells."
    words = ()
    code = "relevance = explanation.relevance"
    code_note = "A picture of your own is loaded from the NPZ file above."
    key = None

    def heat(self, explanation: lrp.Explanation) -> np.ndarray:
        """Relevance of each pixel, (H, W): the sum over the channels."""
        return explanation.relevance.numpy()[0].sum(0)

    def split(self, heat: np.ndarray) -> dict[str, np.ndarray]:
        return {self.parts: heat}

    def describe(self, heat: np.ndarray, asked: str, rule: str) -> str:
        return heatmap.alt_text(heat, asked, rule)

    def boxes(self, subject: Subject, settings: Settings) -> list[DeltaGenerator]:
        """Draw the input, and beside it one empty box for each of `maps`."""
        asked = literal(explaining.question(settings, subject))
        names = self.maps(settings)
        titles = [f"**{name}** · {asked}" if not number else f"**{name}**" for number, name in enumerate(names)]
        # In a row of their own: a title of two lines must not push its picture down.
        heads = st.columns(1 + len(titles), wrap=False, vertical_alignment="bottom")
        for place, title in zip(heads, ["**What the network sees**", *titles], strict=True):
            place.markdown(title)
        first, *others = st.columns(1 + len(titles), wrap=False)
        with first:
            self.show_input(subject)
        return [place.container() for place in others]

    def show_input(self, subject: Subject) -> None:
        """Draw the input."""
        st.image(
            session.remember(f"{subject.page}.input", subject.key, lambda: heatmap.data_uri(framed(self.rgb))),
            width="stretch",
            alt=f"The input as the network sees it, most likely {subject.label(NO_CLASS)}",
        )

    def maps(self, settings: Settings) -> dict[str, dict[str, Any]]:
        """The heatmaps to be shown: their titles, and how `heatmap_view` draws each.

        Only what counts: of a photo its own strongest parts, of a drawing, which has no colours, those of the heatmap.
        """
        plain = {"Relevance": {}}
        over = {"Over the input": {"underlay": self.grey, "opacity": settings.opacity / 100}}
        lit = {"lit": self.image} if self.image.ndim == 3 else {}
        top = {f"The strongest {settings.top} %": {"top": settings.top} | lit}
        return {"heatmap": plain, "overlay": over, "both": plain | over, "top": top}[settings.view]

    def fill(
        self, subject: Subject, settings: Settings, explanation: lrp.Explanation, places: Sequence[DeltaGenerator]
    ) -> None:
        relevance = self.heat(explanation)
        asked = explaining.question(settings, subject)
        for number, (place, options) in enumerate(zip(places, self.maps(settings).values(), strict=True)):
            with place:
                heatmap_view(
                    relevance,
                    key=f"{subject.page}.heat.{number}",
                    alt=self.describe(relevance, asked, RULES[settings.rule].label),
                    tag=explaining.tag(settings, subject),
                    colours=settings.colours,
                    legend="lit" not in options,
                    **options,
                )

    def small(self, heat: np.ndarray, *, key: str, alt: str, colours: str, vmax: Mapping[str, float]) -> None:
        heatmap_view(heat, key=key, alt=alt, colours=colours, vmax=vmax[self.parts])

    def inside(self, subject: Subject, explanation: lrp.Explanation, asked: str) -> list[Frame]:
        return layer_film.frames(explanation, asked)

    def show_inside(self, made: list[Frame], *, page: str, colours: str) -> None:
        film(made, key=f"{page}.film.layers", label="Layer", colours=colours)

    def booked_under(self, step: lrp.Step) -> str | None:
        return step.name or step.op

    def eraser(self, subject: Subject) -> PictureEraser:
        drawing, label = self.image.ndim == 2, subject.label(NO_CLASS)
        return PictureEraser(
            subject.inputs, self.rgb, drawing, f"The input as the network sees it, most likely {label}"
        )

    def peak(self, heat: np.ndarray) -> tuple[str, str]:
        row, column = np.unravel_index(np.abs(heat).argmax(), heat.shape)
        return "Strongest pixel", f"Row {row}, column {column}"

    def files(self, subject: Subject, settings: Settings, explanation: lrp.Explanation) -> list[File]:
        relevance, name = self.heat(explanation), f"lrp-{subject.page}"
        numbers = arrays(subject, explanation)
        return [
            File("Picture (PNG)", f"{name}.png", "image/png", lambda: self.png(settings, relevance)),
            File("Numbers (NPZ)", f"{name}.npz", "application/octet-stream", lambda: npz(numbers)),
            File("Table (CSV)", f"{name}.csv", "text/csv", lambda: table(relevance)),
        ]

    def png(self, settings: Settings, relevance: np.ndarray) -> bytes:
        """The heatmap as it is seen on the page, the first one of two, enlarged to about 560 pixels."""
        options = next(iter(self.maps(settings).values()))
        rgb = pixels(relevance, settings.colours, strongest(relevance), **options)
        return heatmap.png_bytes(rgb, zoom=max(1, 560 // rgb.shape[0]))

    @property
    def rgb(self) -> np.ndarray:
        """The input as an image, (H, W, 3) uint8."""
        image = self.image
        if image.dtype != np.uint8:
            image = (255 * image).round().astype(np.uint8)
        return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=-1)

    @property
    def grey(self) -> np.ndarray:
        """The input without its colours, which would mix with those of a heatmap that lies over it."""
        return np.asarray(Image.fromarray(self.rgb).convert("L"))


def framed(image: np.ndarray, side: int = 280, grey: int = 200) -> np.ndarray:
    """An image (H, W, 3), enlarged to about `side` pixels, with a thin frame that tells paper from page."""
    zoom = max(1, side // image.shape[0])
    large = Image.fromarray(image.repeat(zoom, axis=0).repeat(zoom, axis=1))
    corner = (large.width - 1, large.height - 1)
    ImageDraw.Draw(large).rounded_rectangle((0, 0, *corner), radius=side // 28, outline=(grey, grey, grey), width=1)
    return np.asarray(large)


def arrays(subject: Subject, explanation: lrp.Explanation) -> dict[str, np.ndarray]:
    """Input, relevance (both shaped like the input), scores, and what was put on them."""
    return {
        "input": subject.x.numpy(),
        "relevance": explanation.relevance.numpy(),
        "scores": subject.scores,
        "start": explanation.start.numpy(),
    }


def table(relevance: np.ndarray) -> str:
    """The heatmap as text: one line per pixel row."""
    text = io.StringIO()
    csv.writer(text).writerows([f"{value:.9g}" for value in row] for row in relevance)
    return text.getvalue()
