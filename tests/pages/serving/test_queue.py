"""What a visitor reads who has to wait for the engine."""

import pytest
from streamlit.runtime.scriptrunner_utils.exceptions import StopException

from pages.serving import engine, queue
from pages.serving.queue import NOTICEABLE_S, Notice, announced


class Page:
    """Stands for a container of Streamlit, and for the place of the line in it. An empty line is ""."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def caption(self, text: str) -> None:
        self.seen.append(text)

    def empty(self) -> "Page":
        self.seen.append("")
        return self


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def page() -> Page:
    return Page()


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(queue.time, "monotonic", clock)
    return clock


def test_a_long_wait_is_counted_down_and_the_line_taken_away(page, clock):
    notice = Notice(page, clock)
    for clock.now, ahead in ((0.1, 3), (NOTICEABLE_S, 3), (0.7, 3), (0.8, 2), (0.9, 0), (1.0, 0)):
        notice.show(ahead)
    notice.clear()
    assert page.seen == ["3 ahead of you.", "2 ahead of you.", "Your turn.", ""]


def test_a_short_wait_is_not_mentioned(page, clock):
    notice = Notice(page, clock)
    for clock.now in (0.1, 0.2, 0.99 * NOTICEABLE_S):
        notice.show(4)
    notice.clear()
    assert page.seen == []


def test_nor_is_work_of_ones_own(page, clock):
    notice = Notice(page, clock)
    clock.now = 10
    notice.show(0)
    notice.clear()
    assert page.seen == []


def waits(clock: Clock) -> None:
    """As `engine.compute` does while two others are served."""
    clock.now += 1
    engine._watch.get()(2)


def test_the_block_sees_to_it(page, clock):
    with announced(page):
        waits(clock)
    waits(clock)
    assert page.seen == ["", "2 ahead of you.", ""]


def test_the_place_is_taken_in_every_run(page, clock):
    """Streamlit knows what stands on a page by its position: a line that comes and goes would move all below it."""
    with announced(page):
        pass
    assert page.seen == [""]


def test_an_error_takes_the_place_of_the_line(page, clock):
    with pytest.raises(ValueError), announced(page):
        waits(clock)
        raise ValueError
    assert page.seen == ["", "2 ahead of you.", ""]


def test_a_run_that_is_cut_short_draws_no_more(page, clock):
    with pytest.raises(StopException), announced(page):
        waits(clock)
        raise StopException
    assert page.seen == ["", "2 ahead of you."]


def test_the_nearest_place_is_used(page, clock):
    inner = Page()
    with announced(page):
        with announced(inner):
            waits(clock)
        waits(clock)
    assert inner.seen == page.seen == ["", "2 ahead of you.", ""]
