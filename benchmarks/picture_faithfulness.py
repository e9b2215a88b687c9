"""The two measurements on pictures: in which cell of a mosaic the relevance lies, and how the probability falls when
what is called relevant is blurred."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor, nn

import lrp_core as lrp
from lrp_core.evaluation import pictures as evaluation

from .methods import Methods, maps

SURE = 0.9
"""Probability from which a photo that the network gets right counts as confident."""

FEW = 10
"""A class with fewer confident photos gives so many of its most probable right ones."""

GRID = 2
PATCHES, STEPS = 16, 10
"""How many patches stand beside each other in a photo, and in how many steps they are replaced."""

MOSAICS_AT_ONCE, PHOTOS_AT_ONCE = 8, 16

FILLS: dict[str, Callable[[Tensor], Tensor]] = {
    "blur": lambda x: evaluation.blurred(x, blur(x)),
    "mean": torch.zeros_like,  # of the normalised space: the mean colour of all photos
}


def confident(probabilities: Tensor, labels: np.ndarray, kinds: np.ndarray) -> dict[int, np.ndarray]:
    """Per kind of photo those (rows) that the network gets right with confidence, the surest first; kinds with none
    are left out. probabilities: (N, C); labels: the right class (N,), of which a kind may have several; kinds: (N,)."""
    sure, predicted = (values.numpy() for values in probabilities.max(1))
    chosen = {}
    for kind in np.unique(kinds):
        right = np.flatnonzero((kinds == kind) & (predicted == labels))
        right = right[np.argsort(-sure[right], kind="stable")]
        if len(right):
            chosen[int(kind)] = right[: max(FEW, int((sure[right] >= SURE).sum()))]
    return chosen


def patch(x: Tensor) -> int:
    """The side of a patch of the pictures x (..., H, W), in pixels."""
    return x.shape[-1] // PATCHES


def blur(x: Tensor) -> float:
    """The standard deviation by which patches are blurred, in pixels: their side.

    A blurred patch takes away what is finer than a patch but makes no edges that no photo has, as a grey one does
    (Fong 2017); its colour stays."""
    return float(patch(x))


def spread(chosen: dict[int, np.ndarray], number: int, random: np.random.Generator) -> np.ndarray:
    """So many photos (rows) at random, one of each class in turn; fewer where there are not so many."""
    shuffled = [random.permutation(rows) for rows in chosen.values()]
    longest = max(map(len, shuffled))
    turns = [rows[turn] for turn in range(longest) for rows in shuffled if turn < len(rows)]
    return np.array(turns[:number])


def mosaic_rows(chosen: dict[int, np.ndarray], number: int, random: np.random.Generator) -> np.ndarray:
    """The photos (rows) of each mosaic, (number, GRID**2), each of another class."""
    classes = list(chosen)
    drawn = [random.permutation(len(classes))[: GRID**2] for _ in range(number)]
    return np.array([[random.choice(chosen[classes[c]]) for c in four] for four in drawn])


def localisation(
    net: nn.Module,
    inputs: Callable[[Iterable[int]], Tensor],
    labels: np.ndarray,
    rows: np.ndarray,
    methods: Methods,
) -> dict[str, Tensor]:
    """Share of positive relevance in the right cell, per method (M,), for M mosaics of the photos `inputs(rows[m])`.

    The class of each cell is explained in turn: the first of the first mosaic, the second of the second.
    """
    shares: dict[str, list[Tensor]] = {name: [] for name in methods}
    cells = np.arange(len(rows)) % GRID**2
    for begin in range(0, len(rows), MOSAICS_AT_ONCE):
        some, right = rows[begin : begin + MOSAICS_AT_ONCE], cells[begin : begin + MOSAICS_AT_ONCE]
        mosaics = torch.stack([evaluation.mosaic(inputs(four)) for four in some])
        target = lrp.Target.logit(labels[some[np.arange(len(some)), right]])
        for name, relevance in maps(net, mosaics, target, methods):
            shares[name].append(evaluation.grid_share(relevance, right, GRID))
    return {name: torch.cat(parts) for name, parts in shares.items()}


def flipping(net: nn.Module, x: Tensor, labels: np.ndarray, fill: Tensor, methods: Methods) -> dict[str, Tensor]:
    """The probability of the class while patches are replaced, per method (N, 2, STEPS + 1) for the photos x (N, ...):
    the most relevant first, then the least relevant first."""
    units, counts = units_of(x)
    curves = []
    for begin in range(0, len(x), PHOTOS_AT_ONCE):
        some, classes = x[begin : begin + PHOTOS_AT_ONCE], labels[begin : begin + PHOTOS_AT_ONCE]
        found = maps(net, some, lrp.Target.logit(classes), methods)
        most = torch.stack([evaluation.ranking(evaluation.unit_relevance(r, units)) for _, r in found], 1)
        for row, rankings in enumerate(torch.stack([most, most.flip(2)], 2).flatten(1, 2)):
            one, blank = some[row : row + 1], fill[begin + row : begin + row + 1]
            score = probability(net, classes[row])
            first, last = evaluation.flipping(score, one, blank, rankings[:1], units, (0, counts[-1]))  # of all alike
            between = evaluation.flipping(score, one, blank, rankings, units, counts[1:-1])
            whole = torch.stack([first.expand(len(rankings)), *between, last.expand(len(rankings))], 1)
            curves.append(whole.reshape(-1, 2, len(counts)))
    return dict(zip(methods, torch.stack(curves, 1), strict=True))


def units_of(x: Tensor) -> tuple[Tensor, tuple[int, ...]]:
    """The patches of the pictures x (B, C, H, W), (H, W), and how many are replaced at each point of a curve."""
    units = evaluation.patches(*x.shape[2:], patch(x))
    return units, evaluation.flip_counts(int(units.max()) + 1, STEPS)


def probability(net: nn.Module, label: int) -> Callable[[Tensor], Tensor]:
    """The score whose fall is watched: that of one class, pictures (N, C, H, W) to (N,).

    Laid out with the channels last, they take the bundled network two thirds of the time.
    """
    return lambda x: net(x.contiguous(memory_format=torch.channels_last)).softmax(1)[:, label]
