"""From the recorded steps to a tape: dead branches cut, batch norms merged, what can be computed again let go."""

from __future__ import annotations

import torch
from torch import Tensor

from ..propagation.linear_maps import Diagonal, merge
from ..propagation.weights import WeightCache
from ..steps import Step, Value, can_be_dropped
from ..tape import Tape
from .constants import find_constants
from .placement import place_rows


def finish(
    steps: list[Step],
    sources: list[Value],
    output: Value,
    logits: Tensor,
    weights: WeightCache,
    relevance_at: str | None,
) -> Tape:
    """The tape of these steps, from the values ``sources`` to ``output``."""
    _check_output(logits)
    if relevance_at is not None:
        sources = [_end_of(relevance_at, steps), *sources]
    needed = _leading_to(output)
    steps = _merged([step for step in steps if step in needed], output, weights)
    find_constants(steps, output)
    live = set(steps)
    for step in steps:
        for value in (*step.inputs, *step.outputs):
            value.consumers = [consumer for consumer in value.consumers if consumer in live]
        value = step.outputs[0]
        if value is not output and value.consumers and can_be_dropped(value):
            value.tensor = None
    place_rows(steps, sources, output, len(logits))
    for index, step in enumerate(steps):
        step.index = index
        for value in (*step.inputs, *step.outputs):
            value.consumers = []
    reached = {id(value) for step in steps for value in step.inputs} | {id(output)}
    if not any(id(source) in reached for source in sources):
        raise ValueError("The model's output does not depend on the input by any recorded operation.")
    wanted = sources if relevance_at is None else [source for source in sources if id(source) in reached]
    return Tape(tuple(steps), output, logits, {source.part or "": source for source in wanted}, weights)


def is_finite(tensor: Tensor) -> bool:
    """Whether no number is NaN or infinite; one pass, without a mask."""
    return not tensor.numel() or all(torch.isfinite(bound) for bound in torch.aminmax(tensor))


def _check_output(logits: Tensor) -> None:
    if logits.dim() != 2:
        raise ValueError(
            f"The model's output has the shape {tuple(logits.shape)}, LRP explains logits (B, C); "
            "choose or reduce it with record(..., output=...)."
        )
    if logits.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"The model's output is {logits.dtype}; LRP works in float32 or float64.")
    if not is_finite(logits):
        raise ValueError("The model's output holds NaN or infinite values.")


def _end_of(layer: str, steps: list[Step]) -> Value:
    """The output of a layer, or of the last layer inside a block, made the place where relevance stops."""
    inside = [s for s in steps if s.is_layer and (s.layer == layer or s.layer.startswith(f"{layer}."))]
    if not inside:
        names = ", ".join(s.name for s in steps if s.is_layer)
        raise ValueError(f"relevance_at: no layer called {layer!r} was run; there are {names}.")
    value = inside[-1].outputs[0]
    value.part, value.producer = layer, None
    return value


def _leading_to(output: Value) -> set[Step]:
    """The steps on some way from an input to the output."""
    needed: set[Step] = set()
    open_values = [output]
    while open_values:
        producer = open_values.pop().producer
        if producer is not None and producer not in needed:
            needed.add(producer)
            open_values.extend(producer.inputs)
    return needed


def _merged(steps: list[Step], output: Value, weights: WeightCache) -> list[Step]:
    """Each batch norm that alone reads the output of a layer becomes part of that layer."""
    live = set(steps)
    gone: set[Step] = set()
    for norm in steps:
        value = norm.inputs[0]
        layer = value.producer
        if not isinstance(norm.map, Diagonal) or layer is None or layer.map is None or value is output:
            continue
        if len([c for c in value.consumers if c in live]) != 1 or (len(value.shape) > 2 and layer.map.output_axis != 1):
            continue
        merged = merge(layer.map, norm.map, weights.get)
        if merged is None:
            continue
        value.tensor = None
        layer.memo = {"map": merged}
        layer.outputs = norm.outputs
        layer.outputs[0].producer = layer
        gone.add(norm)
    return [step for step in steps if step not in gone]
