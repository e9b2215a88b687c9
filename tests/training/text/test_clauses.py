"""Joined phrases: the second decides, and our own sentences say what they are said to say."""

import numpy as np
import pytest

from training.text import clauses as text_clauses
from training.text.clauses import SAID, THINGS, TURNS, clauses

GOOD, BAD = "a warm and witty film", "a dull and silly film"
PHRASES = [
    GOOD,
    BAD,
    "it is there",
    "good",
    "a film of more than twelve words that would never be joined to another one here",
]
POSITIVE = np.array([1.0, 0.0, 0.5, 1.0, 0.0], np.float32)


@pytest.fixture(scope="module")
def made():
    texts, wanted = clauses(PHRASES, POSITIVE, np.random.default_rng(0))
    return dict(zip(texts[: text_clauses.JOINED], wanted.tolist(), strict=False)), texts, wanted


def test_every_turn_ends_on_the_side_that_decides(made):
    joined = made[0]
    assert len(joined) == 2 * len(TURNS)
    assert joined["A dull and silly film, but a warm and witty film."] == pytest.approx(0.9)
    assert joined["A warm and witty film, but a dull and silly film."] == pytest.approx(0.1)
    assert joined["Although a dull and silly film, a warm and witty film."] == pytest.approx(0.9)
    assert joined["A warm and witty film, although a dull and silly film."] == pytest.approx(0.9)
    assert joined["Despite a warm and witty film, a dull and silly film."] == pytest.approx(0.1)
    assert joined["A dull and silly film and a dull and silly film."] == 0


def test_phrases_that_take_no_side_or_are_too_short_or_long_are_not_joined(made):
    assert not any("there" in one or "Good" in one or "good" in one or "never" in one for one in made[0])


def test_our_sentences_come_with_every_thing_and_are_as_many_of_each_kind(made):
    _, texts, wanted = made
    ours, sides = texts[text_clauses.JOINED :], wanted[text_clauses.JOINED :]
    assert len(ours) == len(SAID) * len(THINGS) == len(set(ours))
    assert sides[ours.index("I did not like this film at all.")] == pytest.approx(0.05)
    assert sides[ours.index("This film is not bad at all.")] == pytest.approx(0.95)
    assert sides.mean() == pytest.approx(0.5)
    assert all(one[0].isupper() for one in ours)
