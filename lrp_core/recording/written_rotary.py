"""Rotary positions that a model writes out, as Llama and its kin do, made one step of the tape."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..propagation import rotary
from ..steps import Operation, Step, Value

ROTARY = Operation("add", rotary.propagate)


def find_written_rotary(steps: list[Step]) -> None:
    """Make each sum x cos + (-x2, x1) sin one step; what it was made of then leads nowhere."""
    for step in steps:
        if step.op != "add" or len(step.inputs) != 2 or len(step.args) != 2 or step.kwargs:
            continue
        for plain, turned in (step.inputs, step.inputs[::-1]):
            x, cos = _scaled(plain)
            of_halves, sin = _scaled(turned)
            if x is not None and of_halves is not None and x.shape == step.outputs[0].shape and _turns(of_halves, x):
                _become(step, x, cos, sin)
                break


def _become(step: Step, x: Value, cos: Any, sin: Any) -> None:
    for value in step.inputs:
        value.consumers = [consumer for consumer in value.consumers if consumer is not step]
    x.consumers.append(step)
    step.name, step.op = step.name.replace("add", "rotary"), "rotary"
    step.function, step.operation = rotary.rotated, ROTARY
    step.args, step.inputs = (x, cos, sin), (x,)


def _scaled(value: Value) -> tuple[Value | None, Any]:
    """(v, factor) where the value is v times a constant tensor."""
    step = value.producer
    if step is None or step.op != "mul" or len(step.inputs) != 1 or len(step.args) != 2 or step.kwargs:
        return None, None
    factors = [item for item in step.args if isinstance(item, Tensor)]
    return (step.inputs[0], factors[0]) if len(factors) == 1 else (None, None)


def _turns(value: Value, x: Value) -> bool:
    """Whether the value is (-x2, x1)."""
    step = value.producer
    if step is None or step.op != "cat" or len(step.inputs) != 2 or _axis(step) not in (-1, len(x.shape) - 1):
        return False
    negative, first = step.inputs
    negated = negative.producer
    size = x.shape[-1]
    if negated is None or negated.op != "neg" or size % 2:
        return False
    return _is_part(negated.inputs[0], x, size // 2, size) and _is_part(first, x, 0, size // 2)


def _axis(step: Step) -> Any:
    """Along which a cat joins two tensors and nothing else."""
    if len(step.args[0]) != 2:
        return None
    return step.kwargs.get("dim", step.args[1] if len(step.args) > 1 else 0)


def _is_part(value: Value, x: Value, begin: int, end: int) -> bool:
    """Whether the value is x[..., begin:end], cut out by an index or as one of two halves."""
    step = value.producer
    if step is None or step.inputs != (x,):
        return False
    if step.op == "chunk":
        dim = step.kwargs.get("dim", step.args[2] if len(step.args) > 2 else 0)
        halves = len(step.outputs) == 2 and dim in (-1, len(x.shape) - 1)
        return halves and step.outputs[int(begin > 0)] is value
    if step.op != "getitem" or len(step.args) != 2:
        return False
    index = step.args[1]
    if not isinstance(index, tuple) or len(index) != 2 or index[0] is not Ellipsis or not isinstance(index[1], slice):
        return False
    return index[1].indices(x.shape[-1]) == (begin, end, 1)
