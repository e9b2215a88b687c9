"""Which row of the batch each entry of an output depends on, found by trying: nothing need be known of the operation.

NaN spreads to all that is computed from it. Rows are filled with it, half of them at a time and then the other half,
once for each binary digit of the row's number: an entry that turns NaN in both runs depends on several rows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..steps import Step, found


def rows_in_outputs(step: Step) -> list[tuple[Tensor, Tensor]] | None:
    """For each output the number of the row at every entry, and where no row has a part in it.

    None where an entry depends on several rows.
    """
    count = step.inputs[0].rows.count
    values = [value.available() for value in step.inputs]
    if "nan" in step.op or any(value.is_complex() for value in values):
        return None
    device = values[0].device
    number = torch.arange(count, device=device)
    owners = [_owner(number, v.shape, v.rows.outer) for v in step.inputs]

    def reached(rows: Tensor) -> list[Tensor]:
        filled = [v.masked_fill(rows[owner], torch.nan) for v, owner in zip(values, owners, strict=True)]
        return [t.isnan() for t in found(step.again(*filled), Tensor) if t.is_floating_point()]

    numbers: list[Tensor] | None = None
    alone: list[Tensor] = []
    for digit in range((count - 1).bit_length()):
        is_one = (number >> digit & 1).bool()
        ones, zeros = reached(is_one), reached(~is_one)
        if any(bool((one & zero).any()) for one, zero in zip(ones, zeros, strict=True)):
            return None
        alone = [~(one | zero) for one, zero in zip(ones, zeros, strict=True)]
        digits = [one.long() << digit for one in ones]
        numbers = digits if numbers is None else [a + b for a, b in zip(numbers, digits, strict=True)]
    return list(zip(numbers or [], alone, strict=True))


def _owner(number: Tensor, shape: torch.Size, outer: int) -> Tensor:
    """The number of the row at every entry of a tensor that has its rows so."""
    rest = shape.numel() // (outer * len(number))
    return number.reshape(1, -1, 1).expand(outer, -1, rest).reshape(shape)
