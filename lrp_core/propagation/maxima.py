"""Maxima, minima and what else picks numbers: the winner takes all (as in max pooling, Bach 2015)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..message import Message
from ..registry import op_name, propagates
from ..rows import row_sums
from ..steps import Context, Outcome, Step, Value
from .arguments import axes_of, given

_NAMES = {"kthvalue": "input k dim keepdim"}


def _run_over_axes(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """One number of each group, over one axis, several or all; of equal ones the first."""
    name = op_name(function)
    named = given(_NAMES.get(name, "input dim keepdim"), args, kwargs)
    x, dims = named["input"], named["dim"]
    if not isinstance(x, Tensor) or isinstance(dims, Tensor) or named.get("other") is not None or not x.dim():
        return None
    axes = axes_of(-1 if dims is None and name == "kthvalue" else dims, x.dim())
    result = function(*args, **kwargs)
    best = result if isinstance(result, Tensor) else result[0]
    laid = x.movedim(axes, tuple(range(-len(axes), 0))).flatten(-len(axes))
    winners = (laid == best.reshape(laid.shape[:-1])[..., None]).to(torch.uint8).argmax(-1, keepdim=True)
    return result, {"winners": winners, "axes": axes, "reduced": axes, "finite": _is_finite(x)}


def _is_finite(x: Tensor) -> bool:
    """Whether relevance may come as a multiple of x: zero times a masked number, minus infinity, is not zero."""
    return bool(torch.isfinite(x).all())


@propagates(torch.amax, torch.amin, torch.max, torch.min, torch.median, torch.kthvalue, kind="pool", run=_run_over_axes)
def winner(step: Step, message: Message, context: Context) -> Outcome:
    """All relevance of a group goes to its winner."""
    return _picked(step, message, context, message.coefficient)


_RANKED = {"topk": "input k dim", "sort": "input dim descending", "cummax": "input dim", "cummin": "input dim"}


def _run_along_axis(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """Numbers picked along one axis, in a new order."""
    named = given(_RANKED[op_name(function)], args, kwargs)
    dims = -1 if named["dim"] is None else named["dim"]
    if not named["input"].dim() or isinstance(dims, bool):
        return None
    axis = dims % named["input"].dim()
    result = function(*args, **kwargs)
    memo = {"winners": result[1].movedim(axis, -1), "axes": (axis,), "axis": axis}
    return result, {**memo, "finite": _is_finite(named["input"])}


@propagates(torch.topk, torch.sort, torch.cummax, torch.cummin, kind="pool", run=_run_along_axis)
def ranked(step: Step, message: Message, context: Context) -> Outcome:
    """Each number that was picked gets the relevance of its new place."""
    return _picked(step, message, context, message.coefficient.movedim(step.memo["axis"], -1))


def _picked(step: Step, message: Message, context: Context, laid: Tensor) -> Outcome:
    """Relevance back to the numbers that were picked; ``laid`` is its coefficient, the picked ones in the last axis."""
    value, axes, winners = step.inputs[0], step.memo["axes"], step.memo["winners"]
    keeps_form = message.value is step.outputs[0].tensor and value.tensor is not None and step.memo.get("finite", False)
    if message.value is not None and not keeps_form:
        plain = message.relevance
        laid = plain.movedim(step.memo["axis"], -1) if "axis" in step.memo else plain
    behind = tuple(range(-len(axes), 0))
    sizes = torch.Size(value.shape[a] for a in axes)
    back = laid.new_zeros(*winners.shape[:-1], sizes.numel())
    back = back.scatter_add_(-1, winners, laid.reshape(winners.shape))
    back = back.reshape(*winners.shape[:-1], *sizes).movedim(behind, axes)
    return Outcome((context.message(back, value.tensor if keeps_form else None),))


_BOUNDS = {"clamp": "input min max", "clamp_min": "input min", "clamp_max": "input max"}


def _run_between(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """The larger or smaller of two tensors, or a tensor between bounds that are tensors themselves."""
    name = op_name(function)
    named = {**dict(zip(_BOUNDS.get(name, "input other").split(), args, strict=False)), **kwargs}
    operands = list(named.values())
    if name in _BOUNDS:
        bounds = operands[1:]
        if tracked(named["input"]) and not any(tracked(b) or (isinstance(b, Tensor) and b.dim()) for b in bounds):
            return None  # between two numbers: an activation
    elif len(operands) != 2 or not all(isinstance(operand, Tensor) for operand in operands):
        return None
    if function.__name__.endswith("_"):  # it writes over its first operand
        operands[0] = operands[0].clone()
    finite = all(_is_finite(item) for item in operands if isinstance(item, Tensor))
    result = function(*args, **kwargs)
    open_places, owners = torch.ones_like(result, dtype=torch.bool), []
    for operand in operands:
        owns = open_places if operand is None else open_places & (result == operand)
        owns = torch.zeros_like(open_places) if operand is None else owns
        owners.append(owns)
        open_places = open_places & ~owns
    return result, {"winners": tuple(owners), "operands": tuple(named), "entrywise": True, "finite": finite}


def _is_relu(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """max(x, 0): a ReLU by another name."""
    operands = list(given("input other", args, kwargs).values())
    others = [operand for operand in operands if not tracked(operand)]
    if len(operands) != 2 or len(others) != 1 or not isinstance(others[0], Tensor) or bool(others[0].any()):
        return None
    result = function(*args, **kwargs)
    is_same_shape = all(result.shape == x.shape for x in operands if tracked(x))
    return (result, {}) if is_same_shape else None


@propagates(torch.maximum, torch.minimum, torch.fmax, torch.fmin, torch.max, torch.min, kind="pool", run=_run_between)
@propagates("clamp", "clamp_min", "clamp_max", kind="pool", run=_run_between)
def larger(step: Step, message: Message, context: Context) -> Outcome:
    """Entry by entry the winner takes all, of equal ones the first operand; a constant that wins absorbs."""
    keeps_form = step.memo["finite"] and message.value is step.outputs[0].tensor
    keeps_form = keeps_form and all(value.tensor is not None for value in step.inputs)
    arrived = message.coefficient if keeps_form else message.relevance
    operands = {**dict(zip(step.memo["operands"], step.args, strict=False)), **step.kwargs}
    messages: list[Message | None] = []
    constant: Tensor | float = 0.0
    for name, owns in zip(step.memo["operands"], step.memo["winners"], strict=True):
        operand = operands[name]
        if isinstance(operand, Value):
            share = arrived * owns
            share = share if share.shape == operand.shape else share.sum_to_size(operand.shape)
            messages.append(context.message(share, operand.tensor if keeps_form else None))
        elif operand is not None:
            constant = constant + row_sums(message.relevance * owns, message.rows)
    return Outcome(tuple(messages), constant=constant)


@propagates(torch.maximum, torch.max, torch.fmax, kind="activation", run=_is_relu)
def rectified(step: Step, message: Message, context: Context) -> Outcome:
    """Relevance passes max(x, 0) unchanged, as it passes a ReLU."""
    return Outcome((message,))
