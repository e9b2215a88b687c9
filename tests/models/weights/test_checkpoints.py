import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from models.weights import checkpoints
from models.weights.checkpoints import Checkpoint

CONTENT = bytes(range(256)) * 20_000  # five chunks
REMEDY = "run `python -m fetch it`"
LONG = 60  # seconds: a busy machine may take them, a test that hangs ends


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    """Neither this machine's cache nor its settings nor its proxy play a part."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("LRP_ALLOW_DOWNLOADS", raising=False)


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "assets" / "weights"


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def published(tmp_path) -> Checkpoint:
    """A checkpoint whose address is a file."""
    served = tmp_path / "served"
    served.mkdir()
    (served / "net-1.pth").write_bytes(CONTENT)
    digest = hashlib.sha256(CONTENT).hexdigest()
    return Checkpoint((served / "net-1.pth").as_uri(), "net-1.pth", digest[:8], 5)


def put(place: Path, content: bytes = CONTENT) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    (place / "net-1.pth").write_bytes(content)
    return place / "net-1.pth"


@contextmanager
def server(handler) -> Iterator[str]:
    """Serves on this machine while it is open; its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}/net-1.pth"
        finally:
            http.shutdown()
            thread.join(LONG)


class Quiet(BaseHTTPRequestHandler):
    def log_message(self, *_):
        """Nothing on the test's screen."""


def is_one_sentence(error: BaseException) -> bool:
    text = str(error)
    return text.endswith(".") and "\n" not in text and ". " not in text


def test_nowhere_says_which_file_and_what_to_do(published, folder):
    assert checkpoints.find(published, folder) is None
    with pytest.raises(FileNotFoundError, match=r"net-1\.pth \(5 MB\).*assets/weights.*cache.*fetch it.*=1") as caught:
        checkpoints.obtain(published, REMEDY, folder=folder)
    assert is_one_sentence(caught.value)
    assert str(folder.parent.parent) not in str(caught.value), "a visitor need not know the server's folders"
    assert not folder.exists()


@pytest.mark.parametrize("place", ["folder", "cache"])
def test_found_where_it_may_lie(published, folder, request, place):
    path = put(request.getfixturevalue(place))
    assert checkpoints.find(published, folder) == path
    assert checkpoints.obtain(published, REMEDY, folder=folder) == path


def test_the_operators_folder_comes_first(published, folder, cache):
    put(cache)
    path = put(folder)
    assert checkpoints.find(published, folder) == path


@pytest.mark.parametrize("content", [CONTENT[:-1], b"", b"<html>"], ids=["truncated", "empty", "another file"])
@pytest.mark.parametrize("place", ["folder", "cache"])
def test_a_damaged_file_is_refused(published, folder, request, place, content):
    path = put(request.getfixturevalue(place), content)
    with pytest.raises(FileNotFoundError, match=r"net-1\.pth is damaged.*delete it and run `python") as caught:
        checkpoints.obtain(published, REMEDY, folder=folder)
    assert is_one_sentence(caught.value)
    assert "/".join(path.parts[-3:]) in str(caught.value)


def test_a_file_is_read_once_until_it_changes(published, folder):
    path = put(folder)
    checkpoints.check(path, published, REMEDY)
    before = checkpoints._sha256.cache_info().misses
    checkpoints.check(path, published, REMEDY)
    assert checkpoints._sha256.cache_info().misses == before
    put(folder, CONTENT[::-1])  # just as long
    with pytest.raises(FileNotFoundError, match="damaged"):
        checkpoints.check(path, published, REMEDY)


def test_a_folder_in_its_place_counts_as_missing(published, folder):
    (folder / "net-1.pth").mkdir(parents=True)
    assert checkpoints.find(published, folder) is None


@pytest.mark.parametrize("allowed", ["1", " 1"])
def test_downloaded_where_that_is_allowed(published, folder, monkeypatch, allowed):
    monkeypatch.setenv("LRP_ALLOW_DOWNLOADS", allowed)
    parts: list[float] = []
    path = checkpoints.obtain(published, REMEDY, parts.append, folder)
    assert path == folder / "net-1.pth"
    assert path.read_bytes() == CONTENT
    assert list(folder.iterdir()) == [path]
    assert parts[-1] == 1.0
    assert parts == sorted(parts)


