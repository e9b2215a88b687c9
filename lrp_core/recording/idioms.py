"""Softmax, sigmoid, softplus and logsumexp that a model writes out with ``exp``, taken for what they are.

``exp`` by itself has no rule, as exp(0) is not 0; the functions that are made of it have one. A rule that somebody
registered for ``exp`` goes before.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import is_
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from ..registry import lookup
from ..steps import Step, Value


class Idiom(NamedTuple):
    """The function that a step completes, and what it is a function of."""

    function: Callable[..., Any]
    op: str
    of: Value
    options: dict[str, Any]


def recognise(steps: list[Step]) -> None:
    """Make each step that completes an idiom one of that function; what it is made of may then lead nowhere."""
    if lookup("exp") or not any(step.op == "exp" for step in steps):
        return
    for step in steps:
        idiom = _softmax(step) or _sigmoid(step) or _softplus(step) or _logsumexp(step) or _shifted_logsumexp(step)
        if idiom is not None:
            _become(step, idiom, 1 + sum(other.op == idiom.op for other in steps))


def _become(step: Step, idiom: Idiom, count: int) -> None:
    for operation in lookup(idiom.op):
        x = idiom.of.available()
        memo: dict[str, Any] = {}
        if operation.run is not None:
            ran = operation.run(idiom.function, (x,), idiom.options, partial(is_, x))
            if ran is None:
                continue
            memo = ran[1]
        for value in step.inputs:
            value.consumers = [consumer for consumer in value.consumers if consumer is not step]
        idiom.of.consumers.append(step)
        step.name, step.op, step.kind, step.operation = f"{idiom.op}#{count}", idiom.op, operation.kind, operation
        step.function, step.args, step.kwargs, step.memo = idiom.function, (idiom.of,), idiom.options, memo
        step.inputs = (idiom.of,)
        return


def _softmax(step: Step) -> Idiom | None:
    """exp(x) / exp(x).sum(axis), where x may be shifted by its maximum."""
    if step.op != "div" or len(step.inputs) != 2:
        return None
    exponential, total = step.inputs
    summed = _without_shaping(total)
    x, axis = _argument(exponential, "exp"), _axis_of_sum(summed)
    if x is None or axis is None or summed.producer is None or _argument(summed.producer.inputs[0], "exp") is not x:
        return None
    kept = [1 if a == axis else size for a, size in enumerate(exponential.shape)]
    return Idiom(torch.softmax, "softmax", _unshifted(x, axis), {"dim": axis}) if list(total.shape) == kept else None


def _sigmoid(step: Step) -> Idiom | None:
    """1 / (1 + exp(-x)) or exp(x) / (1 + exp(x))."""
    if step.op == "div" and len(step.inputs) == 2:
        x, of_sum = _argument(step.inputs[0], "exp"), _one_more_than(step.inputs[1])
        same = x is not None and of_sum is not None and _argument(of_sum, "exp") is x
        return Idiom(torch.sigmoid, "sigmoid", x, {}) if x is not None and same else None
    constants = [item for item in step.args if not isinstance(item, Value)]
    if step.op not in ("div", "rdiv", "reciprocal") or (step.op != "reciprocal" and constants != [1]):
        return None
    if step.op == "div" and isinstance(step.args[0], Value):
        return None
    exponential = _one_more_than(step.inputs[0])
    negated = None if exponential is None else _argument(exponential, "exp")
    x = None if negated is None else _argument(negated, "neg")
    return None if x is None else Idiom(torch.sigmoid, "sigmoid", x, {})


def _softplus(step: Step) -> Idiom | None:
    """log(1 + exp(x))."""
    if step.op not in ("log", "log1p"):
        return None
    exponential = step.inputs[0] if step.op == "log1p" else _one_more_than(step.inputs[0])
    x = None if exponential is None else _argument(exponential, "exp")
    return None if x is None else Idiom(F.softplus, "softplus", x, {})


def _logsumexp(step: Step) -> Idiom | None:
    """log(exp(x).sum(axis))."""
    if step.op != "log":
        return None
    summed = step.inputs[0]
    axis, sum_step = _axis_of_sum(summed), summed.producer
    x = None if axis is None or sum_step is None else _argument(sum_step.inputs[0], "exp")
    if x is None or axis is None:
        return None
    return Idiom(torch.logsumexp, "logsumexp", x, {"dim": axis, "keepdim": len(summed.shape) == len(x.shape)})


def _shifted_logsumexp(step: Step) -> Idiom | None:
    """m + log(exp(x - m).sum(axis)) with m the maximum of x."""
    if step.op != "add" or len(step.inputs) != 2 or len(step.args) != 2 or step.kwargs:
        return None
    for shift, inner in (step.inputs, step.inputs[::-1]):
        made = inner.producer
        if made is None or made.op != "logsumexp" or shift.shape != inner.shape:
            continue
        axis, shifted = made.kwargs["dim"], made.inputs[0]
        x = _unshifted(shifted, axis)
        if x is not shifted and shifted.producer is not None:
            by = _without_shaping(shifted.producer.inputs[1])
            if _without_shaping(shift) is by:
                return Idiom(torch.logsumexp, "logsumexp", x, dict(made.kwargs))
    return None


def _argument(value: Value, op: str) -> Value | None:
    """x where the value is op(x)."""
    step = value.producer
    return step.inputs[0] if step is not None and step.op == op and len(step.inputs) == 1 else None


def _one_more_than(value: Value) -> Value | None:
    """x where the value is x + 1."""
    step = value.producer
    if step is None or step.op != "add" or len(step.inputs) != 1 or step.kwargs:
        return None
    others = [item for item in step.args if not isinstance(item, Value)]
    return step.inputs[0] if others == [1] else None


def _axis_of_sum(value: Value) -> int | None:
    step = value.producer
    if step is None or step.op != "sum":
        return None
    axis = step.kwargs.get("dim", step.args[1] if len(step.args) > 1 else None)
    if isinstance(axis, list | tuple) and len(axis) == 1:
        axis = axis[0]
    return axis % len(step.inputs[0].shape) if isinstance(axis, int) else None


def _unshifted(x: Value, axis: int) -> Value:
    """What x was before its maximum along the axis was taken off, which a softmax does not see."""
    step = x.producer
    if step is None or step.op != "sub" or len(step.inputs) != 2 or step.kwargs:
        return x
    before, shift = step.inputs
    made = _without_shaping(shift).producer
    is_maximum = made is not None and made.op in ("max", "amax") and made.inputs == (before,)
    is_level = not shift.shape or (len(shift.shape) == len(before.shape) and shift.shape[axis] == 1)
    return before if is_maximum and is_level else x


def _without_shaping(value: Value) -> Value:
    step = value.producer
    while step is not None and step.kind == "shape" and len(step.inputs) == 1:
        value, step = step.inputs[0], step.inputs[0].producer
    return value
