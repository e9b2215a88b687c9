"""The auditor: what each step received and handed on, summed again from the tensors, by other code than the engine's.

The books of a walk prove nothing where a sum is copied from one row to the next, or where relevance is kept in another
shape or precision than the tensor that it belongs to.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lrp_core import walk
from lrp_core.message import Message
from lrp_core.rows import Rows
from lrp_core.steps import Value


def per_row(message: Message, value: Value) -> Tensor:
    """Sum of the relevance of a recorded tensor over each row of the batch, number by number in float64."""
    relevance = message.relevance
    assert relevance.shape == value.shape, f"relevance {tuple(relevance.shape)} of a tensor {tuple(value.shape)}"
    assert relevance.dtype == value.dtype, f"relevance in {relevance.dtype} of a tensor in {value.dtype}"
    assert message.value is None or message.value.shape == value.shape
    return _summed(_parts(relevance), value.rows)


def sizes(message: Message, value: Value) -> Tensor:
    return _summed(_parts(message.relevance).abs(), value.rows)


def _parts(relevance: Tensor) -> Tensor:
    """In float64; a complex number counts as its two parts."""
    if relevance.is_complex():
        relevance = torch.stack([relevance.real, relevance.imag], -1)
    return relevance.to(torch.float64)


def _summed(numbers: Tensor, rows: Rows) -> Tensor:
    if not numbers.numel():
        return numbers.new_zeros(rows.count)
    if rows.owners is None:
        return numbers.reshape(rows.outer, rows.count, -1).sum((0, 2))
    of_owners = numbers.reshape(len(rows.owners), -1).sum(1).tolist()
    sums = [
        sum(n for n, owner in zip(of_owners, rows.owners, strict=True) if owner == row) for row in range(rows.count)
    ]
    return torch.tensor(sums, dtype=torch.float64)


def audited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every step of every walk checked as soon as it is done."""
    passed_by = walk._pass

    def checked(step, arriving, context, zero):
        passed, row = passed_by(step, arriving, context, zero)
        for booked, messages, values in ((row.r_out, arriving, step.outputs), (row.r_in, passed, step.inputs)):
            pairs = [(m, v) for m, v in zip(messages, values, strict=True) if m is not None]
            counted = sum((per_row(m, v) for m, v in pairs), torch.zeros_like(zero))
            noise = 1e-12 if all(v.dtype in (torch.float64, torch.complex128) for _, v in pairs) else 1e-5
            scale = sum((sizes(m, v) for m, v in pairs), torch.zeros_like(zero)).clamp(min=1e-30)
            off = ((booked - counted).abs() / scale).nan_to_num(nan=0.0).max()
            assert off <= noise, f"{step}: booked {booked.tolist()}, counted {counted.tolist()}"
        return passed, row

    monkeypatch.setattr(walk, "_pass", checked)
