"""A long sweep: it goes on by itself, other wishes come in between, and at the end there is the film."""

import re
from pathlib import Path

from playwright.sync_api import expect

APP = Path(__file__).parent / "apps/sweep.py"


def test_a_long_sweep_goes_on_and_lets_other_wishes_pass(visit, serve):
    page = visit(serve(APP))
    progress = page.get_by_text(re.compile(r"\d+ of 20 pictures"))
    if progress.count():  # a quick machine may be done by now
        page.get_by_role("button", name="Press").click()
        expect(page.get_by_text("Pressed 1 times")).to_be_visible()
    film = page.get_by_role("slider", name="Gamma")
    expect(film).to_have_attribute("max", "19")
    expect(progress).to_have_count(0)
