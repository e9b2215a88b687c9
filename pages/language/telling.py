"""The story of a page: what the model went on with, one tape of it, and why each word of it was said."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
import streamlit as st

import lrp_core as lrp
from lrp_core import tokens
from models.language import story
from models.language.story import Said
from models.text.reading import Reading
from pages.explaining import subject as explaining
from pages.explaining.subject import Subject
from pages.language.subject import described
from pages.serving import engine, tapes
from pages.settings.settings import Settings


@dataclass(eq=False)
class Telling:
    """A prompt, what followed it so far, and what was found out about that. asked: what makes it this one."""

    asked: Hashable
    subject: Subject
    said: list[Said] = field(default_factory=list)
    over: bool = False
    reasons: dict[Hashable, dict[int, np.ndarray]] = field(default_factory=dict)

    @property
    def page(self) -> str:
        """Its tape has a place of its own."""
        return f"{self.subject.page}.story"

    @property
    def threads(self) -> int:
        return self.subject.threads

    @property
    def key(self) -> Hashable:
        return self.asked, tuple(one.token for one in self.said)

    @property
    def ids(self) -> list[int]:
        """Of the prompt and what followed."""
        return [*self.subject.x[0].tolist(), *(one.token for one in self.said)]

    @property
    def begin(self) -> int:
        """How many tokens the prompt has."""
        return self.subject.x.shape[1]

    def record(self) -> lrp.Tape:
        """One run of all of it: row k of its scores says what was likely where token k of the answer stands."""
        ids = self.subject.x.new_tensor([self.ids[:-1]])
        return lrp.record(self.subject.model, ids, last=len(self.said))

    def reading(self) -> Reading:
        return story.read(described(self.subject.network), self.subject.view.reading, [one.token for one in self.said])


def tell(telling: Telling, temperature: float, seed: int) -> None:
    """Let the model say one token more."""
    net, ids = telling.subject.model, telling.ids
    said = engine.compute(lambda: story.next_token(net, ids, temperature, seed), telling.threads)
    if described(telling.subject.network).ends(said.token):
        telling.over = True
    else:
        telling.said.append(said)


def spoken(telling: Telling, reading: Reading) -> dict[int, list[int]]:
    """The words that the model said, by their number in the reading: which of its tokens each is made of."""
    found: dict[int, list[int]] = {}
    for place, piece in enumerate(reading.pieces[telling.begin :]):
        if piece.word is not None:
            found.setdefault(piece.word, []).append(place)
    inside = {piece.word for piece in reading.pieces[: telling.begin]}
    return {word: places for word, places in found.items() if word not in inside} or found


def reasons(
    telling: Telling, reading: Reading, settings: Settings, wanted: Sequence[int], made_of: dict[int, list[int]]
) -> dict[int, np.ndarray]:
    """For each of these words the relevance of all pieces for its being said rather than the likeliest other, (T,).

    The sum over the pieces that it is made of. What was found before is not asked again; the rest in one walk. What
    comes after a word has none, nor has the last piece of all, which the model did not read.
    """
    composite = explaining.composite(settings, telling.subject)
    known = telling.reasons.setdefault((composite, len(telling.said)), {})
    missing = [word for word in wanted if word not in known]
    if missing:
        places = [place for word in missing for place in made_of[word]]
        targets = [
            lrp.Target.at((place, telling.said[place].token), rather_than=(place, telling.said[place].rival))
            for place in places
        ]

        def work(tape: lrp.Tape) -> list[np.ndarray]:
            return [np.append(tokens.parts(one)["word"], 0.0) for one in tape.explain(composite, targets)]

        found = dict(zip(places, tapes.use(telling, work), strict=True))
        for word in missing:
            known[word] = np.sum([found[place] for place in made_of[word]], axis=0)
    return {word: known[word] for word in wanted}


def on_words(of_pieces: np.ndarray, reading: Reading) -> np.ndarray:
    """Relevance of the words (W,) from that of all pieces (T,)."""
    return tokens.by_group(of_pieces, [piece.word for piece in reading.pieces], len(reading.words))


def present(page: str, asked: Hashable, subject: Subject) -> Telling:
    """The visitor's story, begun anew where something else is asked."""
    key = f"{page}.telling"
    if key not in st.session_state or st.session_state[key].asked != asked:
        st.session_state[key] = Telling(asked, subject)
    return st.session_state[key]
