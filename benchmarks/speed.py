"""One table: how long a heatmap takes and how much memory, `lrp_core` beside torch, zennit and captum.

python -m benchmarks.speed                 # all networks, with memory: about ten minutes on two cores
python -m benchmarks.speed --networks digits --rounds 10 --no-memory
"""

from __future__ import annotations

import argparse
import os
import sys
from copy import deepcopy
from dataclasses import replace
from importlib.metadata import version

import torch

from . import contest
from .contest import FORWARD, FULL_RUNS, NETWORKS, ROWS
from .measure import CONTENDERS, makers, megabytes, shortest

ROUNDS = {"digits": 40, "vgg16": 6, "mobilenet": 12}

# What we aim at: multiples of G on VGG-16, of F on a mobile network, milliseconds on the digits network.
REACH = {
    "vgg16": {
        contest.EPSILON: "1.00 G",
        contest.EPSILON_PLUS: "1.40 G",
        contest.BOX: "1.40 G",
        contest.GAMMA_MOVED: "0.45 G",
        contest.TARGET_MOVED: "0.44 G",
        contest.EPSILON_MOVED: "0.44 G",
        contest.SWEEP: "7 G",
    },
    "mobilenet": {contest.BOX: "4 F", contest.GAMMA_MOVED: "2 F"},
    "digits": {
        **dict.fromkeys((contest.EPSILON, contest.EPSILON_PLUS, contest.BOX, contest.ALPHA_BETA), "1.8 ms"),
        **dict.fromkeys((contest.GAMMA_MOVED, contest.TARGET_MOVED, contest.EPSILON_MOVED), "0.6 ms"),
    },
}


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    machine = f"torch {torch.__version__}, {options.threads} threads of {os.cpu_count()} cores"
    print(f"{machine}; F is the forward pass, G with the gradient of its input")
    peers = [name if name == "lrp_core" else f"{name} {version(name).split('+')[0]}" for name in CONTENDERS]
    print("|".join(["", "network", "what", *peers, "reach", ""]))
    print("|" + "---|" * (len(CONTENDERS) + 3))
    for key in options.networks:
        for line in _table(key, options.rounds or ROUNDS[key], memory=not options.no_memory):
            print("|".join(["", *line, ""]), flush=True)


def _table(key: str, rounds: int, memory: bool) -> list[list[str]]:
    """The lines of one network: its name, the row, a cell per contender, and what we aim at."""
    network = NETWORKS[key]()
    contenders = [who for who in CONTENDERS if network.peers or who in ("torch", "lrp_core")]
    own = {who: replace(network, model=deepcopy(network.model)) for who in contenders}
    jobs = {(row, who): make() for who in contenders for row, make in makers(who, own[who]).items()}
    shortest(jobs, rounds=1)
    seconds = shortest(jobs, rounds)

    unit = "F" if network.yardstick == FORWARD else "G"

    def time(of_row: float) -> str:
        return f"{of_row * 1e3:.3g} ms, {of_row / seconds[network.yardstick, 'torch']:.2f} {unit}"

    def cell(row: str, who: str) -> str:
        if (row, who) in seconds:
            peak = f", {megabytes(key, who, row):.0f} MB" if memory else ""
            return time(seconds[row, who]) + peak
        full_run, times = FULL_RUNS.get(row, (row, 1))
        if (full_run, who) in seconds:
            return time(times * seconds[full_run, who])
        return ""

    reach = REACH[key]
    return [[network.name, row, *(cell(row, who) for who in CONTENDERS), reach.get(row, "")] for row in ROWS]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=sys.modules[__name__].__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, help="timed runs of everything; the fastest counts")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--no-memory", action="store_true", help="leave out the memory, one process per cell")
    return parser.parse_args()


if __name__ == "__main__":
    main()
