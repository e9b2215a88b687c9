"""Curves of erasing: which parts go when, what is asked and what is not asked twice, and what other inputs answer."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch

from pages.explaining import erasing
from pages.explaining.erasing import AGAINST, CHANCE, FOR, RANDOM
from pages.settings.settings import NO_CLASS

RELEVANCE = np.array([0.1, -2.0, 3.0, 0.0, 1.0, -0.5, 0.2, 0.3, 0.4, 0.5])


class Counted:
    """An eraser whose inputs are the parts themselves; two rows at a time, and all that was asked."""

    unit, fills, most = "parts", {"": ""}, len(RELEVANCE)

    def __init__(self) -> None:
        self.asked = 0

    def batches(self, taken: np.ndarray, fill: str) -> Iterator[erasing.Batch]:
        for begin in range(0, len(taken), 2):
            rows = np.arange(begin, min(begin + 2, len(taken)))
            self.asked += len(rows)
            yield rows, lambda rows=rows: (torch.from_numpy(taken[rows]),)


def left(inputs: erasing.Inputs) -> np.ndarray:
    """Stands for a probability: the relevance that is left."""
    (taken,) = inputs()
    return (~taken.numpy()) @ RELEVANCE


def test_the_strongest_go_first_and_the_numbers_are_those_left():
    curves, eraser = erasing.planned(RELEVANCE, 10), Counted()
    assert curves.counts == (0, 1, 2, 3, 4, 5, 7, 10), "each count once, though 2 % of ten parts is none"
    erasing.fill(curves, eraser, "", left, 60.0)
    assert curves.done == 1
    total, descending = RELEVANCE.sum(), np.sort(RELEVANCE)[::-1]
    for order, sorted_ in ((FOR, descending), (AGAINST, descending[::-1])):
        expected = [total - sorted_[:count].sum() for count in curves.counts]
        assert curves.found[order] == pytest.approx(expected)
    assert curves.found[CHANCE:, 0] == pytest.approx([total] * RANDOM) and len(curves.orders) == 2 + RANDOM
    assert curves.found[:, -1] == pytest.approx([0] * (2 + RANDOM), abs=1e-12)
    assert len({tuple(order) for order in curves.orders}) == 2 + RANDOM
    assert all(sorted(order) == list(range(10)) for order in curves.orders.tolist())


def test_what_is_gone_grows_along_a_curve():
    curves = erasing.planned(RELEVANCE, 10)
    for order in range(len(curves.orders)):
        gone = [curves.taken(order, point) for point in range(len(curves.counts))]
        assert [one.sum() for one in gone] == list(curves.counts)
        assert all((~one | other).all() for one, other in pairwise(gone))


def test_when_time_is_up_it_goes_on_where_it_stopped():
    curves, eraser = erasing.planned(RELEVANCE, 10), Counted()
    shares = []
    while curves.done < 1:
        erasing.fill(curves, eraser, "", left, 0.0)
        shares.append(curves.done)
    assert shares[0] == pytest.approx(2 / curves.found.size) and len(shares) == curves.found.size / 2
    assert eraser.asked == curves.found.size, "nothing is asked twice"
    erasing.fill(curves, eraser, "", left, 60.0)
    assert eraser.asked == curves.found.size


def test_not_all_parts_can_be_gone():
    curves = erasing.planned(RELEVANCE, 9)
    assert curves.counts[-1] == 9
    assert erasing.planned(RELEVANCE[:1], 1).counts == (0, 1)


def test_as_much_at_random():
    gone = np.arange(10) < 3
    found = erasing.by_chance(gone)
    assert found.shape == (RANDOM, 10) and (found.sum(1) == 3).all()
    assert len({row.tobytes() for row in found}) > 1
    assert np.array_equal(found, erasing.by_chance(gone)), "the same each time it is asked"


def test_chances_of_other_inputs_are_those_of_a_subject_that_has_them(subject):
    other = torch.rand(3, 1, 6, 6)
    found = subject.chances(lambda: (torch.cat([subject.x, other]),))
    assert found.shape == (4, 4)
    assert found[0] == pytest.approx(subject.probabilities, abs=1e-6)
    assert found[1:] == pytest.approx(subject.model(other).softmax(1).numpy(), abs=1e-6)
    assert found[0].argmax() == subject.classes(NO_CLASS)


@pytest.mark.parametrize("last", [torch.nn.Softmax(1), torch.nn.LogSoftmax(1), torch.nn.Sigmoid(), torch.nn.Softplus()])
def test_chances_of_a_network_that_ends_in_probabilities(subject, last):
    from dataclasses import replace

    ended = replace(subject, model=torch.nn.Sequential(subject.model, last).eval())
    found = ended.chances(lambda: (ended.x,))
    assert found[0] == pytest.approx(ended.probabilities, abs=1e-6)
