"""The digits page under a real hand: drawing, explaining, sharing a link, and coming back."""

import re

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from pages.settings.settings import GAMMAS, Settings, nearest
from tests.browser.hands import choose, seen, shows
from tests.browser.hands import heatmap as picture

SEVEN = [(70, 70), (130, 66), (200, 70), (170, 130), (140, 190), (120, 240)]
SCRATCHES = [[(20 + 26 * i, 60), (20 + 26 * i, 90), (20 + 26 * i, 130)] for i in range(10)]
INK_COLUMNS = """(canvas) => {
    const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let runs = 0, before = false;
    for (let x = 0; x < width; x++) {
        let ink = false;
        for (let y = 0; y < height; y++) ink ||= data[4 * (y * width + x) + 3] > 0 && data[4 * (y * width + x)] < 128;
        if (ink && !before) runs++;
        before = ink;
    }
    return runs;
}"""


@pytest.fixture
def digits(visit, server):
    return lambda query="", **context: visit(server, f"/digits{query}", **context)


def says(page: Page, digit: str) -> None:
    expect(page.get_by_role("heading", name=re.compile(f"The network says {digit} "))).to_be_visible()


def separate_strokes(page: Page, count: int) -> None:
    """So many strokes stand side by side on the canvas."""
    page.wait_for_function(f"(canvas) => ({INK_COLUMNS})(canvas) === {count}", arg=canvas(page).element_handle())


def canvas(page: Page) -> Locator:
    return page.locator("canvas.dc-canvas.lower-canvas")


def press(page: Page, name: str) -> None:
    page.get_by_test_id("stBaseButton-secondary").filter(has_text=name).click()  # the canvas has an Undo of its own
    page.idle()


def clear(page: Page) -> None:
    press(page, "Clear")
    expect(page.get_by_text("Too little ink")).to_be_visible()
    separate_strokes(page, 0)


def test_the_balance_is_amber_only_where_the_map_would_mislead(digits):
    page = digits()
    expect(page.get_by_text(re.compile("Score .* on the input"))).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    page = digits("?rule=epsilon&epsilon=10")
    expect(page.get_by_role("alert")).to_contain_text("Epsilon kept nearly all that could have arrived")


def test_first_load_shows_a_worked_example_already_explained(digits):
    page = digits()
    says(page, "3")
    shows(page, "recommended", "3")
    expect(page.get_by_text(re.compile("Score .* on the input"))).to_be_visible()
    separate_strokes(page, 1)


def test_the_heatmap_follows_a_drawing(digits, draw):
    page = digits()
    clear(page)
    expect(page.get_by_role("heading", name="The network says")).to_have_count(0)
    draw(page, SEVEN)
    says(page, "7")
    shows(page, "7")
    press(page, "Undo")
    expect(page.get_by_text("Too little ink")).to_be_visible()


def test_ten_quick_strokes_are_all_there(digits, draw):
    page = digits()
    with page.expect_websocket() as socket:
        page.go("/digits")
    clear(page)
    with socket.value.expect_event("framesent", lambda frame: frame.count(b"Path") == 10):
        for scratch in SCRATCHES:
            draw(page, scratch)
    says(page, ".")
    separate_strokes(page, 10)
    press(page, "Undo")
    separate_strokes(page, 9)  # the session had them all, not only the canvas


def test_strokes_settings_and_result_survive_a_page_switch_and_going_back(digits, draw):
    page = digits()
    clear(page)
    draw(page, SEVEN)
    says(page, "7")
    choose(page, "Rule", "z+")
    choose(page, "Colours", "Grey")
    before = picture(page).get_attribute("data-tag")
    page.get_by_role("link", name="Home").click()
    expect(page.get_by_role("heading", name="Why did the network say that?")).to_be_visible()
    page.get_by_role("link", name="Handwritten digits").click()
    expect(picture(page)).to_have_attribute("data-tag", before)
    separate_strokes(page, 1)
    before = seen(page).get_attribute("src")
    draw(page, [(240, 60), (240, 220)])
    expect(seen(page)).not_to_have_attribute("src", before)
    page.get_by_role("link", name="Home").click()
    expect(page.get_by_role("heading", name="Why did the network say that?")).to_be_visible()
    page.go_back()
    shows(page, "zplus")
    separate_strokes(page, 2)
    expect(page.get_by_role("combobox", name="Colours")).to_have_value("Grey")


