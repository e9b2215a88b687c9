"""Sums and affine maps that a recurrent layer repeats in every moment: divided by at once, or passed back one by one.

LRP-0 and LRP-epsilon need one division and one small product per moment; their books are made for all moments
together. Every other rule runs the code of ordinary affine steps (``affine.py``), one moment after another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ..message import Message
from ..rows import Rows, row_sums, weighed
from ..rules import LRP0, AlphaBeta, Epsilon, Gamma, Pass, Rule, ZPlus
from ..steps import Context, Outcome, Step, Value
from .affine import propagate
from .layer import Layer
from .linear_maps import Dense
from .ratios import tiny


class Books(NamedTuple):
    """What was taken in all moments together, (B,) in float64 or 0."""

    bias: Tensor | float = 0.0
    epsilon: Tensor | float = 0.0
    dropped: Tensor | float = 0.0


@dataclass(frozen=True, eq=False)
class Stabilised:
    """z + epsilon sgn z of all moments; zeros stand as infinity."""

    divisor: Tensor
    added: Tensor | None
    zero: Tensor | None

    @staticmethod
    def of(z: Tensor, epsilon: Tensor | float) -> Stabilised:
        added = None
        if isinstance(epsilon, Tensor) or epsilon:
            added = torch.where(z >= 0, 1.0, -1.0).to(z.dtype).mul_(epsilon)
        divisor = z if added is None else z + added
        zero = divisor == 0
        if not zero.any():
            return Stabilised(divisor, added, None)
        return Stabilised(divisor.masked_fill(zero, torch.inf), added, zero)

    def books(self, relevance: Tensor, rows: Rows) -> Books:
        """What epsilon takes of the relevance of z, and what zeros drop."""
        return Books(
            epsilon=0.0 if self.added is None else row_sums(relevance / self.divisor, rows, self.added),
            dropped=0.0 if self.zero is None else row_sums(relevance * self.zero, rows),
        )


def epsilon_of_moments(rule: Rule, z: Tensor, rows: Rows) -> Tensor | float:
    """The stabiliser: a number or, where it is relative, one for each moment and row, (L, B, 1).

    ``rows``: where the rows of the batch lie in one moment.
    """
    epsilon = float(getattr(rule, "epsilon", 0.0))
    if epsilon == 0 or not getattr(rule, "relative", False):
        return epsilon
    squares = z.square().reshape(len(z), rows.outer, rows.count, -1)
    scale = squares.sum((1, 3), dtype=torch.float64).div(z[0].numel() // rows.count).sqrt().to(z.dtype)
    own = (epsilon * scale).clamp(min=tiny(z.dtype))[:, None, :, None]
    return own.expand(-1, rows.outer, -1, z.shape[1] // (rows.outer * rows.count)).reshape(*z.shape[:2], 1)


class AffineMoments(Protocol):
    """An affine map of each moment."""

    def back(self, moment: int, relevance: Tensor) -> Tensor:
        """Relevance of the output of one moment, (B, K), to that of its input, (B, J)."""

    def books(self, relevance: Tensor, rows: Rows) -> Books:
        """What was taken, given the relevance of the outputs of all moments, (L, B, K)."""


def affine_moments(
    step: Step, map_: Dense, x: Tensor, z: Tensor, epsilon_from: Tensor, context: Context
) -> AffineMoments:
    """The map from ``x`` (L, B, J) to ``z`` (L, B, K) by the rule and the rows of the context.

    ``epsilon_from`` is the output of the model's own map, of which this one may be a part: its size is what a relative
    epsilon means.
    """
    rule = context.rule
    if isinstance(rule, LRP0 | Epsilon):
        return _ByEpsilon.of(map_, x, z, epsilon_of_moments(rule, epsilon_from, context.rows), context.composite.bias)
    if isinstance(rule, Pass) and x.shape[-1] != epsilon_from.shape[-1]:
        raise ValueError(
            f"Pass needs inputs and outputs of one shape, but layer {step.name} maps {x.shape[-1]} numbers of its "
            f"hidden state to {epsilon_from.shape[-1]}."
        )
    return _ByRule.of(step, map_, x, z, context)


@dataclass(frozen=True, eq=False)
class _ByEpsilon:
    """R_j = x_j sum_k W_kj s_k with s = R / (z + epsilon sgn z)."""

    x: tuple[Tensor, ...]
    divisors: tuple[Tensor, ...]
    weight: Tensor
    stabilised: Stabilised
    bias: Tensor | None
    """what the bias takes of s; None where there is none, or where it is ignored"""
    spread: bool

    @staticmethod
    def of(map_: Dense, x: Tensor, z: Tensor, epsilon: Tensor | float, mode: str) -> _ByEpsilon:
        bias = map_.bias
        if bias is not None and mode == "ignore":
            z, bias = z - bias, None
        stabilised = Stabilised.of(z, epsilon)
        spread = bias is not None and mode == "spread"
        return _ByEpsilon(x.unbind(0), stabilised.divisor.unbind(0), map_.weight, stabilised, bias, spread)

    def back(self, moment: int, relevance: Tensor) -> Tensor:
        s = relevance / self.divisors[moment]
        x = self.x[moment]
        back = torch.mm(s, self.weight).mul_(x)
        if self.spread:
            assert self.bias is not None
            back += (torch.mv(s, self.bias) / x.shape[-1])[:, None]
        return back

    def books(self, relevance: Tensor, rows: Rows) -> Books:
        books = self.stabilised.books(relevance, rows)
        if self.bias is None or self.spread:
            return books
        return books._replace(bias=weighed(relevance / self.stabilised.divisor, self.bias, rows))


@dataclass(frozen=True, eq=False)
class _ByRule:
    """Any rule, by an affine step for each moment."""

    steps: tuple[Step, ...]
    context: Context
    outcomes: list[Outcome] = field(default_factory=list)

    @staticmethod
    def of(step: Step, map_: Dense, x: Tensor, z: Tensor, context: Context) -> _ByRule:
        """The sums of contributions are made for all moments at once, and lie where an affine step would keep them."""
        together = _affine_step(step, map_, x, z)
        layer = Layer(together, Message(z, None, context.rows), context)
        shared: dict[tuple[str, bool], tuple[Tensor, ...]] = {}
        if isinstance(context.rule, Gamma | ZPlus | AlphaBeta):
            shared["positive", layer.counts_bias] = layer.p_floored().unbind(0)
        if isinstance(context.rule, AlphaBeta) and context.rule.beta and z.dtype == torch.float64:
            shared["negative", layer.counts_bias] = layer.n().unbind(0)
        nonnegative = layer.only_positive_inputs
        steps = [_affine_step(step, map_, *pair) for pair in zip(x.unbind(0), z.unbind(0), strict=True)]
        for moment, one in enumerate(steps):
            one.memo["nonnegative"] = nonnegative
            one.memo.update({key: moments[moment] for key, moments in shared.items()})
        return _ByRule(tuple(steps), context)

    def back(self, moment: int, relevance: Tensor) -> Tensor:
        outcome = propagate(self.steps[moment], Message(relevance, None, self.context.rows), self.context)
        self.outcomes.append(outcome)
        (message,) = outcome.messages
        assert message is not None
        return message.relevance

    def books(self, relevance: Tensor, rows: Rows) -> Books:
        return Books(*(_sum([getattr(outcome, name) for outcome in self.outcomes]) for name in Books._fields))


def _sum(amounts: Sequence[Tensor | float | None]) -> Tensor | float:
    tensors = [amount for amount in amounts if isinstance(amount, Tensor)]
    return torch.stack(tensors).sum(0) if tensors else 0.0


def _affine_step(step: Step, map_: Dense, x: Tensor, z: Tensor) -> Step:
    inputs, outputs = (Value(x),), (Value(z),)
    return Step(
        step.index, step.name, "linear", "linear", F.linear, inputs, {}, inputs, outputs, None, memo={"map": map_}
    )
