"""The page on questions under a real hand: scenes are built, words are changed, and what was before stays beside it."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from models import scenes
from models.scenes import answerer
from models.scenes import editing as scene_editing
from models.scenes.drawing import SIDE
from pages.questions.subject import FIRST
from tests.browser.hands import changing, heatmap, shows

pytestmark = pytest.mark.skipif(
    not (answerer.ASSETS / "vqa.safetensors").is_file(), reason="the weights of the network on scenes are not here"
)

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
SCENE = scene_editing.decode(FIRST[0])
YELLOW = next(index for index, thing in enumerate(SCENE.things) if thing.colour == "yellow")


@pytest.fixture
def asking(visit, server):
    return lambda query="", **context: visit(server, f"/question_answering{query}", **context)


def board(page: Page) -> Locator:
    return page.get_by_role("application", name=re.compile("^The scene"))


def point(page: Page, column: float, row: float) -> None:
    """Click the scene at a pixel of what the network sees."""
    board(page).scroll_into_view_if_needed()
    box = board(page).bounding_box()
    page.mouse.click(box["x"] + box["width"] * column / SIDE, box["y"] + box["height"] * row / SIDE)


def point_at(page: Page, index: int, scene: scenes.Scene = SCENE) -> None:
    """Click an object in its middle."""
    mask = scenes.render(scene).masks[index]
    rows, columns = mask.nonzero()
    point(page, columns.mean() + 0.5, rows.mean() + 0.5)


def chosen(page: Page, words: str) -> None:
    expect(board(page)).to_have_attribute("data-chosen", words)


def text(page: Page) -> Locator:
    """The coloured words of the result; where something was changed, those of after are the last."""
    return page.get_by_role("group", name=re.compile("^Words for")).last


def says(page: Page) -> Locator:
    return page.get_by_role("heading", name=re.compile("^The network (says|is unsure)"))


def write(page: Page, typed: str) -> None:
    box = page.get_by_role("textbox", name="Your question")
    box.fill(typed)
    box.press("Enter")


def choose(page: Page, label: str, option: str) -> None:
    """Take an option of the select box of exactly this name: "Colour" is not "Colours"."""
    page.get_by_role("combobox", name=label, exact=True).click()
    page.get_by_role("option", name=option).click()
    page.idle()


BOXES = "(elements) => elements.map((element) => element.getBoundingClientRect().toJSON())"
"""Where elements lie in the window."""


def maps(page: Page) -> Locator:
    return page.get_by_role("img", name=re.compile("^Heatmap for"))


def test_first_load_shows_a_worked_example_already_explained(asking):
    page = asking()
    expect(says(page)).to_be_visible()
    expect(text(page)).to_have_text(FIRST[1])
    expect(heatmap(page)).to_be_visible()
    expect(page.get_by_text(re.compile("That is (right|wrong)")).first).to_be_visible()
    expect(page.get_by_text(re.compile("of what speaks for it in the picture lies on the"))).to_be_visible()
    expect(page.get_by_text(re.compile("Score .* on the input"))).to_be_visible()
    expect(page.get_by_text(re.compile("^On words .* not on words:.*positions.*picture"))).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("^From left to right: "))).to_be_visible()
    assert page.url.endswith("/question_answering")


def test_what_if_it_were_red(asking):
    page = asking()
    point_at(page, YELLOW)
    chosen(page, "the small yellow matte cylinder")
    choose(page, "Colour", "red")
    expect(maps(page)).to_have_count(2)
    expect(page.get_by_text("The right answer is red").or_(page.get_by_text("That is right.")).first).to_be_visible()
    chosen(page, "the small red matte cylinder")
    expect(page).to_have_url(re.compile("scene="))
    expect(page.get_by_role("list", name=re.compile("^Probability of each class"))).to_have_count(2)
    red = scene_editing.encode(scene_editing.recolour(SCENE, YELLOW, "red"))
    expect(page).to_have_url(re.compile(re.escape(red)))
    choose(page, "Colour", "purple")
    chosen(page, "the small purple matte cylinder")
    expect(page).not_to_have_url(re.compile(re.escape(red)))
    page.go_back()
    chosen(page, "the small red matte cylinder")


def test_a_click_on_the_floor_moves_what_is_chosen_and_undo_takes_it_back(asking):
    page = asking()
    point_at(page, YELLOW)
    chosen(page, "the small yellow matte cylinder")
    with changing(page.get_by_role("img", name=re.compile("^From left to right: ")), "src"):
        point(page, 110, 100)
    expect(page.get_by_role("img", name=re.compile("a large blue matte cylinder, a small yellow"))).to_be_visible()
    expect(maps(page)).to_have_count(2)
    page.get_by_role("button", name="Undo").click()
    expect(maps(page)).to_have_count(1)
    expect(text(page)).to_have_text(FIRST[1])


def test_a_scene_is_built_by_keys_alone_and_no_step_is_lost(asking):
    page = asking()
    board(page).focus()
    page.keyboard.press("PageDown")
    chosen(page, "the large cyan shiny cylinder")
    page.keyboard.press("PageUp")
    chosen(page, "the small blue matte cylinder")
    index = next(number for number, thing in enumerate(SCENE.things) if str(thing) == "small blue matte cylinder")
    for _ in range(6):
        page.keyboard.press("ArrowLeft")
    moved = scene_editing.move(SCENE, index, SCENE.things[index].x - 1.5, SCENE.things[index].y)
    expect(page).to_have_url(re.compile(re.escape(scene_editing.encode(moved))))
    expect(board(page)).to_be_focused()
    page.keyboard.press("Delete")
    expect(page).to_have_url(re.compile(re.escape(scene_editing.encode(scene_editing.delete(moved, index)))))
    chosen(page, "")


def test_objects_are_added_and_deleted_from_the_list(asking):
    page = asking()
    page.get_by_role("button", name="Add an object").click()
    expect(page.get_by_role("tab", name="Change the scene")).to_have_attribute("aria-selected", "true")
    expect(board(page)).to_have_attribute("data-chosen", re.compile("^the "))
    page.get_by_role("button", name="Delete", exact=True).click()
    chosen(page, "")
    choose(page, "Object", "small yellow matte cylinder")
    chosen(page, "the small yellow matte cylinder")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("There is no small object in that place.").first).to_be_visible()
    page.get_by_role("button", name="Original").click()
    expect(page.get_by_text("There is no small object in that place.")).to_have_count(0)


def test_a_question_of_ones_own(asking):
    page = asking()
    write(page, "Is there a red giraffe?")
    expect(page.get_by_text("The network does not know the word “giraffe”")).to_be_visible()
    expect(text(page)).to_have_text(FIRST[1])
    expect(page.get_by_role("textbox", name="Your question")).to_have_value("Is there a red giraffe?")
    title = page.title()
    write(page, "<img src=x onerror=document.title=1> is there")
    expect(page.get_by_text("does not know the words")).to_be_visible()
    assert page.title() == title and page.locator("img[src=x]").count() == 0
    assert "question=" not in page.url
    write(page, "How many things are there?")
    expect(text(page)).to_have_text("How many things are there?")
    expect(page.get_by_text("does not know")).to_have_count(0)
    expect(page).to_have_url(re.compile("question=How"))


def test_a_suggestion_is_one_press_away(asking):
    page = asking()
    first = page.get_by_role("radiogroup", name="Suggested questions").get_by_role("radio").first
    wanted = page.get_by_role("radiogroup", name="Suggested questions").locator("label").first.inner_text()
    first.check(force=True)
    expect(text(page)).to_have_text(wanted)
    expect(maps(page)).to_have_count(1)


def test_a_word_is_changed_where_it_is_coloured(asking):
    page = asking()
    text(page).get_by_role("button", name=re.compile("^colour: ")).click()
    page.get_by_placeholder("Other words").fill("shape")
    page.get_by_role("button", name="Replace", exact=True).click()
    expect(page.get_by_role("group", name=re.compile("^Words for"))).to_have_count(2)
    expect(text(page)).to_have_text(FIRST[1].replace("colour", "shape"))
    expect(page.get_by_role("group", name=re.compile("^Words for")).first).to_have_text(FIRST[1])
    text(page).get_by_role("button", name=re.compile("^shape: ")).click()
    page.get_by_placeholder("Other words").last.fill("elephant")
    page.get_by_role("button", name="Replace", exact=True).last.click()
    expect(page.get_by_text("This word stays. The network does not know the word “elephant”")).to_be_visible()
    page.get_by_role("tab", name="Change one word").click()
    choice = page.get_by_role("radiogroup", name="The question with one word changed").locator("label").first
    wanted = choice.inner_text()
    choice.click()
    expect(text(page)).to_have_text(wanted)
    expect(page.get_by_role("group", name=re.compile("^Words for")).first).to_have_text(FIRST[1])
    page.get_by_role("button", name="Stop comparing").click()
    expect(page.get_by_role("group", name=re.compile("^Words for"))).to_have_count(1)


def test_both_sides_follow_the_slider_while_it_moves(asking, drag, record):
    page = asking()
    text(page).get_by_role("button", name=re.compile("^green: ")).press("Delete")
    expect(maps(page)).to_have_count(2)
    histories = [record(maps(page).nth(number), "data-tag") for number in (0, 1)]
    gamma = page.get_by_role("slider", name="Gamma")
    drag(gamma, 4, 30, release=False)
    assert all(len(history()) >= 5 for history in histories)
    assert "gamma=" not in page.url
    page.mouse.up()
    expect(page).to_have_url(re.compile("gamma="))


def test_contrast_of_two_answers_is_turned_round(asking):
    page = asking("?class=13&rather-than=16")
    one, other = answerer.LABELS[13], answerer.LABELS[16]
    shows(page, f"{one} rather than {other}")
    there = text(page).get_attribute("aria-label")
    expect(page.get_by_text(re.compile("Difference of scores .* on the input"))).to_be_visible()
    page.go("/question_answering?class=16&rather-than=13")
    shows(page, f"{other} rather than {one}")
    gains, losses = re.search(r"(\S+) for it, (\S+) against it", there).groups()
    turned = losses.replace("\N{MINUS SIGN}", "+"), gains.replace("+", "\N{MINUS SIGN}")
    expect(text(page)).to_have_attribute(
        "aria-label", re.compile(rf"{re.escape(turned[0])} for it, {turned[1]} against")
    )


def test_a_link_restores_everything(asking):
    query = (
        "?rule=cp&epsilon=0.1&class=13&rather-than=16&view=both&opacity=40&colours=grey&"
        f"scene={scene_editing.encode(scene_editing.delete(SCENE, 0))}&question=Is+there+a+red+cube%3F"
    )
    page = asking(query)
    shows(page, "cp", "0.1", f"{answerer.LABELS[13]} rather than {answerer.LABELS[16]}")
    expect(text(page)).to_have_text("Is there a red cube?")
    expect(maps(page)).to_have_count(2)
    page.get_by_role("button", name="Copy link").click()
    link = page.get_by_test_id("stCode").first.inner_text().strip()
    assert "class=13" in link and "question=Is+there+a+red+cube" in link
    page.goto(link)
    page.idle()
    expect(text(page)).to_have_text("Is there a red cube?")


@pytest.mark.parametrize("context", [{"color_scheme": "dark"}, PHONE], ids=["dark", "phone"])
def test_it_fits_and_works_in_the_dark_and_on_a_phone(asking, context):
    page = asking(**context)
    expect(heatmap(page)).to_be_visible()
    point_at(page, YELLOW)
    chosen(page, "the small yellow matte cylinder")
    page.get_by_role("button", name="Right", exact=True).click()
    expect(maps(page)).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    page.idle()
    left, right = maps(page).evaluate_all(BOXES)  # at one moment: the page may scroll between two looks
    assert left["y"] == pytest.approx(right["y"], abs=1) and left["right"] <= right["x"], "side by side"
    assert right["right"] <= page.viewport_size["width"]


def test_tabs(asking):
    page = asking()
    page.get_by_role("tab", name="Layer by layer").click()
    film = page.locator(".stage canvas")
    expect(film).to_have_attribute("data-frame", "0")
    page.get_by_role("slider", name="Layer").press("End")
    expect(page.get_by_text("Into eyes.conv1_1: 3 × 128 × 128 numbers")).to_be_visible()
    page.get_by_role("tab", name="Sweep").click()
    words = page.locator("p.words")
    expect(words).to_have_text(FIRST[1], timeout=60_000)
    expect(page.locator(".stage canvas")).to_be_visible()
    before = words.locator("span").first.get_attribute("style")
    page.get_by_role("slider", name="Gamma").last.press("End")
    expect(page.get_by_text("Gamma 10", exact=True)).to_be_visible()
    expect(words.locator("span").first).not_to_have_attribute("style", before)
    page.get_by_role("tab", name="Compare rules").click()
    expect(page.get_by_role("group", name=re.compile("^Words for"))).to_have_count(5)
    expect(maps(page)).to_have_count(5)
    page.get_by_role("tab", name="Numbers & code").click()
    expect(page.get_by_text(re.compile("^Strongest (word|pixel)$"))).to_be_visible()
    expect(page.get_by_test_id("stCode").first).to_contain_text("lrp.record(model, picture, words)")
