"""The words of the questions: every wording is understood, unknown words are named, and nothing else gets through."""

from random import Random

import pytest

from models.scenes import random_scene
from models.scenes.question_grammar import LONGEST, PLACES, WORDINGS, articles, vocabulary, word, wordings
from models.scenes.question_programs import ANSWERS
from models.scenes.question_reading import PADDING, read, split, understand
from models.scenes.questions import make

SCENES = [random_scene(seed) for seed in range(160)]
RANDOM = Random(0)
MADE = [question for scene in SCENES for question in make(scene, RANDOM)]
TESTED = [question for scene in SCENES[:60] for question in make(scene, RANDOM, wordings="test")]


def test_the_vocabulary_is_large_enough_and_learnt() -> None:
    assert len(vocabulary()) >= 80
    assert len(ANSWERS) == len(set(ANSWERS)) == 27
    texts = list(map(str.split, sum(WORDINGS["train"].values(), ())))
    learnt = {w for text in texts for w in text} | {
        w for group in PLACES.values() for text in group for w in text.split()
    }
    held_out = {w for group in WORDINGS["test"].values() for text in group for w in text.split()}
    assert held_out <= learnt, "a held-out wording must not need words that training never showed"
    seen = {known for question in MADE for known in split(question.text)}
    assert seen == set(vocabulary())


def test_held_out_wordings_are_held_out() -> None:
    train, test = ({text for group in WORDINGS[name].values() for text in group} for name in ("train", "test"))
    assert not train & test
    assert wordings("train").keys() == wordings("test").keys()
    assert not {question.text for question in MADE} & {question.text for question in TESTED}


def test_words_are_numbered_from_one() -> None:
    numbers = {number for word in vocabulary() for number in read(word)}
    assert numbers == set(range(PADDING + 1, len(vocabulary()) + 1))


def test_reading_forgives_case_and_punctuation() -> None:
    assert read("  is there, a RED “cube”?!") == read("Is there a red cube")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "Is there a purple-ish dog?",
            "The network does not know the words “purple-ish” and “dog”; did you mean “purple”?",
        ),
        ("Is the zebra red?", "The network does not know the word “zebra”."),
        ("wat culour is the balll", "The network does not know the words “wat”, “culour” and “balll”; did you mean "),
        ("", "Please ask a question."),
        (" ?! ", "Please ask a question."),
        ("a " * 60, "A question has at most 40 words."),
        ("a" * 121, "A question has at most 120 characters."),
        ("🦆", "Please ask a question."),
        ("ist da ein würfel", "The network does not know the words “ist”, “da”, “ein” and “würfel”"),
    ],
)
def test_unreadable_questions_are_refused_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        read(text)
    assert str(caught.value).startswith(sentence)
    assert understand(text) is None


def test_adjectives_may_stand_in_any_order() -> None:
    assert understand("is there a shiny red tiny ball") == understand("Is there a small red metal sphere?")


def test_a_second_place_that_would_be_lost_is_not_understood() -> None:
    assert understand("Is there another cube left of the ball of the same colour as the cone?") is None
    assert understand("How many cubes left of the ball are right of the cone?") is None
    assert understand("Is there a red blue cube?") is None


@pytest.mark.parametrize(
    ("text", "right"), [("is there a orange thing", "is there an orange thing"), ("an ball", "a ball")]
)
def test_articles(text: str, right: str) -> None:
    assert articles(text) == right


def test_every_wording_is_used_and_understood() -> None:
    for name in WORDINGS:
        random, short = Random(1), 0
        for question in MADE[:600]:
            text = word(question.program, random, name)
            if len(text) < LONGEST:
                short += 1
                assert understand(text) == question.program
        assert short > 550
