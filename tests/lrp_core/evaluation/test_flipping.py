"""Flipping: hand-worked curves, double loops, and a linear model whose best ranking is known."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lrp_core.evaluation import pictures as evaluation

lean = settings(max_examples=40, deadline=None, derandomize=True)
seeds = st.integers(0, 10_000)


def random(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def curves_of(*args, **kwargs) -> torch.Tensor:
    return torch.stack(list(evaluation.flipping(*args, **kwargs)), 1)


def test_the_curve_of_a_hand_worked_input():
    x, fill = torch.tensor([[1.0, 10, 100]]), torch.tensor([[2.0, 20, 200]])
    rankings = torch.tensor([[2, 0, 1], [1, 2, 0]])
    curves = curves_of(lambda x: x.sum(1), x, fill, rankings, torch.arange(3), (0, 1, 2, 3))
    assert curves.tolist() == [[111, 211, 212, 222], [111, 121, 221, 222]]


@lean
@given(seeds, st.integers(1, 4), st.sampled_from([1, 3, 64]))
def test_the_curves_equal_the_double_loop(seed, side, batch):
    x, fill, weights = random(seed, 3, 1, 2, 5, 4)
    units = evaluation.patches(5, 4, side)
    number = int(units.max()) + 1
    rankings = evaluation.random_rankings(3, number, seed)
    counts = evaluation.flip_counts(number, min(3, number))

    def score(x):
        return (x * weights).sum((1, 2, 3)).tanh()

    curves = curves_of(score, x, fill, rankings, units, counts, batch=batch)
    assert curves.shape == (3, len(counts))
    for row, (step, count) in itertools.product(range(3), enumerate(counts)):
        flipped = x.clone()
        for unit in rankings[row, :count]:
            for down, right in itertools.product(range(5), range(4)):
                if units[down, right] == unit:
                    flipped[0, :, down, right] = fill[0, :, down, right]
        assert curves[row, step].item() == pytest.approx(score(flipped).item(), rel=1e-12, abs=1e-15)


def test_token_ids_are_flipped_word_by_word():
    ids, mask = torch.tensor([[5, 6, 7, 8]]), torch.tensor([[0, 0, 0, 0]])
    seen = []

    def score(x):
        seen.extend(x.tolist())
        return x.sum(1).float()

    words = torch.tensor([0, 1, 1, 2])
    curves_of(score, ids, mask, torch.tensor([[1, 0, 2]]), words, (0, 1, 2, 3))
    assert seen == [[5, 6, 7, 8], [5, 0, 0, 8], [0, 0, 0, 8], [0, 0, 0, 0]]


def test_scores_come_one_step_at_a_time_and_no_more_than_asked_for():
    sizes = []

    def score(x):
        assert not torch.is_grad_enabled()
        sizes.append(len(x))
        return x.sum(1)

    x = torch.ones(1, 8, requires_grad=True)
    rankings = evaluation.random_rankings(4, 8)
    walk = evaluation.flipping(score, x, 0 * x, rankings, torch.arange(8), range(9), batch=8)
    assert sizes == []
    assert next(walk).tolist() == [8] * 4
    assert torch.is_grad_enabled(), "the mode must not stay with the thread between two steps"
    assert next(walk).tolist() == [7] * 4
    assert sizes == [8], "two steps of four rankings fill a batch"
    walk.close()
    assert sizes == [8]


def test_no_batch_is_larger_than_allowed():
    sizes = []

    def score(x):
        sizes.append(len(x))
        return x.sum(1)

    x = torch.ones(1, 6)
    curves_of(score, x, 0 * x, evaluation.random_rankings(5, 6), torch.arange(6), range(7), batch=3)
    assert max(sizes) <= 3 and sum(sizes) == 35


def test_the_area_is_that_of_the_trapezoids():
    curves = torch.tensor([[1.0, 0.5, 0], [1, 1, 1]])
    assert evaluation.area(curves, (0, 1, 2)).tolist() == [0.5, 1]
    assert evaluation.area(curves, (0, 1, 4)).tolist() == pytest.approx([0.25 * 0.75 + 0.75 * 0.25, 1])
    assert evaluation.area_between(curves[0], curves[1], (0, 1, 2)).item() == 0.5


@pytest.mark.parametrize("seed", range(5))
def test_on_a_linear_model_no_ranking_beats_that_by_weight_times_input(seed):
    x, weights = random(seed, 2, 1, 5)
    relevance = weights * x  # what the score loses when an input becomes 0
    every = torch.tensor(list(itertools.permutations(range(5))))
    most = curves_of(lambda x: (x * weights).sum(1), x, 0 * x, every, torch.arange(5), range(6))
    least = curves_of(lambda x: (x * weights).sum(1), x, 0 * x, every.flip(1), torch.arange(5), range(6))
    areas = evaluation.area_between(most, least, range(6))
    best = every[areas.argmax()]
    assert torch.equal(best, evaluation.ranking(relevance)[0])
    assert torch.equal(every[evaluation.area(most, range(6)).argmin()], best)
    assert areas.max() > 0.1
    assert areas.mean().item() == pytest.approx(0, abs=1e-12), "a ranking by chance has no area in expectation"


@lean
@given(seeds, st.integers(-10, 10))
def test_scaled_relevance_gives_the_same_area(seed, power):
    x, relevance, weights = random(seed, 3, 1, 1, 4, 4)
    units = evaluation.patches(4, 4, 2)

    def measured(relevance):
        order = evaluation.ranking(evaluation.unit_relevance(relevance, units))
        both = torch.cat([order, order.flip(1)])
        most, least = curves_of(lambda x: (x * weights).sum((1, 2, 3)).sigmoid(), x, 0 * x, both, units, range(5))
        return evaluation.area_between(most, least, range(5)).item()

    assert measured(relevance * 2.0**power) == measured(relevance)
    assert measured(-relevance) == pytest.approx(-measured(relevance), abs=1e-12)


def test_a_blur_equals_the_double_loop():
    x = random(0, 1, 2, 6, 5)
    got = evaluation.blurred(x, 1.0)
    bell = [math.exp(-(d**2) / 2) for d in range(-3, 4)]
    for channel, row, column in itertools.product(range(2), range(6), range(5)):
        value = 0.0
        for down, right in itertools.product(range(-3, 4), repeat=2):
            weight = bell[down + 3] * bell[right + 3] / sum(bell) ** 2
            value += weight * x[0, channel, min(max(row + down, 0), 5), min(max(column + right, 0), 4)].item()
        assert got[0, channel, row, column].item() == pytest.approx(value, rel=1e-9)


def test_a_plain_picture_stays_itself_under_a_wide_blur():
    x = torch.full((1, 3, 8, 8), 2.5)
    torch.testing.assert_close(evaluation.blurred(x, 20.0), x)


FINE = {
    "score": lambda x: x.sum(1),
    "x": torch.ones(1, 4),
    "fill": torch.zeros(1, 4),
    "rankings": torch.arange(4)[None],
    "units": torch.arange(4),
    "counts": range(5),
}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"x": torch.ones(2, 4), "fill": torch.ones(2, 4)}, "one input of one shape"),
        ({"fill": torch.ones(1, 5)}, r"not \(1, 4\) and \(1, 5\)"),
        ({"rankings": torch.tensor([[0, 1, 2, 2]])}, "each of the 4 units once"),
        ({"rankings": torch.arange(4)}, r"rankings \(K, 4\)"),
        ({"rankings": torch.arange(3)[None]}, "each of the 4 units once"),
        ({"rankings": torch.empty(0, 4, dtype=torch.int64)}, "each of the 4 units once"),
        ({"units": torch.arange(5)}, "do not fit"),
        ({"counts": [5]}, "between 0 and 4"),
        ({"counts": [-1]}, "between 0 and 4"),
    ],
)
def test_wrong_flipping_is_refused_before_anything_runs(wrong, message):
    with pytest.raises(ValueError, match=message):
        evaluation.flipping(**FINE | wrong)


def test_a_score_that_is_not_one_number_per_input_is_refused():
    with pytest.raises(ValueError, match=r"one number per input, \(N,\), not \(5, 4\)"):
        next(evaluation.flipping(**FINE | {"score": lambda x: x}))
