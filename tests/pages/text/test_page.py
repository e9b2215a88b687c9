"""The page on texts without a browser: whatever a visitor types gets colours or a sentence, and loses nothing."""

from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from models.text import networks as text_networks
from models.text.networks import BUNDLED
from pages.explaining.subject import Subject
from pages.settings.settings import NO_CLASS, OWN_INPUT
from pages.text import subject as text_subject
from tests.pages import stand_ins

APP = Path(__file__).parents[3] / "app.py"


@pytest.fixture
def texts(monkeypatch):
    """The page of a visitor who comes with this address."""
    stand_ins.put_in_place(monkeypatch)
    st.cache_resource.clear()
    st.cache_data.clear()

    def run(**query: str) -> AppTest:
        app = AppTest.from_file(APP, default_timeout=300).switch_page("pages/_text.py")
        for name, value in query.items():
            app.query_params[name] = value
        return app.run()

    yield run
    st.cache_resource.clear()
    st.cache_data.clear()


def says(app: AppTest) -> str:
    """The headline."""
    return next((block.value for block in app.subheader if block.value.startswith("The network ")), "")


def settings(app: AppTest):
    return app.session_state["text.settings"]


def subject(app: AppTest) -> Subject:
    return app.session_state["remembered.text.subject"][1]


def write(app: AppTest, text: str) -> AppTest:
    return app.text_area(key="text.typed").set_value(text).run()


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def warnings(app: AppTest) -> str:
    return " ".join(block.value for block in app.warning)


def test_first_load_shows_a_worked_example_already_explained(texts):
    app = texts()
    assert not app.exception and not app.error
    assert says(app) and any("on the input" in block.value for block in (*app.markdown, *app.warning))
    assert (settings(app).network, settings(app).sample) == ("sentiment", "film-mixed")
    assert settings(app).rule == "recommended-texts"


REFUSED = {
    "": "empty",
    "   \n\t ": "empty",
    "\u200b\u200d\ufeff": "invisible",
    "word " * 10_000: "2,000",
}
ACCEPTED = (
    "x" * 1999,
    "Zu\u200bfall\u200d",
    "<img src=x onerror=alert(1)> </span><script>alert(1)</script>",
    "👍🏽 👩‍👩‍👧",
    "**bold** $x^2$ :material/home: [link](https://example.org)",
    "ينصح الأطباء",
)


def test_every_hostile_text_gets_colours_or_a_sentence_and_loses_nothing(texts):
    app = write(texts(), "My own words")
    assert settings(app).sample == OWN_INPUT and subject(app).view.reading.text == "My own words"
    for text, word in REFUSED.items():
        app = write(app, text)
        assert not app.exception, text[:40]
        assert word in warnings(app), text[:40]
        assert subject(app).view.reading.text == "My own words" and says(app)
        assert app.text_area(key="text.typed").value == text, "what was typed was lost"
    for text in ACCEPTED:
        app = write(app, text)
        assert not app.exception and not app.error, text[:40]
        shown = subject(app).view.reading.text == text and bool(says(app))
        assert shown or "pieces" in warnings(app) or "knows" in warnings(app), (text[:40], warnings(app))


def test_an_own_text_survives_a_page_switch_and_a_look_at_the_samples(texts):
    app = write(texts(), "Nothing of this may be lost")
    app = app.switch_page("pages/digits/page.py").run().switch_page("pages/text/page.py").run()
    assert subject(app).view.reading.text == "Nothing of this may be lost"
    assert "sample" not in app.query_params and "lost" not in str(app.query_params)
    app.selectbox(key="text.sample").select("film-dull").run()
    assert subject(app).view.reading.text.startswith("The actors")
    app = press(app, "Explain it")
    assert subject(app).view.reading.text == "Nothing of this may be lost"


def test_a_link_restores_network_sample_pieces_and_question(texts):
    link = {
        "network": "topics",
        "sample": "topic-ar",
        "rule": "cp",
        "epsilon": "0.1",
        "class": "2",
        "rather-than": "3",
        "pieces": "1",
        "colours": "grey",
        "layers": "classifier.dense:gamma",
    }
    app = texts(**link)
    assert not app.exception and not app.info
    seen = settings(app)
    assert (seen.network, seen.sample, seen.rule, seen.epsilon) == ("topics", "topic-ar", "cp", 0.1)
    assert (seen.target, seen.rather_than, seen.pieces, seen.colours) == (2, 3, True, "grey")
    assert seen.layers == (("classifier.dense", "gamma"),)
    assert {name: "".join(value) for name, value in app.query_params.items()} == link


@pytest.mark.parametrize(
    "query", [{"view": "overlay"}, {"sample": "topic-ar"}, {"network": "hf:../../etc"}, {"rule": "epsilon"}]
)
def test_nonsense_in_the_address_is_named(texts, query):
    app = texts(**query)
    assert not app.exception and says(app)
    assert next(iter(query)) in app.info[0].value


def test_an_offensive_sample_waits_behind_a_note(texts):
    app = texts(network="offensive", sample="post-insult-en")
    assert not app.exception and not says(app)
    assert "insults people" in warnings(app)
    app = press(app, "Show such texts")
    assert says(app) and "idiot" in subject(app).view.reading.text
    assert "insults people" not in warnings(app)


