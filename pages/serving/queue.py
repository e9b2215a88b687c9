"""What a visitor reads who has to wait until others are served."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from streamlit.delta_generator import DeltaGenerator

from pages.serving import engine

NOTICEABLE_S = 0.5
"""A wait below this is not worth a word: at every step of a slider the line would come and go."""


class Notice:
    """One line, written late and taken away again. `place` is an `st.empty` of its own."""

    def __init__(self, place: DeltaGenerator, clock: Callable[[], float]) -> None:
        self._place, self._clock = place, clock
        self._began = clock()
        self._text = ""

    def show(self, ahead: int) -> None:
        """Say how many are ahead, once the wait is noticeable. Whoever has not waited for others reads nothing."""
        if self._clock() - self._began < NOTICEABLE_S or not (ahead or self._text):
            return
        text = f"{ahead} ahead of you." if ahead else "Your turn."
        if text != self._text:
            self._place.caption(text)
            self._text = text

    def clear(self) -> None:
        """Take the line away."""
        if self._text:
            self._place.empty()


@contextmanager
def announced(place: DeltaGenerator) -> Iterator[None]:
    """Whoever waits for the engine within this block reads in `place` how many are ahead.

    The line's place is taken even if nothing is written there: what follows would move from run to run otherwise.
    """
    notice = Notice(place.empty(), time.monotonic)
    with engine.watched(notice.show):
        try:
            yield
        except Exception:  # not where Streamlit ends the run: what is on the page then is the next run's
            notice.clear()
            raise
    notice.clear()
