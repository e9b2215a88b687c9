"""Rows of the batch where they do not lie side by side: what an index gathers, and tokens on their way to experts.

Row numbers take the place of the data. A sum mixes rows where it adds up different ones, which shows in their squares.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from ..propagation.gathering import only_who_meets_whom
from ..rows import Rows
from ..steps import Step, found

Candidates = Callable[[torch.Size, int], Iterable[int]]
"""for a shape and a number of rows, the ``outer`` that are possible"""


def gathered(step: Step, count: int, candidates: Candidates) -> Rows | None:
    """The rows of a sum or maximum over an index; None where it mixes them."""
    number = torch.arange(1.0, count + 1, dtype=torch.float64, device=step.outputs[0].available().device)
    marks = _marks(step, number)
    if marks is None:
        return None
    mean = only_who_meets_whom(step)
    weight, first, second = (mean.again(*(m**power for m in marks)).nan_to_num_() for power in (0, 1, 2))
    if ((second * weight - first * first).abs() > 1e-9 * first * first).any():
        return None
    return _placed((first / weight).round(), weight == 0, number, candidates)


def moved(step: Step, count: int, candidates: Candidates) -> list[Rows] | None:
    """The rows of what only moves numbers, to any place; None where it joins several rows in one place."""
    number = torch.arange(1.0, count + 1, device=step.outputs[0].available().device)
    marks = _marks(step, number)
    if marks is None:
        return None
    typed = [mark.to(value.available().dtype) for mark, value in zip(marks, step.inputs, strict=True)]
    once, twice = (found(step.again(*(mark * times for mark in typed)), Tensor) for times in (1, 2))
    pairs = [(a, b) for a, b in zip(once, twice, strict=True) if a.is_floating_point() or a.is_complex()]
    places = [_placed(a.real if a.is_complex() else a, a == b, number, candidates) for a, b in pairs]
    return None if None in places else [rows for rows in places if rows is not None]


def kept(step: Step, works_along: bool, entrywise: bool) -> Rows | None:
    """Rows in any order along the first axis stay there, where an operation leaves that axis alone."""
    owners = [value.rows for value in step.inputs if value.rows.owners is not None]
    length = (len(owners[0].owners or ()),)
    dims = {len(value.shape) for value in (*step.inputs, *step.outputs)}
    alike = len(owners) == len(step.inputs) and len({rows.owners for rows in owners}) == 1
    fits = all(value.shape[:1] == length for value in (*step.inputs, *step.outputs))
    return owners[0] if alike and fits and not works_along and (not entrywise or len(dims) == 1) else None


def beside(mixed: tuple[int, ...], step: Step, axis: int, before: int) -> Rows | None:
    """The rows of an operation that mixes these axes of its input and leaves the others where they are."""
    value = step.inputs[0]
    if axis in mixed:
        return None
    return value.rows if value.rows.owners else Rows(value.rows.count, before * math.prod(step.outputs[0].shape[:axis]))


def _marks(step: Step, number: Tensor) -> list[Tensor] | None:
    """For each input a tensor of its shape with the number of the row at every entry."""
    regular = [value for value in step.inputs if value.rows.owners is None]
    if any(value.shape.numel() % (len(number) * value.rows.outer) for value in regular):
        return None
    return [_laid_out(number, value.rows, value.shape) for value in step.inputs]


def _laid_out(number: Tensor, rows: Rows, shape: torch.Size) -> Tensor:
    if rows.owners is not None:
        return rows.spread(number, shape).expand(shape)
    rest = shape.numel() // (rows.outer * len(number))
    return number.reshape(1, -1, 1).expand(rows.outer, -1, rest).reshape(shape)


def _placed(seen: Tensor, free: Tensor, number: Tensor, candidates: Candidates) -> Rows | None:
    """Where the rows lie in a tensor that has ``seen`` of their numbers at its entries, and at some is ``free``."""
    count = len(number)
    if not seen.numel():
        return Rows(count, 1, (0,) * len(seen))
    for outer in candidates(seen.shape, count):
        rows = Rows(count, outer)
        if bool(((seen == _laid_out(number, rows, seen.shape)) | free).all()):
            return rows
    if not seen.dim():
        return None
    entries, free = seen.reshape(len(seen), -1), free.reshape(len(seen), -1)
    highest = entries.masked_fill(free, 0).amax(1)
    if not bool(((entries == highest[:, None]) | free).all()):
        return None
    return Rows(count, 1, tuple(max(0, int(row) - 1) for row in highest.tolist()))
