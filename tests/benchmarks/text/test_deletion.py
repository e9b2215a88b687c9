"""What deleting words does, beside reading each shorter text by itself."""

import numpy as np
import pytest
import torch

from benchmarks.text import deletion as text_deletion
from benchmarks.text import methods as text_methods
from tests.benchmarks.text.word_list import EXACT, TOXIC_WORDS, of_toxic_words
from training.text import data as text_data


@pytest.fixture(scope="module")
def toxic():
    return of_toxic_words()


def test_a_word_is_deleted_with_its_gap():
    read = text_methods.read("I don't  know, do you? \U0001f600")
    words = [word.text for word in read.words]
    assert words == ["I", "don't", "know", ",", "do", "you", "?", "\U0001f600"]

    def without(*deleted: str) -> str:
        return text_deletion.shortened(read, torch.tensor([word not in deleted for word in words]))

    assert without() == "I don't know, do you? \U0001f600"
    assert without("don't", "you") == "I know, do ? \U0001f600"
    assert without("I", "\U0001f600") == "don't know, do you?"
    assert without(*words) == ""


def test_deletion_equals_reading_each_shorter_text(toxic):
    lines = ("you are a stupid stupid idiot", "what crap is all this good stuff about an old idiot of a king ?")
    readings, classes = [text_methods.read(line) for line in lines], np.array([1, 2])
    report = text_deletion.deletion(toxic, readings, classes, text_methods.of_texts(0))

    def probability(words: list[str], label: int) -> float:
        return (
            toxic(text_methods.read(" ".join(words)).ids if words else torch.tensor([[0, 2]]))
            .logits.softmax(1)[0, label]
            .item()
        )

    for row, (line, label) in enumerate(zip(lines, classes, strict=True)):
        words = line.split()
        first = [place for place, word in enumerate(words) if word in TOXIC_WORDS]
        order = first + [place for place in range(len(words)) if place not in first]
        for side, ranking in enumerate((order, order[::-1])):
            counts = [step * len(words) // min(10, len(words)) for step in range(min(10, len(words)) + 1)]
            left = [[word for place, word in enumerate(words) if place not in ranking[:count]] for count in counts]
            curve = [probability(some, label) for some in left]
            expected = np.trapezoid(curve, np.array(counts) / len(words))
            for name in EXACT:
                assert report[name]["areas"][row, side].item() == pytest.approx(expected, abs=1e-6)
        ends = [probability(words, label), probability([], label)]
        for name in report:
            assert report[name]["ends"][row].tolist() == pytest.approx(ends, abs=1e-6)


def test_texts_at_a_time_change_nothing(toxic, monkeypatch):
    readings = [text_methods.read(line) for line in ("an old idiot", "so stupid", "crap and more crap", "idiot")]
    methods = {name: text_methods.of_texts(0)[name] for name in EXACT}
    together = text_deletion.deletion(toxic, readings, np.array([1, 1, 2, 1]), methods)
    monkeypatch.setattr(text_deletion, "TEXTS_AT_ONCE", 3)
    apart = text_deletion.deletion(toxic, readings, np.array([1, 1, 2, 1]), methods)
    for name in methods:
        torch.testing.assert_close(apart[name]["areas"], together[name]["areas"])


def test_texts_are_chosen_that_fit_and_are_got_right(toxic):
    lines = {
        "you are such an idiot": (0, 1, 0),
        "you are such an old fool": (0, 1, 0),  # taken for neither
        "this is a fine day": (1, 0, 0),
        "what a stupid stupid rule": (0, 0.5, 0.5),  # may be either; the network says offensive
        "idiot": (0, 1, 0),  # too short
        " ".join(["idiot"] * 41): (0, 1, 0),
        "\u16a0\u16a1\u16a2": (1, 0, 0),  # nothing that is known
    }
    given = text_data.Texts([*lines], np.array([*lines.values()], np.float32), ["en"] * len(lines))
    readings, classes = text_deletion.chosen_texts(toxic, given, 10, seed=0)
    chosen = {read.text: int(label) for read, label in zip(readings, classes, strict=True)}
    assert chosen == {"you are such an idiot": 1, "this is a fine day": 0, "what a stupid stupid rule": 1}
    assert len(text_deletion.chosen_texts(toxic, given, 1, seed=0)[0]) == 1
