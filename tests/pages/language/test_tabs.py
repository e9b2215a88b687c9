"""The tabs of the page on language models: the words that were said, where it happened, words deleted."""

import numpy as np
import pytest

import lrp_core as lrp
from pages.explaining import subject as explaining
from pages.language import telling as telling_module
from pages.language.where import where
from tests.models.language import small_gguf
from tests.pages.language.visiting import opened, question, settings, shown, told


@pytest.mark.parametrize("tab", ["Where it happened", "Compare rules", "Sweep", "Numbers & code"])
def test_every_tab_opens(prompts, tab):
    app = prompts()
    app.session_state["language.tabs"] = tab
    app.run()
    assert not app.exception and not app.error


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
    assert not app.exception and found[word].shape == (len(reading.pieces),)
    read = telling.begin + made_of[word][-1]
    assert not found[word][read:].any(), "what comes after a word cannot have made it"
    place = made_of[word][0]
    alone = telling.record().explain(
        explaining.composite(settings(app), shown(app)),
        lrp.Target.at((place, telling.said[place].token), rather_than=(place, telling.said[place].rival)),
    )
    if len(made_of[word]) == 1:
        np.testing.assert_allclose(found[word][:-1], lrp.tokens.parts(alone)["word"], rtol=1e-3, atol=1e-5)


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
    scores = one.record().scores
    lead = float(scores[0, one.classes(settings(app).target)] - scores[0, one.rival(settings(app))])
    assert values[0, 0] == pytest.approx(lead, abs=1e-4)
    assert curves.texts[0][1] == "The to the cabinet" or len(curves.texts[0][1].split()) == 4


def test_the_rows_of_where_add_up(prompts):
    """What is on the stream before a block is on all pieces together what is not yet absorbed."""
    app = prompts()
    one = shown(app)
    tape = one.record()
    explanation = tape.explain(*question(app, one), layers=True)
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
