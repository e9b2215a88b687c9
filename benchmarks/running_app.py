"""Starts a Streamlit app on a free port of this machine, for what measures or tests it from outside."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 90  # seconds until an app that does not answer is given up


@dataclass(frozen=True)
class RunningApp:
    """A running app: where it answers, its process, what it printed."""

    url: str
    pid: int
    log: Path

    def text(self) -> str:
        return self.log.read_text(errors="replace")


@contextmanager
def running(script: Path, log: Path, streamlit: str = "streamlit") -> Iterator[RunningApp]:
    """Run `streamlit run script` with the project's settings until the block is left; its output goes to `log`.

    streamlit: the module that is run; another one may prepare something first.

    Raises:
        RuntimeError: the app ended or did not answer in time; the message carries its output.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--server.port", str(port), "--server.address", "127.0.0.1", "--server.headless", "true"]
    proxies = ("http_proxy", "https_proxy", "all_proxy")
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", streamlit, "run", str(script), *options],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if name.lower() not in proxies},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    app = RunningApp(f"http://127.0.0.1:{port}", process.pid, log)
    try:
        _wait(app, process)
        yield app
    finally:
        _stop(process)


def _wait(app: RunningApp, process: subprocess.Popen) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(10 * PATIENCE):
        with suppress(OSError):
            if direct.open(f"{app.url}/_stcore/health", timeout=2).status == 200:
                return
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
            break
    raise RuntimeError(f"The app did not start:\n{app.text()}")


def _stop(process: subprocess.Popen) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
