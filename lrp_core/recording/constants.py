"""Which operands count as constants, whatever the composite: relevance does not reach what they are made of.

A normalisation divides by a deviation, and the rule for it is that the deviation is a constant. A hand-written
activation such as ``0.5 * x * (1 + tanh(...x...))`` is a product of a signal and a gate made of that same signal; an
activation passes its relevance to the signal, so the gate takes none.
"""

from __future__ import annotations

from ..steps import Step, Value
from .state_space import find_state_spaces

ENTRYWISE = {"add", "sub", "rsub", "mul", "div", "neg", "pow", "square", "sqrt", "rsqrt", "exp", "abs", "log1p"}
ENTRYWISE |= {"tanh", "sigmoid", "erf", "softplus", "relu", "relu6", "clamp", "hardsigmoid", "hardtanh", "reciprocal"}
SCALING = ("mul", "div", "neg")


def find_constants(steps: list[Step], output: Value) -> None:
    """Set ``silent`` and ``reached`` of every step."""
    roots: dict[Value, Value] = {}
    for step in steps:
        if step.op in ENTRYWISE and len(step.outputs) == 1:
            of_inputs = {roots.get(value, value) for value in step.inputs}
            root = of_inputs.pop()
            if not of_inputs and root.shape == step.outputs[0].shape:
                roots[step.outputs[0]] = root
        step.silent = _silent(step, roots)
    find_state_spaces(steps)
    _mark_reached(steps, output)


def _silent(step: Step, roots: dict[Value, Value]) -> tuple[int, ...]:
    if "looked_at" in step.memo:
        return tuple(place for place in step.memo["looked_at"] if place < len(step.inputs))
    if step.op == "gated":
        return (len(step.inputs) - 1,) if isinstance(step.args[1], Value) else ()
    if len(step.inputs) != 2 or step.op not in ("mul", "div"):
        return ()
    if step.op == "div":
        return () if "softmax" in step.memo else (1,)
    deviations = [place for place, value in enumerate(step.inputs) if _is_deviation(value)]
    if len(deviations) == 1:
        return tuple(deviations)
    root, other = (roots.get(value, value) for value in step.inputs)
    gates = [place for place, value in enumerate(step.inputs) if not _is_multiple_of(value, root)]
    return tuple(gates) if root is other and len(gates) == 1 else ()


def _is_deviation(value: Value) -> bool:
    """Whether a value is a constant over something, such as 1 / sqrt(...), possibly scaled or reshaped."""
    step = value.producer
    if step is None:
        return False
    if step.op == "div" and len(step.inputs) == 1 and not isinstance(step.args[0], Value):
        return True
    if step.op == "pow" and len(step.args) == 2 and isinstance(step.args[1], int | float):
        return step.args[1] < 0
    if step.op in ("rsqrt", "reciprocal", "rdiv"):
        return True
    return len(step.inputs) == 1 and (step.op in SCALING or step.kind == "shape") and _is_deviation(step.inputs[0])


def _is_multiple_of(value: Value, root: Value) -> bool:
    """Whether a value is a constant times the root."""
    while value is not root:
        step = value.producer
        if step is None or step.op not in SCALING or len(step.inputs) != 1:
            return False
        value = step.inputs[0]
    return True


def _mark_reached(steps: list[Step], output: Value) -> None:
    """Follow the relevance; let go of what it cannot reach, which only the gradient baseline computes again."""
    reached = {output}
    read: set[Value] = {output}
    for step in reversed(steps):
        step.reached = any(value in reached for value in step.outputs)
        if not step.reached and step.operation is None:
            step.kind = "constant"
        if step.reached:
            reached.update(value for place, value in enumerate(step.inputs) if place not in step.silent)
            read.update((*step.inputs, *step.outputs))
    for step in steps:
        for value in step.outputs if len(step.outputs) == 1 else ():  # several are not computed again
            if not step.reached and value not in read:
                value.tensor = None
