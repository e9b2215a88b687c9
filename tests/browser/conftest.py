"""A real `streamlit run` and a real headless Chromium (Debian's), driven by playwright.

Every page opened through `page` or `visit` is checked when its test ends: no exception on the page, no console error,
no failed request, no request that leaves the machine; and no traceback in the log of any server when the session ends.
LRP_SHOTS names a folder for one screenshot per page; LRP_CHROMIUM names another Chromium; LRP_PATIENCE=10 waits ten
times as long for everything, on a machine that is busy with something else.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    Response,
    Route,
    expect,
    sync_playwright,
)

from benchmarks.running_app import ROOT, RunningApp, running

SHOTS = os.environ.get("LRP_SHOTS")
PATIENCE = float(os.environ.get("LRP_PATIENCE", "1"))
CHROMIUM = os.environ.get("LRP_CHROMIUM") or shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
    "--use-fake-device-for-media-stream",  # a camera that films a test picture
    "--use-fake-ui-for-media-stream",
]
# On a deep link (/digits) Streamlit's client first probes /digits/_stcore/{health,host-config} and gets 404: harmless.
HARMLESS = r"^http 404 \S+/_stcore/(health|host-config)$"
IDLE = """() => {
    const app = document.querySelector('[data-testid="stApp"]');
    return app && app.dataset.testScriptState === 'notRunning' && app.dataset.testConnectionState === 'CONNECTED'
        && !document.querySelector('[data-stale="true"],[data-testid="stSkeleton"],[data-testid="stAppSkeleton"]');
}"""

expect.set_options(timeout=15_000 * PATIENCE)  # a condition that comes true is not waited for any longer


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "allow_errors(*patterns): errors of the page that match one of these may happen")


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], RunningApp]]:
    """Starts an app when first asked for it and keeps it running: `serve(path_of_script)`."""
    apps: dict[Path, RunningApp] = {}
    with ExitStack() as stack:

        def serve(script: Path) -> RunningApp:
            if script not in apps:
                log = tmp_path_factory.mktemp("app") / f"{script.stem}.log"
                apps[script] = stack.enter_context(running(script, log))
            return apps[script]

        yield serve
    for app in apps.values():
        assert "Traceback" not in app.text(), app.text()[-4000:]


@pytest.fixture(scope="session")
def server(serve: Callable[[Path], RunningApp]) -> RunningApp:
    """The app itself."""
    return serve(ROOT / "app.py")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        missing = "Chromium is missing: apt-get install --no-install-recommends chromium"
        if os.environ.get("CI"):
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


def _listen(page: Page, home: str, errors: list[str]) -> None:
    """Writes down whatever goes wrong in the page; lets no request leave the machine."""

    def route(route: Route) -> None:
        if route.request.url.startswith((home, "data:", "blob:")):
            route.continue_()
        else:
            errors.append(f"left the machine: {route.request.url}")
            route.abort()

    def console(message: ConsoleMessage) -> None:  # a failed load comes a second time below, with its address
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            errors.append(f"console: {message.text}")

    def response(response: Response) -> None:
        if response.status >= 400:
            errors.append(f"http {response.status} {response.url}")

    def failed(request: Request) -> None:
        if "ERR_ABORTED" not in (request.failure or ""):  # aborted: overtaken by a rerun
            errors.append(f"failed {request.url} {request.failure}")

    page.context.route("**/*", route)
    page.on("console", console)
    page.on("pageerror", lambda error: errors.append(f"pageerror: {error}"))
    page.on("response", response)
    page.on("requestfailed", failed)


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[..., Page]]:
    """Opens an app in a browser profile of its own: `visit(server, "/path", color_scheme="dark", ...)`.

    Keyword arguments are those of playwright's `new_context`. The page comes idle, and with two methods more:
    `page.go(path)` loads a path and waits for it, `page.idle()` waits until Streamlit has nothing left to do.
    """
    marker = request.node.get_closest_marker("allow_errors")
    allowed = [HARMLESS, *(marker.args if marker else ())]
    pages: list[Page] = []
    errors: list[str] = []

    def visit(server: RunningApp, path: str = "/", **context) -> Page:
        profile = browser.new_context(**{"viewport": {"width": 1280, "height": 1000}, "base_url": server.url} | context)
        profile.set_default_timeout(15_000 * PATIENCE)
        page = profile.new_page()
        pages.append(page)
        _listen(page, server.url, errors)

        def go(path: str = "/") -> None:
            page.goto(path)
            page.idle()

        page.idle = lambda timeout=30_000: page.wait_for_function(IDLE, timeout=timeout * PATIENCE)
        page.go = go
        go(path)
        return page

    yield visit
    for number, page in enumerate(pages):
        try:
            if SHOTS:
                Path(SHOTS).mkdir(parents=True, exist_ok=True)
                name = re.sub(r"[^\w.-]+", "_", f"{request.node.name}_{number}" if number else request.node.name)
                page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)
            errors += [f"exception: {text}" for text in page.get_by_test_id("stException").all_inner_texts()]
        finally:
            page.context.close()
    unexpected = [error for error in errors if not any(re.search(pattern, error) for pattern in allowed)]
    assert not unexpected, unexpected


@pytest.fixture
def page(visit: Callable[..., Page], server: RunningApp) -> Page:
    """The app's first page, idle."""
    return visit(server)


