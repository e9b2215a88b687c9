"""The page on language models under a real hand: a prompt typed, next words clicked, links, nothing run as markup."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from models.language import smollm2
from pages.language.subject import samples

pytestmark = pytest.mark.skipif(smollm2.find() is None, reason=f"the language model is not here: {smollm2.COMMAND}")

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


@pytest.fixture
def prompts(visit, server):
    return lambda query="", **context: visit(server, f"/language{query}", **context)


def text(page: Page) -> Locator:
    """The coloured words of the result."""
    return page.get_by_role("group", name=re.compile("^Words for")).first


def words(page: Page) -> list[str]:
    return text(page).locator(".part").all_inner_texts()


def asks(page: Page, question: str) -> None:
    expect(text(page)).to_have_attribute("data-tag", re.compile(rf" {re.escape(question)}$"))


def next_word(page: Page, name: str) -> Locator:
    return page.get_by_role("list", name=re.compile("^The likeliest next words")).get_by_role(
        "button", name=re.compile(rf"^{re.escape(name)} ")
    )


def values(page: Page) -> dict[str, float]:
    said = text(page).locator(".part").evaluate_all("(parts) => parts.map((part) => part.ariaLabel)")
    pairs = (one.rsplit(": ", 1) for one in said)
    return {word: float(value.replace("\N{MINUS SIGN}", "-")) for word, value in pairs}


def test_a_worked_example_is_explained_on_arrival(prompts):
    page = prompts()
    expect(page.get_by_role("heading", name=re.compile(r"^Next word: are \(37 %\)"))).to_be_visible()
    asks(page, "are rather than is")
    seen = values(page)
    assert max(seen, key=seen.get) == "keys" and seen["cabinet"] < 0
    expect(text(page).locator(".lead")).to_have_text(re.compile("^start of text −"))
    sinks = page.get_by_role("list", name="Not on words").get_by_role("listitem")
    expect(sinks).to_have_count(2)
    expect(sinks.filter(has_text="attention weights")).to_be_visible()
    expect(page.get_by_text(re.compile("Difference of scores .* on the input"))).to_be_visible()


def test_a_prompt_is_read_while_it_is_typed_and_words_are_clicked(prompts):
    page = prompts()
    page.get_by_role("tab", name="Your own prompt").click()
    box = page.get_by_role("textbox", name="Your own prompt")
    box.press_sequentially("The opposite of hot <|im_end|> is", delay=20)
    expect(text(page).locator(".part").last).to_have_text("is")
    assert words(page) == ["The", "opposite", "of", "hot", "<", "|", "im", "_", "end", "|", ">", "is"]
    expect(box).to_be_focused()
    assert "opposite" not in page.url
    box.fill("The opposite of hot is")
    asks(page, "cold rather than cool")
    next_word(page, "luke").click()
    asks(page, "luke rather than cold")
    next_word(page, "cool").focus()
    page.keyboard.press("Enter")
    asks(page, "luke rather than cool")
    expect(next_word(page, "luke")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("textbox", name="Another word").fill("warm")
    page.keyboard.press("Enter")
    asks(page, "warm rather than cold")


def test_a_word_is_swapped_and_both_answers_stay(prompts):
    page = prompts()
    text(page).get_by_role("button", name=re.compile("^keys: ")).click()
    page.get_by_role("textbox", name="Other words").or_(page.get_by_placeholder("Other words")).fill("key")
    page.get_by_role("button", name="Replace").click()
    expect(page.get_by_text("After", exact=True)).to_be_visible()
    expect(text(page).locator(".part").nth(1)).to_have_text("key")
    expect(page.get_by_role("list", name=re.compile("^The likeliest next words"))).to_have_count(2)
    page.get_by_role("button", name="Undo").click()
    expect(text(page).locator(".part").nth(1)).to_have_text("keys")


def test_a_link_restores_sample_words_and_rule(prompts):
    page = prompts("?sample=mary&rule=cp&class=5809&rather-than=3248")
    expect(text(page)).to_contain_text(samples()["mary"].text.split()[-1])
    expect(text(page)).to_have_attribute("data-tag", re.compile("^cp .* rather than "))
    assert "sample=mary" in page.url and "rule=cp" in page.url


@pytest.mark.parametrize("context", [{"color_scheme": "dark"}, PHONE], ids=["dark", "phone"])
def test_all_of_it_fits(prompts, context):
    page = prompts(**context)
    asks(page, "are rather than is")
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    for bar in page.get_by_role("list", name=re.compile("^The likeliest next words")).get_by_role("button").all():
        assert bar.bounding_box()["height"] >= 32


def test_the_model_goes_on_and_a_word_is_asked_about(prompts):
    page = prompts()
    page.get_by_role("tab", name="Continue").click()
    expect(page.get_by_text(re.compile("^Why are .* Click what"))).to_be_visible()
    told = page.get_by_role("group", name=re.compile("^Words for .* the strongest is")).last
    told.get_by_role("button", name=re.compile("^keys: ")).last.click()
    expect(page.get_by_text(re.compile("^Why keys "))).to_be_visible()
    expect(told.locator(".asked")).to_have_text("keys")
    page.get_by_text("All words at once").click()
    rows = page.get_by_role("table", name="Relevance of every word for each word that the model said").locator(
        "tbody tr"
    )
    expect(rows).to_have_count(10, timeout=60_000)


def test_where_it_happened_is_asked_head_by_head(prompts):
    page = prompts("?sample=mary")
    page.get_by_role("tab", name="Where it happened").click()
    stream = page.get_by_role("table", name=re.compile("before every block$"))
    expect(stream.locator("tbody tr")).to_have_count(30, timeout=30_000)
    heads = page.get_by_role("table", name=re.compile("of every attention head$"))
    heads.locator("tbody tr").nth(2).locator(".cell").nth(4).click()
    expect(page.get_by_text("Block 28, head 5", exact=True)).to_be_visible()
    expect(page.get_by_role("table", name=re.compile("^How much it looks: Block 28, head 5"))).to_be_visible()
