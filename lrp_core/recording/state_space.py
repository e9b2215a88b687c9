"""Selective state spaces (Mamba): h = exp(A dt) h + (dt B) x and y = C h, where dt, B and C are made of the input.

These parameters say what the state keeps, takes in and shows. They count as constants, whatever the composite, and the
signal takes all; else relevance would not be conserved along a sequence (MambaLRP, Jafari 2024).
"""

from __future__ import annotations

from ..steps import Step, Value

PRODUCTS = ("matmul", "bmm", "einsum", "mul")


def find_state_spaces(steps: list[Step]) -> None:
    """Set ``silent`` where a product has such a parameter as a factor."""
    decays = {step.outputs[0]: delta for step in steps if step.op == "exp" and (delta := _step_size(step)) is not None}
    if not decays:
        return
    deltas = set(decays.values())
    intakes: set[Value] = set()
    states: set[Value] = set()
    for step in steps:
        origins = [_origin(value) for value in step.inputs]
        fades = step.op == "mul" and any(origin in decays for origin in origins)
        if fades:
            step.silent = tuple(place for place, origin in enumerate(origins) if origin in decays)
            states.add(step.outputs[0])
        elif step.op == "mul" and len(origins) == 2 and any(origin in deltas for origin in origins):
            intakes.add(step.outputs[0])
        elif step.op == "mul" and len(origins) == 2 and (origins[0] in intakes) != (origins[1] in intakes):
            step.silent = (0 if origins[0] in intakes else 1,)
        elif step.op == "add" and any(origin in states for origin in origins):
            states.add(step.outputs[0])
        elif step.op in PRODUCTS and len(origins) == 2 and (origins[0] in states) != (origins[1] in states):
            step.silent = (1 if origins[0] in states else 0,)


def _step_size(exp: Step) -> Value | None:
    """dt in exp(A dt), where A is a constant and dt a softplus; else None."""
    value = _origin(exp.inputs[0])
    product = value.producer
    if product is None or product.op != "mul" or len(product.inputs) != 1:
        return None
    delta = _origin(product.inputs[0])
    return delta if delta.producer is not None and delta.producer.op == "softplus" else None


def _origin(value: Value) -> Value:
    """The value whose numbers this one holds in other places or another type."""
    step = value.producer
    while step is not None and len(step.inputs) == 1 and step.kind == "shape":
        value = step.inputs[0]
        step = value.producer
    return value
