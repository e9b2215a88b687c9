"""Relevance on its way down the tape.

Most rules give relevance as R = value * coefficient, where ``value`` is a recorded tensor: LRP-0 leaves the
coefficient alone, epsilon and gamma scale it. Keeping the two factors apart saves a multiplication and a division per
layer, and the coefficient is finite where R / value would be 0 / 0. Rules that give relevance to inputs that are zero
(w^2, flat, zB) send plain relevance, without a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Message:
    """Relevance R of one recorded tensor: ``coefficient * value``, or ``coefficient`` itself where value is None.

    ``rows`` is the batch size, for sums per row.
    """

    coefficient: Tensor
    value: Tensor | None
    rows: int

    @cached_property
    def relevance(self) -> Tensor:
        """R as a tensor."""
        return self.coefficient if self.value is None else self.coefficient * self.value

    @cached_property
    def total(self) -> Tensor:
        """Sum of R per row, (B,) in float64."""
        return row_sums(self.coefficient, self.rows, self.value)

    def plus(self, other: Message) -> Message:
        """The sum of two messages for the same tensor; keeps the coefficient form where both share the value."""
        if self.value is other.value:
            sum_ = Message(self.coefficient + other.coefficient, self.value, self.rows)
        else:
            sum_ = Message(self.relevance + other.relevance, None, self.rows)
        object.__setattr__(sum_, "total", self.total + other.total)
        return sum_


def row_sums(tensor: Tensor, rows: int, weights: Tensor | None = None) -> Tensor:
    """Sum of ``tensor`` (times ``weights``, same shape) over all but the batch axis: (B,) in float64.

    Long rows are summed in pieces, so that float32 keeps its digits.
    """
    if weights is None:
        return tensor.reshape(rows, -1).sum(1, dtype=torch.float64)
    pieces = (rows, -1, tensor.shape[-1] * tensor.shape[-2]) if tensor.dim() > 3 else (rows, 1, -1)
    return torch.linalg.vecdot(tensor.reshape(pieces), weights.reshape(pieces)).sum(1, dtype=torch.float64)


def safe_ratio(message: Message, denominator: Tensor) -> Tensor:
    """R / denominator, with 0 wherever the denominator is 0."""
    zero = denominator == 0
    return (message.relevance / denominator.masked_fill(zero, 1.0)).masked_fill_(zero, 0.0)
