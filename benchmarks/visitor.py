"""A visitor without a browser: speaks Streamlit's own protocol, opens a page, uploads pictures and moves a slider."""

import asyncio
import json
import random
import secrets
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.BidiComponent_pb2 import BidiComponent
from streamlit.proto.Common_pb2 import FileURLs
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.running_app import RunningApp


@asynccontextmanager
async def visitors(
    app: RunningApp, count: int, page: str, label: str, query: str = ""
) -> AsyncIterator[list["Visitor"]]:
    """So many visitors, connected until the block is left; each has yet to `open` the page."""
    address = app.url.replace("http", "ws", 1) + "/_stcore/stream"
    async with AsyncExitStack() as stack:
        crowd = []
        for _ in range(count):
            link = connect(address, subprotocols=["streamlit"], origin=app.url, max_size=None, proxy=None)
            crowd.append(Visitor(await stack.enter_async_context(link), app.url, page, label, query))
        yield crowd


class Visitor:
    """One open page and its slider."""

    def __init__(self, socket: ClientConnection, address: str, page: str, label: str, query: str) -> None:
        self._socket, self._address = socket, address
        self._page, self._label, self._query = page, label, query
        self._slider, self._slider_fragment = BidiComponent(), ""
        self._uploader, self._uploader_fragment = "", ""
        self._session = ""
        self._sequence = 0
        self._heatmaps = 0

    async def open(self) -> None:
        """Load the page and find the slider on it."""
        message = BackMsg()
        message.rerun_script.page_name, message.rerun_script.query_string = self._page, self._query
        await self._send(message)
        await self._until_finished()
        if not self._slider.id:
            raise SystemExit(f"There is no slider {self._label!r} on page {self._page!r}.")

    async def upload(self, picture: bytes) -> float:
        """Give the page a JPEG; return the seconds from its departure until the heatmap is there."""
        seen, start = self._heatmaps, time.perf_counter()
        file = await self._sent(picture)
        message = BackMsg()
        rerun = message.rerun_script
        rerun.page_name, rerun.fragment_id = self._page, self._uploader_fragment
        state = rerun.widget_states.widgets.add(id=self._uploader).file_uploader_state_value
        state.uploaded_file_info.add(name="picture.jpg", size=len(picture), file_id=file.file_id, file_urls=file)
        await self._send(message)
        while self._heatmaps == seen:
            self._notice(await self._receive())
        spent = time.perf_counter() - start
        await self._until_finished()
        return spent

    async def _sent(self, picture: bytes) -> FileURLs:
        """The place on the server where the picture now lies."""
        message = BackMsg()
        message.file_urls_request.request_id, message.file_urls_request.session_id = "upload", self._session
        message.file_urls_request.file_names.append("picture.jpg")
        await self._send(message)
        while (received := await self._receive()).WhichOneof("type") != "file_urls_response":
            self._notice(received)
        file = received.file_urls_response.file_urls[0]
        await asyncio.to_thread(_put, self._address, file.upload_url, picture)
        return file

    async def move(self) -> float:
        """Put the slider somewhere else; return the seconds until that was answered."""
        self._sequence += 1
        data = json.loads(self._slider.json)
        index = random.randrange(len(data["texts"]))
        message = BackMsg()
        rerun = message.rerun_script
        rerun.page_name, rerun.fragment_id = self._page, self._slider_fragment
        state = rerun.widget_states.widgets.add(id=self._slider.id)
        state.json_value = json.dumps({"position": {"index": index, "sequence": self._sequence, "held": True}})
        start = time.perf_counter()
        await self._send(message)
        while json.loads(self._slider.json)["answered"] != self._sequence:
            self._notice(await self._receive())
        return time.perf_counter() - start

    async def drag(self, enough: Callable[[list[float]], bool], pause: float = 0.0) -> list[float]:
        """Move as often as the server allows until it is `enough`; return the seconds of every step.

        pause: seconds to rest after each step, on average.
        """
        steps: list[float] = []
        while not enough(steps):
            steps.append(await self.move())
            gap = json.loads(self._slider.json)["gap"] / 1000  # the server asks a crowd to ask less often
            await asyncio.sleep(max(gap - steps[-1], 0) + random.uniform(0.5, 1.5) * pause)
        return steps

    async def _send(self, message: BackMsg) -> None:
        await self._socket.send(message.SerializeToString())

    async def _receive(self) -> ForwardMsg:
        return ForwardMsg.FromString(await self._socket.recv())

    async def _until_finished(self) -> None:
        while (received := await self._receive()).WhichOneof("type") != "script_finished":
            self._notice(received)

    def _notice(self, message: ForwardMsg) -> None:
        """Remember what later messages need: the session, and the slider and the uploader on the page."""
        if message.WhichOneof("type") == "new_session":
            self._session = message.new_session.initialize.session_id
        if message.WhichOneof("type") != "delta" or message.delta.WhichOneof("type") != "new_element":
            return
        element, fragment = message.delta.new_element, message.delta.fragment_id
        if element.WhichOneof("type") == "file_uploader":
            self._uploader, self._uploader_fragment = element.file_uploader.id, fragment
        if element.WhichOneof("type") != "bidi_component":
            return
        component = element.bidi_component
        self._heatmaps += component.component_name == "heatmap_view"
        if component.component_name != "live_slider":
            return
        if json.loads(component.json)["label"].lower().startswith(self._label.lower()):
            self._slider, self._slider_fragment = component, fragment


def _put(address: str, path: str, picture: bytes) -> None:
    """Upload as a browser does: a header repeats a cookie, which shows that no other site sends in our name."""
    token = secrets.token_hex(16)
    head = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="picture.jpg"\r\n'
    body = head + b"Content-Type: image/jpeg\r\n\r\n" + picture + b"\r\n--edge--\r\n"
    headers = {
        "Content-Type": "multipart/form-data; boundary=edge",
        "X-Xsrftoken": token,
        "Cookie": f"_streamlit_xsrf={token}",
    }
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(urllib.request.Request(address + path, body, headers, method="PUT")):
        pass
