"""What the network says when parts of its input are taken away: what a view must offer, and the curves made of it."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch

RANDOM = 10
"""Orders by chance, that the orders by relevance are compared with."""

SHARES = (0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1)
"""How much is taken away at each point of a curve."""

FOR, AGAINST, CHANCE = 0, 1, 2
"""Rows of `Curves.orders`: the strongest for the class first, the strongest against it; orders by chance follow."""

Inputs = Callable[[], tuple[torch.Tensor, ...]]
"""Makes the network's inputs, K rows each; to be called in torch's own thread."""

Batch = tuple[np.ndarray, Inputs]
"""The numbers of some rows, (K,), and the inputs for them."""

Probability = Callable[[Inputs], np.ndarray]
"""The probability of the class that is explained, (K,), for what makes inputs of K rows."""


class Eraser(Protocol):
    """An input whose parts can be taken away. taken: which of them are gone, (K, U) of bool."""

    unit: str
    """what the parts are called, "patches" or "words" """
    fills: Mapping[str, str]
    """by what they are replaced: the words for each way, by its name"""
    most: int
    """how many of them can be gone at once, at most all"""

    def relevance(self, heat: np.ndarray) -> np.ndarray:
        """The relevance of each part, (U,), from the heat of the view."""

    def batches(self, taken: np.ndarray, fill: str) -> Iterator[Batch]:
        """The inputs with these parts gone, every row once, so many together as work goes on at a stretch."""

    def show(
        self, taken: np.ndarray, fill: str, heat: np.ndarray, *, key: str, take: Callable[[np.ndarray], None]
    ) -> None:
        """Draw the input with some parts gone, (U,). take: called with other ones, where a hand can choose them."""


@dataclass(eq=False)
class Curves:
    """How a class' probability falls. counts: how many parts are gone at each point, (S,). orders: (2 + RANDOM, U).

    found: the probability by the order and the point, (2 + RANDOM, S); not a number where it is still to be asked.
    """

    counts: tuple[int, ...]
    orders: np.ndarray
    found: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.found = np.full((len(self.orders), len(self.counts)), np.nan)

    @property
    def done(self) -> float:
        """The share that is known."""
        return float(np.isfinite(self.found).mean())

    def taken(self, order: int, point: int) -> np.ndarray:
        """Which parts are gone there, (U,) of bool."""
        gone = np.zeros(self.orders.shape[1], bool)
        gone[self.orders[order, : self.counts[point]]] = True
        return gone


def planned(relevance: np.ndarray, most: int, seed: int = 0) -> Curves:
    """The curves for parts of this relevance, (U,), of which `most` can be gone; nothing is known yet."""
    random = np.random.default_rng(seed)
    by_relevance = np.argsort(-relevance, kind="stable")
    orders = [by_relevance, by_relevance[::-1], *(random.permutation(len(relevance)) for _ in range(RANDOM))]
    counts = sorted({min(most, round(share * len(relevance))) for share in SHARES})
    return Curves(tuple(counts), np.stack(orders))


def fill(curves: Curves, eraser: Eraser, way: str, probability: Probability, seconds: float) -> None:
    """Ask for what is missing until time is up, the two orders by relevance first.

    way: one of the eraser's fills.
    """
    end = time.monotonic() + seconds
    for order in range(len(curves.orders)):
        points = np.flatnonzero(np.isnan(curves.found[order]))
        if not len(points):
            continue
        taken = np.stack([curves.taken(order, point) for point in points])
        for rows, inputs in eraser.batches(taken, way):
            curves.found[order, points[rows]] = probability(inputs)
            if time.monotonic() > end:
                return


def by_chance(taken: np.ndarray, seed: int = 0) -> np.ndarray:
    """As many parts at random as are gone in `taken` (U,), `RANDOM` times: (RANDOM, U) of bool."""
    random = np.random.default_rng(seed)
    return np.stack([random.permutation(taken) for _ in range(RANDOM)])
