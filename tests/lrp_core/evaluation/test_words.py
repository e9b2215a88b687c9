"""Are the words right: hand-worked numbers, and every measure against the loop that defines it."""

import itertools
from math import inf, nan, sqrt

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lrp_core.evaluation import pictures as evaluation
from lrp_core.evaluation import words as word_evaluation

lean = settings(max_examples=40, deadline=None, derandomize=True)
seeds = st.integers(0, 10_000)


def numbers(seed: int, *shape: int) -> torch.Tensor:
    """Few different ones, so that there are ties."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).mul(2).round()


def yes(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed + 1)) < 0.4


def bools(text: str) -> torch.Tensor:
    return torch.tensor([letter == "x" for letter in text], dtype=torch.bool)


def test_a_word_is_marked_where_at_least_half_of_it_is():
    spans = [(0, 2), (3, 6), (7, 10), (10, 11)]
    assert word_evaluation.marked_words(bools(" x  x xx x "), spans).tolist() == [True, False, True, False]


def test_characters_between_two_words_have_the_smaller_relevance():
    relevance = torch.tensor([0.5, 2.0, -1.0])
    values = word_evaluation.over_characters(relevance, [(1, 3), (4, 5), (5, 6)], 8)
    assert values.tolist() == [-inf, 0.5, 0.5, 0.5, 2, -1, -inf, -inf]
    assert word_evaluation.over_characters(torch.tensor([]), [], 2).tolist() == [-inf, -inf]


def test_f1_of_hand_worked_marks():
    values = torch.tensor([3.0, 3, 2, 1, -1, -inf])
    truth = bools(" xxx  ")
    assert word_evaluation.span_f1(values, truth, 2.5) == pytest.approx(2 * 1 / (2 + 3))
    assert word_evaluation.span_f1(values, truth, 1) == pytest.approx(2 * 3 / (4 + 3)), "as high as the threshold"
    assert word_evaluation.span_f1(values, truth, 9) == 0
    assert word_evaluation.span_f1(values, bools("      "), 9) == 1, "both mark nothing"
    assert word_evaluation.span_f1(values, bools("      "), 3) == 0


def test_the_best_threshold_of_hand_worked_texts():
    values = [torch.tensor([5.0, 4, 1]), torch.tensor([4.5, 2])]
    marked = [bools("xx "), bools("  ")]
    # at 5: (2/3 + 1) / 2; at 4.5: (2/3 + 0) / 2; at 4: (1 + 0) / 2; above: (0 + 1) / 2
    assert word_evaluation.best_threshold(values, marked) == (5.0, pytest.approx(5 / 6))
    assert word_evaluation.best_threshold(values[1:], marked[1:]) == (inf, 1.0), "marking nothing is best"
    assert word_evaluation.best_threshold([torch.tensor([1.0, 1])], [bools("xx")]) == (1.0, 1.0)


@lean
@given(seeds)
def test_the_best_threshold_beats_every_other(seed):
    values = [numbers(seed + row, 6) for row in range(5)]
    marked = [yes(seed + row, 6) for row in range(5)]

    def mean(threshold: float) -> float:
        return sum(map(word_evaluation.span_f1, values, marked, itertools.repeat(threshold))) / 5

    threshold, f1 = word_evaluation.best_threshold(values, marked)
    every = [inf, *torch.cat(values).tolist()]
    best = max(map(mean, every))
    assert f1 == pytest.approx(best, abs=1e-12) and mean(threshold) == pytest.approx(best, abs=1e-12)


@lean
@given(seeds)
def test_f1_equals_its_definition_by_precision_and_recall(seed):
    values, marked = numbers(seed, 9), yes(seed, 9)
    found = {place for place in range(9) if values[place] >= 1}
    truth = {place for place in range(9) if marked[place]}
    if not found or not truth:
        expected = float(found == truth)
    else:
        precision, recall = len(found & truth) / len(found), len(found & truth) / len(truth)
        expected = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    assert word_evaluation.span_f1(values, marked, 1) == pytest.approx(expected)


def test_roc_auc_of_hand_worked_words():
    relevance = torch.tensor([0.9, 0.1, 0.5, 0.5, -2])
    # pairs of a marked (.9, .5) and another (.1, .5, -2): 3 and 2.5 of 3 each
    assert word_evaluation.roc_auc(relevance, bools("x x  ")) == pytest.approx(5.5 / 6)
    assert word_evaluation.roc_auc(torch.zeros(4), bools("x xx")) == 0.5
    assert word_evaluation.roc_auc(torch.tensor([1.0, 2]), bools("x ")) == 0


@lean
@given(seeds)
def test_roc_auc_equals_the_count_over_pairs(seed):
    relevance, marked = numbers(seed, 12), yes(seed, 12)
    marked[0], marked[1] = True, False
    weights = torch.randint(1, 4, (3, 12), generator=torch.Generator().manual_seed(seed))
    pairs = [(i, j) for i in range(12) for j in range(12) if marked[i] and not marked[j]]

    def won(i: int, j: int) -> float:
        return 0.5 + 0.5 * (relevance[i] - relevance[j]).sign().item()

    expected = sum(won(i, j) for i, j in pairs) / len(pairs)
    assert word_evaluation.roc_auc(relevance, marked) == pytest.approx(expected)
    for row, area in zip(weights, word_evaluation.weighted_roc_auc(relevance, marked, weights), strict=True):
        total = sum(int(row[i] * row[j]) for i, j in pairs)
        assert area.item() == pytest.approx(sum(won(i, j) * int(row[i] * row[j]) for i, j in pairs) / total)


@lean
@given(seeds)
def test_a_word_that_counts_twice_is_a_word_more(seed):
    relevance, marked = numbers(seed, 8), bools("x xx  x ")
    weights = torch.randint(0, 3, (1, 8), generator=torch.Generator().manual_seed(seed))
    weights[0, :2] = 1
    repeated = [place for place in range(8) for _ in range(int(weights[0, place]))]
    again = word_evaluation.roc_auc(relevance[repeated], marked[repeated])
    assert word_evaluation.weighted_roc_auc(relevance, marked, weights).item() == pytest.approx(again)


def test_signs_count_where_people_took_a_side():
    relevance = torch.tensor([0.1, -3, 2, 0, -0.2])
    grades = torch.tensor([0.5, 0.25, 0, -0.25, -0.5])
    assert word_evaluation.right_signs(relevance, grades).tolist() == [True, False, False, True]
    assert word_evaluation.right_signs(relevance, torch.zeros(5)).tolist() == []


def test_rank_correlation_of_hand_worked_words():
    grades = torch.tensor([0.0, 0, 0.5, 1])
    assert word_evaluation.mean_ranks(grades).tolist() == [0.5, 0.5, 2, 3]
    assert word_evaluation.rank_correlation(torch.tensor([1.0, 1, 5, 9]), grades) == pytest.approx(1)
    assert word_evaluation.rank_correlation(torch.tensor([9.0, 9, 5, 1]), grades) == pytest.approx(-1)
    # ranks 0 1 2 3 beside .5 .5 2 3: both less 1.5, products 1.5 + .5 + .25 + 2.25 over sqrt(5 * 4.5)
    assert word_evaluation.rank_correlation(torch.tensor([1.0, 2, 3, 4]), grades) == pytest.approx(4.5 / sqrt(22.5))
    assert word_evaluation.rank_correlation(torch.zeros(4), grades) == 0, "no order at all"


@lean
@given(seeds)
def test_mean_ranks_equal_the_count_of_smaller_and_equal_ones(seed):
    values = numbers(seed, 10)
    for value, rank in zip(values, word_evaluation.mean_ranks(values), strict=True):
        assert rank.item() == (values < value).sum().item() + ((values == value).sum().item() - 1) / 2


@lean
@given(seeds)
def test_rank_correlation_equals_the_formula_of_differences_without_ties(seed):
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randperm(9, generator=generator) for _ in range(2))
    expected = 1 - 6 * ((first - second) ** 2).sum().item() / (9 * (81 - 1))
    assert word_evaluation.rank_correlation(first.double().exp(), second.double() ** 3) == pytest.approx(expected)


def test_words_are_deleted_in_the_order_of_each_ranking():
    left = word_evaluation.left_over(torch.tensor([[2, 0, 1], [1, 0, 2]]), (0, 1, 3))
    assert left.tolist() == [
        [[True, True, True], [True, True, False], [False, False, False]],
        [[True, True, True], [True, False, True], [False, False, False]],
    ]


@lean
@given(seeds, st.integers(1, 9))
def test_deleting_words_is_flipping_them(seed, steps):
    """The same curves as those of the measure for pictures, where a deleted word is a number set to zero."""
    relevance = numbers(seed, 3, 9)
    rankings, counts = evaluation.ranking(relevance), evaluation.flip_counts(9, steps)
    x = 1 + numbers(seed + 1, 1, 9).abs()
    points = evaluation.flipping(lambda some: some.sum(1), x, 0 * x, rankings, torch.arange(9), counts)
    left = word_evaluation.left_over(rankings, counts)
    torch.testing.assert_close((x * left).sum(2), torch.stack(list(points), 1))


def test_a_bootstrap_draws_as_many_texts_as_there_are():
    drawn = word_evaluation.redraws(7, draws=200, seed=3)
    assert drawn.shape == (200, 7) and (drawn.sum(1) == 7).all() and (drawn == drawn.round()).all()
    assert drawn.mean().item() == pytest.approx(1) and drawn.std().item() == pytest.approx(sqrt(6 / 7), abs=0.1)
    assert torch.equal(drawn, word_evaluation.redraws(7, draws=200, seed=3))
    assert not torch.equal(drawn, word_evaluation.redraws(7, draws=200, seed=4))


TWO = torch.tensor([1.0, 2.0])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: word_evaluation.roc_auc(TWO, bools("xx")), "words that are marked and words that are not"),
        (lambda: word_evaluation.roc_auc(torch.tensor([]), bools("")), "words that are marked and words that are not"),
        (lambda: word_evaluation.roc_auc(TWO, bools("x x")), "one number per word"),
        (lambda: word_evaluation.roc_auc(torch.tensor([1.0, nan]), bools("x ")), "NaN"),
        (lambda: word_evaluation.roc_auc(TWO, torch.tensor([1, 0])), "yes and no"),
        (lambda: word_evaluation.rank_correlation(TWO, torch.ones(2)), "words of different grades"),
        (lambda: word_evaluation.rank_correlation(TWO, torch.ones(3)), "one number per word"),
        (lambda: word_evaluation.right_signs(TWO, torch.ones(3)), "one number per word"),
        (lambda: word_evaluation.over_characters(TWO, [(0, 2), (1, 3)], 4), "follow each other"),
        (lambda: word_evaluation.over_characters(TWO, [(0, 2), (2, 2)], 4), "none of them empty"),
        (lambda: word_evaluation.over_characters(TWO, [(0, 2), (2, 5)], 4), "within the text's 4 characters"),
        (lambda: word_evaluation.over_characters(TWO, [(0, 2)], 4), "one number per word"),
        (lambda: word_evaluation.marked_words(bools("xx"), [(0, 3)]), "within the text's 2 characters"),
        (lambda: word_evaluation.span_f1(TWO, bools("xxx"), 1), r"marked must be \(2,\)"),
        (lambda: word_evaluation.best_threshold([], []), "at least one text"),
        (lambda: word_evaluation.left_over(torch.tensor([[0, 0]]), (1,)), "each of the 2 words once"),
        (lambda: word_evaluation.left_over(torch.tensor([[0, 1]]), (3,)), "between 0 and 2"),
        (lambda: word_evaluation.redraws(0), "at least one text"),
    ],
)
def test_wrong_use_is_refused_in_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
