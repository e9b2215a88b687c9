"""Are the words right? Relevance of words beside what people say of them, and what deleting them does.

Relevance is one number per word, (W,). People mark characters of a text, or grade its words one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import torch
from torch import Tensor

from .pictures import check_numbers

Spans = Sequence[tuple[int, int]]
"""First character of each word, and the one after its last, in the order of the text."""


def marked_words(marked: Tensor, spans: Spans) -> Tensor:
    """Words of which people marked at least half the characters, (W,) bool. marked: (C,) bool."""
    _check_spans(spans, _characters(marked))
    return torch.tensor([2 * int(marked[start:end].sum()) >= end - start for start, end in spans], dtype=torch.bool)


def over_characters(relevance: Tensor, spans: Spans, length: int) -> Tensor:
    """Relevance of words (W,) to that of a text's ``length`` characters, (C,) float64.

    What stands between two words has the smaller relevance of the two, so that it is marked where both are; what stands
    before the first and after the last has none at all, -inf.
    """
    _check_numbers(relevance, len(spans), "word")
    _check_spans(spans, length)
    values, words = [-inf] * length, relevance.tolist()
    for number, (start, end) in enumerate(spans):
        values[start:end] = [words[number]] * (end - start)
        if number:
            gap = slice(spans[number - 1][1], start)
            values[gap] = [min(words[number - 1 : number + 1])] * (gap.stop - gap.start)
    return torch.tensor(values, dtype=torch.float64)


def span_f1(values: Tensor, marked: Tensor, threshold: float) -> float:
    """Agreement of the characters with at least ``threshold`` and those that people marked: 2 |A and B| / (|A| + |B|).

    1 where both mark nothing, 0 where one of them does (SemEval-2021 task 5, Pavlopoulos 2021; averaged over texts).
    values: (C,), see :func:`over_characters`. marked: (C,) bool.
    """
    _characters(marked, len(values))
    found = values >= threshold
    both, either = int((found & marked).sum()), int(found.sum() + marked.sum())
    return 2 * both / either if either else 1.0


def best_threshold(values: Sequence[Tensor], marked: Sequence[Tensor]) -> tuple[float, float]:
    """The threshold with the highest mean :func:`span_f1` over texts, and that mean; infinity where marking nothing is
    best. Every value that occurs is tried; among equals the highest one is taken.

    To be chosen on texts of its own, not on those that are measured.
    """
    if not len(values):
        raise ValueError("A threshold is chosen on at least one text.")
    places, gains, nothing = [], [], 0.0
    for one, truth in zip(values, marked, strict=True):
        _characters(truth, len(one))
        levels, group = _groups(-one)  # from the highest value down
        sizes = torch.zeros(2, len(levels), dtype=torch.float64)
        sizes[0].index_add_(0, group, torch.ones(len(one), dtype=torch.float64))
        sizes[1].index_add_(0, group, truth.double())
        found, both = sizes.cumsum(1)
        f1 = 2 * both / (found + truth.sum())
        start = 0.0 if truth.any() else 1.0
        nothing += start
        places.append(-levels)
        gains.append(f1.diff(prepend=torch.tensor([start], dtype=torch.float64)))
    levels, group = _groups(-torch.cat(places))
    gain = torch.zeros(len(levels), dtype=torch.float64).index_add_(0, group, torch.cat(gains))
    means = torch.cat((torch.tensor([nothing], dtype=torch.float64), nothing + gain.cumsum(0))) / len(values)
    best = int(means.argmax())
    return (-levels[best - 1].item() if best else inf), means[best].item()


def roc_auc(relevance: Tensor, marked: Tensor) -> float:
    """Probability that a marked word has more relevance than one that is not marked; ties count half. Chance is 0.5.

    Area under the ROC curve by Mann and Whitney's count. relevance: (W,). marked: (W,) bool, some of each.
    """
    return weighted_roc_auc(relevance, marked, torch.ones(1, len(marked))).item()


def weighted_roc_auc(relevance: Tensor, marked: Tensor, weights: Tensor) -> Tensor:
    """:func:`roc_auc` for each row of weights (K, W), how often each word counts: (K,) float64. For a bootstrap."""
    _check_numbers(relevance, len(marked), "word")
    _characters(marked)
    _, group = _groups(relevance)
    weights = weights.double()
    size = (len(weights), int(group.max()) + 1 if len(group) else 0)
    some, others = (
        torch.zeros(size, dtype=torch.float64).index_add_(1, group[chosen], weights[:, chosen])
        for chosen in (marked, ~marked)
    )
    pairs = some.sum(1) * others.sum(1)
    if not (pairs > 0).all():
        raise ValueError("roc_auc needs words that are marked and words that are not.")
    return (some * (others.cumsum(1) - others / 2)).sum(1) / pairs


def right_signs(relevance: Tensor, grades: Tensor) -> Tensor:
    """Of each word with a grade other than 0, whether its relevance has the grade's sign, (M,) bool.

    relevance, grades: (W,); a relevance of 0 has no sign. The mean over many words is the accuracy of the sign.
    """
    _check_numbers(relevance, len(grades), "word")
    graded = grades != 0
    return relevance[graded].sign() == grades[graded].sign()


def rank_correlation(relevance: Tensor, grades: Tensor) -> float:
    """Spearman's: Pearson's correlation of the ranks, equals sharing theirs; from -1 to 1, 0 by chance.

    relevance, grades: (W,). Relevance that is the same for all words orders nothing: 0. Grades that are raise
    ``ValueError``, because there is no order to be found.
    """
    _check_numbers(relevance, len(grades), "word")
    first, second = (ranks - ranks.mean() for ranks in map(mean_ranks, (relevance, grades)))
    if not second.any():
        raise ValueError("rank_correlation needs words of different grades.")
    return (first @ second / (first.norm() * second.norm())).item() if first.any() else 0.0


def mean_ranks(values: Tensor) -> Tensor:
    """Rank of each value from 0 on, (N,) float64; equals share the mean of theirs."""
    levels, group = _groups(values)
    counts = group.bincount(minlength=len(levels)).double()
    return (counts.cumsum(0) - (counts + 1) / 2)[group]


def left_over(rankings: Tensor, counts: Sequence[int]) -> Tensor:
    """Which words are left when the first so many of each ranking are deleted, (K, S, W) bool.

    rankings: (K, W), see :func:`ranking`; counts: see :func:`flip_counts`, both of ``lrp_core.evaluation``, whose
    :func:`area_between` measures the curves of scores (K, S) that the shortened texts get.
    """
    words = rankings.shape[1]
    if (rankings.sort(1).values != torch.arange(words)).any():
        raise ValueError(f"Each ranking must name each of the {words} words once.")
    if not all(0 <= count <= words for count in counts):
        raise ValueError(f"counts must lie between 0 and {words}, the number of words.")
    return rankings.argsort(1)[:, None] >= torch.tensor(counts)[:, None]


def redraws(number: int, draws: int = 1000, seed: int = 0) -> Tensor:
    """How often each of ``number`` texts is drawn in a bootstrap (Efron 1979), (draws, number) float64, seeded.

    The same draws for two methods make their difference known better than either.
    """
    if number < 1 or draws < 1:
        raise ValueError(f"A bootstrap needs at least one text and one draw, not {number} and {draws}.")
    drawn = torch.randint(number, (draws, number), generator=torch.Generator().manual_seed(seed))
    return torch.zeros(draws, number, dtype=torch.float64).scatter_add_(
        1, drawn, torch.ones(draws, number, dtype=torch.float64)
    )


def _characters(marked: Tensor, length: int | None = None) -> int:
    if marked.dtype != torch.bool or marked.dim() != 1 or length not in (None, len(marked)):
        wanted = "(C,)" if length is None else f"({length},)"
        raise ValueError(f"marked must be {wanted} of yes and no (bool), not {tuple(marked.shape)} {marked.dtype}.")
    return len(marked)


def _check_spans(spans: Spans, length: int) -> None:
    edges = [edge for span in spans for edge in span]
    if any(start >= end for start, end in spans) or edges != sorted(edges) or (edges and edges[-1] > length):
        raise ValueError(f"Words must follow each other, none of them empty, within the text's {length} characters.")


def _check_numbers(values: Tensor, number: int, what: str) -> None:
    if values.shape != (number,):
        raise ValueError(f"There must be one number per {what}, ({number},), not {tuple(values.shape)}.")
    check_numbers(values)


def _groups(values: Tensor) -> tuple[Tensor, Tensor]:
    """The different values in ascending order, and which of them each value is."""
    levels, group = torch.unique(values, return_inverse=True)
    return levels, group
