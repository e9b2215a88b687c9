"""Activations, additions and products: operations that act entry by entry."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .message import Message, row_sums
from .ratios import over_output
from .registry import propagates
from .steps import Context, Outcome, Step, Value

GATES = ("sigmoid", "hardsigmoid", "softmax")
"""operations that make a gate: a factor in [0, 1] that lets a signal through"""


@propagates(
    *(F.relu, F.relu6, F.hardtanh, F.leaky_relu, F.rrelu, F.elu, F.celu, F.selu, F.gelu, F.silu, F.mish, F.prelu),
    *(F.hardswish, F.hardsigmoid, F.softplus, F.softsign, F.tanhshrink, F.hardshrink, F.softshrink, F.logsigmoid),
    *(torch.tanh, torch.sigmoid, torch.clamp, "clamp_min", "clamp_max"),
    kind="activation",
)
def activation(step: Step, message: Message, context: Context) -> Outcome:
    """Relevance passes an activation unchanged."""
    return Outcome((message, *[None] * (len(step.inputs) - 1)))


@propagates(torch.neg, "negative", "positive", kind="product")
def scaling(step: Step, message: Message, context: Context) -> Outcome:
    """A constant factor changes the units of a value, not its relevance."""
    return Outcome((context.message(message.relevance),))


def _reduced(tensor: Tensor, shape: Any) -> Tensor:
    """Undo broadcasting: sum over the axes along which an operand was repeated."""
    return tensor if tensor.shape == shape else tensor.sum_to_size(shape)


@propagates(torch.add, torch.sub, "rsub", kind="add")
def addition(step: Step, message: Message, context: Context) -> Outcome:
    """Operands share by what they give to the sum (LRP-epsilon); constants absorb theirs."""
    assert context.rule is not None
    ratio = over_output(step, message, context.rule, context.rows)
    messages: list[Message | None] = []
    constant: Tensor | float = 0.0
    for operand, factor in _signed_operands(step):
        if isinstance(operand, Value):
            share = _reduced(ratio.s, operand.shape)
            messages.append(context.message(share if factor == 1 else share * factor, operand.available()))
        elif not isinstance(operand, Tensor) and operand == 0:
            continue  # sum() of Python starts with 0
        else:
            constant = constant + row_sums(ratio.s * (operand * factor), context.rows)
    return Outcome(tuple(messages), epsilon=ratio.epsilon, constant=constant, dropped=ratio.dropped)


def _signed_operands(step: Step) -> list[tuple[Any, float]]:
    first, second = (*(step.kwargs[name] for name in ("input", "other") if name in step.kwargs), *step.args)[:2]
    if "other" in step.kwargs and "input" not in step.kwargs:
        first, second = second, first
    alpha = step.kwargs.get("alpha", 1)
    of_first, of_second = {"add": (1, alpha), "sub": (1, -alpha), "rsub": (-alpha, 1)}[step.op]
    return [(first, of_first), (second, of_second)]


def _run_product(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """A constant divided by a tracked value is not a product, and has no rule."""
    if len(args) < 2 or (not tracked(args[0]) and "div" in function.__name__) or "rdiv" in function.__name__:
        return None
    return function(*args, **kwargs), {}


@propagates(torch.mul, torch.div, "rdiv", kind="product", run=_run_product)
def product(step: Step, message: Message, context: Context) -> Outcome:
    """A constant factor takes nothing. Of two factors CP-LRP gives all to the signal and nothing to the gate,

    AttnLRP half to each; a divisor counts as a constant, like the deviation in a normalisation.
    """
    relevance = message.relevance
    if len(step.inputs) == 1:
        return Outcome((context.message(_reduced(relevance, step.inputs[0].shape)),))
    first, second = step.inputs
    weights = (0.5, 0.5)
    if step.op == "div":
        weights = (1.0, 0.0)
    elif context.composite.attention == "cp" and is_gate(first) != is_gate(second):
        weights = (0.0, 1.0) if is_gate(first) else (1.0, 0.0)
    messages = [
        context.message(_reduced(relevance * weight, value.shape)) if weight else None
        for value, weight in zip(step.inputs, weights, strict=True)
    ]
    return Outcome(tuple(messages))


def is_gate(value: Value) -> bool:
    """Whether a value is a gate, possibly reshaped."""
    producer = value.producer
    if producer is None:
        return False
    return producer.op in GATES or (producer.kind == "shape" and is_gate(producer.inputs[0]))
