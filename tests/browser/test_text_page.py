"""The page on texts under a real hand: colours to be read, words to be changed, and nothing run as markup."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Locator, Page, expect

from benchmarks.visitor import visitors
from models.text import networks as text_networks
from models.text.networks import BUNDLED
from pages.text.subject import all_samples, samples
from tests.browser.hands import choose

pytestmark = pytest.mark.skipif(
    not all(text_networks.ready(name) for name in BUNDLED), reason="the text networks' weights are not here"
)

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
HOSTILE = '<img src=x onerror="document.title=1"> </span><script>document.title=2</script> & *b* `c` $x$'
FIRST = next(iter(samples("sentiment").values()))


@pytest.fixture(scope="module", autouse=True)
def warm(server):
    """The first visit of a server imports transformers, which takes its time on a busy machine."""

    async def visit() -> None:
        async with visitors(server, 1, "text", "Epsilon") as (first,):
            await first.open()

    with ThreadPoolExecutor(1) as thread:  # in this one, playwright's own loop is running
        thread.submit(asyncio.run, visit()).result()


@pytest.fixture
def texts(visit, server):
    return lambda query="", **context: visit(server, f"/text{query}", **context)


def text(page: Page) -> Locator:
    """The coloured text of the result."""
    return page.get_by_role("group", name=re.compile("^Words for")).first


def word(page: Page, name: str) -> Locator:
    return text(page).get_by_role("button", name=re.compile(rf"^{re.escape(name)}: "))


def shows(page: Page, *tags: str) -> None:
    for tag in tags:
        expect(text(page)).to_have_attribute("data-tag", re.compile(rf"(^| ){re.escape(tag)}( |$)"))


def says(page: Page) -> Locator:
    return page.get_by_role("heading", name=re.compile("^The network (says|is unsure)"))


def write(page: Page, written: str) -> None:
    page.get_by_role("tab", name="Your own text").click()
    box = page.get_by_role("textbox", name="Your own text")
    box.fill(written)
    box.press("Control+Enter")


def colours(page: Page) -> dict[str, tuple[str, str]]:
    """Background and colour of each word."""
    return text(page).evaluate(
        """(text) => Object.fromEntries([...text.querySelectorAll(".part")].map((part) => {
            const { backgroundColor, color } = getComputedStyle(part);
            return [part.textContent, [backgroundColor, color]];
        }))"""
    )


def test_first_load_shows_a_worked_example_already_explained(texts):
    page = texts()
    expect(says(page)).to_be_visible()
    expect(text(page)).to_have_text(FIRST.text)
    expect(
        page.get_by_text(re.compile("^Learned in English. Its encoder, .* was pretrained by others"))
    ).to_be_visible()
    shows(page, "recommended-texts")
    expect(page.get_by_text(re.compile("Score .* on the input"))).to_be_visible()
    expect(page.get_by_text(re.compile("^On words .* not on words:.*<s> .*positions"))).to_be_visible()
    bars = page.locator(".bars .bar:not(.weak)")
    values = [float(value.replace("\N{MINUS SIGN}", "-")) for value in bars.locator(".value").all_inner_texts()]
    assert len(values) >= 10 and values == sorted(values, reverse=True)
    page.get_by_role("button", name=re.compile(r"^All \d+$")).click()
    expect(page.locator(".bars .bar:visible")).to_have_count(text(page).get_by_role("button").count())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_can_be_read(texts, scheme):
    page = texts(color_scheme=scheme)

    def luminance(colour: str) -> float:
        linear = [
            v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4
            for v in (int(c) / 255 for c in re.findall(r"\d+", colour)[:3])
        ]
        return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    seen = colours(page)
    for pair in seen.values():
        dark, light = sorted(map(luminance, pair))
        assert (light + 0.05) / (dark + 0.05) >= 4.5
    assert len({background for background, _ in seen.values()}) > 5


def test_what_is_typed_is_shown_as_typed_and_never_run(texts):
    page = texts()
    title = page.title()
    write(page, HOSTILE)
    expect(text(page)).to_have_text(HOSTILE)
    assert page.title() == title and page.locator("img[src=x]").count() == 0
    for tab in ("Layer by layer", "Compare rules", "Numbers & code"):
        page.get_by_role("tab", name=tab).click()
        page.idle()
    assert page.title() == title and page.locator("img[src=x]").count() == 0
    expect(page.get_by_test_id("stCode").first).to_contain_text(HOSTILE)


def test_a_word_is_deleted_and_replaced_and_all_of_it_taken_back(texts):
    page = texts()
    word(page, "slow").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(text(page)).to_have_text(FIRST.text.replace("slow ", ""))
    expect(page.get_by_text("Before", exact=False).first).to_be_visible()
    expect(page.get_by_role("list", name=re.compile("^Probability of each class"))).to_have_count(2)
    word(page, "funny").click()
    page.get_by_placeholder("Other words").fill("<b>dull</b>")
    page.get_by_role("button", name="Replace", exact=True).click()
    twice = FIRST.text.replace("slow ", "").replace("funny", "<b>dull</b>")
    expect(text(page)).to_have_text(twice)
    page.get_by_role("button", name="Undo").click()
    expect(text(page)).to_have_text(FIRST.text.replace("slow ", ""))
    page.get_by_role("button", name="Original").click()
    expect(text(page)).to_have_text(FIRST.text)
    expect(page.get_by_role("list", name=re.compile("^Probability of each class"))).to_have_count(1)
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_test_id("stCode").first).not_to_contain_text("sample")


def test_by_keyboard_alone(texts):
    page = texts()
    first = text(page).get_by_role("button").first
    first.focus()
    page.keyboard.press("ArrowRight")
    expect(word(page, "slow")).to_be_focused()
    expect(page.get_by_text(re.compile("^slow: [+−]?[0-9]"))).to_be_visible()
    page.keyboard.press("Delete")
    expect(text(page)).to_have_text(FIRST.text.replace("slow ", ""))
    expect(word(page, "start")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_placeholder("Other words")).to_be_focused()
    page.keyboard.type("finish")
    page.keyboard.press("Enter")
    expect(text(page)).to_have_text(FIRST.text.replace("slow start", "finish"))
    page.keyboard.press("End")
    expect(word(page, ".")).to_be_focused()


def test_the_last_word_stays(texts):
    page = texts()
    write(page, "Superb")
    expect(text(page)).to_have_text("Superb")
    word(page, "Superb").press("Delete")
    expect(page.get_by_text("This word stays.")).to_be_visible()
    expect(text(page)).to_have_text("Superb")


def test_pieces(texts):
    page = texts("?network=topics")
    whole = text(page).get_by_role("button").count()
    page.get_by_test_id("stCheckbox").filter(has_text="Show the pieces").click()
    expect(page).to_have_url(re.compile("pieces=1"))
    expect(text(page).get_by_role("button")).not_to_have_count(whole)
    assert text(page).get_by_role("button").count() > whole


def test_arabic_runs_from_right_to_left(texts):
    page = texts("?network=topics&sample=topic-ar")
    expect(text(page)).to_have_text(all_samples()["topic-ar"].text)
    assert text(page).evaluate("(text) => getComputedStyle(text).direction") == "rtl"
    one, two = (text(page).get_by_role("button").nth(number) for number in (0, 1))
    assert one.bounding_box()["x"] > two.bounding_box()["x"]
    one.focus()
    page.keyboard.press("ArrowLeft")
    expect(two).to_be_focused()
    page.get_by_role("tab", name="Layer by layer").click()
    cells = page.get_by_role("table").first.locator("tbody tr").first.locator(".cell")
    expect(cells.first).to_be_visible()
    assert cells.first.bounding_box()["x"] > cells.last.bounding_box()["x"]


def test_contrast_of_two_classes_is_turned_round(texts):
    page = texts("?class=0&rather-than=1")
    shows(page, "negative rather than positive")
    there = text(page).get_attribute("aria-label")
    expect(page.get_by_text(re.compile("Difference of scores .* on the input"))).to_be_visible()
    page.go("/text?class=1&rather-than=0")
    shows(page, "positive rather than negative")
    gains, losses = re.search(r"(\S+) for it, (\S+) against it", there).groups()
    turned = gains.replace("+", "\N{MINUS SIGN}"), losses.replace("\N{MINUS SIGN}", "+")
    expect(text(page)).to_have_attribute(
        "aria-label", re.compile(rf"{re.escape(turned[1])} for it, {turned[0]} against")
    )


def test_colours_follow_the_slider_while_it_moves(texts, drag, record):
    page = texts()
    tags = record(text(page), "data-tag")
    drag(page.get_by_role("slider", name="Epsilon"), 20, 50, release=False)
    assert len(tags()) >= 5
    assert "epsilon=" not in page.url
    page.mouse.up()
    expect(page).to_have_url(re.compile("epsilon="))


def test_an_own_text_stays_until_a_better_one_comes(texts):
    page = texts()
    write(page, "My own words stay here")
    expect(text(page)).to_have_text("My own words stay here")
    write(page, "word " * 10_000)
    expect(page.get_by_text("characters; at most 2,000").first).to_be_visible()
    expect(text(page)).to_have_text("My own words stay here")
    page.get_by_role("link", name="Handwritten digits").click()
    expect(page.get_by_role("heading", name="Handwritten digits")).to_be_visible()
    page.get_by_role("link", name="Text", exact=True).click()
    expect(text(page)).to_have_text("My own words stay here")
    assert "words" not in page.url


def test_an_offensive_sample_waits_behind_a_note(texts):
    page = texts("?network=offensive")
    expect(says(page)).to_be_visible()
    choose(page, "Sample", "German · An insult")
    expect(page.get_by_text("This text insults people.")).to_be_visible()
    expect(page.get_by_text("Idiot")).to_have_count(0)
    page.get_by_role("button", name="Show such texts").click()
    expect(text(page)).to_contain_text("Idiot")


def test_a_link_restores_everything(texts):
    query = "?rule=cp&epsilon=0.1&class=2&rather-than=3&colours=grey&pieces=1&sample=topic-ja&network=topics"
    page = texts(query)
    shows(page, "cp", "0.1", "health rather than politics")
    expect(text(page)).to_have_attribute("lang", "ja")
    page.get_by_role("button", name="Copy link").click()
    link = page.get_by_test_id("stCode").first.inner_text().strip()
    assert set(link.partition("?")[2].split("&")) == set(query[1:].split("&"))


@pytest.mark.parametrize("sample", ["topic-en", "topic-he", "topic-ja"])
def test_on_a_phone_nothing_is_cut_off(texts, sample):
    page = texts(f"?network=topics&sample={sample}", **PHONE)
    expect(text(page)).to_be_visible()
    write(page, "W" * 300)
    expect(page.get_by_text(re.compile("W{200}")).first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert text(page).evaluate("(text) => text.scrollWidth <= text.clientWidth")


def test_tabs(texts):
    page = texts()
    page.get_by_role("tab", name="Layer by layer").click()
    blocks = page.get_by_role("table", name=re.compile("at every block$"))
    expect(blocks.get_by_role("rowheader")).to_have_text(
        [*(f"After block {number}" for number in range(12, 0, -1)), "After embeddings", "Words"]
    )
    blocks.locator(".cell").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text(re.compile("^After block 11, A: "))).to_be_visible()
    heads = page.get_by_role("table", name=re.compile("what each head of block 11"))
    expect(heads.get_by_role("rowheader")).to_have_text([f"Head {number}" for number in range(1, 13)])
    page.get_by_role("tab", name="Sweep").click()
    film = page.locator("p.words")
    expect(film).to_have_text(FIRST.text, timeout=60_000)
    sweep = page.get_by_role("slider", name="Epsilon").last
    before = film.locator("span").nth(1).get_attribute("style")
    sweep.press("End")
    expect(page.get_by_text("Epsilon 10", exact=True)).to_be_visible()
    expect(film.locator("span").nth(1)).not_to_have_attribute("style", before)
    page.get_by_role("tab", name="Compare rules").click()
    expect(page.get_by_role("group", name=re.compile("^Words for"))).to_have_count(4)
    page.get_by_role("tab", name="Numbers & code").click()
    expect(page.get_by_text("Strongest word")).to_be_visible()
