"""The threads in which torch works, and the line of those who wait for one."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import torch
from streamlit.runtime.scriptrunner_utils.exceptions import StopException

from pages.serving import engine
from pages.serving.engine import Engine, Lane

PATIENCE_S = 60


@contextmanager
def occupied(submit):
    """Somebody's work is being done, until the block is left."""
    begun, gate = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert gate.wait(PATIENCE_S)

    submit(work)
    assert begun.wait(PATIENCE_S)
    try:
        yield
    finally:
        gate.set()


@pytest.fixture
def visitors():
    """Threads of visitors."""
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.fixture
def lane(monkeypatch):
    """The one lane of a server of its own."""
    server = Engine(most=1)
    monkeypatch.setattr(engine, "_engine", lambda: server)
    return server.lane(1)


def test_all_work_is_done_in_one_thread_that_is_not_the_callers(lane, visitors):
    """Whoever asks: four visitors, or one visitor twice."""
    asked = [visitors.submit(engine.compute, threading.current_thread) for _ in range(4)]
    seen = {job.result() for job in asked} | {engine.compute(threading.current_thread)}
    assert len(seen) == 1
    assert threading.current_thread() not in seen


def test_an_error_reaches_the_one_who_asked_and_nobody_else():
    def fail() -> None:
        raise ValueError("Target class 12 is not there.")

    with pytest.raises(ValueError, match="not there"):
        engine.compute(fail)
    assert engine.compute(lambda: 7) == 7


def test_each_lane_keeps_its_number_of_torch_threads():
    """Whichever began last, and whatever number was set last anywhere, before torch is first asked in a lane."""
    server = Engine(most=2)
    here = torch.get_num_threads()
    try:
        for threads in (1, 2):
            server.lane(threads).submit(int).result(PATIENCE_S)
        for threads in (1, 2, 1):
            assert server.lane(threads).submit(torch.get_num_threads).result(PATIENCE_S) == threads
    finally:
        torch.set_num_threads(here)  # what new threads take over


def test_no_lane_uses_more_threads_than_there_are():
    server = Engine(most=2)
    assert server.lane(64) is server.lane(2)
    assert server.lane(1) is not server.lane(2)


def test_a_small_network_does_not_wait_behind_a_large_one():
    server = Engine(most=2)
    with occupied(server.lane(2).submit):
        assert server.lane(1).submit(lambda: 7).result(PATIENCE_S) == 7


def test_everyone_knows_how_many_are_ahead():
    lane = Lane()
    with occupied(lane.submit):
        jobs = [lane.submit(int) for _ in range(3)]
        assert [lane.ahead(job) for job in jobs] == [1, 2, 3]
        jobs[1].cancel()
        assert lane.ahead(jobs[2]) == 2
    assert jobs[2].result(PATIENCE_S) == 0
    assert lane.ahead(jobs[2]) == 0


def test_whoever_waits_is_told_how_many_are_ahead(lane, visitors):
    told: list[int] = []
    enough = threading.Event()

    def watch(ahead: int) -> None:
        told.append(ahead)
        if len(told) == 2:
            enough.set()

    def visitor() -> int:
        with engine.watched(watch):
            return engine.compute(lambda: 7)

    with occupied(lane.submit):
        answer = visitors.submit(visitor)
        assert enough.wait(PATIENCE_S)
        assert told[:2] == [1, 1]
    assert answer.result(PATIENCE_S) == 7


def test_work_that_nobody_waits_for_any_more_is_not_done(lane, monkeypatch):
    """Streamlit ends a run by an exception, raised where the run looks up."""

    def end() -> None:
        raise StopException

    done: list[str] = []
    monkeypatch.setattr(engine, "get_run_yield_check", lambda: end)
    with occupied(lane.submit), pytest.raises(StopException):
        engine.compute(lambda: done.append("by nobody"))
    lane.submit(lambda: done.append("by somebody")).result(PATIENCE_S)
    assert done == ["by somebody"]


def test_others_come_in_between_the_walks_of_one_who_asks_for_many(lane, visitors):
    order: list[str] = []
    in_line = threading.Event()

    def sweep() -> None:
        with engine.watched(lambda ahead: in_line.set()):
            for walk in "123":
                engine.compute(lambda walk=walk: order.append(f"sweep {walk}"))

    with occupied(lane.submit):
        sweeper = visitors.submit(sweep)
        assert in_line.wait(PATIENCE_S)
        lane.submit(lambda: order.append("slider"))
    sweeper.result(PATIENCE_S)
    assert order == ["sweep 1", "slider", "sweep 2", "sweep 3"]


def test_the_seconds_of_all_lanes_are_added_up():
    server = Engine(most=2)
    before = server.busy_s
    for threads in (1, 2):
        server.lane(threads).submit(lambda: torch.rand(300, 300) @ torch.rand(300, 300)).result(PATIENCE_S)
    assert before == 0
    assert server.busy_s == server.lane(1).busy_s + server.lane(2).busy_s
    assert min(server.lane(1).busy_s, server.lane(2).busy_s) > 0


def test_a_result_is_freed_with_the_last_who_holds_it():
    gc.disable()
    try:
        result = engine.compute(lambda: torch.zeros(3))
        ghost = weakref.ref(result)
        engine.compute(int)
        del result
        assert ghost() is None
    finally:
        gc.enable()
