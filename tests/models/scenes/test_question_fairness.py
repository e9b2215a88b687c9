"""Fairness of the questions: whoever does not look at the picture can only guess."""

from collections import Counter
from random import Random

import numpy as np
import pytest

from models.scenes import KINDS, random_scene
from models.scenes.question_grammar import ADJECTIVES, NOUNS, vocabulary
from models.scenes.question_reading import split
from models.scenes.questions import FAMILIES, Question, make

RANDOM = Random(0)
MADE = [question for seed in range(800) for question in make(random_scene(seed), RANDOM)]


def chance(question: Question) -> float:
    """How often a guess among all answers of this kind is right."""
    kinds = {"exist": 2, "match": 2, "compare": 2, "count": 9}
    return 1 / kinds.get(question.program.step, len(KINDS.get(question.program.argument, "")) or 1)


def guesses(asked_before: list[Question], asked_now: list[Question]) -> np.ndarray:
    """Answers (as indices) by logistic regression on the words of the question."""
    words, answers = vocabulary(), sorted({question.answer for question in asked_before})
    columns = {known: place for place, known in enumerate(words)}

    def bag(many: list[Question]) -> np.ndarray:
        rows = np.zeros((len(many), len(words) + 1))
        for row, question in zip(rows, many, strict=True):
            row[-1] = 1
            row[[columns[known] for known in split(question.text)]] = 1
        return rows

    x, y = bag(asked_before), np.array([answers.index(question.answer) for question in asked_before])
    weights = np.zeros((x.shape[1], len(answers)))
    for _ in range(150):
        scores = np.exp(x @ weights - (x @ weights).max(1, keepdims=True))
        shares = scores / scores.sum(1, keepdims=True)
        shares[np.arange(len(y)), y] -= 1
        weights -= 0.5 * (x.T @ shares / len(y) + 1e-3 * weights)
    return np.array([answers[index] for index in (bag(asked_now) @ weights).argmax(1)])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_question_alone_tells_little(family: str) -> None:
    many = [question for question in MADE if question.family == family]
    half = len(many) // 2
    right = 0
    for before, now in ((many[:half], many[half:]), (many[half:], many[:half])):
        right += sum(guesses(before, now) == [question.answer for question in now])
    blind, by_chance = right / len(many), np.mean([chance(question) for question in many])
    assert blind < by_chance + 0.10, f"{blind:.3f} by the words, {by_chance:.3f} by chance"


def test_the_form_of_a_question_alone_tells_little() -> None:
    """The most frequent answer to a wording whose nouns and adjectives are blotted out, on other scenes."""
    content = {noun for nouns in NOUNS.values() for pair in nouns for noun in pair}
    content |= {adjective for group in ADJECTIVES.values() for adjective in group}
    for family in FAMILIES:
        many = [(question, tuple(w for w in split(question.text) if w not in content)) for question in MADE]
        many = [(question, form) for question, form in many if question.family == family]
        answers: dict[tuple[str, ...], Counter] = {}
        for question, form in many[::2]:
            answers.setdefault(form, Counter())[question.answer] += 1
        guessed = [(q, answers[form].most_common(1)[0][0]) for q, form in many[1::2] if form in answers]
        assert len(guessed) > 30
        right = np.mean([question.answer == answer for question, answer in guessed])
        by_chance = np.mean([chance(question) for question, _ in guessed])
        assert right < by_chance + 0.10 + 0.8 / len(guessed) ** 0.5, f"{family}: {right:.3f}, {by_chance:.3f} by chance"


def test_yes_and_no_and_all_values_are_as_frequent() -> None:
    answers = Counter(question.answer for question in MADE)
    assert answers["yes"] == pytest.approx(answers["no"], rel=0.15)
    for values in KINDS.values():
        mean = sum(answers[value] for value in values) / len(values)
        assert all(answers[value] == pytest.approx(mean, rel=0.5) for value in values)
    counts = Counter(question.answer for question in MADE if question.program.step == "count")
    assert set(counts) == set(map(str, range(9)))
    assert max(counts.values()) < 0.24 * counts.total()
