"""How often a held slider may ask, so that all visitors together ask no more often than the server can answer.

A step on a digit costs the server some 10 ms, on a photo up to 400. Thirty visitors who all drag and ask as soon as
they are answered would wait for each other in line; told to ask a little later, they get as many answers, and fresh
ones.
"""

import threading
import time
import uuid
from collections.abc import Callable

import streamlit as st

from pages.serving import engine

SHORTEST_MS = 30
"""The gap when nobody else drags: faster than the eye needs. A slider waits for its answer in any case."""

RERUN_S = 0.009
"""What Streamlit's part of a step costs the server, about the same for each network."""

WEIGHT = 0.2
"""How much the newest step counts in the mean of what the engine works for one."""

PATIENCE_S = 1.0
"""Whoever holds a slider and has not moved it for so long, and twice the gap, does not count any more."""


class Crowd:
    """The sliders that are being moved just now, and what a step of one costs.

    clock: seconds. busy: seconds that the engine has worked so far.
    """

    def __init__(self, clock: Callable[[], float], busy: Callable[[], float]) -> None:
        self._clock, self._busy = clock, busy
        self._until: dict[str, float] = {}
        self._cost = self._worked = 0.0
        self._lock = threading.Lock()

    def gap_ms(self, slider: str, held: bool) -> int:
        """Milliseconds from one question of this slider to the next; `held` tells whether somebody is moving it."""
        now = self._clock()
        with self._lock:
            self._until = {one: until for one, until in self._until.items() if now <= until and (one != slider or held)}
            if not held:
                return SHORTEST_MS
            self._learn()
            others = len(self._until.keys() - {slider})
            gap = (1 + others) * (RERUN_S + self._cost) if others else 0.0
            self._until[slider] = now + PATIENCE_S + 2 * gap
            return max(SHORTEST_MS, round(1000 * gap))

    def _learn(self) -> None:
        """Take what the engine worked since the last step into the mean, if somebody was moving a slider then."""
        worked = self._busy()
        if self._until:
            self._cost += WEIGHT * (worked - self._worked - self._cost)
        self._worked = worked


@st.cache_resource(show_spinner=False)
def _crowd() -> Crowd:
    return Crowd(time.monotonic, engine.busy_s)


def gap_ms(slider: str, held: bool) -> int:
    """The gap for this slider of the present visitor, in milliseconds."""
    visitor = st.session_state.setdefault("pace.visitor", uuid.uuid4().hex)
    return _crowd().gap_ms(f"{visitor} {slider}", held)
