"""How long a slider step takes on the server while many visitors move sliders at once.

    python -m benchmarks.websocket_load                         # the app, page "digits", slider "gamma"
    python -m benchmarks.websocket_load --app tests/browser/apps/slider.py --page ""

Every visitor is a connection that speaks Streamlit's own protocol: it opens the page, then moves one `LiveSlider` as a
browser does, the next position only after the last was answered. A step lasts from the moment the position is sent
until the message that acknowledges it is there; the new heatmap came just before. One process plays all visitors, on
the machine that also runs the app: what it reports is slower than a server of its own would be, never faster. The last
column, the app's processor time per step, hardly depends on what else the machine does.
"""

import argparse
import asyncio
import tempfile
import time
from itertools import chain
from pathlib import Path
from statistics import quantiles

import psutil

from benchmarks.running_app import ROOT, RunningApp, running
from benchmarks.visitor import visitors

MOST_VISITORS, LONGEST = 100, 120  # a benchmark, not a weapon


async def measure(
    app: RunningApp, page: str, label: str, count: int, seconds: float, pause: float
) -> tuple[list[float], float]:
    """Let `count` visitors move sliders for `seconds`; return the seconds of every step and the app's CPU seconds."""
    process = psutil.Process(app.pid)
    async with visitors(app, count, page, label) as crowd:
        await asyncio.gather(*(visitor.open() for visitor in crowd))
        before = process.cpu_times()
        end = time.perf_counter() + seconds
        steps = await asyncio.gather(
            *(visitor.drag(lambda done: time.perf_counter() > end, pause) for visitor in crowd)
        )
        after = process.cpu_times()
    return list(chain(*steps)), after.user + after.system - before.user - before.system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--app", type=Path, default=ROOT / "app.py", help="the script to serve")
    parser.add_argument("--page", default="digits", help="path of the page in the address")
    parser.add_argument("--slider", default="gamma", help="how the slider's label begins")
    parser.add_argument("--visitors", type=int, nargs="+", default=[1, 10, 30])
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each group moves its sliders")
    parser.add_argument("--pause", type=float, default=0.0, help="mean seconds a visitor rests after each step")
    options = parser.parse_args()
    if max(options.visitors) > MOST_VISITORS or options.seconds > LONGEST:
        parser.error(f"at most {MOST_VISITORS} visitors and {LONGEST} seconds")

    with tempfile.TemporaryDirectory() as folder, running(options.app, Path(folder) / "log") as app:
        asyncio.run(measure(app, options.page, options.slider, 1, 1.0, 0.0))  # imports and caches
        print(f"{'visitors':>8} {'steps/s':>8} {'p50 ms':>8} {'p95 ms':>8} {'CPU ms':>8}")
        for count in options.visitors:
            steps, busy = asyncio.run(measure(app, options.page, options.slider, count, options.seconds, options.pause))
            cuts = quantiles(steps, n=20)
            figures = (len(steps) / options.seconds, 1000 * cuts[9], 1000 * cuts[18], 1000 * busy / len(steps))
            print(f"{count:8}" + "".join(f" {figure:8.1f}" for figure in figures))


if __name__ == "__main__":
    main()
