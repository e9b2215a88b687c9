"""Gradient x input through the tape: the baseline that LRP is compared with."""

from __future__ import annotations

from typing import Any

import torch

from ..message import Message
from ..steps import Context, Outcome, Step
from .adjoint import adjoint
from .pooling import max_pool


def propagate(step: Step, arrived: Message | tuple[Message | None, ...], context: Context) -> Outcome:
    """The chain rule: coefficients are derivatives, times the recorded values.

    Biases take what they take under LRP-0; what else the derivative does not conserve is booked as dropped.
    """
    messages = arrived if isinstance(arrived, tuple) else (arrived,)
    bias: Any = 0.0
    if isinstance(arrived, Message) and step.map is not None:
        x = step.inputs[0].tensor
        assert x is not None
        passed: tuple[Message | None, ...] = (
            context.message(step.map.transpose(arrived.coefficient, step.map.weight, x), x),
        )
        if step.map.bias is not None:
            bias = step.map.weighed(arrived.coefficient, step.map.bias, context.rows)
    elif isinstance(arrived, Message) and step.op == "relu":
        output = step.outputs[0].tensor
        slope = torch.ops.aten.threshold_backward(arrived.coefficient, output, 0)
        passed = (context.message(slope, step.inputs[0].tensor if step.inputs[0].tensor is not None else output),)
    elif isinstance(arrived, Message) and "spatial" in step.memo:
        passed = max_pool(step, arrived, context).messages
    else:
        passed = _chained(step, messages, context)
    return Outcome(passed, bias=bias, dropped=None)


def _chained(step: Step, messages: tuple[Message | None, ...], context: Context) -> tuple[Message, ...]:
    tensors = [value.available() for value in step.inputs]
    slopes = [
        torch.zeros_like(v.available()) if m is None else m.coefficient
        for m, v in zip(messages, step.outputs, strict=True)
    ]
    backs = adjoint(step.again, tensors, slopes)
    if step.op in ("softmax", "log_softmax"):  # masked scores: infinity times a slope of zero
        tensors = [tensor.masked_fill(tensor == -torch.inf, 0.0) for tensor in tensors]
    return tuple(context.message(back, tensor) for back, tensor in zip(backs, tensors, strict=True))
