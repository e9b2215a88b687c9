"""Constants in disguise: numbers that a model put beside those of its input, and picks out again.

A class token is joined to the patches of a picture, and taken from them again in another order than that of the rows
(TimeSformer takes the first B of B * T frames, for all have the same). No row is mixed with another by that: what is
picked is a constant, and absorbs the relevance it gets where it next meets the rows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..steps import Step, Value, replaced

DEPTH = 40
"""operations that are looked through for constants"""


def is_constant(step: Step) -> bool:
    """Whether nothing of the input is in what a step picks out of a tensor."""
    is_empty = not all(value.shape.numel() for value in step.outputs)
    return step.kind == "shape" and not is_empty and not any(_varying(value, DEPTH).any() for value in step.outputs)


def without_constant(steps: list[Step], constant: Step, output: Value) -> list[Step] | None:
    """The steps with the outputs of one of them as plain constants, or None where that changes what a step is."""
    fixed = set(constant.outputs)
    left = []
    for step in steps:
        met = [value for value in step.inputs if value in fixed]
        if step is constant:
            continue
        if met and len(met) == len(step.inputs):
            fixed.update(step.outputs)
            continue
        if met:
            if step.kind not in ("shape", "add") or step.silent:
                return None
            step.args, step.kwargs = replaced(
                (step.args, step.kwargs), Value, lambda value: value.available() if value in fixed else value
            )
            step.inputs = tuple(value for value in step.inputs if value not in fixed)
        left.append(step)
    return None if output in fixed else left


def _varying(value: Value, depth: int) -> Tensor:
    """Where a tensor depends on the input: found by NaN, which spreads to all that is computed from it."""
    step = value.producer
    tensor = value.available()
    if step is None or not depth or step.kind not in ("shape", "add") or len(step.outputs) > 1 or tensor.is_complex():
        return torch.ones_like(tensor, dtype=torch.bool)
    varying = [_varying(before, depth - 1) for before in step.inputs]
    filled = [v.available().masked_fill(where, torch.nan) for v, where in zip(step.inputs, varying, strict=True)]
    found: Tensor = step.again(*filled).isnan()
    return found
