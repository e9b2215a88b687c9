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
import json
import random
import tempfile
import time
from contextlib import AsyncExitStack
from itertools import chain
from pathlib import Path
from statistics import quantiles

import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.BidiComponent_pb2 import BidiComponent
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.running_app import ROOT, RunningApp, running

MOST_VISITORS, LONGEST = 100, 120  # a benchmark, not a weapon


class Visitor:
    """One open page and its slider."""

    def __init__(self, socket: ClientConnection, page: str, label: str) -> None:
        self._socket, self._page, self._label = socket, page, label
        self._slider = BidiComponent()
        self._fragment = ""
        self._sequence = 0

    async def open(self) -> None:
        """Load the page and find the slider on it."""
        message = BackMsg()
        message.rerun_script.page_name = self._page
        await self._socket.send(message.SerializeToString())
        while (received := await self._receive()).WhichOneof("type") != "script_finished":
            self._notice(received)
        if not self._slider.id:
            raise SystemExit(f"There is no slider {self._label!r} on page {self._page!r}.")

    async def move(self) -> float:
        """Put the slider somewhere else; return the seconds until that was answered."""
        self._sequence += 1
        data = json.loads(self._slider.json)
        index = random.randrange(len(data["texts"]))
        message = BackMsg()
        rerun = message.rerun_script
        rerun.page_name, rerun.fragment_id = self._page, self._fragment
        state = rerun.widget_states.widgets.add(id=self._slider.id)
        state.json_value = json.dumps({"position": {"index": index, "sequence": self._sequence, "held": True}})
        start = time.perf_counter()
        await self._socket.send(message.SerializeToString())
        while json.loads(self._slider.json)["answered"] != self._sequence:
            self._notice(await self._receive())
        return time.perf_counter() - start

    async def play(self, seconds: float, pause: float) -> list[float]:
        """Move again and again for `seconds`; return the seconds of every step."""
        end = time.perf_counter() + seconds
        steps = []
        while time.perf_counter() < end:
            steps.append(await self.move())
            gap = json.loads(self._slider.json)["gap"] / 1000  # the server asks a crowd to ask less often
            await asyncio.sleep(max(gap - steps[-1], 0) + random.uniform(0.5, 1.5) * pause)
        return steps

    async def _receive(self) -> ForwardMsg:
        return ForwardMsg.FromString(await self._socket.recv())

    def _notice(self, message: ForwardMsg) -> None:
        if message.WhichOneof("type") != "delta" or message.delta.WhichOneof("type") != "new_element":
            return
        element = message.delta.new_element
        if element.WhichOneof("type") != "bidi_component" or element.bidi_component.component_name != "live_slider":
            return
        if json.loads(element.bidi_component.json)["label"].lower().startswith(self._label.lower()):
            self._slider, self._fragment = element.bidi_component, message.delta.fragment_id


async def measure(
    app: RunningApp, page: str, label: str, visitors: int, seconds: float, pause: float
) -> tuple[list[float], float]:
    """Let `visitors` move sliders for `seconds`; return the seconds of every step and the app's processor seconds."""
    address = app.url.replace("http", "ws", 1) + "/_stcore/stream"
    process = psutil.Process(app.pid)
    async with AsyncExitStack() as stack:
        crowd = []
        for _ in range(visitors):
            link = connect(address, subprotocols=["streamlit"], origin=app.url, max_size=None, proxy=None)
            crowd.append(Visitor(await stack.enter_async_context(link), page, label))
        await asyncio.gather(*(visitor.open() for visitor in crowd))
        before = process.cpu_times()
        steps = await asyncio.gather(*(visitor.play(seconds, pause) for visitor in crowd))
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
        for visitors in options.visitors:
            steps, busy = asyncio.run(
                measure(app, options.page, options.slider, visitors, options.seconds, options.pause)
            )
            cuts = quantiles(steps, n=20)
            figures = (len(steps) / options.seconds, 1000 * cuts[9], 1000 * cuts[18], 1000 * busy / len(steps))
            print(f"{visitors:8}" + "".join(f" {figure:8.1f}" for figure in figures))


if __name__ == "__main__":
    main()
