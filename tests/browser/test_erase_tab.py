"""What if I erase it? By rank with a slider, by hand with a mouse and with keys, and what chance would do."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.hands import choose

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def erasing(visit, server):
    """A page with the tab open and all answers there."""

    def come(path: str, **context) -> Page:
        page = visit(server, path, **context)
        page.get_by_role("tab", name="What if I erase it?").click()
        expect(page.get_by_test_id("stPlotlyChart")).to_be_visible(timeout=60_000)
        page.idle()
        return page

    return come


def board(page: Page) -> Locator:
    return page.get_by_role("application", name=re.compile("^Eraser"))


def gone(page: Page, number: int) -> None:
    expect(board(page)).to_have_attribute("data-gone", str(number))


def press(page: Page, name: str) -> None:
    page.get_by_role("radio", name=name, exact=True).or_(page.get_by_role("button", name=name, exact=True)).click()
    page.idle()


def test_the_slider_erases_the_strongest_and_the_answer_falls(erasing):
    page = erasing("/digits")
    slider = page.get_by_role("slider", name="Erased")
    said = page.get_by_text(re.compile(r"^Without \d+ of 196 patches, the strongest for it"))
    gone(page, 20)
    expect(said).to_contain_text("Without 20 of")
    slider.press("ArrowRight")
    gone(page, 29)
    expect(said).to_contain_text("Without 29 of")
    expect(page.get_by_role("img", name=re.compile("with 29 of 196 patches erased$"))).to_be_visible()
    slider.press("Home")
    gone(page, 0)
    slider.press("End")
    gone(page, 196)
    press(page, "Strongest against it")
    expect(page.get_by_text(re.compile("patches, the strongest against it"))).to_be_visible()
    press(page, "A blur of it")
    expect(page.get_by_test_id("stPlotlyChart")).to_be_visible(timeout=60_000)
    with page.expect_download() as download:
        page.get_by_role("button", name="Numbers (CSV)").click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0].startswith("patches erased,strongest for,strongest against,random 1,") and len(lines) == 12


def test_a_hand_erases_and_brings_back(erasing):
    page = erasing("/digits")
    press(page, "By hand")
    gone(page, 0)
    board(page).scroll_into_view_if_needed()
    box = board(page).bounding_box()
    cell = box["width"] / 14
    page.mouse.move(box["x"] + 3.5 * cell, box["y"] + 7.5 * cell)
    page.mouse.down()
    page.mouse.move(box["x"] + 9.5 * cell, box["y"] + 7.5 * cell, steps=12)
    page.mouse.up()
    gone(page, 7)
    expect(page.get_by_text(re.compile(r"^7 of 196 patches are erased.*at random it has"))).to_be_visible()
    page.mouse.click(box["x"] + 3.5 * cell, box["y"] + 7.5 * cell)
    gone(page, 6)
    board(page).focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    gone(page, 7)
    page.get_by_role("button", name="Bring all back").click()
    gone(page, 0)
    expect(page.get_by_role("button", name="Bring all back")).to_be_disabled()


def test_a_stroke_in_a_ranked_picture_goes_on_by_hand(erasing):
    page = erasing("/digits", color_scheme="dark")
    board(page).click(position={"x": 2, "y": 2})
    gone(page, 21)
    expect(page.get_by_text(re.compile("^21 of 196 patches are erased"))).to_be_visible()


def test_another_question_is_asked_anew(erasing):
    page = erasing("/digits")
    expect(page.get_by_text(re.compile("the strongest for it, 3 has"))).to_be_visible()
    choose(page, "Class", re.compile("^8 "))
    expect(page.get_by_text(re.compile("the strongest for it, 8 has"))).to_be_visible(timeout=60_000)


def test_words_are_erased_and_the_text_closes_up(erasing):
    page = erasing("/text")
    words = page.get_by_role("group", name=re.compile(r"^The text without 2 of its \d+ words$"))
    expect(words).to_be_visible()
    page.get_by_role("slider", name="Erased").press("End")
    expect(page.get_by_text("No word is left.")).to_be_visible()
    expect(page.get_by_text("By hand")).to_have_count(0)


@pytest.mark.parametrize("path", ["/photos?network=photos", "/question_answering"])
def test_photos_and_scenes_on_a_phone(erasing, path):
    page = erasing(path, **PHONE)
    expect(board(page)).to_be_visible()
    expect(page.get_by_text(re.compile("^Without 26 of 256 patches"))).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
