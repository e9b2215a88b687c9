"""The one thread in which torch works."""

import threading

import pytest

from pages.shared import engine


def test_all_work_is_done_in_one_thread_that_is_not_the_callers():
    """Whoever asks: two visitors, or one visitor twice."""
    seen: list[str] = []

    def ask() -> None:
        seen.append(engine.compute(lambda: threading.current_thread().name))

    visitors = [threading.Thread(target=ask) for _ in range(4)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    ask()
    assert len(seen) == 5 and len(set(seen)) == 1
    assert seen[0] != threading.current_thread().name


def test_an_error_reaches_the_one_who_asked_and_nobody_else():
    def fail() -> None:
        raise ValueError("Target class 12 is not there.")

    with pytest.raises(ValueError, match="not there"):
        engine.compute(fail)
    assert engine.compute(lambda: 7) == 7
