"""How long visitors who upload photos wait for a heatmap, and what the server's memory does meanwhile.

    python -m benchmarks.photo_load                                       # the bundled network, 1 and 10 visitors
    python -m benchmarks.photo_load --network vgg16 --random-weights      # what a step costs is the same
    LRP_TAPE_BYTES=500000000 python -m benchmarks.photo_load --visitors 10

In each round every visitor uploads a photo that nobody uploaded before, and then drags the gamma slider, all at the
same time. *First map* lasts from the upload's departure until the heatmap is there, *step* from a position of the
slider until its answer. Memory is the server's resident set at the end of the round, in MB.
"""

import argparse
import asyncio
import io
import tempfile
from itertools import chain
from pathlib import Path
from statistics import median

import numpy as np
import psutil
from PIL import Image

from benchmarks.running_app import ROOT, RunningApp, running
from benchmarks.visitor import Visitor, visitors

MOST_VISITORS, MOST_ROUNDS = 30, 50  # a benchmark, not a weapon


def photo(number: int, width: int = 1600, height: int = 1200) -> bytes:
    """A JPEG unlike any other: coloured blobs."""
    blobs = np.random.default_rng(number).integers(0, 256, (9, 12, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(blobs).resize((width, height), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
    return stream.getvalue()


async def visit(visitor: Visitor, number: int, steps: int) -> tuple[float, list[float]]:
    """One visitor's round: seconds until the first map, and of each step."""
    first = await visitor.upload(photo(number))
    return first, await visitor.drag(lambda done: len(done) == steps)


async def measure(app: RunningApp, query: str, count: int, rounds: int, steps: int) -> None:
    """Print a line for each round of so many visitors."""
    server = psutil.Process(app.pid)
    async with visitors(app, count, "photos", "gamma", query) as crowd:
        await asyncio.gather(*(visitor.open() for visitor in crowd))
        for number in range(rounds):
            numbers = range(number * count, (number + 1) * count)
            done = await asyncio.gather(
                *(visit(visitor, one, steps) for visitor, one in zip(crowd, numbers, strict=True))
            )
            first, step = median(first for first, _ in done), median(chain(*(steps for _, steps in done)))
            held = server.memory_info().rss / 1e6
            print(f"{count:8} {number + 1:6} {1000 * first:13.0f} {1000 * step:8.0f} {held:8.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="photos", help="name of the network in the address")
    parser.add_argument(
        "--random-weights", action="store_true", help="let VGG-16's be random, where there are no others"
    )
    parser.add_argument("--visitors", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--rounds", type=int, default=5, help="photos of each visitor")
    parser.add_argument("--steps", type=int, default=10, help="positions of the slider for each photo")
    options = parser.parse_args()
    if max(options.visitors) > MOST_VISITORS or options.rounds > MOST_ROUNDS:
        parser.error(f"at most {MOST_VISITORS} visitors and {MOST_ROUNDS} rounds")

    streamlit = "benchmarks.random_vgg16" if options.random_weights else "streamlit"
    with tempfile.TemporaryDirectory() as folder, running(ROOT / "app.py", Path(folder) / "log", streamlit) as app:
        print(f"{'visitors':>8} {'round':>6} {'first map, ms':>13} {'step, ms':>8} {'MB':>8}")
        for count in options.visitors:
            asyncio.run(measure(app, f"network={options.network}", count, options.rounds, options.steps))


if __name__ == "__main__":
    main()
