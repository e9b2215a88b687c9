"""How a prompt is shown: its words in colours, the token in front, and as bars what no word got."""

from collections.abc import Sequence
from dataclasses import dataclass

from streamlit.delta_generator import DeltaGenerator

import lrp_core as lrp
from lrp_core import tokens
from pages.components.words_view import words_view
from pages.explaining import subject as explaining
from pages.explaining.subject import Subject
from pages.language.where import Where, show, where
from pages.settings.rules_text import RULES
from pages.settings.settings import Settings
from pages.views.text_view import TextView

SINKS = {
    "softmax": "attention weights",
    "epsilon": "epsilon",
    "bias": "biases",
    "constant": "constants",
    "dropped": "dropped",
}
"""What absorbs relevance on the way, by its name in the ledger."""
WORTH_A_BAR = 0.005
"""Share of the score below which what was absorbed is left to the balance line."""
START = "start of text"


@dataclass(frozen=True, eq=False)
class PromptView(TextView):
    """A `View` of what a language model read."""

    inside_words = ""
    how_to_read = (
        "The question is a contrast, and so is the map: a word that makes both next words likelier says little about "
        "which of them it is. *Start of text* is the token that stands before every text: models lean on it when "
        "nothing else is to be looked at."
    )

    def start(self, explanation: lrp.Explanation) -> float:
        """What the token in front of the text got."""
        special = [piece.special for piece in self.reading.pieces]
        return float(self.of_pieces(explanation)[special].sum())

    def sinks(self, explanation: lrp.Explanation) -> list[tuple[str, float]]:
        """What no word got, by name: at the start, on positions, and what was absorbed on the way."""
        found = [(START, self.start(explanation))]
        others = tokens.parts(explanation)
        others.pop("word", None)
        if len(others) < len(explanation.parts):
            found += [("positions" if name == "position" else name, float(part.sum())) for name, part in others.items()]
        total = explanation.ledger.total
        size = abs(float(total.start[0]))
        absorbed = [(words, float(getattr(total, key)[0])) for key, words in SINKS.items()]
        return found + [(name, value) for name, value in absorbed if abs(value) > WORTH_A_BAR * size]

    def inside(self, subject: Subject, explanation: lrp.Explanation, asked: str) -> Where:
        pieces = tuple(START if piece.special else piece.text for piece in self.reading.pieces)
        return where(subject.tape, explanation, pieces, self.of_pieces(explanation), asked)

    def show_inside(self, made: Where, *, page: str, colours: str) -> None:
        show(made, page, colours)

    def fill(
        self, subject: Subject, settings: Settings, explanation: lrp.Explanation, places: Sequence[DeltaGenerator]
    ) -> None:
        heat, asked = self.heat(explanation), explaining.question(settings, subject)
        values = heat
        if settings.pieces:
            values = self.of_pieces(explanation)[[piece.word is not None for piece in self.reading.pieces]]
        with places[0]:
            words_view(
                self.coloured(settings.pieces),
                values,
                key=f"{subject.page}.words",
                alt=self.describe(heat, asked, RULES[settings.rule].label),
                colours=settings.colours,
                tag=explaining.tag(settings, subject),
                unread="" if self.reading.cut is None else self.reading.text[self.reading.cut :],
                sinks=self.sinks(explanation),
                lead=(START, self.start(explanation)),
                take=self.take,
            )
