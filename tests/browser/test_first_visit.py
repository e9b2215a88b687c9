"""The very first visit of a fresh server, by a link to one page: Streamlit knows the navigation only afterwards."""

import pytest
from playwright.sync_api import expect

from benchmarks.running_app import ROOT, running


@pytest.mark.parametrize(("address", "title"), [("digits", "Handwritten digits"), ("photos", "Photos")])
def test_a_link_leads_a_fresh_server_to_its_page(visit, tmp_path, address, title):
    with running(ROOT / "app.py", tmp_path / "app.log") as fresh:
        page = visit(fresh, f"/{address}")
        expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
        expect(page.get_by_text("Page not found")).to_have_count(0)
        expect(page.get_by_test_id("stSidebar")).to_have_count(0)
        expect(page.get_by_role("heading", name="The network")).to_be_visible()
        assert "Traceback" not in fresh.text()
        page.goto("about:blank")  # before its server goes
