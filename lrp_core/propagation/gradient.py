"""Gradient x input through the tape: the baseline that LRP is compared with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..message import Message, Slope
from ..steps import Context, Outcome, Step
from .adjoint import adjoint
from .pooling import max_pool


def propagate(step: Step, arrived: Message | tuple[Message | None, ...], context: Context) -> Outcome:
    """The chain rule: coefficients are derivatives, times the recorded values.

    Biases take what they take under LRP-0; what else the derivative does not conserve is booked as dropped.
    """
    messages = arrived if isinstance(arrived, tuple) else (arrived,)
    bias: Any = 0.0
    backs: list[Tensor]
    if isinstance(arrived, Message) and step.map is not None:
        backs = [step.map.transpose(arrived.coefficient, step.map.weight, step.inputs[0].available())]
        if step.map.bias is not None:
            bias = step.map.weighed(arrived.coefficient, step.map.bias, context.rows)
    elif isinstance(arrived, Message) and step.op == "relu":
        output = step.outputs[0].available()
        slope = torch.ops.aten.threshold_backward(arrived.coefficient, output, 0)
        x = step.inputs[0].tensor
        return Outcome((Slope(slope, output if x is None else x, context.rows),), dropped=None)
    elif isinstance(arrived, Message) and "windows" in step.memo and step.inputs[0].tensor is not None:
        # The way back through a pooling is the same for any numbers, a relevance or a derivative.
        (pulled,) = max_pool(step, Message(arrived.coefficient, None, arrived.rows), context).messages
        assert pulled is not None
        backs = [pulled.coefficient]
    else:
        backs = _chained(step, messages)
    passed = [Slope(back, value.available(), context.rows) for back, value in zip(backs, step.inputs, strict=True)]
    return Outcome(tuple(passed), bias=bias, dropped=None)


def _chained(step: Step, messages: tuple[Message | None, ...]) -> list[Tensor]:
    tensors = [value.available() for value in step.inputs]
    slopes = [
        torch.zeros_like(v.available()) if m is None else m.coefficient
        for m, v in zip(messages, step.outputs, strict=True)
    ]
    return adjoint(step.again, tensors, slopes)
