"""Rotary positions in one piece: z = x cos + (-x2, x1) sin, x1 and x2 the halves of x along the last axis (Su 2021).

A rotation by known angles, linear in x: LRP-epsilon on the sum, as of every addition, and then the exact transpose.
Written out as models do it, it is six steps.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..message import Message
from ..steps import Context, Outcome, Step
from .ratios import over_output


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """z, for ``cos`` and ``sin`` that broadcast over x without widening it."""
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat([-second, first], -1) * sin


def propagate(step: Step, message: Message, context: Context) -> Outcome:
    """Relevance of x from that of z; the angles take nothing."""
    x, cos, sin = step.inputs[0].available(), *step.args[1:]
    assert context.rule is not None
    ratio = over_output(step, message, context.rule, context.rows)
    back = ratio.s * cos
    turned = ratio.s * sin
    half = x.shape[-1] // 2
    back[..., :half] += turned[..., half:]
    back[..., half:] -= turned[..., :half]
    return Outcome((context.message(back, x),), epsilon=ratio.epsilon, dropped=ratio.dropped)
