"""Time, interleaved in one process, and peak memory, each in a process of its own.

`python -m benchmarks.measure vgg16 zennit "epsilon-plus, first"` prints the megabytes of one contender in one row.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import gc
import math
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

from .contest import NETWORKS, Job, Makers, Network

CONTENDERS = {
    "torch": "peers.torch_makers",
    "lrp_core": "ours.makers",
    "zennit": "peers.zennit_makers",
    "captum": "peers.captum_makers",
}
ROOT = Path(__file__).resolve().parents[1]


def makers(contender: str, network: Network) -> Makers:
    """What a contender can run on a network, whose model it may change; imports the contender."""
    module, function = CONTENDERS[contender].split(".")
    make: Callable[[Network], Makers] = getattr(import_module(f"{__package__}.{module}"), function)
    return make(network)


BURST = 0.02  # seconds that a job keeps its turn: short runs are timed with warm caches, as one after another


def shortest(jobs: Mapping[tuple[str, str], Job], rounds: int) -> dict[tuple[str, str], float]:
    """Seconds of the fastest run of each job; all take turns, so that a slow moment of the machine hits all alike."""
    best = dict.fromkeys(jobs, math.inf)
    gc.disable()
    try:
        for _ in range(rounds):
            for key, job in jobs.items():
                turn = time.perf_counter()
                while time.perf_counter() < turn + BURST:
                    job.prepare()
                    start = time.perf_counter()
                    job.run()
                    best[key] = min(best[key], time.perf_counter() - start)
            gc.collect()
    finally:
        gc.enable()
    return best


def megabytes(network: str, contender: str, row: str) -> float:
    """Peak memory above the loaded model while a fresh process runs the row three times, set-up included."""
    command = [sys.executable, "-m", "benchmarks.measure", network, contender, row]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout)


def _peak_above_model(network: str, contender: str, row: str) -> float:
    loaded = NETWORKS[network]()
    make = makers(contender, loaded)[row]
    _return_freed_memory()
    before = _status_kib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the kernel forgets the peak reached so far
    job = make()
    for _ in range(3):
        job.prepare()
        job.run()
    return (_status_kib("VmHWM") - before) / 1024


def _return_freed_memory() -> None:
    gc.collect()
    ctypes.CDLL(ctypes.util.find_library("c")).malloc_trim(0)


def _status_kib(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


if __name__ == "__main__":
    print(_peak_above_model(*sys.argv[1:]))
