"""Relevance on its way down the tape.

Most rules give relevance as R = value * coefficient, where ``value`` is a recorded tensor: LRP-0 leaves the
coefficient alone, epsilon and gamma scale it. Keeping the two factors apart saves a multiplication and a division per
layer, and the coefficient is finite where R / value would be 0 / 0. Rules that give relevance to inputs that are zero
(w^2, flat, zB) send plain relevance, without a value.
"""

from __future__ import annotations

import torch
from torch import Tensor

SMALL = 2**15
"""numbers up to which one float32 dot product keeps its digits"""


class Message:
    """Relevance R of one recorded tensor: ``coefficient * value``, or ``coefficient`` itself where value is None.

    Never changed once made. ``rows`` is the batch size, for sums per row.
    """

    __slots__ = ("_total", "coefficient", "rows", "value")

    def __init__(self, coefficient: Tensor, value: Tensor | None, rows: int, total: Tensor | None = None) -> None:
        self.coefficient = coefficient
        self.value = value
        self.rows = rows
        self._total = total

    @property
    def relevance(self) -> Tensor:
        """R as a tensor."""
        return self.coefficient if self.value is None else self.coefficient * self.value

    @property
    def total(self) -> Tensor:
        """Sum of R per row, (B,) in float64; computed once."""
        if self._total is None:
            self._total = row_sums(self.coefficient, self.rows, self.value)
        return self._total

    def plus(self, other: Message) -> Message:
        """The sum of two messages for the same tensor; keeps the coefficient form where both share the value."""
        total = self.total + other.total
        if self.value is other.value:
            return Message(self.coefficient + other.coefficient, self.value, self.rows, total)
        return Message(self.relevance + other.relevance, None, self.rows, total)


def row_sums(tensor: Tensor, rows: int, weights: Tensor | None = None) -> Tensor:
    """Sum of ``tensor`` (times ``weights``, same shape) over all but the batch axis: (B,) in float64.

    Long rows are summed in pieces, so that float32 keeps its digits.
    """
    if rows == 1 and tensor.numel() <= SMALL:
        flat = tensor.reshape(-1)
        return (flat.sum() if weights is None else torch.dot(flat, weights.reshape(-1))).double().reshape(1)
    tensor, weights = in_memory_order(tensor, weights)
    pieces = (rows, -1, tensor.shape[-1] * tensor.shape[-2]) if tensor.dim() > 3 else (rows, 1, -1)
    if weights is None:
        sums = tensor.reshape(pieces).sum(2)
    else:
        sums = torch.einsum("bpn,bpn->bp", tensor.reshape(pieces), weights.reshape(pieces))
    return sums.sum(1, dtype=torch.float64)


def in_memory_order(tensor: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Both with the channels last where they lie so in memory, so that a sum need not copy them."""
    if tensor.dim() != 4 or tensor.is_contiguous() or not tensor.is_contiguous(memory_format=torch.channels_last):
        return tensor, weights
    return tensor.permute(0, 2, 3, 1), None if weights is None else weights.permute(0, 2, 3, 1)
