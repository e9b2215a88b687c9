"""A softmax that a model writes out itself: exp(x) over a sum of such, as graph networks do over neighbours.

By AttnLRP its parts together give what the softmax in one piece gives, R_i = x_i (R_i - s_i sum_j R_j) (Achtibat 2024):
the quotient passes R to what stands above and -R to the sum below, sums share it, and exp passes x times what arrives.
By CP-LRP it is a constant.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..message import Message
from ..steps import Context, Operation, Outcome, Step, Value
from .attention import with_the_rest

ADDS_UP = {
    "sum",
    "index_add",
    "scatter_add",
    "scatter",
    "scatter_reduce",
    "segment_reduce",
    "add",
    "clamp",
    "clamp_min",
}
"""what may lie between the exponentials and the divisor, beside what only moves numbers"""


def find_written_softmaxes(steps: list[Step]) -> None:
    """Give the quotient and the exponential of every written-out softmax their rules."""
    for step in steps:
        if step.op != "div" or len(step.inputs) != 2:
            continue
        above = _origin(step.inputs[0], set())
        if above.producer is not None and above.producer.op == "exp" and _origin(step.inputs[1], ADDS_UP) is above:
            step.memo["softmax"] = True
            step.operation = Operation("product", quotient)
            above.producer.operation = Operation("activation", exponential)
            above.producer.kind = "activation"


def _origin(value: Value, ways: set[str]) -> Value:
    """The value that this one is made of by moving its numbers about, and by operations in ``ways``."""
    step = value.producer
    while step is not None and len(step.inputs) == 1 and (step.kind == "shape" or step.op in ways):
        value = step.inputs[0]
        step = value.producer
    return value


def quotient(step: Step, message: Message, context: Context) -> Outcome:
    """o = n / d: R goes to n and -R to d, as d falls when o rises."""
    if context.composite.attention == "cp":
        return Outcome((None, None), softmax=message.total)
    above, below = (value.available() for value in step.inputs)
    relevance = message.relevance
    if message.value is step.outputs[0].tensor:
        to_above = context.message((message.coefficient / below).sum_to_size(above.shape), above)
    else:
        to_above = context.message(relevance.sum_to_size(above.shape))
    divided = torch.div(relevance, below).neg_().sum_to_size(below.shape)
    passed = to_above, context.message(divided, below)
    taken: Tensor = sum(
        (part.at(v.rows, v.dtype).total for part, v in zip(passed, step.inputs, strict=True)), 0 * message.total
    )
    return Outcome(passed, softmax=message.total - taken)


def exponential(step: Step, message: Message, context: Context) -> Outcome:
    """x times the relevance of exp(x): what the derivative says, since exp is its own."""
    if context.composite.attention == "cp":
        return Outcome((None,), softmax=message.total)
    return with_the_rest(step, message, message.relevance, context)
