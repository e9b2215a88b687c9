"""Activations, additions and products: operations that act entry by entry."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from ..message import Message
from ..registry import propagates
from ..rows import row_sums
from ..steps import Context, Outcome, Step, Value, found
from .ratios import over_output

SIGN_KEEPING = {"gelu", "silu", "tanh", "mish", "elu", "celu", "selu", "leaky_relu", "hardswish", "softsign"}
"""activations whose result has the sign of their input or is 0, and is 0 at 0; ReLU has ways of its own"""


def keeps_sign(op: str, args: Any, kwargs: Any) -> bool:
    """Whether an activation, called like this, is one of these: a negative slope turns signs round."""
    return op in SIGN_KEEPING and all(number >= 0 for number in found((args, kwargs), (int, float)))


@propagates(
    *(F.relu, F.relu6, F.hardtanh, F.leaky_relu, F.rrelu, F.elu, F.celu, F.selu, F.gelu, F.silu, F.mish),
    *(F.hardswish, F.hardsigmoid, F.softplus, F.softsign, F.tanhshrink, F.hardshrink, F.softshrink, F.logsigmoid),
    *(torch.tanh, torch.sigmoid),
    kind="activation",
)
def activation(step: Step, message: Message, context: Context) -> Outcome:
    """Relevance passes an activation unchanged; where it is a multiple of the activation's result, it stays so.

    The layers below know what to make of that (see ``ratios.py``).
    """
    return Outcome((message,))


def _run_prelu(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """A slope that depends on the input is a factor of its own; that has no rule."""
    return (function(*args, **kwargs), {}) if tracked(args[0]) and not tracked(args[1]) else None


propagates(F.prelu, kind="activation", run=_run_prelu)(activation)


propagates(torch.clamp, "clamp_min", "clamp_max", kind="activation")(activation)


@propagates(torch.neg, "negative", "positive", kind="product")
def sign(step: Step, message: Message, context: Context) -> Outcome:
    """A sign changes the units of a value, not its relevance."""
    if message.value is step.outputs[0].tensor:
        factor = -1 if step.op != "positive" else 1
        return Outcome((context.message(message.coefficient * factor, step.inputs[0].available()),))
    return Outcome((context.message(message.relevance),))


def gated(signal: Tensor, gate: Tensor) -> Tensor:
    """``signal * gate`` where the gate is a constant to every composite: signal takes all (Arras 2017)."""
    if has_torch_function((signal, gate)):
        return handle_torch_function(gated, (signal, gate), signal, gate)
    return signal * gate


def reduced(tensor: Tensor, value: Value) -> Tensor:
    """Undo broadcasting: sum over the axes along which an operand was repeated."""
    return tensor if tensor.shape == value.shape else tensor.sum_to_size(value.shape)


MASKED = -1e4
"""scores at most so large are masked: softmax gives them exactly nothing"""


def is_mask(item: Any) -> bool:
    """Whether a constant is a mask that is added to scores: nothing but 0 and very large negative numbers."""
    if not isinstance(item, Tensor) or not item.is_floating_point():
        return False
    return bool(((item == 0) | (item <= MASKED)).all())


def _run_addition(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    if len(args) != 2:
        return None
    constants = [item for item in args if not tracked(item)]
    is_masking = not kwargs and "add" in function.__name__ and any(map(is_mask, constants))
    return function(*args, **kwargs), {"masking": True} if is_masking else {}


@propagates(torch.add, torch.sub, "rsub", kind="add", run=_run_addition)
def addition(step: Step, message: Message, context: Context) -> Outcome:
    """Operands share by what they give to the sum (LRP-epsilon); constants absorb theirs, masks nothing."""
    if "masking" in step.memo and len(step.inputs) == 1:
        keeps_form = message.value is not None and message.value is step.outputs[0].tensor  # which may not be kept
        value = step.inputs[0].available() if keeps_form else None
        arrived = message.coefficient if keeps_form else message.relevance
        return Outcome((context.message(reduced(arrived, step.inputs[0]), value),))
    assert context.rule is not None
    ratio = over_output(step, message, context.rule, context.rows)
    messages: list[Message | None] = []
    constant: Tensor | float = 0.0
    for operand, factor in _signed_operands(step):
        if isinstance(operand, Value):
            share = reduced(ratio.s, operand)
            messages.append(context.message(share if factor == 1 else share * factor, operand.available()))
        elif not isinstance(operand, Tensor) and operand == 0:
            continue  # sum() of Python starts with 0
        else:
            constant = constant + row_sums(ratio.s * operand, context.rows) * factor
    return Outcome(tuple(messages), epsilon=ratio.epsilon, constant=constant, dropped=ratio.dropped)


def _signed_operands(step: Step) -> list[tuple[Any, float]]:
    first, second = step.args
    alpha = step.kwargs.get("alpha", 1)
    of_first, of_second = {"add": (1, alpha), "sub": (1, -alpha), "rsub": (-alpha, 1)}[step.op]
    return [(first, of_first), (second, of_second)]


def _run_product(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """A constant divided by a tracked value is not a product, and has no rule; nor has a quotient that is rounded."""
    if len(args) < 2 or kwargs.get("rounding_mode") or "rdiv" in function.__name__ or "rtruediv" in function.__name__:
        return None
    if not tracked(args[0]) and "div" in function.__name__:
        return None
    return function(*args, **kwargs), {}


@propagates(torch.mul, torch.div, gated, kind="product", run=_run_product)
def product(step: Step, message: Message, context: Context) -> Outcome:
    """A constant factor takes nothing. Of two factors CP-LRP gives all to the signal and nothing to the gate,

    AttnLRP half to each; a deviation, and a gate of its own signal, count as constants (see ``constants.py``).
    """
    keeps_form = message.value is step.outputs[0].tensor
    arrived = message.coefficient if keeps_form else message.relevance
    messages: list[Message | None] = []
    for place, (weight, value) in enumerate(zip(_shares(step, context), step.inputs, strict=True)):
        if not weight:
            messages.append(None)
        elif keeps_form:
            share = _over_operand(step, place, arrived if weight == 1 else arrived * weight)
            messages.append(context.message(reduced(share, value), value.available()))
        else:
            share = arrived if weight == 1 else arrived * weight
            messages.append(context.message(reduced(share, value)))
    nobody = all(message is None for message in messages)
    return Outcome(tuple(messages), constant=message.total if nobody else 0.0)


def _shares(step: Step, context: Context) -> tuple[float, ...]:
    """The part of the relevance that each input takes."""
    if step.silent or len(step.inputs) == 1:
        return tuple(0.0 if place in step.silent else 1.0 for place in range(len(step.inputs)))
    return halves_or_signal(step.inputs, context)


def halves_or_signal(inputs: tuple[Value, ...], context: Context) -> tuple[float, float]:
    """Of two factors, by the composite: half each, or all to the signal where one is more of a gate."""
    first, second = (value.gate for value in inputs)
    if context.composite.attention == "attnlrp" or first == second:
        return 0.5, 0.5
    return (0.0, 1.0) if first > second else (1.0, 0.0)


def _over_operand(step: Step, place: int, coefficient: Tensor) -> Tensor:
    """The coefficient of one factor from that of the product: times the other factor."""
    operands = step.args[:2]
    mine = [index for index, operand in enumerate(operands) if isinstance(operand, Value)][place]
    other = operands[1 - mine]
    other = other.available() if isinstance(other, Value) else other
    return coefficient / other if step.op == "div" else coefficient * other
