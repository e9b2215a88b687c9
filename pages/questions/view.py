"""How a question about a scene is shown: relevance on the picture and on the words, and what of it is in place."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import lrp_core as lrp
from lrp_core import tokens
from models import scenes
from models.scenes import Rendering, Scene, answerer
from models.scenes import editing as scene_editing
from models.text.reading import Reading
from pages.components.film import Frame, film
from pages.components.words_view import Edit
from pages.explaining import subject as explaining
from pages.explaining.subject import Subject
from pages.explaining.view import File, npz
from pages.questions.truth import Verdict, named, shares, verdict
from pages.settings.settings import NO_CLASS, Settings
from pages.settings.wording import literal, percent
from pages.views import layer_film
from pages.views.erasers import PictureEraser
from pages.views.picture_view import PictureView
from pages.views.text_view import TextView, table

ICONS = {True: ":material/check_circle:", False: ":material/cancel:", None: ":material/help:"}
"""What stands before a verdict."""

PIXELS, WORDS = PictureView.parts, TextView.parts


@dataclass(frozen=True, eq=False)
class QuestionView:
    """A `View`. take: what is done with an edit of a word. below: draws what belongs below the result."""

    scene: Scene
    question: Reading
    take: Callable[[Edit], None] | None = None
    below: Callable[[], None] | None = None

    parts = f"{PIXELS} and {WORDS}"
    narrowest = 220
    how_to_read = (
        "The picture and the words have a scale each, for a word weighs as much as thousands of pixels. Move the "
        "pointer or the arrow keys over both to read the numbers."
    )
    inside_words = (
        "What is shown is the part that goes to the picture: first the cells of the floor, in which the network brings "
        "picture and question together, then its convolutions as the sum over their channels."
    )
    code = (
        "from lrp_core import tokens\n\n"
        "pixels = explanation.relevance.numpy()[0].sum(0)\n"
        'of_words = tokens.parts(explanation)["word"]\n'
        "for word, value in zip(question_reading.split(question), of_words):\n"
        '    print(f"{value:+.3f}  {word}")\n'
        "relevance = np.concatenate([pixels.ravel(), of_words])"
    )
    code_note = "It holds the scene and the question."

    @property
    def key(self) -> tuple[str, str]:
        return scene_editing.encode(self.scene), self.question.text

    @cached_property
    def rendering(self) -> Rendering:
        """The picture that the network sees, and the mask of each object."""
        return scenes.render(self.scene)

    @cached_property
    def picture(self) -> PictureView:
        return PictureView(self.rendering.pixels)

    @cached_property
    def text(self) -> TextView:
        return TextView(self.question, "en", self.take)

    @property
    def words(self) -> tuple[tuple[str, str], ...]:
        return self.text.words

    def heat(self, explanation: lrp.Explanation) -> np.ndarray:
        """Relevance of each pixel, row by row, and of each word: (H * W + T,)."""
        return np.concatenate([self.picture.heat(explanation).ravel(), self.text.heat(explanation)])

    def split(self, heat: np.ndarray) -> dict[str, np.ndarray]:
        height, width = self.rendering.pixels.shape[:2]
        return {PIXELS: heat[: height * width].reshape(height, width), WORDS: heat[height * width :]}

    def describe(self, heat: np.ndarray, asked: str, rule: str) -> str:
        maps = self.split(heat)
        picture, words = self.picture.describe(maps[PIXELS], asked, rule), self.text.describe(maps[WORDS], asked, rule)
        return f"{picture}\n{words}"

    def eraser(self, subject: Subject) -> PictureEraser:
        return self.picture.eraser(subject)

    def verdict(self, subject: Subject) -> Verdict:
        """Whether the network's answer is right."""
        return verdict(self.question.text, self.scene, subject.label(NO_CLASS))

    def boxes(self, subject: Subject, settings: Settings) -> list[DeltaGenerator]:
        """The picture and the places of its maps, of the words and of the share; where something was changed, twice."""
        if subject.before is None:
            self._judge(subject)
            places = self._places(self.picture.boxes(subject, settings), subject, settings)
        else:
            places = []
            for column, shown, title in zip(
                st.columns(2, wrap=False), (subject.before, subject), ("Before", "After"), strict=True
            ):
                with column:
                    st.markdown(f"**{title}** · {literal(shown.label(NO_CLASS))}")
                    shown.view._judge(shown)
                    places += shown.view._upright(shown, settings)
        if self.below:
            self.below()
        return places

    def _judge(self, subject: Subject) -> None:
        judged = self.verdict(subject)
        st.markdown(f"{ICONS[judged.right]} {literal(judged.words)}")

    def _upright(self, subject: Subject, settings: Settings) -> list[DeltaGenerator]:
        """All of it in one column: what is compared stands beside it."""
        self.picture.show_input(subject)
        asked = literal(explaining.question(settings, subject))
        maps = []
        for number, name in enumerate(self.picture.maps(settings)):
            st.markdown(f"**{name}**" if number else f"**{name}** · {asked}")
            maps.append(st.container())
        return self._places(maps, subject, settings)

    def _places(self, maps: list[DeltaGenerator], subject: Subject, settings: Settings) -> list[DeltaGenerator]:
        st.markdown(f"**The words of the question** · {literal(explaining.question(settings, subject))}")
        return [*maps, st.container(), st.container()]

    def fill(
        self, subject: Subject, settings: Settings, explanation: lrp.Explanation, places: Sequence[DeltaGenerator]
    ) -> None:
        if subject.before:
            half = len(places) // 2
            before, places = places[:half], places[half:]
            subject.before.view.fill(subject.before, settings, explaining.explain(settings, subject.before), before)
        *maps, words, share = places
        self.picture.fill(subject, settings, explanation, maps)
        self.text.fill(subject, settings, explanation, [words])
        share.markdown(self.share(subject, explanation))

    def share(self, subject: Subject, explanation: lrp.Explanation) -> str:
        """How much of what speaks for the answer lies on the objects in question, as Markdown; "" where none are."""
        relevant = self.verdict(subject).relevant
        if not relevant:
            return ""
        on_them, covered = shares(self.picture.heat(explanation), self.rendering.masks, relevant)
        return (
            f":material/my_location: **{percent(on_them)}** of what speaks for it in the picture lies on "
            f"{named(self.scene, relevant)}: what the question is about. That is {percent(covered)} of the picture."
        )

    def small(self, heat: np.ndarray, *, key: str, alt: str, colours: str, vmax: Mapping[str, float]) -> None:
        maps, (of_picture, of_words) = self.split(heat), alt.splitlines()
        self.picture.small(maps[PIXELS], key=key, alt=of_picture, colours=colours, vmax=vmax)
        self.text.small(maps[WORDS], key=f"{key}.words", alt=of_words, colours=colours, vmax=vmax)

    def inside(self, subject: Subject, explanation: lrp.Explanation, asked: str) -> list[Frame]:
        return layer_film.frames(replace(explanation, layers=pictured(explanation)), asked)

    def show_inside(self, made: list[Frame], *, page: str, colours: str) -> None:
        film(made, key=f"{page}.film.layers", label="Layer", colours=colours)

    def booked_under(self, step: lrp.Step) -> str | None:
        return part_of(step.name) if step.is_layer else None

    def peak(self, heat: np.ndarray) -> tuple[str, str]:
        maps = self.split(heat)
        view, name = max(((self.picture, PIXELS), (self.text, WORDS)), key=lambda part: np.abs(maps[part[1]]).max())
        return view.peak(maps[name])

    def files(self, subject: Subject, settings: Settings, explanation: lrp.Explanation) -> list[File]:
        maps, name = self.split(self.heat(explanation)), f"lrp-{subject.page}"
        picture, words = (x.numpy() for x in subject.inputs)
        arrays = {f"relevance_{part}": values for part, values in tokens.parts(explanation).items()} | {
            "picture": picture,
            "words": words,
            "masks": self.rendering.masks,
            "relevance_picture": explanation.relevance.numpy(),
            "scores": subject.scores,
            "start": explanation.start.numpy(),
        }
        return [
            File("Picture (PNG)", f"{name}.png", "image/png", lambda: self.picture.png(settings, maps[PIXELS])),
            File("Numbers (NPZ)", f"{name}.npz", "application/octet-stream", lambda: npz(arrays)),
            File("Words (CSV)", f"{name}.csv", "text/csv", lambda: table(self.question, maps[WORDS])),
        ]


def pictured(explanation: lrp.Explanation) -> dict:
    """Of the layers those through which all passes that goes to the picture; cells of the floor as rows and columns.

    A sum leads part of the relevance around every other layer, or it is of words.
    """
    found = {}
    for name, relevance in explanation.layers.items():
        if name in ("enter", "relating.norm"):
            cells = relevance[:, -answerer.CELLS :].transpose(1, 2)
            found[name] = cells.unflatten(2, (-1, answerer.COLUMNS))
        elif name.startswith("eyes.") or name in ("relating.dense", "relating.answer"):
            found[name] = relevance
    return found


def part_of(layer: str) -> str:
    """The part of the network that a layer belongs to, in words."""
    name, _, _ = layer.partition("#")
    whole, *inner = name.split(".")
    if inner[:1] == ["layers"]:
        return {"reader": "Reading", "relating": "Relating"}[whole] + f" {int(inner[1]) + 1}"
    return {"eyes": "Picture", "enter": "Picture", "reader": "Question"}.get(whole, "Answer")