def test_touch_draws_too(digits):
    page = digits(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True, device_scale_factor=2)
    page.get_by_role("button", name="Clear").tap()
    expect(page.get_by_text("Too little ink")).to_be_visible()
    board = page.locator("canvas.upper-canvas")
    board.scroll_into_view_if_needed()
    box = board.bounding_box()
    finger = page.context.new_cdp_session(page)
    for number, (x, y) in enumerate(SEVEN):
        point = {"x": box["x"] + x, "y": box["y"] + y}
        kind = "touchMove" if number else "touchStart"
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    says(page, "7")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_link_restores_everything(digits, draw):
    query = "?rule=gamma&epsilon=0.1&gamma=0.4&class=8&rather-than=3&sample=sample-9&view=top&top=20&colours=grey"
    page = digits(query)
    shows(page, "gamma", "0.1", "0.4", "8 rather than 3")
    separate_strokes(page, 1)
    says(page, "9")
    for label, value in (("Rule", "Gamma"), ("Show", "Only what counts"), ("Colours", "Grey")):
        expect(page.get_by_role("combobox", name=label)).to_have_value(value)
    expect(page.get_by_role("slider", name="Gamma")).to_have_attribute("aria-valuetext", "0.4")
    expect(page.get_by_role("slider", name="Epsilon")).to_be_disabled()
    expect(page.get_by_text("Gamma has no epsilon.")).to_be_visible()
    page.get_by_role("button", name="Copy link").click()
    link = page.get_by_test_id("stCode").inner_text().strip()
    assert set(link.partition("?")[2].split("&")) == set(query[1:].split("&"))
    page.keyboard.press("Escape")
    before = seen(page).get_attribute("src")
    draw(page, SCRATCHES[9])
    expect(seen(page)).not_to_have_attribute("src", before)
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_test_id("stCode")).not_to_contain_text("sample")  # a drawing stays here


def test_nonsense_in_a_link_gives_defaults_and_a_note(digits):
    page = digits("?rule=magic&epsilon=nan&gamma=-1&class=77&sample=../etc&colours=%00&view=x&layers=a:b")
    shows(page, "recommended", "0.001", "0.1", "3")
    note = page.get_by_text("This link asks for something that is not here")
    expect(note).to_contain_text("rule, epsilon, gamma, class, view, colours, layers, sample")
    choose(page, "Rule", "LRP-0")
    shows(page, "lrp0")


def test_the_heatmap_changes_while_the_slider_moves(digits, drag, record):
    page = digits()
    tags = record(picture(page), "data-tag")
    gamma = page.get_by_role("slider", name="Gamma")
    drag(gamma, 5, GAMMAS.index(7), release=False)
    assert len(tags()) >= 8
    assert "gamma=" not in page.url
    page.mouse.up()
    expect(page).to_have_url(re.compile("gamma=7"))
    shows(page, gamma.get_attribute("aria-valuetext"))


def test_keyboard_alone_is_enough(digits):
    page = digits()
    gamma = page.get_by_role("slider", name="Gamma")
    gamma.focus()
    page.keyboard.press("ArrowRight")
    shows(page, f"{GAMMAS[nearest(GAMMAS, Settings().gamma) + 1]:g}")
    rule = page.get_by_role("combobox", name="Rule")
    rule.focus()
    page.keyboard.type("alpha")
    page.keyboard.press("Enter")
    shows(page, "a2b1")
    samples = page.get_by_test_id("stButtonGroup").filter(has_text="Or take a sample")
    samples.get_by_role("radio", name="7", exact=True).or_(samples.get_by_role("button", name="7", exact=True)).focus()
    page.keyboard.press("Enter")
    says(page, "7")


def test_the_twin_is_given_away_by_its_heatmap(digits):
    page = digits()
    page.get_by_role("radio", name="Cheating twin").or_(page.get_by_role("button", name="Cheating twin")).click()
    says(page, "3")
    page.get_by_text("Put the mark on").click()
    says(page, "8")
    shows(page, "8")  # the headline comes before the heatmap
    strongest = picture(page).get_attribute("aria-label")
    row, column = (int(n) for n in re.search(r"row (\d+) .* column (\d+)", strongest).groups())
    assert row <= 4 and column <= 4  # rows and columns 2 to 4 carry the mark
    expect(page).to_have_url(re.compile("network=digits_twin&mark=1"))


