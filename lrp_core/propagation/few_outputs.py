"""The head of a network where relevance starts at few of its outputs: only these are computed with.

A target names one class of a thousand, or two words of fifty thousand at one of sixty positions. Each output of a dense
layer shares out its relevance by itself, whatever the rule, so that all others may be left out: of W, z and x only the
rows that relevance comes to. What comes back is exactly the relevance of x.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor

from ..limits import Budget
from ..message import Message
from ..rows import Rows
from ..steps import Context, Outcome, Step, Value
from .linear_maps import Dense
from .ratios import is_rectified, scale_of, visible_output

LARGE = 2**16
"""numbers in a weight from which picking rows of it is quicker than taking all of them"""

AT_MOST = 1 / 2
"""part of the outputs up to which it is worth picking them out"""


def mark_heads(steps: list[Step], output: Value) -> None:
    """Remember the large dense steps that relevance comes to before any other affine step: the highest on each way."""
    above: set[Value] = {output}
    for step in reversed(steps):
        if not any(value in above for value in step.outputs):
            continue
        if not step.is_affine:
            above.update(step.inputs)
        elif type(step.map) is Dense and step.map.weight.numel() >= LARGE:
            step.memo["head"] = True


def at_few_outputs(
    propagate: Callable[[Step, Message, Context], Outcome], step: Step, message: Message, context: Context
) -> Outcome | None:
    """The outcome by way of the outputs that have relevance; None where the step is no head, or where they are many."""
    x = step.inputs[0].tensor
    if "head" not in step.memo or x is None or (step.outputs[0].tensor is None and not is_rectified(step, message)):
        return None
    picked = _Picked.of(message.coefficient, step.output_shape[-1])
    if picked is None:
        return None
    part, arrived, rows = _part_of(step, message, context, picked)
    outcome = propagate(part, arrived, context._replace(rows=rows))
    (back,) = outcome.messages
    assert back is not None
    coefficient = back.coefficient.new_zeros(x.numel() // x.shape[-1], x.shape[-1])
    coefficient[picked.vectors] = back.coefficient
    value = x if back.value is not None else None
    return outcome._replace(messages=(Message(coefficient.reshape(x.shape), value, context.rows, back.total),))


class _Picked:
    """Which vectors of z (..., K), counted in order, and which of their K outputs have relevance."""

    def __init__(self, vectors: Tensor, outputs: Tensor, size: int) -> None:
        self.vectors, self.outputs, self.size = vectors, outputs, size

    @staticmethod
    def of(coefficient: Tensor, size: int) -> _Picked | None:
        every = coefficient.reshape(-1, size)
        vectors = every.any(1).nonzero().flatten()
        outputs = every[vectors].any(0).nonzero().flatten()
        if not len(outputs) or len(vectors) * len(outputs) > AT_MOST * every.numel():
            return None
        return _Picked(vectors, outputs, size)

    def from_(self, tensor: Tensor) -> Tensor:
        """(vectors, outputs) of a tensor shaped like z."""
        return self.rows_of(tensor)[:, self.outputs]

    def rows_of(self, tensor: Tensor) -> Tensor:
        """These vectors of a tensor (..., anything); a view of the same numbers for every row is not copied."""
        if tensor.dim() > 1 and tensor.stride(0) == 0:
            alike = tensor[0].reshape(-1, tensor.shape[-1])
            return alike[self.vectors % len(alike)]
        return tensor.reshape(-1, tensor.shape[-1])[self.vectors]


def _part_of(step: Step, message: Message, context: Context, picked: _Picked) -> tuple[Step, Message, Rows]:
    """The step, its relevance and the places of its rows, for these vectors and outputs alone."""
    x, map_, whole = step.inputs[0].available(), step.map, step.outputs[0]
    assert map_ is not None
    rows = _rows_of(picked.vectors, whole, context.rows)
    z = Value(picked.from_(visible_output(step, message)))
    same, value, coefficient = message.value, z.tensor, message.coefficient
    if is_rectified(step, message):
        assert same is not None
        z.rectified, z.capped = Value(picked.from_(same)), whole.capped
        value = z.rectified.tensor
    elif whole.activated is not None and same is not None and same is whole.activated.tensor:
        z.activated = Value(picked.from_(same))
        value = z.activated.tensor
    elif same is not whole.tensor:
        value, coefficient = None, message.relevance
    given = Value(picked.rows_of(x))
    z.rows = given.rows = rows
    bias = None if map_.bias is None else map_.bias[picked.outputs]
    memo: dict[Any, Any] = {"map": replace(map_, weight=map_.weight[picked.outputs], bias=bias, sources=())}
    if getattr(context.rule, "relative", False):
        memo["rms"] = scale_of(step, context.rows)
    part = replace(step, inputs=(given,), outputs=(z,), memo=memo, budget=Budget(0))
    return part, Message(picked.from_(coefficient), value, rows), rows


def _rows_of(vectors: Tensor, value: Value, rows: Rows) -> Rows:
    """To which row of the batch each of these vectors belongs."""
    if rows.count == 1:
        return rows
    count = value.shape[:-1].numel()
    if rows.owners is not None:
        each = count // len(rows.owners)
        return Rows(rows.count, owners=tuple(rows.owners[vector // each] for vector in vectors.tolist()))
    each = count // (rows.outer * rows.count)
    return Rows(rows.count, owners=tuple(vector // each % rows.count for vector in vectors.tolist()))
