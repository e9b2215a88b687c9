"""A Hub of one's own on this machine: as much of Hugging Face's protocol as a download needs."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from urllib.parse import unquote, urlsplit


class SmallHub(ThreadingHTTPServer):
    """published: the folder in which owner/name/file are. asked: every path that was asked for, with its method."""

    def __init__(self, published: Path):
        super().__init__(("127.0.0.1", 0), _Answers)
        self.published, self.asked = published, []
        self.gated: set[str] = set()
        self.accounts: set[str | None] = set()
        self.may_send = Event()  # weights wait for it
        self.may_send.set()
        self.cut_off = False  # weights break off half way

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def running(published: Path) -> Iterator[SmallHub]:
    with SmallHub(published) as hub:
        thread = Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield hub
        finally:
            hub.may_send.set()
            hub.shutdown()
            thread.join()


class _Answers(BaseHTTPRequestHandler):
    server: SmallHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self._answer(with_body=False)

    def do_GET(self):
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(f"{self.command} {path}")
        self.server.accounts.add(self.headers.get("Authorization"))
        parts = path.strip("/").split("/")
        name = "/".join(parts[2:4] if parts[0] == "api" else parts[:2])
        folder = self.server.published / name
        if not (folder / "config.json").exists():
            return self._send(404, b"", {"X-Error-Code": "RepoNotFound"}, with_body)
        if name in self.server.gated:
            return self._send(403, b"", {"X-Error-Code": "GatedRepo"}, with_body)
        if parts[0] == "api":
            return self._send(200, json.dumps(self._listing(folder, name, parts)).encode(), {}, with_body)
        file = folder / "/".join(parts[4:])
        if not file.is_file():
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound"}, with_body)
        body = file.read_bytes()
        facts = {"X-Repo-Commit": _commit(folder), "ETag": f'"{hashlib.sha256(body).hexdigest()}"'}
        if with_body and file.suffix == ".safetensors":
            self.server.may_send.wait(60)
        return self._send(200, body, facts, with_body, cut=self.server.cut_off and file.suffix == ".safetensors")

    def _listing(self, folder: Path, name: str, parts: list[str]) -> object:
        sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
        if "tree" in parts:
            return [
                {"type": "file", "path": path, "size": size, "oid": _commit(folder)} for path, size in sizes.items()
            ]
        siblings = [{"rfilename": path, "size": size} for path, size in sizes.items()]
        return {"id": name, "sha": _commit(folder), "siblings": siblings, "private": False, "tags": [], "downloads": 0}

    def _send(self, status: int, body: bytes, facts: dict[str, str], with_body: bool, cut: bool = False) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **facts}.items():
            self.send_header(key, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True

    def log_message(self, *message: object) -> None:
        """The tests' own output is enough."""


def _commit(folder: Path) -> str:
    return hashlib.sha1(folder.name.encode()).hexdigest()
