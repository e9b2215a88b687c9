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

    def at(self, rows: Rows) -> Message:
        """The same relevance for a tensor that has its rows there."""
        return self if rows is self.rows or rows == self.rows else Message(self.coefficient, self.value, rows)

    def plus(self, other: Message) -> Message:
        """The sum of two messages for the same tensor; keeps the coefficient form where both share the value."""
        total = self.total + other.total
        if self.value is other.value:
            return Message(self.coefficient + other.coefficient, self.value, self.rows, total)
        return Message(self.relevance + other.relevance, None, self.rows, total)
