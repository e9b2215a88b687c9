"""From the recorded steps to a tape: read-out and dead branches cut, batch norms merged, memory let go."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..propagation.few_outputs import mark_heads
from ..propagation.linear_maps import Conv, Diagonal, merge
from ..propagation.weights import WeightCache
from ..propagation.written_softmax import find_written_softmaxes
from ..steps import Step, Value, can_be_dropped, replaced
from ..tape import Tape, without_masked
from .constants import find_constants
from .gates import find_gates
from .idioms import recognise
from .placement import place_rows
from .readout import before_readout
from .written_norms import find_written_norms
from .written_rotary import find_written_rotary


def finish(
    steps: list[Step],
    sources: list[Value],
    output: Value,
    result: Tensor,
    weights: WeightCache,
    relevance_at: str | None,
    blocks: frozenset[str] = frozenset(),
) -> Tape:
    """The tape of these steps, from the values ``sources`` to ``output``, whose tensor is ``result``.

    ``blocks``: the modules that may be blocks.
    """
    _check_shape(result, sources)
    if relevance_at is not None:
        sources = [_end_of(relevance_at, steps), *sources]
    recognise(steps)
    find_written_norms(steps)
    find_written_rotary(steps)
    output, readout, anew = before_readout(output)
    steps, scores = [*steps, *anew], output.available()
    _check_numbers(result, scores, readout)
    needed = _leading_to(output)
    steps = _merged(_padded([step for step in steps if step in needed], output), output, weights)
    find_written_softmaxes(steps)
    find_constants(steps, output)
    find_gates(steps)
    live = set(steps)
    for step in steps:
        for value in (*step.inputs, *step.outputs):
            value.consumers = [consumer for consumer in value.consumers if consumer in live]
        value = step.outputs[0]
        if value is not output and value.consumers and can_be_dropped(value):
            value.tensor = None
    place_rows(steps, sources, output, len(scores))
    for index, step in enumerate(steps):
        step.index = index
        for value in (*step.inputs, *step.outputs):
            value.consumers = []
    mark_heads(steps, output)
    reached = {id(value) for step in steps for value in step.inputs} | {id(output)}
    if not any(id(source) in reached for source in sources):
        raise ValueError("The model's output does not depend on the input by any recorded operation.")
    wanted = sources if relevance_at is None else [source for source in sources if id(source) in reached]
    parts = {source.part or "": source for source in wanted}
    return Tape(tuple(steps), output, result, scores, readout, parts, weights, blocks)


def is_finite(tensor: Tensor) -> bool:
    """Whether no number is NaN or infinite; one pass, without a mask."""
    return not tensor.numel() or all(math.isfinite(bound.item()) for bound in torch.aminmax(tensor))


def _check_shape(result: Tensor, sources: list[Value]) -> None:
    """One entry or more for each row, with the rows in front."""
    shape, rows = tuple(result.shape), len(result) if result.dim() else 0
    if not shape:
        raise ValueError(
            "The model's output is one number without a batch axis; keep that axis in the model, or say which row it "
            "belongs to with record(..., output=lambda out: out.reshape(1))."
        )
    if not result.numel():
        raise ValueError(f"The model's output is empty, its shape is {shape}: there is no score to explain.")
    if rows > 1 and not any(rows in s.shape or (s.shape and s.shape[0] % rows == 0) for s in sources):
        raise ValueError(
            f"The model's output has the shape {shape}, which would be {rows} rows, but no input has as many; put the "
            "batch axis in front, such as by record(..., output=lambda out: out[None]) for a single row."
        )


def _check_numbers(result: Tensor, scores: Tensor, readout: str | None) -> None:
    """Numbers in float32 or float64. Scores may be -infinity where a softmax follows: that masks them."""
    if scores.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"The model's output is {scores.dtype}; LRP works in float32 or float64.")
    if readout is None:
        if not is_finite(result):
            raise ValueError("The model's output holds NaN or infinite values.")
        return
    masks = readout.startswith(("softmax", "log_softmax"))
    if result.isnan().any() or not (is_finite(scores) or (masks and is_finite(without_masked(scores)))):
        raise ValueError(f"The model's output, or the scores before its {readout}, hold NaN or infinite values.")


def _end_of(layer: str, steps: list[Step]) -> Value:
    """The output of a layer, or of the last layer inside a block, made the place where relevance stops.

    What a recurrent layer returns joins its directions, and may stand in another order than its steps.
    """
    inside = [s for s in steps if s.is_layer and (s.layer == layer or s.layer.startswith(f"{layer}."))]
    if not inside:
        names = ", ".join(s.name for s in steps if s.is_layer)
        raise ValueError(f"relevance_at: no layer called {layer!r} was run; there are {names}.")
    value = inside[-1].outputs[0]
    if inside[-1].repeats:
        value = [v for step in steps for v in step.outputs if v.ends and v.ends[0] == inside[-1].layer][-1]
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


def _padded(steps: list[Step], output: Value) -> list[Step]:
    """Each padding with zeros that only convolutions read becomes part of them: no relevance is lost to zeros."""
    live = set(steps)
    gone: set[Step] = set()
    for pad in steps:
        value = pad.outputs[0]
        readers = [reader for reader in value.consumers if reader in live]
        sides = _zeros_around(pad)
        if not sides or value is output:
            continue
        maps = [r.map.padded(sides) if isinstance(r.map, Conv) else None for r in readers]
        if None in maps:
            continue
        for reader, map_ in zip(readers, maps, strict=True):
            reader.memo["map"], reader.inputs = map_, pad.inputs
            reader.args, reader.kwargs = replaced((reader.args, reader.kwargs), Value, lambda _: pad.inputs[0])  # noqa: B023
            pad.inputs[0].consumers.append(reader)
        gone.add(pad)
    return [step for step in steps if step not in gone]


def _zeros_around(step: Step) -> tuple[int, ...]:
    """How many zeros a padding puts around its input (``F.pad`` order); nothing for anything else."""
    if step.op != "pad" or len(step.inputs) != 1:
        return ()
    given = {**dict(zip(("input", "pad", "mode", "value"), step.args, strict=False)), **step.kwargs}
    is_plain = given.get("mode", "constant") == "constant" and not given.get("value")
    return tuple(given["pad"]) if is_plain else ()


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
