"""The teacher that counts words, and the texts that it names."""

import numpy as np
import pytest

from models import text
from training.text import teacher as text_teacher
from training.text.data import Texts
from training.text.teacher import joined, teacher
from training.text.tuning import Course, Recipe

SIDES = ("the ship sails over a calm sea", "a goal in the last minute of play")
JAPANESE = ("船は海を進む", "試合は終わった")
DATA = Texts(
    [f"{side} {number}" for number in range(20) for side in SIDES] + list(JAPANESE) * 3,
    np.eye(2, dtype=np.float32)[[0, 1] * 23],
    ["eng_Latn"] * 40 + ["jpn_Jpan"] * 6,
)


def test_joined_texts_are_parts_of_two_texts_of_one_language():
    found = joined(DATA, 400, np.random.default_rng(0))
    assert len(found) == 400 and len(set(found)) > 100
    for one in found:
        if one.isascii():
            words = one.split(" ")
            cuts = range(1, len(words))
            pairs = [(" ".join(words[:cut]), " ".join(words[cut:])) for cut in cuts]
            texts = DATA.texts[:40]
        else:
            pairs, texts = [tuple(one.split(" "))], list(JAPANESE)
        assert any(all(any(part in whole for whole in texts) for part in pair) for pair in pairs), one
    assert {one.isascii() for one in found} == {True, False}


def test_a_part_of_a_long_text_is_short(monkeypatch):
    monkeypatch.setattr(text_teacher, "MOST_WORDS", 3)
    long = Texts([" ".join("abcdefghijklmnopqrst")] * 2, np.eye(2, dtype=np.float32), ["en"] * 2)
    assert {len(one.split(" ")) for one in joined(long, 50, np.random.default_rng(0))} == {6}


def test_a_text_of_one_word_is_joined_whole():
    single = Texts(["yes", "no"], np.eye(2, dtype=np.float32), ["en"] * 2)
    assert set(joined(single, 50, np.random.default_rng(0))) == {"yes yes", "yes no", "no yes", "no no"}


def test_the_teacher_weighs_the_words_of_both_parts():
    texts, wanted = teacher(DATA).lesson(100, np.random.default_rng(0))
    assert wanted.shape == (100, 2) and wanted.dtype == np.float32
    assert wanted.sum(1) == pytest.approx(1, abs=1e-5)
    sea = np.array(["ship" in one and "goal" not in one and "minute" not in one for one in texts])
    game = np.array(["goal" in one and "ship" not in one and "sea" not in one for one in texts])
    assert sea.any() and game.any()
    assert wanted[sea, 0].mean() > 0.6 and wanted[game, 1].mean() > 0.6


def test_a_lesson_mixes_real_texts_with_taught_ones():
    tokenizer = text.tokenizer()
    ids = [found.ids for found in tokenizer.encode_batch(DATA.texts)]
    real = {tuple(one) for one in ids}
    course = Course(DATA, ids, tokenizer, teacher(DATA))
    seen, wanted = course.lesson(Recipe(1, taught=0.25), np.random.default_rng(0))
    assert len(seen) == len(wanted) == len(ids)
    taught = round(0.25 * len(ids))
    assert all(tuple(one) in real for one in seen[:-taught])
    assert set(wanted[:-taught].flatten().tolist()) == {0.0, 1.0} and 0.0 < wanted[-taught:].min() < 1.0
    labels = {tuple(one): label for one, label in zip(ids, DATA.labels, strict=True)}
    assert [labels[tuple(one)] for one in seen[:-taught]] == wanted[:-taught].argmax(1).tolist()
    plain, _ = Course(DATA, ids, tokenizer, None).lesson(Recipe(1), np.random.default_rng(0))
    assert sorted(map(tuple, plain)) == sorted(map(tuple, ids))


def test_a_lesson_cuts_the_share_of_pieces_that_the_recipe_asks_for():
    tokenizer = text.tokenizer()
    ids = [found.ids for found in tokenizer.encode_batch(DATA.texts)]
    course = Course(DATA, ids, tokenizer, None)
    plain, cut = (course.lesson(Recipe(1, cut=share), np.random.default_rng(0))[0] for share in (0.0, 0.9))
    assert sum(map(len, cut)) > sum(map(len, plain))
    assert list(map(tokenizer.decode, cut)) == list(map(tokenizer.decode, plain))
