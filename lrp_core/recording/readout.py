"""The read-out: what a network puts behind its scores to turn them into probabilities. Relevance starts before it.

Each rises with its scores and has no weights, so it says nothing about the input that they do not say. Shared out from
behind it, relevance would have the wrong sign wherever a probability is positive and its score is not, and explode near
a score of 0. In the middle of a network the same operations follow their own rules.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from ..steps import Step, Value, found, replaced

READOUTS = {"sigmoid": "sigmoid", "softmax": "softmax", "log_softmax": "log_softmax", "log_sigmoid": "logsigmoid"}
READOUTS |= {"hardsigmoid": "hardsigmoid", "softplus": "softplus"}
"""operations of torch and how ``Tape.readout`` names them"""

JOINED = {("softmax", "log"): "log_softmax", ("sigmoid", "log"): "logsigmoid"}
JOINED |= {("log_softmax", "exp"): "softmax", ("logsigmoid", "exp"): "sigmoid"}
"""what two operations in a row are together"""

GUARDS = {"clamp", "clip", "clamp_min", "clamp_max", "nan_to_num"}
"""what keeps a probability away from 0 or 1, lest a logarithm be infinite"""

COPIES = {
    "contiguous",
    "clone",
    "detach",
    "data",
    "to",
    "type",
    "type_as",
    "float",
    "double",
    "half",
    "bfloat16",
    "cpu",
}
"""the same numbers, perhaps in another type: scores stay in their own"""

SMALL = 1e-3

Chain = tuple[str, ...]


class Scores(NamedTuple):
    """Where relevance starts, the name of what follows it (None: nothing), and the steps that had to be made anew."""

    value: Value
    readout: str | None
    steps: list[Step]


def before_readout(output: Value) -> Scores:
    """The value before the network's final read-out, with all that is done to the output's shape done to it as well.

    Judged on the way to this output alone. Several branches count where all end alike, such as one head per label.
    """
    tail = _tail(output)
    chains: dict[Value, Chain] = {}
    for step in tail:
        chain = _chain_behind(step, chains)
        if chain:
            chains |= dict.fromkeys(step.outputs, chain)
    if output not in chains:
        return Scores(output, None, [])
    scores: dict[Value, Value] = {}
    made: list[Step] = []
    for step in tail:
        if step.outputs[0] not in chains:
            continue
        if _moves(step):
            made.append(_on(step, [scores.get(value, value) for value in step.inputs]))
            scores |= zip(step.outputs, made[-1].outputs, strict=True)
        else:
            scores[step.outputs[0]] = scores.get(step.inputs[0], step.inputs[0])
    return Scores(scores[output], " then ".join(chains[output]), made)


def _tail(output: Value) -> list[Step]:
    """The last operations before the output, as far as each may belong to a read-out, in the order they ran."""
    tail: set[Step] = set()
    open_values = [output]
    while open_values:
        step = open_values.pop().producer
        if step is not None and step not in tail and (_moves(step) or _reads_out(step)):
            tail.add(step)
            open_values.extend(step.inputs)
    return sorted(tail, key=lambda step: step.index)


def _moves(step: Step) -> bool:
    return step.kind == "shape" and step.operation is not None and step.op not in COPIES


def _carriers(step: Step) -> tuple[Value, ...]:
    """The inputs whose numbers it moves; of ``p.view_as(x)`` x only has the shape."""
    return step.inputs[:1] if step.op.endswith("_as") else step.inputs


def _reads_out(step: Step) -> bool:
    if step.op in COPIES:
        return True  # also those that only take the type of another tensor
    named = step.op in READOUTS or step.op in ("log", "exp") or step.op in GUARDS
    return len(step.inputs) == 1 and (named or (step.op == "add" and _is_small(step)))


def _is_small(step: Step) -> bool:
    """Whether what a sum adds is a number that only keeps a logarithm from zero."""
    numbers = found((step.args, step.kwargs), (int, float, Tensor))
    return all(isinstance(number, int | float) and 0 <= number <= SMALL for number in numbers)


def _chain_behind(step: Step, chains: dict[Value, Chain]) -> Chain:
    """The read-outs in a row whose result the step gives, the first one first; none where it gives something else."""
    before, *others = [chains.get(value, ()) for value in _carriers(step)]
    if _moves(step):
        return before if all(other == before for other in others) else ()
    if step.op in READOUTS:
        return (*before, READOUTS[step.op])
    if step.op not in ("log", "exp"):
        return before
    together = JOINED.get((before[-1], step.op)) if before else None
    return (*before[:-1], together) if together else ()


def _on(step: Step, inputs: list[Value]) -> Step:
    """The step once more, on other values of the same shapes."""
    tensors = [value.available() for value in inputs]
    outputs = [tensor for tensor in found(step.again(*tensors), Tensor) if tensor.is_floating_point()]
    args, kwargs = replaced((step.args, step.kwargs), Value, dict(zip(step.inputs, inputs, strict=True)).__getitem__)
    anew = Step(**{**vars(step), "args": args, "kwargs": kwargs, "inputs": tuple(inputs)})
    anew.outputs, anew.memo = tuple(map(Value, outputs)), dict(step.memo)
    for value in anew.inputs:
        value.consumers.append(anew)
    for value in anew.outputs:
        value.producer = anew
    return anew
