"""Relevance on its way down the tape.

Most rules give relevance as R = value * coefficient, where ``value`` is a recorded tensor: LRP-0 leaves the
coefficient alone, epsilon and gamma scale it. Keeping the two factors apart saves a multiplication and a division per
layer, and the coefficient is finite where R / value would be 0 / 0. Rules that give relevance to inputs that are zero
(w^2, flat, zB) send plain relevance, without a value.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .rows import Rows, row_sums


class Message:
    """Relevance R of one recorded tensor: ``coefficient * value``, or ``coefficient`` itself where value is None.

    Never changed once made. ``rows`` tells where the rows of the batch lie in it, for sums per row.
    """

    __slots__ = ("_total", "coefficient", "rows", "value")

    def __init__(self, coefficient: Tensor, value: Tensor | None, rows: Rows, total: Tensor | None = None) -> None:
        self.coefficient = coefficient
        self.value = value
        self.rows = rows
        self._total = total

    @property
    def relevance(self) -> Tensor:
        """R as a tensor; of a complex value, that of its real and that of its imaginary part as one complex number."""
        if self.value is not None and self.value.is_complex():
            c, v = (torch.view_as_real(t.resolve_conj()) for t in (self.coefficient, self.value))
            return torch.view_as_complex(c * v)
        return self.coefficient if self.value is None else self.coefficient * self.value

    @property
    def total(self) -> Tensor:
        """Sum of R per row, (B,) in float64; computed once."""
        if self._total is None:
            self._total = row_sums(self.coefficient, self.rows, self.value)
        return self._total

    def at(self, rows: Rows, dtype: torch.dtype) -> Message:
        """The same relevance for a tensor of this type that has its rows there."""
        if self.coefficient.dtype != dtype:
            value = None if self.value is None or self.value.dtype != dtype else self.value
            coefficient = self.coefficient if value is not None else self.relevance
            return type(self)(coefficient.to(dtype), value, rows)
        return self if rows is self.rows or rows == self.rows else type(self)(self.coefficient, self.value, rows)

    def moved_to(self, coefficient: Tensor, value: Tensor | None, rows: Rows, in_order: bool = False) -> Message:
        """The same numbers in other places. Where they are the same memory, nobody need sum it again.

        ``in_order``: whether they are read in the order of before, so that rows hold what they held.
        """
        alike = (in_order and rows == self.rows) or rows.count == 1
        same = alike and _same_memory(coefficient, self.coefficient) and _same_memory(value, self.value)
        return type(self)(coefficient, value, rows, self._total if same else None)

    def plus(self, other: Message) -> Message:
        """The sum of two messages for the same tensor; keeps the coefficient form where both share the value."""
        if self.value is other.value:
            return Message(self.coefficient + other.coefficient, self.value, self.rows)
        return Message(self.relevance + other.relevance, None, self.rows)


class Slope(Message):
    """Relevance by gradient x input: the coefficient is a derivative, and derivatives add up.

    ``value`` may be relu(x) in place of x where the derivative passes a ReLU, and is 0 wherever the two differ.
    """

    __slots__ = ()

    @property
    def relevance(self) -> Tensor:
        """R as a tensor; a masked score, minus infinity with a derivative of zero, has none."""
        return super().relevance.masked_fill(self.coefficient == 0, 0.0)

    @property
    def total(self) -> Tensor:
        """Sum of R per row, (B,) in float64; computed once."""
        if super().total.isnan().any():
            self._total = row_sums(self.relevance, self.rows)
        return super().total

    def plus(self, other: Message) -> Message:
        """The sum of the derivatives."""
        return Slope(self.coefficient + other.coefficient, self.value, self.rows)


def _same_memory(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.data_ptr() == other.data_ptr() and one.dtype == other.dtype and one.numel() == other.numel()
