"""How long one visitor waits for a new heatmap while dragging a slider, in a real Chromium.

    python -m benchmarks.slider_browser                         # the app, page "digits", slider "gamma"
    python -m benchmarks.slider_browser --page photos
    python -m benchmarks.slider_browser --page text
    python -m benchmarks.slider_browser --page "photos?network=vgg16" --random-weights
    python -m benchmarks.slider_browser --app tests/browser/apps/slider.py --page ""

A step lasts from the moment the slider sends a position until the frame that shows the answering heatmap is drawn:
network, rerun, message, painting.
"""

import argparse
import re
import shutil
import tempfile
from pathlib import Path
from statistics import quantiles

from playwright.sync_api import Locator, sync_playwright

from benchmarks.running_app import ROOT, running

# One position is in flight at a time, so the next change of a heatmap's tag belongs to the last position sent.
STOPWATCH = """([slider, heatmap]) => {
    const steps = [];
    let sent = null;
    new MutationObserver(() => { sent = performance.now(); })
        .observe(slider.getRootNode().host, { attributeFilter: ["data-sent"] });
    new MutationObserver(() => {
        const from = sent;
        if (from !== null) requestAnimationFrame(() => steps.push(performance.now() - from));
        sent = null;
    }).observe(heatmap, { attributeFilter: ["data-tag"] });
    return steps;
}"""


def drag(slider: Locator, frames: int) -> None:
    """Hold the thumb and sweep the whole range, there and back, one move per frame."""
    page = slider.page
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 9, y)
    page.mouse.down()
    for frame in range(frames):
        way = 1 - abs(1 - 2 * frame / frames)
        page.mouse.move(box["x"] + 9 + way * (box["width"] - 18), y)
        page.evaluate("() => new Promise(requestAnimationFrame)")
    page.mouse.up()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--app", type=Path, default=ROOT / "app.py", help="the script to serve")
    parser.add_argument("--page", default="digits", help="path of the page in the address, with its query if any")
    parser.add_argument("--slider", default="gamma", help="the slider's label or a part of it")
    parser.add_argument("--frames", type=int, default=240, help="moves of the mouse, one per drawn frame")
    parser.add_argument("--random-weights", action="store_true", help="of VGG-16, where ImageNet's are not at hand")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="path of the browser")
    options = parser.parse_args()

    streamlit = "benchmarks.random_vgg16" if options.random_weights else "streamlit"
    with (
        tempfile.TemporaryDirectory() as folder,
        running(options.app, Path(folder) / "log", streamlit) as app,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=options.chromium, args=["--no-sandbox", "--disable-gpu"]) as browser,
    ):
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.goto(f"{app.url}/{options.page}")
        slider = page.get_by_role("slider", name=re.compile(options.slider, re.IGNORECASE))
        heatmap = page.locator("[data-tag]").first
        heatmap.wait_for(timeout=120_000)  # large weights take their time
        drag(slider, 30)  # caches and compiled script
        steps = page.evaluate_handle(STOPWATCH, [slider.element_handle(), heatmap.element_handle()])
        drag(slider, options.frames)
        times = steps.json_value()
    cuts = quantiles(times, n=20)
    print(f"{len(times)} new heatmaps over {options.frames} frames: p50 {cuts[9]:.0f} ms, p95 {cuts[18]:.0f} ms")


if __name__ == "__main__":
    main()
