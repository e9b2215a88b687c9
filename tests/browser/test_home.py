"""The home page: what a newcomer sees first, on a screen and on a phone."""

import re

import pytest
from playwright.sync_api import expect

from models.scenes import answerer
from models.text import networks as text_networks
from pages.questions.subject import FIRST
from pages.text.subject import samples

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


CARDS = {
    "digits": (r"^Heatmap for \d, ", "Draw your own", "The network says 3"),
    "photos": (r"^Heatmap for [A-Za-z ]+, ", "Bring your own", "The network "),
}


@pytest.mark.parametrize("context", [{}, {"color_scheme": "dark"}, PHONE], ids=["light", "dark", "phone"])
@pytest.mark.skipif(not text_networks.ready("sentiment"), reason="the text network's weights are not here")
def test_a_sentence_leads_to_the_page_on_texts(visit, server, context):
    page = visit(server, **context)
    card = page.get_by_role("group", name=re.compile("^Words for (negative|positive), "))
    expect(card).to_have_text(next(iter(samples("sentiment").values())).text)
    backgrounds = card.evaluate("(text) => [...text.children].map((word) => word.style.backgroundColor)")
    assert len(set(backgrounds)) > 5
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    page.get_by_role("link", name="Type your own").click()
    expect(page.get_by_role("heading", name=re.compile("The network "))).to_be_visible()


@pytest.mark.parametrize("context", [{}, {"color_scheme": "dark"}, PHONE], ids=["light", "dark", "phone"])
@pytest.mark.skipif(not (answerer.ASSETS / "vqa.safetensors").is_file(), reason="the weights on scenes are not here")
def test_a_question_leads_to_the_page_on_questions(visit, server, context):
    page = visit(server, **context)
    expect(page.get_by_role("img", name="A scene, as the network sees it")).to_be_visible()
    expect(page.get_by_role("group", name=re.compile("^Words for ")).filter(has_text=FIRST[1])).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    page.get_by_role("link", name="Ask your own").click()
    expect(page.get_by_role("heading", name=re.compile("The network "))).to_be_visible()


@pytest.mark.parametrize("topic", CARDS)
@pytest.mark.parametrize("context", [{}, {"color_scheme": "dark"}, PHONE], ids=["light", "dark", "phone"])
def test_a_live_card_leads_to_the_page(visit, server, context, topic):
    heat, invitation, headline = CARDS[topic]
    page = visit(server, **context)
    card = page.get_by_role("img", name=re.compile(heat)).first
    expect(card).to_be_visible()
    colours = card.evaluate(
        """(image) => {
            const canvas = Object.assign(document.createElement("canvas"), { width: 28, height: 28 });
            const context = canvas.getContext("2d");
            context.drawImage(image, 0, 0, 28, 28);
            const { data } = context.getImageData(0, 0, 28, 28);
            return new Set(Array.from({ length: 784 }, (_, i) => data.slice(4 * i, 4 * i + 3).join())).size;
        }"""
    )
    assert colours > 20  # a real heatmap, not a placeholder
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    page.get_by_role("link", name=invitation).click()
    expect(page.get_by_role("heading", name=re.compile(headline))).to_be_visible()


def test_networks_licence_and_limits_are_told(page):
    for heading in ("What this does not show", "The networks", "Licence and patent"):
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
    page.get_by_text("The cheating twin of the digits network").click()
    expect(page.get_by_text("Made to be wrong").first).to_be_visible()
    page.get_by_text("Handwritten digits", exact=True).last.click()
    expect(page.get_by_text("CC BY-SA 3.0", exact=False).first).to_be_visible()
