"""The table of the speed benchmark: complete, and no contender leaves another one's model changed."""

import subprocess
import sys
from pathlib import Path

import torch

from benchmarks import contest, measure, speed

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_has_every_row_and_every_contender():
    command = [sys.executable, "-m", "benchmarks.speed", "--networks", "digits", "--rounds", "1", "--no-memory"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    lines = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("|")]
    header, rows = lines[0], lines[2:]
    assert [row[1] for row in rows] == list(contest.ROWS)
    ours, zennit = (next(i for i, name in enumerate(header) if name.startswith(who)) for who in ("lrp_core", "zennit"))
    assert all("ms" in row[ours] and "ms" in row[zennit] for row in rows[2:])
    assert rows[1][2].endswith("1.00 G")


def test_every_network_has_its_rounds_and_its_aims():
    assert set(speed.ROUNDS) == set(speed.REACH) == set(contest.NETWORKS)
    assert all(set(aims) <= set(contest.ROWS) for aims in speed.REACH.values())


def test_every_run_of_ours_asks_something_new():
    """A slider that stands still costs nothing; the rows must not measure that."""
    network = contest.load_digits()
    makers = measure.makers("lrp_core", network)
    for row in (contest.GAMMA_MOVED, contest.TARGET_MOVED, contest.FIRST_LAYER):
        job = makers[row]()
        assert not torch.equal(job.run().relevance, job.run().relevance), row
