"""The heatmap canvas: the right pixels, the right value under the pointer, never an empty frame."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from lrp_core import heatmap

APP = Path(__file__).parent / "apps" / "heatmap.py"
rows, columns = np.mgrid[-1:1:14j, -1:1:10j]
RELEVANCE = (np.sin(4 * columns) * np.exp(-2 * rows**2)).astype(np.float32)
GREY = np.round(255 * np.exp(-4 * columns**2)).astype(np.uint8)


@pytest.fixture
def demo(visit, serve):
    return lambda **context: visit(serve(APP), **context)


def canvas(page: Page, name: str) -> Locator:
    return page.get_by_role("img", name=f"Relevance, {name}")


def around(page: Page, name: str) -> Locator:
    """The whole component: canvas, legend and reading."""
    return page.get_by_test_id("stBidiComponentIsolated").filter(has=canvas(page, name))


def reading(page: Page, name: str) -> Locator:
    return around(page, name).get_by_role("status")


def drawn(element: Locator) -> np.ndarray:
    """What the canvas holds, (H, W, 3) uint8."""
    size, data = element.evaluate(
        "c => [[c.height, c.width, 4], [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]]"
    )
    rgba = np.array(data, dtype=np.uint8).reshape(size)
    assert (rgba[..., 3] == 255).all()
    return rgba[..., :3]


def centre(element: Locator, row: int, column: int) -> tuple[float, float]:
    box = element.bounding_box()
    return box["x"] + box["width"] * (column + 0.5) / 10, box["y"] + box["height"] * (row + 0.5) / 14


def says(row: int, column: int) -> str:
    return f"row {row + 1}, column {column + 1}: {RELEVANCE[row, column]:#.3g}"


def test_the_pixels_are_those_of_the_library(demo):
    page = demo()
    heat = heatmap.to_rgb(RELEVANCE)
    assert np.array_equal(drawn(canvas(page, "plain")), heat)
    assert np.array_equal(drawn(canvas(page, "legend")), heatmap.to_rgb(RELEVANCE, "colour-blind"))
    share = 0.6 * np.sqrt(np.abs(RELEVANCE) / np.abs(RELEVANCE).max())[..., None]  # the strongest covers most
    assert np.abs(drawn(canvas(page, "overlay")) - (share * heat + (1 - share) * GREY[..., None])).max() < 0.51
    mask = heatmap.top_mask(RELEVANCE, 20)[..., None]
    assert np.array_equal(drawn(canvas(page, "top")), np.where(mask, heat, GREY[..., None]))


def test_it_reaches_the_screen_in_hard_squares(demo):
    page = demo()
    picture = canvas(page, "plain")
    shot = np.asarray(Image.open(io.BytesIO(picture.screenshot())).convert("RGB"))
    heat = heatmap.to_rgb(RELEVANCE)
    height, width = shot.shape[:2]
    for row, column in ((3, 2), (7, 7), (10, 5)):
        top, left = int(height * (row + 0.2) / 14), int(width * (column + 0.2) / 10)
        bottom, right = int(height * (row + 0.8) / 14), int(width * (column + 0.8) / 10)
        assert (shot[top:bottom, left:right] == heat[row, column]).all()


def test_the_legend_tells_the_scale(demo):
    page = demo()
    legend = around(page, "legend")
    strongest = f"{np.abs(RELEVANCE).max():.3g}"
    for text in (f"\N{MINUS SIGN}{strongest}", "0", f"+{strongest}"):
        expect(legend.get_by_text(text, exact=True)).to_be_visible()
    bar = drawn(legend.locator(".legend canvas"))
    assert np.array_equal(bar[0], heatmap.colour_table("colour-blind"))
    expect(around(page, "plain").locator(".legend")).to_be_hidden()
    page.get_by_text("Clip").click()
    expect(legend.get_by_text("≥ +0.5", exact=True)).to_be_visible()
    assert np.array_equal(drawn(canvas(page, "legend")), heatmap.to_rgb(RELEVANCE, "colour-blind", vmax=0.5))


def test_value_under_the_pointer(demo):
    page = demo()
    picture = canvas(page, "plain")
    for row, column in ((0, 0), (6, 2), (13, 9)):
        page.mouse.move(*centre(picture, row, column))
        expect(reading(page, "plain")).to_have_text(says(row, column))
    expect(reading(page, "overlay")).to_have_text("")
    page.mouse.move(1, 1)
    expect(reading(page, "plain")).to_have_text("")


def test_value_under_the_keyboard(demo):
    page = demo()
    frame = around(page, "plain").get_by_role("application")
    frame.focus()
    page.keyboard.press("ArrowRight")
    expect(reading(page, "plain")).to_have_text(says(6, 5))
    for key, row, column in (
        ("ArrowUp", 5, 5),
        ("Home", 5, 0),
        ("ArrowLeft", 5, 0),
        ("Shift+ArrowDown", 13, 0),
        ("End", 13, 9),
        ("ArrowLeft", 13, 8),
    ):
        page.keyboard.press(key)
        expect(reading(page, "plain")).to_have_text(says(row, column))
    page.keyboard.press("Escape")
    expect(reading(page, "plain")).to_have_text("")


def test_value_under_a_finger_on_a_phone(demo):
    page = demo(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    picture = canvas(page, "legend")
    picture.scroll_into_view_if_needed()
    page.touchscreen.tap(*centre(picture, 4, 7))
    expect(reading(page, "legend")).to_have_text(says(4, 7))
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_new_size_moves_the_reading_inside(demo):
    page = demo()
    page.get_by_text("Larger").click()
    expect(canvas(page, "plain")).to_have_attribute("data-tag", "larger")
    assert np.array_equal(drawn(canvas(page, "plain")), heatmap.to_rgb(np.kron(RELEVANCE, np.ones((2, 2)))))
    around(page, "plain").get_by_role("application").focus()
    page.keyboard.press("End")
    expect(reading(page, "plain")).to_contain_text("row 14, column 20")


def test_no_empty_frame_between_two_pictures(visit, serve, drag):
    page = visit(serve(APP.with_name("slider.py")))
    picture = page.get_by_role("img", name="Relevance")
    empty = picture.evaluate_handle(
        """(canvas) => {
            const seen = { frames: 0, empty: 0 };
            const look = () => {
                const alpha = canvas.getContext("2d").getImageData(5, 5, 1, 1).data[3];
                seen.frames += 1;
                seen.empty += !canvas.isConnected || alpha !== 255;
                requestAnimationFrame(look);
            };
            look();
            return seen;
        }"""
    )
    page.mouse.move(0, 0)
    drag(page.get_by_role("slider", name="epsilon"), 20, 50)
    expect(picture).to_have_attribute("data-tag", "50,10")
    assert empty.json_value()["frames"] > 30
    assert empty.json_value()["empty"] == 0


def test_the_reading_stays_live_while_the_picture_changes(visit, serve):
    page = visit(serve(APP.with_name("slider.py")))
    frame = page.get_by_role("application")
    frame.hover()
    value = page.get_by_role("status").filter(has_text="row")
    before = value.inner_text()
    page.get_by_role("slider", name="epsilon").evaluate(
        "slider => { slider.value = 55; slider.dispatchEvent(new Event('input')); }"
    )
    expect(value).not_to_have_text(before)
    assert value.inner_text().split(":")[0] == before.split(":")[0]