def next_frame(page: Page) -> None:
    """Waits until the browser has drawn: the pace of a hand, without guessing times."""
    page.evaluate("() => new Promise(requestAnimationFrame)")


@pytest.fixture
def draw() -> Callable[[Page, Sequence[tuple[float, float]]], None]:
    """One stroke on the drawing canvas, `draw(page, points)`, in canvas pixels.

    Begin at least 40 pixels below the top: a toolbar lies there while the pointer hovers.
    """

    def draw(page: Page, points: Sequence[tuple[float, float]]) -> None:
        canvas = page.locator("canvas.upper-canvas")
        canvas.wait_for()
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        page.mouse.move(box["x"] + points[0][0], box["y"] + points[0][1])
        page.mouse.down()
        for x, y in points[1:]:
            page.mouse.move(box["x"] + x, box["y"] + y)
        page.mouse.up()

    return draw


@pytest.fixture
def drag() -> Callable[..., None]:
    """Drags a slider's thumb, one move per drawn frame: `drag(slider, from, to, frames=60, release=True)`."""

    def drag(slider: Locator, start: int, end: int, frames: int = 60, release: bool = True) -> None:
        page = slider.page
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        last = int(slider.get_attribute("max"))
        thumb = 18  # CSS pixels; the thumb's middle travels the width less one thumb

        def x(index: float) -> float:
            return box["x"] + thumb / 2 + (box["width"] - thumb) * index / last

        y = box["y"] + box["height"] / 2
        page.mouse.move(x(start), y)
        page.mouse.down()
        for frame in range(1, frames + 1):
            page.mouse.move(x(start + (end - start) * frame / frames), y)
            next_frame(page)
        if release:
            page.mouse.up()

    return drag


@pytest.fixture
def record() -> Callable[..., Callable[[], list[str]]]:
    """`history = record(locator, *attributes)`: `history()` lists, in order, the values they have taken since."""

    def record(locator: Locator, *attributes: str) -> Callable[[], list[str]]:
        log = locator.evaluate_handle(
            """(element, attributes) => {
                const log = [];
                new MutationObserver((changes) => changes.forEach(({ attributeName, oldValue }) => {
                    const value = element.getAttribute(attributeName);
                    if (value !== oldValue) log.push(value);
                })).observe(element, { attributeFilter: attributes, attributeOldValue: true });
                return log;
            }""",
            list(attributes),
        )
        return log.json_value

    return record
