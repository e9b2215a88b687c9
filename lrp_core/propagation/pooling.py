"""Pooling: the winner takes all, and averages share like any linear map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from ..message import Message
from ..registry import op_name, propagates
from ..steps import Context, Outcome, Step
from .adjoint import adjoint
from .ratios import over_output

_WITH_INDICES: dict[str, Callable[..., Any]] = {
    name: getattr(F, f"{name}_with_indices")
    for name in (f"{prefix}max_pool{n}d" for prefix in ("", "adaptive_") for n in (1, 2, 3))
}
_WITH_INDICES |= {f"fractional_max_pool{n}d": getattr(F, f"fractional_max_pool{n}d_with_indices") for n in (2, 3)}


def _run_max_pool(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    wants_indices = bool(kwargs.get("return_indices")) or function.__name__.endswith("_with_indices")
    pooled, indices = _WITH_INDICES[op_name(function)](*args, **{**kwargs, "return_indices": True})
    memo = {"winners": indices, "spatial": int(op_name(function)[-2])}
    if op_name(function) == "max_pool2d":
        memo["windows"] = _windows(*args[1:], **{k: v for k, v in kwargs.items() if k in _WINDOW})
    return ((pooled, indices) if wants_indices else pooled), memo


_WINDOW = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")


def _windows(
    kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False, *_: Any
) -> tuple[Any, ...]:
    """The arguments that torch's own way back through a 2-d max pooling wants, in its order."""

    def pair(value: Any) -> list[int]:
        return [value, value] if isinstance(value, int) else list(value) * (1 if len(value) == 2 else 2)

    return pair(kernel_size), pair(stride or kernel_size), pair(padding), pair(dilation), ceil_mode


@propagates(*_WITH_INDICES, kind="pool", run=_run_max_pool)
def max_pool(step: Step, message: Message, context: Context) -> Outcome:
    """All relevance goes to the winner of each window; of equal ones, to the first."""
    value, spatial = step.inputs[0], step.memo["spatial"]
    keeps_form = message.value is step.outputs[0].tensor and value.tensor is not None
    arrived = message.coefficient if keeps_form else message.relevance
    if "windows" in step.memo and value.tensor is not None:  # torch's own, which knows the layout in memory
        winners = step.memo["winners"]
        back = torch.ops.aten.max_pool2d_with_indices_backward(arrived, value.tensor, *step.memo["windows"], winners)
    else:
        start = len(value.shape) - spatial
        winners = step.memo["winners"].flatten(start)
        back = arrived.new_zeros(value.shape).flatten(start)
        back = back.scatter_add_(-1, winners, arrived.reshape(winners.shape)).reshape(value.shape)
    return Outcome((context.message(back, value.tensor if keeps_form else None),))


def _run_resize(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """Only the linear kinds of interpolation."""
    return (function(*args, **kwargs), {}) if kwargs.get("mode", "nearest") != "bicubic" else None


@propagates(F.interpolate, kind="pool", run=_run_resize)
@propagates(
    *(f"{prefix}avg_pool{n}d" for prefix in ("", "adaptive_") for n in (1, 2, 3)),
    *(torch.mean, torch.sum, F.fold),
    kind="pool",
)
def average(step: Step, message: Message, context: Context) -> Outcome:
    """LRP-epsilon on the linear map of an average or a sum."""
    assert context.rule is not None
    value = step.inputs[0]
    assert value.tensor is not None
    ratio = over_output(step, message, context.rule, context.rows)
    coefficient = adjoint(step.again, [value.tensor], [ratio.s])[0]
    return Outcome((context.message(coefficient, value.tensor),), epsilon=ratio.epsilon, dropped=ratio.dropped)