def test_another_network_brings_its_own_samples_and_classes(texts):
    app = texts(**{"class": "1"})
    app.selectbox(key="text.network").select("newsgroups").run()
    assert not app.exception and says(app)
    assert settings(app).target == NO_CLASS and settings(app).sample == "news-space"
    app = write(app, "An own text stays")
    app.selectbox(key="text.network").select("topics").run()
    assert subject(app).view.reading.text == "An own text stays" and subject(app).network == "topics"


def test_what_was_not_read_is_said(texts):
    app = write(texts(), "A long review of it, word by word. " * 57)
    assert not app.exception and "was not read" in warnings(app)
    assert subject(app).view.reading.cut and len(subject(app).view.reading.pieces) == 256


@pytest.mark.parametrize("tab", ["Layer by layer", "Sweep", "Compare rules", "Numbers & code"])
def test_every_tab_opens(texts, tab):
    app = texts()
    app.session_state["text.tabs"] = tab
    app.run()
    assert not app.exception and not app.error


def test_missing_weights_cost_one_sentence_and_the_others_work(texts, monkeypatch):
    sentence = "topics.safetensors is missing in text/; remake it with `python -m training.text topics`."

    def load(name: str):
        if name == "topics":
            raise FileNotFoundError(sentence)
        return stand_ins.network(name)

    monkeypatch.setattr(text_networks, "load", load)
    monkeypatch.setattr(text_networks, "ready", lambda name: name != "topics")
    app = texts(network="topics")
    assert not app.exception and not says(app)
    assert any(sentence in block.value and "other pages work" in block.value for block in app.info)
    app.selectbox(key="text.network").select("sentiment").run()
    assert not app.exception and says(app)


def test_a_network_of_the_operator_comes_after_our_own(texts, monkeypatch):
    """Found, but of no use: that is said, and nothing else is harmed."""
    refusal = "my/model: its weights do not fit its settings in config.json."

    def network(name: str):
        if name == "hf:my/model":
            raise FileNotFoundError(refusal)
        return known(name)

    known = text_networks.network
    monkeypatch.setattr(text_networks, "local_networks", lambda: {"hf:my/model": "my/model"})
    monkeypatch.setattr(text_networks, "network", network)
    monkeypatch.setattr(text_networks, "ready", lambda name: True)
    monkeypatch.setattr(text_networks, "load", lambda name: stand_ins.network(name if name in BUNDLED else "sentiment"))
    app = texts()
    assert app.selectbox(key="text.network").options == [*BUNDLED.values(), "my/model"]
    app.selectbox(key="text.network").select("hf:my/model").run()
    assert not app.exception and not says(app)
    assert any(refusal in block.value for block in app.info)
    app.selectbox(key="text.network").select("topics").run()
    assert says(app)


def test_an_id_is_asked_for_where_downloads_are_allowed(texts, monkeypatch):
    from pages.serving.config import Config
    from pages.text import choices as text_choices

    asked = []

    def fetch(name: str, progress) -> None:
        asked.append(name)
        progress(0.5)
        raise FileNotFoundError("The download of owner/name failed: try again.")

    def ready(name: str) -> bool:
        if name == "hf:nonsense":
            raise ValueError("There is no text network 'nonsense' here.")
        return name in BUNDLED

    def network(name: str):
        if name == "hf:owner/name":
            raise FileNotFoundError("owner/name is not on this server yet: it must be downloaded first.")
        return known(name)

    known = text_networks.network
    app = texts()
    assert not app.text_input
    monkeypatch.setattr(text_choices, "config", lambda: Config(allow_downloads=True))
    monkeypatch.setattr(text_networks, "network", network)
    monkeypatch.setattr(text_networks, "ready", ready)
    monkeypatch.setattr(text_networks, "fetch", fetch)
    app = app.run().text_input(key="text.id").set_value("nonsense").run()
    assert "There is no text network" in warnings(app) and says(app)
    app.text_input(key="text.id").set_value("owner/name").run()
    assert not app.exception and not says(app) and settings(app).network == "hf:owner/name"
    press(app, "Download owner/name")
    assert asked == ["hf:owner/name"]
    assert [block.value for block in app.error] == ["The download of owner/name failed: try again."]


@pytest.mark.parametrize(
    ("name", "spoken"),
    [
        ("sentiment", "English"),
        ("offensive", "English, German, French, Portuguese and Arabic"),
        ("topics", "30 languages"),
    ],
)
def test_it_is_said_in_which_languages_a_network_learned_and_who_pretrained_it(texts, name, spoken):
    (said,) = (block.value for block in texts(network=name).caption if block.value.startswith("Learned"))
    assert said.startswith(f"Learned in {spoken}. Its encoder, multilingual-e5-small, was pretrained by others")


def test_there_is_a_sample_in_every_language_and_it_can_be_read():
    for name in BUNDLED:
        network = text_networks.network(name)
        found = text_subject.samples(name)
        assert {sample.language for sample in found.values()} >= set(network.languages)
        assert all(network.read(sample.text).text == sample.text for sample in found.values())
    for sample in text_subject.all_samples().values():
        assert bool(sample.note) == any(word in sample.title for word in ("insult", "Hatred"))
