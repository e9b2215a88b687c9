"""A root-mean-square norm that a model writes out, taken for what it is: gain * x / sqrt(mean(x^2) + eps).

So language models do it (Zhang 2019). As one step of kind "norm" it follows the rule for norms, bears the name of the
module that holds the gain, and costs the walk one step in place of five. Powers, means and roots then lead nowhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from ..propagation.norms import Deviation
from ..registry import lookup
from ..steps import Step, Value


def find_written_norms(steps: list[Step]) -> None:
    """Make each step that completes such a norm one of ``rms_norm``, with its gain where that comes right behind."""
    if not any(step.op in ("mean", "norm") for step in steps):
        return
    names = Counter(step.layer for step in steps if step.is_layer)
    for step in steps:
        if (parts := _parts(step)) is None:
            continue
        x, deviation, eps, axes = parts
        rstd = deviation.available().reciprocal() if step.op == "div" else deviation.available()
        shape = tuple(x.shape[-axes:])
        memo = {"deviation": Deviation(rstd.reshape(-1, 1), None, None, centred=False)}
        gain_step, gain = _gain_behind(step, shape)
        owner = None if gain_step is None else gain_step.owner
        _become(step, x, (shape, None, eps), memo, owner, names)
        if gain_step is None or gain is None or gain.dtype != x.dtype:
            continue
        if step.outputs[0].consumers == [gain_step]:
            names[step.layer] -= 1  # one layer, whichever of the two steps stays
            memo = {"deviation": Deviation(rstd.reshape(-1, 1), gain, None, centred=False)}
            _become(gain_step, x, (shape, gain, eps), memo, owner, names)


def _become(step: Step, x: Value, rest: tuple[Any, ...], memo: Any, owner: str | None, names: Counter[str]) -> None:
    """The same numbers from one operation on ``x``."""
    for value in step.inputs:
        value.consumers = [consumer for consumer in value.consumers if consumer is not step]
    x.consumers.append(step)
    layer = owner or "rms_norm"
    names[layer] += 1
    step.name = layer if owner and names[layer] == 1 else f"{layer}#{names[layer]}"
    step.is_layer, step.owner = owner is not None, owner
    step.op, step.kind, step.function = "rms_norm", "norm", F.rms_norm
    step.operation = lookup("rms_norm")[0]
    step.args, step.kwargs, step.inputs, step.memo = (x, *rest), {}, (x,), memo


def _parts(step: Step) -> tuple[Value, Value, float, int] | None:
    """(x, deviation or 1 / deviation, eps, how many trailing axes) where the step divides x by its own size."""
    if len(step.inputs) != 2 or step.kwargs or step.op not in ("mul", "div"):
        return None
    for x, size in (step.inputs, step.inputs[::-1]) if step.op == "mul" else (step.inputs,):
        root = _rooted(size, inverted=step.op == "mul")
        found = None if root is None else _mean_square(root, x)
        if found is not None and size.shape == (*x.shape[: -found[1]], *[1] * found[1]):
            return x, size, *found
    return None


def _rooted(value: Value, inverted: bool) -> Value | None:
    """v where the value is 1 / sqrt(v), or sqrt(v) where it is not inverted."""
    step = value.producer
    if step is None or len(step.inputs) != 1:
        return None
    if step.op == "pow":
        return step.inputs[0] if step.args[1:] == ((-0.5,) if inverted else (0.5,)) else None
    if not inverted:
        return step.inputs[0] if step.op == "sqrt" else None
    if step.op == "rsqrt":
        return step.inputs[0]
    is_inverse = step.op == "reciprocal" or (step.op in ("div", "rdiv") and 1 in _numbers(step))
    return _rooted(step.inputs[0], inverted=False) if is_inverse and not isinstance(_first(step), Value) else None


def _first(step: Step) -> Any:
    """What stands above in a quotient; of ``rdiv`` and a reciprocal that is no operand of the step."""
    return step.args[0] if step.op == "div" else None


def _numbers(step: Step) -> list[Any]:
    return [item for item in step.args if isinstance(item, int | float)]


def _mean_square(value: Value, x: Value) -> tuple[float, int] | None:
    """(eps, how many trailing axes) where the value is mean(x^2) + eps."""
    step, eps = value.producer, 0.0
    if step is not None and step.op == "add" and len(step.inputs) == 1 and not step.kwargs:
        added = [item for item in step.args if not isinstance(item, Value)]
        number = added[0].item() if isinstance(added[0], Tensor) and added[0].numel() == 1 else added[0]
        if not isinstance(number, int | float):
            return None
        step, eps = step.inputs[0].producer, float(number)
    if step is None or step.op != "mean" or not _is_square(step.inputs[0], x):
        return None
    dims = step.kwargs.get("dim", step.args[1] if len(step.args) > 1 else ())
    axes = sorted(d % len(x.shape) for d in ((dims,) if isinstance(dims, int) else dims or ()))
    is_trailing = bool(axes) and axes == list(range(axes[0], len(x.shape)))
    return (eps, len(axes)) if is_trailing else None


def _is_square(value: Value, x: Value) -> bool:
    step = value.producer
    if step is None or set(step.inputs) != {x}:
        return False
    if step.op == "pow":
        return step.args[1:] == (2,) and isinstance(step.args[0], Value)
    return step.op == "square" or (step.op == "mul" and len(step.inputs) == 2)


def _gain_behind(step: Step, shape: tuple[int, ...]) -> tuple[Step | None, Tensor | None]:
    """The product with the module's gain that follows, perhaps in another type, and the gain."""
    for reader in _readers(step.outputs[0]):
        gains = [item for item in reader.args if isinstance(item, Tensor) and tuple(item.shape) == shape]
        if reader.op == "mul" and reader.owner and len(reader.inputs) == len(gains) == 1 and not reader.kwargs:
            return reader, gains[0]
    return None, None


def _readers(value: Value) -> Iterator[Step]:
    for step in value.consumers:
        yield step
        if step.op in ("to", "type", "type_as", "float", "double"):
            yield from step.outputs[0].consumers