@pytest.mark.parametrize("allowed", ["0", "", "yes"])
def test_not_downloaded_where_it_is_not(published, folder, monkeypatch, allowed):
    monkeypatch.setenv("LRP_ALLOW_DOWNLOADS", allowed)
    with pytest.raises(FileNotFoundError, match="fetch it"):
        checkpoints.obtain(published, REMEDY, folder=folder)
    assert not folder.exists()


def test_over_http(published, folder, tmp_path):
    class Files(SimpleHTTPRequestHandler, Quiet):
        pass

    with server(partial(Files, directory=tmp_path / "served")) as url:
        assert checkpoints.download(replace(published, url=url), folder=folder).read_bytes() == CONTENT


def test_many_who_ask_at_once_wait_for_one_download(published, folder):
    asked, visitors = [], 4
    waiting, all_wait = set(), threading.Event()

    class Slow(Quiet):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[: len(CONTENT) // 2])
            all_wait.wait(LONG)
            self.wfile.write(CONTENT[len(CONTENT) // 2 :])

    def progress(part):
        assert 0 <= part <= 1
        waiting.add(threading.get_ident())
        if len(waiting) == visitors:
            all_wait.set()

    results = []
    with server(Slow) as url:
        slow = replace(published, url=url)
        threads = [
            threading.Thread(target=lambda: results.append(checkpoints.download(slow, progress, folder)))
            for _ in range(visitors)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG)
    assert all_wait.is_set()
    assert len(asked) == 1
    assert results == [folder / "net-1.pth"] * visitors
    assert list(folder.iterdir()) == results[:1]


def test_a_visitor_who_leaves_does_not_end_the_download(published, folder):
    class Left(BaseException):
        """As Streamlit ends a script."""

    halfway, go_on = threading.Event(), threading.Event()

    class Slow(Quiet):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[:-1])
            halfway.set()
            go_on.wait(LONG)
            self.wfile.write(CONTENT[-1:])

    def leave(part):
        if halfway.is_set():
            raise Left

    def stay(part):
        go_on.set()

    with server(Slow) as url:
        slow = replace(published, url=url)
        with pytest.raises(Left):
            checkpoints.download(slow, leave, folder)
        assert not (folder / "net-1.pth").exists()
        assert checkpoints.download(replace(slow, url="http://127.0.0.1:9/no"), stay, folder).read_bytes() == CONTENT


def wrong_content(handler):
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b"<html>please sign in")


def cut_off(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    handler.wfile.write(CONTENT[:1000])


def not_found(handler):
    handler.send_error(404, "Not Found")


@pytest.mark.parametrize(
    "answer, sentence",
    [
        (wrong_content, "What was downloaded as net-1.pth is incomplete or another file"),
        (cut_off, "What was downloaded as net-1.pth is incomplete or another file"),
        (not_found, r"net-1.pth could not be downloaded \(Not Found\).*assets/weights"),
    ],
)
def test_a_failed_download_leaves_nothing_but_a_sentence(published, folder, answer, sentence):
    class Failing(Quiet):
        def do_GET(self):
            answer(self)

    with server(Failing) as url, pytest.raises(FileNotFoundError, match=sentence) as caught:
        checkpoints.download(replace(published, url=url), folder=folder)
    assert is_one_sentence(caught.value)
    assert list(folder.iterdir()) == []
    assert checkpoints.download(published, folder=folder).is_file(), "the next one to ask starts anew"


def test_no_connection(published, folder):
    with server(Quiet) as url:
        pass  # and closes its port again
    with pytest.raises(FileNotFoundError, match=r"could not be downloaded \(Connection refused\)") as caught:
        checkpoints.download(replace(published, url=url), folder=folder)
    assert is_one_sentence(caught.value)


def test_no_room_for_it(published, folder):
    folder.parent.mkdir()
    folder.write_text("a file where the folder should be")
    with pytest.raises(FileNotFoundError, match="could not be downloaded") as caught:
        checkpoints.download(published, folder=folder)
    assert is_one_sentence(caught.value)
