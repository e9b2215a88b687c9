"""How often a held slider may ask, so that all visitors together ask no more often than the server can answer.

A step costs the server some 8 ms. Thirty visitors who all drag and ask as soon as they are answered would wait a
quarter of a second each, in line behind each other; told to ask a little later, they get as many answers, and fresh
ones.
"""

import threading
import time
import uuid
from collections.abc import Callable

import streamlit as st

SHORTEST_MS = 30
"""The gap when nobody else drags: faster than the eye needs."""

ANSWERS_PER_SECOND = 100
"""What one server answers to all visitors together, with some room for everything else that it does."""

MEMORY_S = 1.0
"""A visitor who has not moved a slider for so long does not count any more."""


class Crowd:
    """The visitors who are moving a slider just now."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._moved: dict[str, float] = {}
        self._lock = threading.Lock()

    def gap_ms(self, visitor: str, moves: bool) -> int:
        """Milliseconds between two questions of one visitor; `moves` tells whether this one holds a slider."""
        now = self._clock()
        with self._lock:
            if moves:
                self._moved[visitor] = now
            self._moved = {one: moved for one, moved in self._moved.items() if now - moved <= MEMORY_S}
            return max(SHORTEST_MS, round(1000 * len(self._moved) / ANSWERS_PER_SECOND))


@st.cache_resource(show_spinner=False)
def _crowd() -> Crowd:
    return Crowd()


def gap_ms(moves: bool) -> int:
    """The gap for the present visitor, in milliseconds."""
    visitor = st.session_state.setdefault("pace.visitor", uuid.uuid4().hex)
    return _crowd().gap_ms(visitor, moves)
