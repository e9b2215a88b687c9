"""Conservation, shown: where the relevance of every step went.

For each step r_out = r_in + bias + epsilon + softmax + constant + dropped, number by number and row by row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .steps import Step

ABSORBERS = ("bias", "epsilon", "softmax", "constant", "dropped")


@dataclass(frozen=True, eq=False)
class Row:
    """What one step received and where it went. Tensors (B,) in float64 (a sweep puts its axis in front)."""

    step: Step
    r_out: Tensor
    """relevance that arrived at the step's output"""
    r_in: Tensor
    """relevance that it passed on to its inputs"""
    bias: Tensor
    epsilon: Tensor
    softmax: Tensor
    constant: Tensor
    """taken by operands that do not depend on the input"""
    dropped: Tensor
    """lost where a rule has nobody to give it to (0/0 = 0)"""

    @property
    def gap(self) -> Tensor:
        """r_out minus everything accounted for: zero up to rounding."""
        return self.r_out - self.r_in - sum(getattr(self, name) for name in ABSORBERS)


@dataclass(frozen=True, eq=False)
class Total:
    """The whole walk in one row: start = input + every absorber. Tensors (B,) in float64."""

    start: Tensor
    input: Tensor
    bias: Tensor
    epsilon: Tensor
    softmax: Tensor
    constant: Tensor
    dropped: Tensor

    @property
    def gap(self) -> Tensor:
        """start minus everything accounted for: zero up to rounding."""
        return self.start - self.input - sum(getattr(self, name) for name in ABSORBERS)


@dataclass(frozen=True, eq=False)
class Ledger:
    """Rows in the order of the walk: from the output down to the input. Iterable, with a length."""

    rows: tuple[Row, ...]
    total: Total

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Row:
        return self.rows[index]


def close(rows: tuple[Row, ...], start: Tensor, input_: Tensor) -> Ledger:
    """The ledger of these rows; ``start`` and ``input_`` are (B,) in float64."""
    sums = {name: torch.stack([getattr(row, name) for row in rows]).sum(0) for name in ABSORBERS} if rows else {}
    zero = torch.zeros_like(start)
    return Ledger(rows, Total(start, input_, **{name: sums.get(name, zero) for name in ABSORBERS}))


def stack(ledgers: list[Ledger]) -> Ledger:
    """One ledger whose numbers have a leading axis, for a sweep."""

    def stacked(parts: list, skip: str = "") -> dict[str, Tensor]:
        names = [f.name for f in fields(parts[0]) if f.name != skip]
        return {name: torch.stack([getattr(part, name) for part in parts]) for name in names}

    rows = zip(*(ledger.rows for ledger in ledgers), strict=True)
    return Ledger(
        tuple(Row(step=row[0].step, **stacked(list(row), skip="step")) for row in rows),
        Total(**stacked([ledger.total for ledger in ledgers])),
    )
