"""Remake the pictures of the README from the running app.

streamlit run app.py --server.headless true     # in one terminal
python docs/make_pictures.py                    # in another; needs requirements-dev.txt and Chromium
"""

import argparse
import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
SIZE = {"width": 1280, "height": 900}
PATIENCE_MS = 180_000  # the first visitor waits until all networks are loaded
IDLE = """() => {
    const app = document.querySelector('[data-testid="stApp"]');
    return app?.dataset.testScriptState === 'notRunning' && !document.querySelector('[data-testid="stSkeleton"]');
}"""
PICTURES = {
    "home": ("/", "light", None),
    "digits": ("/digits?sample=3-or-8-open-waist&class=3&rather-than=8", "light", None),
    "twin": ("/digits?network=digits_twin&mark=1", "dark", None),
    "photos": ("/photos?sample=dog_cat&class=5&rather-than=10", "light", None),
    "watermark": ("/photos?sample=chelsea&network=photos_twin&mark=1", "dark", None),
    "text": ("/text", "light", None),
    "questions": ("/question_answering", "light", None),
    "layers": ("/digits?sample=sample-5", "light", "Layer by layer"),
    "sweep": ("/digits?sample=5-or-6-closing", "light", "Sweep"),
}
"""For each picture: the address, the colour scheme, and the tab to open."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://localhost:8501", help="where the app runs")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="path of the browser")
    chosen = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chosen.chromium, args=["--no-sandbox", "--disable-gpu"])
        for name, (address, scheme, tab) in PICTURES.items():
            page = browser.new_page(viewport=SIZE, color_scheme=scheme)
            page.set_default_timeout(PATIENCE_MS)
            page.goto(chosen.url + address)
            drawn = page.get_by_role("img", name="Heatmap for").or_(page.get_by_role("list", name="Words by relevance"))
            drawn.first.wait_for()
            page.wait_for_function(IDLE)
            if tab:
                show_tab(page, tab)
            save(page.screenshot(animations="disabled"), HERE / f"{name}.png")
            page.close()
        browser.close()


def show_tab(page: Page, name: str) -> None:
    """Open a tab and bring it to the top of the window."""
    tab = page.get_by_role("tab", name=name)
    tab.click()
    page.locator("canvas[data-frame]").wait_for()
    page.wait_for_function(IDLE)
    tab.evaluate("(tab) => tab.scrollIntoView({ block: 'start' })")
    page.get_by_test_id("stMain").evaluate("(main) => main.scrollBy(0, -80)")


def save(png: bytes, path: Path) -> None:
    """Store a picture without its alpha channel, packed as well as PNG can."""
    Image.open(io.BytesIO(png)).convert("RGB").save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
