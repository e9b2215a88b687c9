"""Units, rankings, the grid pointing game and the interval: hand-worked numbers and double loops."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lrp_core.evaluation import pictures as evaluation

lean = settings(max_examples=40, deadline=None, derandomize=True)
seeds = st.integers(0, 10_000)


def random(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_mosaic_is_read_row_by_row():
    pictures = torch.tensor([1.0, 2, 3, 4])[:, None, None, None].expand(4, 1, 1, 2)
    assert evaluation.mosaic(pictures).tolist() == [[[1, 1, 2, 2], [3, 3, 4, 4]]]


@lean
@given(seeds, st.integers(1, 3))
def test_every_pixel_of_a_mosaic_is_where_it_belongs(seed, grid):
    pictures = random(seed, grid**2, 2, 3, 4)
    joined = evaluation.mosaic(pictures)
    assert joined.shape == (2, grid * 3, grid * 4)
    for number, channel, row, column in itertools.product(range(grid**2), range(2), range(3), range(4)):
        down, right = number // grid * 3 + row, number % grid * 4 + column
        assert joined[channel, down, right] == pictures[number, channel, row, column]


def test_the_share_of_hand_worked_maps():
    relevance = torch.tensor([[[3.0, -5], [1, 0]], [[-1, -1], [-1, -1]], [[0, 0], [0, 2]]])
    assert evaluation.grid_share(relevance, [0, 1, 3]).tolist() == [0.75, 0, 1]
    assert evaluation.grid_share(relevance, torch.tensor([2, 0, 0])).tolist() == [0.25, 0, 0]


def test_channels_are_summed_before_the_positive_part_is_taken():
    relevance = torch.tensor([[[[3.0, 1], [0, 0]], [[-2, 0], [0, 0]]]])
    assert evaluation.grid_share(relevance, [0]).tolist() == [0.5]


@lean
@given(seeds, st.integers(1, 3))
def test_the_share_equals_the_double_loop(seed, grid):
    relevance, cells = random(seed, grid**2, 2 * grid, 3 * grid), list(range(grid**2))
    for cell, one, share in zip(cells, relevance, evaluation.grid_share(relevance, cells, grid), strict=True):
        inside = total = 0.0
        for row, column in itertools.product(range(2 * grid), range(3 * grid)):
            positive = max(0.0, one[row, column].item())
            total += positive
            inside += positive * (row // 2 * grid + column // 3 == cell)
        assert share.item() == pytest.approx(inside / total, rel=1e-12)


@lean
@given(seeds, st.floats(1e-3, 1e3), st.integers(1, 3))
def test_shares_sum_to_one_and_know_no_scale(seed, factor, grid):
    relevance = random(seed, 1, 3, 2 * grid, 2 * grid).expand(grid**2, -1, -1, -1)
    cells = list(range(grid**2))
    shares = evaluation.grid_share(relevance, cells, grid)
    assert shares.sum().item() == pytest.approx(1, rel=1e-12)
    torch.testing.assert_close(evaluation.grid_share(factor * relevance, cells, grid), shares)


@pytest.mark.parametrize("grid", [1, 2, 3])
def test_the_share_counts_cells_as_the_mosaic_does(grid):
    for cell in range(grid**2):
        pictures = torch.zeros(grid**2, 1, 2, 2)
        pictures[cell] = 1
        assert evaluation.grid_share(evaluation.mosaic(pictures)[None], [cell], grid).tolist() == [1]


def test_patches_are_counted_row_by_row_and_cut_at_the_border():
    assert evaluation.patches(3, 5, 2).tolist() == [[0, 0, 1, 1, 2], [0, 0, 1, 1, 2], [3, 3, 4, 4, 5]]


@lean
@given(seeds, st.integers(1, 5))
def test_unit_relevance_equals_the_double_loop(seed, side):
    relevance, units = random(seed, 2, 3, 5, 4), evaluation.patches(5, 4, side)
    sums = evaluation.unit_relevance(relevance, units)
    torch.testing.assert_close(sums.sum(1), relevance.sum((1, 2, 3)))
    for row in range(2):
        expected = [0.0] * (int(units.max()) + 1)
        for y, x in itertools.product(range(5), range(4)):
            expected[units[y, x]] += relevance[row, :, y, x].sum().item()
        assert sums[row].tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    torch.testing.assert_close(evaluation.unit_relevance(relevance.sum(1), units), sums)


def test_words_are_units_too():
    embedded = torch.tensor([[[1.0, 2], [3, 4], [5, 6]]])
    word_of_piece = torch.tensor([[0], [1], [1]])
    assert evaluation.unit_relevance(embedded, word_of_piece).tolist() == [[3, 18]]


def test_among_equals_the_lower_number_goes_first():
    relevance = torch.tensor([[0.0, 2, -1, 2, 0, 2]])
    assert evaluation.ranking(relevance).tolist() == [[1, 3, 5, 0, 4, 2]]
    assert evaluation.ranking(torch.zeros(1, 50)).tolist() == [list(range(50))]


@lean
@given(seeds, st.integers(-20, 20))
def test_a_ranking_descends_and_knows_no_scale(seed, power):
    relevance = random(seed, 3, 17).mul(4).round()  # with ties
    order = evaluation.ranking(relevance)
    assert order.sort(1).values.tolist() == [list(range(17))] * 3
    assert (relevance.gather(1, order).diff(dim=1) <= 0).all()
    assert torch.equal(evaluation.ranking(relevance * 2.0**power), order)


def test_random_rankings_follow_their_seed():
    rankings = evaluation.random_rankings(5, 30, seed=1)
    assert rankings.sort(1).values.tolist() == [list(range(30))] * 5
    assert len({tuple(ranking) for ranking in rankings.tolist()}) == 5
    assert torch.equal(evaluation.random_rankings(5, 30, seed=1), rankings)
    assert not torch.equal(evaluation.random_rankings(5, 30, seed=2), rankings)


def test_steps_are_spread_evenly_from_none_to_all():
    assert evaluation.flip_counts(10, 4) == (0, 2, 5, 7, 10)
    assert evaluation.flip_counts(3, 3) == (0, 1, 2, 3)


def test_a_summary_of_equal_values_has_no_width():
    assert evaluation.summary(torch.full((7,), 0.25)) == evaluation.Summary(0.25, 0.25, 0.25, 7)


def test_the_interval_is_that_of_the_normal_law_where_it_holds():
    values = random(3, 400)
    got, error = evaluation.summary(values), values.std().item() / 20
    assert got.mean == pytest.approx(values.mean().item())
    assert got.mean - got.low == pytest.approx(1.96 * error, rel=0.1)
    assert got.high - got.mean == pytest.approx(1.96 * error, rel=0.1)
    narrow = evaluation.summary(values, level=0.5)
    assert narrow.high - narrow.low == pytest.approx(2 * 0.674 * error, rel=0.1)


def test_the_interval_follows_its_seed():
    values = random(4, 30)
    assert evaluation.summary(values, seed=1) == evaluation.summary(values, seed=1)
    assert evaluation.summary(values, seed=1) != evaluation.summary(values, seed=2)


X, NAN = torch.ones(1, 4), float("nan")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evaluation.mosaic(torch.ones(3, 1, 2, 2)), r"needs n \* n pictures.*not \(3, 1, 2, 2\)"),
        (lambda: evaluation.mosaic(torch.ones(0, 1, 2, 2)), r"needs n \* n pictures"),
        (lambda: evaluation.grid_share(torch.ones(4, 4), [0]), r"not \(4, 4\)"),
        (lambda: evaluation.grid_share(torch.ones(1, 4, 5), [0]), "4 x 5 pixels has no grid of 2 x 2"),
        (lambda: evaluation.grid_share(torch.ones(1, 4, 4), [0], 0), "no grid of 0 x 0"),
        (lambda: evaluation.grid_share(torch.ones(1, 4, 4), [4]), "from 0 to 3 for each of the 1 mosaics"),
        (lambda: evaluation.grid_share(torch.ones(1, 4, 4), [-1]), "from 0 to 3"),
        (lambda: evaluation.grid_share(torch.ones(2, 4, 4), [0]), "each of the 2 mosaics"),
        (lambda: evaluation.grid_share(torch.full((1, 4, 4), NAN), [0]), "NaN or infinite"),
        (lambda: evaluation.patches(4, 4, 0), "Patches of 0 pixels do not fit a picture of 4 x 4"),
        (lambda: evaluation.patches(4, 4, 5), "Patches of 5 pixels"),
        (lambda: evaluation.unit_relevance(X, torch.arange(3)), r"shape \(3,\) do not fit rows of shape \(4,\)"),
        (lambda: evaluation.unit_relevance(X, torch.arange(4) - 1), "whole numbers .* from 0"),
        (lambda: evaluation.unit_relevance(X, torch.arange(4.0)), "whole numbers"),
        (lambda: evaluation.unit_relevance(X * NAN, torch.arange(4)), "NaN or infinite"),
        (lambda: evaluation.ranking(X / 0), "NaN or infinite"),
        (lambda: evaluation.flip_counts(4, 5), "4 units can be replaced in 1 to 4 steps, not 5"),
        (lambda: evaluation.area(torch.ones(2, 3), (0, 1)), "Curves of 3 points need as many counts"),
        (lambda: evaluation.area(torch.ones(1), (0,)), "at least 2, not 1"),
        (lambda: evaluation.blurred(torch.ones(1, 1, 2, 2), 0.0), "sigma must be above 0, not 0"),
        (lambda: evaluation.summary(torch.ones(0)), r"shape \(N,\), at least one, not \(0,\)"),
        (lambda: evaluation.summary(torch.ones(3), level=1.0), "between 0 and 1, not 1"),
        (lambda: evaluation.summary(torch.tensor([NAN])), "NaN or infinite"),
    ],
)
def test_wrong_use_is_told_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
