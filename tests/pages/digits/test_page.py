"""Each page runs without a browser: no exception, the result in words, one sentence where a network is missing."""

import subprocess
import sys
from pathlib import Path

import pytest
import streamlit as st
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from models import scenes
from models.text import networks as text_networks
from tests.pages import stand_ins

APP = Path(__file__).parents[3] / "app.py"


@pytest.fixture
def digits():
    """The digits page of a visitor who comes with this address."""

    def run(**query: str) -> AppTest:
        app = AppTest.from_file(APP, default_timeout=60)
        for name, value in query.items():
            app.query_params[name] = value
        return app.switch_page("pages/_digits.py").run()

    return run


def headings(app: AppTest) -> list[str]:
    return [heading.value for heading in (*app.title, *app.header, *app.subheader)]


def home(monkeypatch) -> AppTest:
    stand_ins.put_in_place(monkeypatch)
    return AppTest.from_file(APP, default_timeout=300).run()


HERE = (scenes.ASSETS / "vqa.safetensors").is_file()


@pytest.mark.skipif(
    not (HERE and all(map(text_networks.ready, text_networks.BUNDLED))), reason="some networks are not here"
)
def test_home_complains_of_nothing(monkeypatch):
    app = home(monkeypatch)
    assert not app.exception and not app.error


def test_home_shows_cards_and_the_terms(monkeypatch):
    app = home(monkeypatch)
    assert not app.exception
    assert {"Handwritten digits", "Photos", "Text", "Question answering"} <= set(headings(app))
    assert "What this does not show" in headings(app)
    text = " ".join(block.value for block in (*app.markdown, *app.caption))
    assert "patented" in text and text.count("on the input") == 3 + HERE


def test_digits_shows_a_worked_example(digits):
    app = digits()
    assert not app.exception and not app.error
    assert any(heading.startswith("The network says 3 ") for heading in headings(app))
    assert any("on the input" in block.value for block in app.markdown)


def test_the_first_visit_of_a_server_may_be_a_deep_link():
    app = AppTest.from_file(APP, default_timeout=60).switch_page("pages/_digits.py").run()
    assert not app.exception
    assert any(heading.startswith("The network says") for heading in headings(app))
    assert PagesManager.uses_pages_directory is False  # what `st.navigation` in app.py sees to


@pytest.mark.parametrize("rule", ["lrp0", "epsilon", "gamma", "zplus", "a2b1", "gxi"])
def test_every_rule_can_be_shown(digits, rule):
    app = digits(rule=rule)
    assert not app.exception and not app.error
    assert app.selectbox(key="digits.rule").value == rule


def test_a_class_can_be_chosen_and_compared(digits):
    app = digits()
    app.selectbox(key="digits.target").select(8).run()
    app.selectbox(key="digits.rather_than").select(3).run()
    assert not app.exception
    assert any("8 rather than 3" in block.value for block in app.markdown)
    assert any("Difference of scores" in block.value for block in (*app.markdown, *app.warning))


def test_nonsense_in_the_address_is_named(digits):
    app = digits(rule="magic", gamma="lots")
    assert not app.exception
    assert "rule" in app.info[0].value and "gamma" in app.info[0].value


def test_an_empty_board_claims_no_class(digits):
    app = digits()
    app.button[1].click().run()
    assert [app.button[1].label, app.info[0].value] == ["Clear", "Too little ink. Draw a digit, or take a sample."]
    assert not any(heading.startswith("The network says") for heading in headings(app))


def test_the_digits_page_starts_without_what_it_does_not_need():
    code = (
        "import sys\nfrom streamlit.testing.v1 import AppTest\n"
        f"app = AppTest.from_file({str(APP)!r}, default_timeout=60).switch_page('pages/_digits.py').run()\n"
        "assert not app.exception and 'torch' in sys.modules\n"
        "print(*{'torchvision', 'transformers'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=APP.parent, capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stdout.strip()) == (0, ""), result.stderr[-2000:]


def test_a_missing_network_costs_its_page_one_sentence(digits, monkeypatch):
    from models import digits as networks

    def missing(name: str):
        raise FileNotFoundError(
            f"{name}.safetensors is missing in digits/; remake it with `python -m training.digits`."
        )

    monkeypatch.setattr(networks, "load", missing)
    st.cache_resource.clear()
    st.cache_data.clear()
    app = digits()
    assert not app.exception
    assert "python -m training.digits" in app.info[0].value and "other pages work" in app.info[0].value
    app = home(monkeypatch)
    assert not app.exception and "What this does not show" in headings(app)
    st.cache_resource.clear()
    st.cache_data.clear()