def test_tabs_are_computed_when_opened(digits):
    page = digits("?sample=sample-5")
    film = page.locator("canvas[data-frame]")
    expect(film).to_have_count(0)
    page.get_by_role("tab", name="Layer by layer").click()
    expect(film).to_have_attribute("data-frame", "0")
    expect(page.get_by_text("Into dense2: 96 numbers")).to_be_visible()
    page.get_by_role("slider", name="Layer").press("End")
    expect(page.get_by_text("Into conv1: 1 × 28 × 28 numbers")).to_be_visible()
    expect(page.get_by_test_id("stPlotlyChart")).to_contain_text("Score")
    page.get_by_role("tab", name="Sweep").click()
    slider = page.get_by_role("slider", name="Gamma").last
    expect(slider).to_have_attribute("aria-valuetext", "Gamma 0.1")
    slider.press("Home")
    expect(page.get_by_text("Gamma 0", exact=True)).to_be_visible()
    page.get_by_role("tab", name="Compare rules").click()
    expect(page.get_by_role("img", name=re.compile("^Heatmap for 5"))).to_have_count(5)  # the result and four rules
    expect(page.get_by_test_id("stTable")).to_contain_text("1.00")


def test_numbers_and_code_can_be_taken_home(digits, tmp_path):
    page = digits()
    page.get_by_role("tab", name="Numbers & code").click()
    files = {}
    for name in ("Picture (PNG)", "Numbers (NPZ)", "Table (CSV)", "Script (PY)"):
        with page.expect_download() as download:
            page.get_by_role("button", name=name).click()
        files[name] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[name])
    assert files["Picture (PNG)"].read_bytes().startswith(b"\x89PNG")
    relevance = np.load(files["Numbers (NPZ)"])["relevance"]
    assert np.loadtxt(files["Table (CSV)"], delimiter=",") == pytest.approx(relevance[0, 0], rel=1e-6)
    script: dict = {}
    exec(files["Script (PY)"].read_text(), script)
    assert np.array_equal(script["relevance"], relevance)


def test_a_rule_can_be_chosen_for_one_layer(digits):
    page = digits("?layers=conv1:flat")
    expect(page.get_by_role("button", name="Per layer (1 changed)")).to_be_visible()
    page.get_by_role("button", name="Per layer (1 changed)").click()
    expect(page.get_by_role("dialog")).to_contain_text("Which rule on which layer")
    page.get_by_role("button", name="Take all back").click()
    expect(page.get_by_role("button", name="Per layer…")).to_be_visible()
    expect(page).not_to_have_url(re.compile("layers"))


@pytest.mark.parametrize("view", ["overlay", "both", "top"])
def test_views(digits, view):
    page = digits(f"?view={view}", color_scheme="dark")
    expect(page.get_by_role("img", name=re.compile("^Heatmap for 3"))).to_have_count(2 if view == "both" else 1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_going_back_undoes_the_last_choice(digits):
    page = digits("?sample=sample-5")
    choose(page, "Rule", "LRP-0")
    shows(page, "lrp0")
    expect(page).to_have_url(re.compile("rule=lrp0"))
    page.get_by_role("slider", name="Gamma").scroll_into_view_if_needed()
    choose(page, "Rule", "Gamma")
    gamma = page.get_by_role("slider", name="Gamma")
    expect(gamma).to_be_enabled()  # LRP-0 has none
    gamma.press("End")
    shows(page, "gamma", "10")
    expect(page).to_have_url(re.compile("rule=gamma&gamma=10"))
    for step in (page.go_back, page.go_forward) * 8:  # in haste: runs of the script overtake each other
        step()
        step()
    page.go_back()
    page.go_back()
    shows(page, "lrp0", "0.1")
    expect(page.get_by_role("slider", name="Gamma")).to_have_attribute("aria-valuetext", "0.1")
    says(page, "5")


def test_a_three_is_turned_into_an_eight(digits, draw):
    """The contrast is asked for with one press, and the missing strokes, drawn with the mouse, flip the answer."""
    page = digits("?sample=sample-3")
    says(page, "3")
    turn = page.get_by_test_id("stButtonGroup").filter(has_text="Turn it into")
    turn.get_by_role("radio", name="8").or_(turn.get_by_role("button", name="8")).click()
    shows(page, "8 rather than 3")
    expect(page.get_by_text("Draw what 8 still lacks")).to_be_visible()
    draw(page, [(95, 65), (85, 85), (95, 110), (140, 132)])
    draw(page, [(140, 132), (95, 165), (85, 200), (90, 220)])
    says(page, "8")
    shows(page, "8 rather than 3")
    expect(page.get_by_text("Done: the network says 8.")).to_be_visible()
