"""Where torch works: one thread for all visitors.

Streamlit runs every visitor's script in a thread of its own, and a new one for each run. Torch would make its caches
anew in each of them, which costs a small network more than the walk itself, and visitors who drag at the same time
would take the interpreter from each other at every tensor operation. In one thread the caches stay warm, and visitors
wait in line for a millisecond instead.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import streamlit as st
import torch

T = TypeVar("T")


@st.cache_resource(show_spinner=False)
def _worker() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")


def compute(work: Callable[[], T], threads: int = 1) -> T:
    """The result of `work()`, done in the engine's thread. `work` knows nothing of Streamlit and its session.

    threads: how many threads torch may use for it; a small network is best off with one.
    """

    def job() -> T:
        torch.set_num_threads(threads)
        return work()

    return _worker().submit(job).result()
