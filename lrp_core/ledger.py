"""Conservation, shown: where the relevance of every step went.

For each step r_out = r_in + bias + epsilon + softmax + constant + masked + dropped, number by number and row by row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .steps import Step

ABSORBERS = ("bias", "epsilon", "softmax", "constant", "masked", "dropped")


class Row(NamedTuple):
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
    masked: Tensor
    """left out because it does not pass the chosen channels; zero in every walk without ``through``"""
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
    masked: Tensor
    dropped: Tensor

    @property
    def gap(self) -> Tensor:
        """start minus everything accounted for: zero up to rounding."""
        return self.start - self.input - sum(getattr(self, name) for name in ABSORBERS)


@dataclass(frozen=True, eq=False)
class Ledger:
    """Rows in the order of the walk: from the output down to the input. Iterable, with a length.

    ``start`` and ``input`` are the relevance put on the output and what reached the inputs, (B,) in float64.
    """

    rows: tuple[Row, ...]
    start: Tensor
    input: Tensor
    nothing: Tensor
    """the zero that stands in the rows for what took no relevance"""

    def __post_init__(self) -> None:
        """Relevance that has become infinite, or infinity minus infinity, is refused and not shown."""
        if self.input.isfinite().all():
            return
        where = next((f" at {row.step.name}" for row in self.rows if not row.r_in.isfinite().all()), "")
        raise ValueError(
            f"Relevance grows beyond all numbers{where}: LRP-0 and bias='ignore' divide by outputs close to zero, and "
            "in this network that overflows; use an epsilon, a gamma, or bias='absorb'."
        )

    @property
    def total(self) -> Total:
        """The whole walk in one row."""
        columns = {name: [getattr(row, name) for row in self.rows] for name in ABSORBERS}
        sums = {
            name: sum((v for v in column if v is not self.nothing), self.nothing) for name, column in columns.items()
        }
        return Total(self.start, self.input, **sums)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Row:
        return self.rows[index]


def stack(ledgers: list[Ledger]) -> Ledger:
    """One ledger whose numbers have a leading axis, for a sweep."""
    names = [name for name in Row._fields if name != "step"]
    rows = tuple(
        Row(step=row[0].step, **{name: torch.stack([getattr(part, name) for part in row]) for name in names})
        for row in zip(*(ledger.rows for ledger in ledgers), strict=True)
    )
    names = ["start", "input", "nothing"]
    return Ledger(rows, *(torch.stack([getattr(part, name) for part in ledgers]) for name in names))
