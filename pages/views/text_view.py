"""How a text is shown: its words in colours with bars beside them, and its pieces block by block."""

import csv
import io
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import lrp_core as lrp
from lrp_core import tokens
from models.text.reading import Reading
from pages.components.matrix_view import matrix_view
from pages.components.words_view import Edit, Part, words_view
from pages.explaining import subject as explaining
from pages.explaining.subject import Subject
from pages.explaining.view import File, npz
from pages.settings.controls import switch
from pages.settings.rules_text import RULES
from pages.settings.settings import Settings
from pages.settings.wording import literal, signed
from pages.views import text_layers
from pages.views.erasers import TextEraser
from pages.views.text_layers import Inside

OTHERS = {"position": "positions", "type": "a constant"}
"""What relevance that is given for no word is called, by its name in `tokens.parts`.

Kinds of text tell two texts apart that are read together. Here there is one: all of its pieces get the same numbers.
"""


@dataclass(frozen=True, eq=False)
class TextView:
    """A `View`.

    reading: the text as the network reads it. language: a tag such as "ar", or "". take: what is done with an edit;
    without it words cannot be changed. below: draws what belongs right below the text.
    read: how the network reads another text; without it, no words can be erased.
    """

    reading: Reading
    language: str = ""
    take: Callable[[Edit], None] | None = None
    below: Callable[[], None] | None = None
    read: Callable[[str], Reading] | None = None

    parts = "words"
    narrowest = 260
    how_to_read = (
        "Move the pointer or the arrow keys over the words to read the numbers. Long words look stronger than they "
        "are: trust the bars. What is not on words went to where words stand (positions), to the marks that begin and "
        "end a text, and to a constant that is the same for every text."
    )
    inside_words = (
        "Across: the pieces of words that the network reads. Down: its blocks, from the answer to the words. Every row "
        "has its own scale."
    )
    code = (
        "from lrp_core import tokens\n\n"
        'of_pieces = tokens.parts(explanation)["word"]\n'
        "relevance = tokens.by_group(of_pieces, [piece.word for piece in reading.pieces], len(reading.words))\n"
        "for word, value in zip(reading.words, relevance):\n"
        '    print(f"{value:+.3f}  {word.text}")'
    )
    code_note = "It holds the text."

    @property
    def key(self) -> str:
        """The text itself: what the network does not know looks alike to it."""
        return self.reading.text

    @cached_property
    def words(self) -> tuple[tuple[str, str], ...]:
        """Each word with what stands between it and the next."""
        return tuple((part.text, part.gap) for part in self.coloured(pieces=False))

    def coloured(self, pieces: bool) -> list[Part]:
        """What is coloured: the words, or their pieces."""
        reading = self.reading
        units = [piece for piece in reading.pieces if piece.word is not None] if pieces else reading.words
        following = [*(unit.start for unit in units[1:]), reading.cut or len(reading.text)]
        made, done = [], 0
        for number, (unit, start) in enumerate(zip(units, following, strict=True)):
            done = max(done, unit.end)  # a piece without characters of its own lies within the one before it
            word = unit.word if pieces else number
            made.append(Part(unit.text, reading.text[done:start], word, reading.words[word].text))
        return made

    def of_pieces(self, explanation: lrp.Explanation) -> np.ndarray:
        """Relevance of each piece, special ones included, as a word: (T,)."""
        found = tokens.parts(explanation)
        return found.get("word", next(iter(found.values())))

    def heat(self, explanation: lrp.Explanation) -> np.ndarray:
        """Relevance of each word: the sum over its pieces."""
        groups = [piece.word for piece in self.reading.pieces]
        return tokens.by_group(self.of_pieces(explanation), groups, len(self.reading.words))

    def split(self, heat: np.ndarray) -> dict[str, np.ndarray]:
        return {self.parts: heat}

    def beside(self, explanation: lrp.Explanation) -> list[tuple[str, float]]:
        """Relevance that is on no word: special pieces, positions, a constant, and a picture that goes with it."""
        special = [
            (piece.text, float(value))
            for piece, value in zip(self.reading.pieces, self.of_pieces(explanation), strict=True)
            if piece.special
        ]
        rest = list(tokens.parts(explanation).items())
        at = next((number for number, (name, _) in enumerate(rest) if name == "word"), 0)
        others = [(OTHERS.get(name, name), float(values.sum())) for name, values in rest[:at] + rest[at + 1 :]]
        pictures = [(name, float(part.numpy().sum())) for name, part in explanation.parts.items() if part.ndim == 4]
        return special + others + pictures

    def describe(self, heat: np.ndarray, asked: str, rule: str) -> str:
        peak = int(np.abs(heat).argmax())
        return (
            f"Words for {asked}, {rule}: {signed(heat[heat > 0].sum())} for it, {signed(heat[heat < 0].sum())} against "
            f"it, strongest {signed(heat[peak])} on “{self.reading.words[peak].text}”."
        )

    def boxes(self, subject: Subject, settings: Settings) -> list[DeltaGenerator]:
        """The place of the text, the toggle for its pieces above it, and below it what was not read."""
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"**Relevance** · {literal(explaining.question(settings, subject))}", width="content")
            switch(subject.page, "pieces", "Show the pieces", help="What the network reads are pieces of words.")
        place = st.container()
        if self.reading.cut is not None:
            read = len(self.reading.pieces)
            st.warning(
                f"The network reads {read} pieces at once. The grey end of the text was not read and did not count.",
                icon=":material/content_cut:",
            )
        if self.below:
            self.below()
        return [place]

    def fill(
        self, subject: Subject, settings: Settings, explanation: lrp.Explanation, places: Sequence[DeltaGenerator]
    ) -> None:
        heat, asked = self.heat(explanation), explaining.question(settings, subject)
        values = heat
        if settings.pieces:
            members = [piece.word is not None for piece in self.reading.pieces]
            values = self.of_pieces(explanation)[members]
        with places[0]:
            words_view(
                self.coloured(settings.pieces),
                values,
                key=f"{subject.page}.words",
                alt=self.describe(heat, asked, RULES[settings.rule].label),
                colours=settings.colours,
                tag=explaining.tag(settings, subject),
                unread="" if self.reading.cut is None else self.reading.text[self.reading.cut :],
                others=self.beside(explanation),
                language=self.language,
                take=self.take,
            )

    def small(self, heat: np.ndarray, *, key: str, alt: str, colours: str, vmax: Mapping[str, float]) -> None:
        look = {"colours": colours, "vmax": vmax[self.parts], "language": self.language}
        words_view(self.coloured(pieces=False), heat, key=key, alt=alt, bars=False, **look)

    def eraser(self, subject: Subject) -> TextEraser | None:
        if self.read is None or len(self.reading.words) < 2:
            return None
        return TextEraser(self.reading, self.coloured(pieces=False), self.read, self.language)

    def inside(self, subject: Subject, explanation: lrp.Explanation, asked: str) -> Inside:
        return text_layers.inside(subject.tape.steps, explanation, "Words", self.of_pieces(explanation), asked)

    def show_inside(self, made: Inside, *, page: str, colours: str) -> None:
        pieces = [piece.text for piece in self.reading.pieces]
        look = {"colours": colours, "from_right": from_right(self.reading.text)}
        matrix_view(
            made.blocks,
            made.rows,
            pieces,
            key=f"{page}.blocks",
            alt=f"Relevance for {made.asked} of each piece at every block",
            **look,
        )
        if not made.heads:
            return
        key = f"{page}.heads"
        blocks = list(made.heads)
        if st.session_state.get(key) not in blocks:
            st.session_state[key] = blocks[min(1, len(blocks) - 1)]  # in the last one, all of it is at one piece
        st.markdown("**Attention heads**")
        st.caption(
            "What each head of a block found, and the piece that it handed that to: in the last block of a network "
            "that answers at its first piece, all of it goes there."
        )
        block = st.segmented_control("Heads of", blocks, key=key, required=True)
        heads = made.heads[block]
        matrix_view(
            heads,
            [f"Head {number}" for number in range(1, len(heads) + 1)],
            pieces,
            key=f"{page}.matrix.heads",
            alt=f"Relevance for {made.asked} of what each head of {block.lower()} found, by the piece it went to",
            **look,
        )

    def booked_under(self, step: lrp.Step) -> str | None:
        return text_layers.title(step.name) if step.is_layer else None

    def peak(self, heat: np.ndarray) -> tuple[str, str]:
        return "Strongest word", literal(self.reading.words[int(np.abs(heat).argmax())].text)

    def files(self, subject: Subject, settings: Settings, explanation: lrp.Explanation) -> list[File]:
        heat, name = self.heat(explanation), f"lrp-{subject.page}"
        arrays = {f"relevance_{part}": values for part, values in tokens.parts(explanation).items()} | {
            "ids": subject.x.numpy(),
            "relevance": heat,
            "scores": subject.scores,
            "start": explanation.start.numpy(),
        }
        return [
            File("Numbers (NPZ)", f"{name}.npz", "application/octet-stream", lambda: npz(arrays)),
            File("Table (CSV)", f"{name}.csv", "text/csv", lambda: table(self.reading, heat)),
        ]


def table(reading: Reading, heat: np.ndarray) -> str:
    """One line for each word: where it begins and ends in the text, and its relevance."""
    text = io.StringIO()
    rows = ([word.text, word.start, word.end, f"{value:.9g}"] for word, value in zip(reading.words, heat, strict=True))
    csv.writer(text).writerows([["word", "start", "end", "relevance"], *rows])
    return text.getvalue()


def from_right(text: str) -> bool:
    """Whether a text runs from right to left: its first letter with a direction decides, as in a browser."""
    directions = (unicodedata.bidirectional(character) for character in text)
    return next((one in ("R", "AL") for one in directions if one in ("L", "R", "AL")), False)
