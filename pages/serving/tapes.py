"""The recorded runs of all visitors: one for each visitor and page, together no larger than the server allows.

A visitor's page has one `Place`, which holds the tape of the present input and the explanation that was asked last.
Both go together, because an explanation keeps its tape's tensors alive. Where the places outgrow the limit, those that
were used least recently are emptied; their visitors' next step records again, unnoticed but for the time it takes.
When a visitor leaves, Streamlit lets go of the places, and nothing else holds them.
"""

import threading
import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from itertools import count
from typing import Protocol, TypeVar

import streamlit as st

import lrp_core as lrp
from pages.serving import engine
from pages.serving.config import config

T = TypeVar("T")


class Source(Protocol):
    """What can be recorded: the page that it belongs to, what tells it from others, and how many threads it takes."""

    page: str
    threads: int

    @property
    def key(self) -> Hashable: ...

    def record(self) -> lrp.Tape: ...


Question = tuple[lrp.Composite, lrp.Target]


@dataclass(eq=False)
class Recording:
    """A tape, the key of what it recorded, and the last question with its answer."""

    key: Hashable
    tape: lrp.Tape
    answer: tuple[Question, lrp.Explanation] | None = None

    @property
    def nbytes(self) -> int:
        """Bytes held now. A tape grows with what the rules that were asked for leave behind."""
        maps = self.answer[1].parts.values() if self.answer else ()
        return self.tape.nbytes + sum(relevance.nbytes for relevance in maps)

    def answered(self, question: Question) -> lrp.Explanation | None:
        """The answer, if this was the last question."""
        return self.answer[1] if self.answer and self.answer[0] == question else None

    def ask(self, question: Question) -> lrp.Explanation:
        """The answer, which is kept until the next question."""
        explanation = self.tape.explain(*question)
        self.answer = question, explanation
        return explanation


@dataclass(eq=False)
class Place:
    """Where one visitor's page keeps its recording; None before the first, and after it had to make room."""

    recording: Recording | None = None
    nbytes: int = 0
    used: int = 0

    def empty(self) -> None:
        self.recording, self.nbytes = None, 0


class Shelf:
    """All places of the server. It knows them weakly: a place lives as long as its visitor's session."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._places: weakref.WeakSet[Place] = weakref.WeakSet()
        self._time = count(1)
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes held by all places together."""
        with self._lock:
            return sum(place.nbytes for place in self._places)

    def find(self, place: Place, key: Hashable) -> Recording | None:
        """The recording of `key`, if the place still has it."""
        place.used = next(self._time)
        recording = place.recording  # looked at once: another visitor's work may empty the place meanwhile
        return recording if recording is not None and recording.key == key else None

    def use(self, place: Place, source: Source, work: Callable[[Recording], T]) -> T:
        """`work(recording)`; what is missing is recorded first. Afterwards the bytes are counted, and room is made."""
        recording = self.find(place, source.key)
        try:
            if recording is None:
                place.empty()  # the old tape is freed before there is a new one
                recording = place.recording = Recording(source.key, source.record())
            return work(recording)
        finally:
            self._make_room(place)

    def _make_room(self, newest: Place) -> None:
        """Empty places until all fit: first a newest one that could not fit alone, then the least recently used."""
        with self._lock:
            newest.nbytes = newest.recording.nbytes if newest.recording else 0
            self._places.add(newest)
            if newest.nbytes > self.limit:
                newest.empty()
            held = sorted(self._places, key=lambda place: place.used)
            excess = sum(place.nbytes for place in held) - self.limit
            for place in held:
                if excess <= 0:
                    break
                excess -= place.nbytes
                place.empty()


@st.cache_resource(show_spinner=False)
def _shelf() -> Shelf:
    return Shelf(config().tape_bytes)


@st.cache_resource(scope="session", show_spinner=False)
def _place(page: str) -> Place:
    """Freed when the visitor disconnects; the session state would live on for minutes."""
    return Place()


def use(source: Source, work: Callable[[lrp.Tape], T]) -> T:
    """`work(tape)`, done in the engine's thread. What it returns should not hold the tape for long."""
    shelf, place = _shelf(), _place(source.page)
    return engine.compute(lambda: shelf.use(place, source, lambda recording: work(recording.tape)), source.threads)


def tape(source: Source) -> lrp.Tape:
    """The recorded run, made now if the visitor's place does not hold it. Let go of it when the page's run ends."""
    found = _shelf().find(_place(source.page), source.key)
    return found.tape if found else use(source, lambda tape: tape)


def explanation(source: Source, question: Question) -> lrp.Explanation:
    """What the tape answers; the last answer is kept with it. Let go of it when the page's run ends."""
    shelf, place = _shelf(), _place(source.page)
    found = shelf.find(place, source.key)
    known = found.answered(question) if found else None
    if known:
        return known
    return engine.compute(lambda: shelf.use(place, source, lambda recording: recording.ask(question)), source.threads)
