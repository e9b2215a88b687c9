"""How a text is shown: nothing of it is lost, and every number on the page adds up."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

import lrp_core as lrp
from lrp_core import tokens
from models.text import networks as text_networks
from pages.components import words_view
from pages.components.words_view import Edit, Part, _bars, _edit
from pages.explaining import subject as explaining
from pages.explaining.snippet import snippet
from pages.settings.rules_text import RECOMMENDED
from pages.settings.settings import starting
from pages.text.input import changed
from pages.views import text_layers
from pages.views.text_view import TextView, from_right, table
from tests.pages import stand_ins

SETTINGS = starting("recommended-texts")
TEXTS = {
    "plain": "The goalkeeper saved it in the last minute, and her team won.",
    "arabic": "ينصح الأطباء بشرب الماء والنوم الكافي.",
    "chinese": "科学家用新的望远镜拍下了一颗遥远行星的照片。",
    "japanese": "昨日は友達と一緒に新しい映画を見ました。",
    "emoji": "Well done 👍🏽 👩‍👩‍👧 ❤️!",
    "markup": "</span><script>alert(1)</script> <img src=x onerror=alert(1)>",
    "lines": "One line\n\nand   another,\tafter a tab",
    "cut": "word " * 390,
}


@pytest.mark.parametrize("name", TEXTS)
def test_no_character_is_lost(name):
    reading = text_networks.network("topics").read(TEXTS[name])
    view = TextView(reading)
    for pieces in (False, True):
        shown = "".join(part.text.strip("␣·") + part.gap for part in view.coloured(pieces))
        assert shown == reading.text[: reading.cut]
        assert all(part.whole == reading.words[part.word].text for part in view.coloured(pieces))
    assert (reading.cut is not None) == (name == "cut")


@pytest.mark.parametrize("name", TEXTS)
def test_words_and_what_is_beside_them_are_what_reached_the_input(monkeypatch, name):
    subject = stand_ins.subject(monkeypatch, TEXTS[name])
    explanation = explaining.explain(SETTINGS, subject)
    heat, beside = subject.view.heat(explanation), dict(subject.view.beside(explanation))
    assert len(heat) == len(subject.view.reading.words) and heat.any()
    assert {"<s>", "</s>", "positions", "a constant"} == set(beside)
    everything = heat.sum() + sum(value for _, value in subject.view.beside(explanation))
    assert everything == pytest.approx(explanation.ledger.total.input.item(), rel=1e-4, abs=1e-5)
    named = subject.view.describe(heat, "sports", "Recommended")
    assert subject.view.reading.words[np.abs(heat).argmax()].text in named


def test_pieces_sum_up_to_their_words(monkeypatch):
    subject = stand_ins.subject(monkeypatch, TEXTS["plain"])
    explanation = explaining.explain(SETTINGS, subject)
    parts, values = subject.view.coloured(pieces=True), subject.view.of_pieces(explanation)
    members = [piece.word is not None for piece in subject.view.reading.pieces]
    sums = np.zeros(len(subject.view.reading.words))
    np.add.at(sums, [part.word for part in parts], values[members])
    assert len(parts) > len(sums) and sums == pytest.approx(subject.view.heat(explanation))


def test_what_is_recommended_for_texts(monkeypatch):
    subject = stand_ins.subject(monkeypatch, TEXTS["plain"])
    text = RECOMMENDED[subject.recommended]
    composite = explaining.composite(replace(SETTINGS, epsilon=0.1), subject)
    assert composite == lrp.Composite(lrp.Epsilon(0.1, relative=True), attention="attnlrp")
    assert SETTINGS.epsilon == text.epsilon == 0.01
    assert explaining.composite(replace(SETTINGS, rule="cp"), subject).attention == "cp"
    assert explaining.composite(replace(SETTINGS, rule="gamma"), subject).default == lrp.Gamma(SETTINGS.gamma)
    assert set(text.compared) <= set(text.others) and "epsilon" not in text.others


@pytest.mark.parametrize("rule", ["recommended-texts", *RECOMMENDED["recommended-texts"].others])
def test_the_script_remakes_the_map(monkeypatch, rule):
    subject = stand_ins.subject(monkeypatch, "The “last” minute's goal\n'was' \\n hers.")
    settings = replace(SETTINGS, rule=rule, target=5, rather_than=3)
    shown = subject.view.heat(explaining.explain(settings, subject))
    made: dict = {}
    exec(snippet(subject, explaining.composite(settings, subject), explaining.target(settings, subject)), made)
    assert np.array_equal(made["relevance"], shown) and shown.any()


def test_the_files_hold_what_is_seen(monkeypatch):
    subject = stand_ins.subject(monkeypatch, 'He said "no, thanks", twice.')
    explanation = explaining.explain(SETTINGS, subject)
    heat = subject.view.heat(explanation)
    numbers, _ = subject.view.files(subject, SETTINGS, explanation)
    arrays = np.load(io.BytesIO(numbers.content()))
    assert np.array_equal(arrays["relevance"], heat) and np.array_equal(arrays["ids"], subject.x)
    assert arrays["relevance_position"].shape == arrays["relevance_word"].shape == (subject.x.shape[1],)
    head, *rows = csv.reader(io.StringIO(table(subject.view.reading, heat)))
    assert head == ["word", "start", "end", "relevance"]
    for (word, start, end, value), expected in zip(rows, heat, strict=True):
        assert subject.view.reading.text[int(start) : int(end)] == word
        assert float(value) == pytest.approx(expected)


def test_every_block_shows_all_of_the_relevance_that_passes_it(monkeypatch):
    subject = stand_ins.subject(monkeypatch, TEXTS["plain"])
    explanation = subject.tape.explain(lrp.presets.cp_lrp(1e-9), lrp.Target.logit(2), layers=True)
    inside = subject.view.inside(subject, explanation, "health")
    assert inside.rows == (
        "After block 4",
        "After block 3",
        "After block 2",
        "After block 1",
        "After embeddings",
        "Words",
    )
    of_all = sum(tokens.parts(explanation).values())
    assert inside.blocks[-2] == pytest.approx(of_all, abs=1e-5)
    assert inside.blocks[-1] == pytest.approx(subject.view.of_pieces(explanation))
    ledger = {row.step.name: row.r_out.item() for row in explanation.ledger}
    for number, row in zip((4, 3, 2, 1), inside.blocks[:4], strict=True):
        step = f"roberta.encoder.layer.{number - 1}.output.LayerNorm"
        passed = next(row.r_in.item() for row in explanation.ledger if row.step.name == step)
        assert row.sum() == pytest.approx(passed, rel=1e-4, abs=1e-5), ledger
    assert not inside.blocks[0][1:].any()  # the head reads the first piece alone


def test_heads_share_what_their_block_found(monkeypatch):
    subject = stand_ins.subject(monkeypatch, TEXTS["plain"])
    explanation = explaining.answer(SETTINGS, subject, layers=True)
    inside = subject.view.inside(subject, explanation, "health")
    assert list(inside.heads) == ["Block 4", "Block 3", "Block 2", "Block 1"]
    for number in (1, 4):
        heads = inside.heads[f"Block {number}"]
        mixed = explanation.layers[f"roberta.encoder.layer.{number - 1}.attention.output.dense"]
        assert heads.shape == (4, subject.x.shape[1]) and heads.any()
        assert heads.sum(0) == pytest.approx(tokens.by_token(mixed), abs=1e-6)
        assert heads[1] == pytest.approx(mixed[0, :, 8:16].double().sum(1).numpy())


@pytest.mark.parametrize(
    ("layer", "title"),
    [
        ("roberta.encoder.layer.11.output.dense", "Block 12"),
        ("roberta.embeddings.LayerNorm", "Embeddings"),
        ("classifier.out_proj", "Classifier"),
        ("pre_classifier", "Pre classifier"),
        ("albert.groups.0.layer#3", "Block 1 (3)"),
    ],
)
def test_layers_are_told_by_their_block(layer, title):
    assert text_layers.title(layer) == title


@pytest.mark.parametrize(
    ("word", "new", "after"),
    [
        ("bad", "", "Not a film, really."),
        ("Not", "", "a bad film, really."),
        ("really", "", "Not a bad film, ."),
        ("film", "movie night", "Not a bad movie night, really."),
    ],
)
def test_a_word_is_taken_out_or_replaced(word, new, after):
    text = "Not a bad film, really."
    start = text.index(word)
    assert changed(text, start, start + len(word), new) == after


@pytest.mark.parametrize(
    ("text", "expected"),
    [("مرحبا hello", True), ("123 שלום", True), ("hello مرحبا", False), ("你好", False), ("123!", False)],
)
def test_the_first_letter_decides_the_direction(text, expected):
    assert from_right(text) is expected


def test_bars_run_from_most_for_to_most_against_and_the_weak_wait():
    values = np.array([0.1, -2.0, 0.0, 1.0, *[0.01] * 20])
    bars = _bars(values, 2.0)
    assert [bars[0][:2], bars[-1][:2]] == [(3, 0.5), (1, -1.0)]
    assert sum(strong for _, _, strong in bars) == 12 and len(bars) == len(values)
    assert all(strong for _, _, strong in _bars(values[:14], 2.0))


def test_what_was_not_read_yet_has_no_bar(monkeypatch):
    sent = {}
    monkeypatch.setattr(words_view, "_component", lambda **given: sent.update(given["data"]))
    parts = [Part(text, " ", number, text) for number, text in enumerate("abcd")]
    for until, bars in ((None, [2, 0, 3, 1]), (2, [0, 1]), (0, [])):
        words_view.words_view(parts, np.array([1.0, -2.0, 3.0, 0.0]), key="x", alt="", until=until)
        assert [part for part, _, _ in sent["bars"]] == bars and len(sent["said"]) == 4


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "word",
        {},
        {"word": 5, "new": "", "version": "1"},
        {"word": True, "new": "", "version": "1"},
        {"word": 0, "new": 7, "version": "1"},
        {"word": 0, "new": "x" * 101, "version": "1"},
        {"word": 0, "new": "", "version": "2"},
    ],
)
def test_what_is_no_edit_of_this_text_is_not_taken(sent):
    parts = [Part("one", " ", 0, "one"), Part("two", "", 1, "two")]
    assert _edit(sent, parts, "1") is None
    assert _edit({"word": 1, "new": "more", "version": "1"}, parts, "1") == Edit(1, "more")
