"""Numbers that are written over others: what was overwritten takes nothing, and a constant absorbs what it covers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..message import Message
from ..registry import propagates
from ..rows import row_sums
from ..steps import Context, Outcome, Step, Value, replaced


@dataclass(frozen=True)
class OnACopy:
    """An operation in place as a function: it changes a copy of its first argument, and returns that."""

    function: Callable[..., Any]

    def __call__(self, target: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        copy = target.clone()
        self.function(copy, *args, **kwargs)
        return copy


def seen_after(before: Tensor, written: Tensor, places: Tensor) -> Tensor:
    """What a tensor holds once other memory was written: ``places`` index what was written, -1 where nothing was."""
    return torch.where(places >= 0, written.reshape(-1)[places.clamp(min=0)], before)


_NUMBER = {"setitem": 2, "fill": 1, "index_fill": 3, "scatter": 3, "fill_diagonal": 1}
"""place of the number that an operation writes"""


def _run_write(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """Writing over; what is added to the old number, or depends on it, is not."""
    if kwargs.get("accumulate") or kwargs.get("reduce") is not None or "wrap" in kwargs:
        return None
    if "index_put" in getattr(function, "__name__", "") and len(args) > 3 and args[3]:
        return None
    return function(*args, **kwargs), {}


@propagates(
    *("setitem", "index_put", "index_fill", "index_copy", "masked_scatter", "copy", "fill", "zero", "fill_diagonal"),
    *(torch.scatter, torch.slice_scatter, torch.select_scatter, torch.diagonal_scatter, seen_after),
    *(torch.take, F.max_unpool1d, F.max_unpool2d, F.max_unpool3d),
    kind="shape",
    run=_run_write,
)
def overwritten(step: Step, message: Message, context: Context) -> Outcome:
    """Every number of the output goes back to where it came from, each to one place; those of constants stay."""
    tensors = [value.tensor for value in step.inputs]
    keeps_form = message.value is step.outputs[0].tensor and all(t is not None for t in tensors)
    arrived = message.coefficient if keeps_form else message.relevance
    origin = step.kept("origin", lambda: _origin(step))
    sizes = [value.shape.numel() for value in step.inputs]
    back = arrived.new_zeros(1 + sum(sizes)).index_add_(0, origin.reshape(-1), arrived.reshape(-1))
    parts = torch.split(back[1:], sizes)
    return Outcome(
        tuple(
            context.message(_like(value, part.reshape(value.shape)), value.tensor if keeps_form else None)
            for part, value in zip(parts, step.inputs, strict=True)
        ),
        constant=row_sums(message.relevance * (origin == 0), context.rows),
    )


def _like(value: Value, part: Tensor) -> Tensor:
    """In the precision of what was written, which may not be that of what it was written to."""
    return part if value.tensor is None else part.to(value.tensor.dtype)


def _origin(step: Step) -> Tensor:
    """For each number of the output the one of the inputs that it is, counted from 1; 0 for constants.

    The operation itself tells, on numbers that count: of two written to one place, the one that stayed counts.
    """
    device = step.outputs[0].available().device
    counted, start = [], 1
    for value in step.inputs:
        end = start + value.shape.numel()
        counted.append(torch.arange(start, end, dtype=torch.float64, device=device).reshape(value.shape))
        start = end

    def zero(constant: Tensor) -> Tensor:
        return torch.zeros_like(constant, dtype=torch.float64) if constant.is_floating_point() else constant

    args, kwargs = replaced((step.args, step.kwargs), Tensor, zero)
    place = _NUMBER.get(step.op, len(args))
    if place < len(args) and isinstance(args[place], int | float):
        args = (*args[:place], 0.0, *args[place + 1 :])
    kwargs = {name: 0.0 if isinstance(item, float) else item for name, item in kwargs.items()}
    result: Tensor = Step(**{**vars(step), "args": args, "kwargs": kwargs}).again(*counted)
    return result.long()
