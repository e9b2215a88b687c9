"""Where torch works: in lanes, each one thread for all visitors.

Streamlit runs every visitor's script in a thread of its own, and a new one for each run. Torch would make its caches
anew in each of them, which costs a small network more than the walk itself, and visitors who drag at the same time
would take the interpreter from each other at every tensor operation. In one thread the caches stay warm, and visitors
wait in line for a millisecond instead.

Small networks are best off with one thread of torch, large ones with all. Each has a lane of its own, so that a step
on a digit does not wait behind a photo's. Within a lane it is first come, first served: whoever has much to ask asks
for one walk at a time, and others come in between.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner_utils.script_run_context import get_run_yield_check

T = TypeVar("T")

ALL_CORES = os.cpu_count() or 1
"""Threads for a large network. Torch may find fewer, and uses no more than it finds (or OMP_NUM_THREADS says)."""

GLANCE_S = 0.1
"""How often those who wait look up: whether they have moved on, and how many are still ahead of them."""


class Lane:
    """One thread that does one piece of work after the other; torch has `threads` of its own for each."""

    def __init__(self, threads: int = 1) -> None:
        self.busy_s = 0.0
        self._line: list[Future] = []
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, f"engine-{threads}", initializer=_settle_in, initargs=(threads,))

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        """Put `work` at the end of the line."""

        def timed() -> T:
            began = time.perf_counter()
            try:
                return work()
            finally:
                self.busy_s += time.perf_counter() - began

        with self._lock:
            job = self._thread.submit(timed)
            self._line.append(job)
        job.add_done_callback(self._leave)
        return job

    def ahead(self, job: Future) -> int:
        """How many pieces of work come before this one, the one that is being done included."""
        with self._lock:
            return self._line.index(job) if job in self._line else 0

    def _leave(self, job: Future) -> None:
        with self._lock:
            self._line.remove(job)


def _settle_in(threads: int) -> None:
    import torch  # here, because the sliders know this module before a page has brought torch

    torch.get_num_threads()  # a new thread takes over the number that was set last, anywhere, when it first asks
    torch.set_num_threads(threads)  # holds for this thread alone


class Engine:
    """The lanes of one server; each begins when it is first asked for.

    most: threads that torch may use for one piece of work; None for what it finds, or OMP_NUM_THREADS says.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._lanes: dict[int, Lane] = {}
        self._lock = threading.Lock()

    @property
    def busy_s(self) -> float:
        """Seconds that all lanes together have worked."""
        with self._lock:
            return sum(lane.busy_s for lane in self._lanes.values())

    def lane(self, threads: int) -> Lane:
        """The lane whose work may use so many threads of torch."""
        with self._lock:
            if self._most is None:
                import torch

                self._most = torch.get_num_threads()
            threads = min(threads, self._most)
            if threads not in self._lanes:
                self._lanes[threads] = Lane(threads)
            return self._lanes[threads]


@st.cache_resource(show_spinner=False)
def _engine() -> Engine:
    return Engine()


def busy_s() -> float:
    """Seconds that this server's engine has worked so far."""
    return _engine().busy_s


_watch: ContextVar[Callable[[int], None]] = ContextVar("watch", default=lambda ahead: None)


@contextmanager
def watched(watch: Callable[[int], None]) -> Iterator[None]:
    """Within this block, `watch` is told again and again how many are ahead, in the thread that waits."""
    before = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(before)


def compute(work: Callable[[], T], threads: int = 1) -> T:
    """The result of `work()`, done in the engine's thread. `work` knows nothing of Streamlit and its session.

    A visitor who moves on while it waits in line takes it along: work that nobody waits for is not done.

    threads: how many threads torch may use for it, 1 or `ALL_CORES`.
    """
    lane = _engine().lane(threads)
    job = lane.submit(work)
    moved_on = get_run_yield_check()
    try:
        while not wait([job], GLANCE_S).done:
            if moved_on:
                moved_on()  # raises where the visitor has
            _watch.get()(lane.ahead(job))
        return job.result()
    finally:
        job.cancel()
