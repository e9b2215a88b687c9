"""Pictures sampled at places between their pixels: spatial transformers, warping, bicubic resizing.

A sample is a weighted mean of pixels, and shares by LRP-epsilon. Where to look is a decision, like the weights of an
average: the grid takes no relevance (a spatial transformer's localisation network, Jaderberg 2015, gets none).
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F

from ..message import Message
from ..registry import propagates
from ..steps import Context, Outcome, Step
from .adjoint import adjoint
from .ratios import over_output


def _run_sampling(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """Of a picture that depends on the input, on a grid that may."""
    if not args or not tracked(args[0]):
        return None
    return function(*args, **kwargs), {"mixes": tuple(range(2, args[0].dim())), "looked_at": (1,)}


def _run_bicubic(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """Bicubic interpolation, whose weights are of both signs."""
    if "bicubic" not in (kwargs.get("mode"), *args[3:4]):
        return None
    return function(*args, **kwargs), {"mixes": (2, 3)}


@propagates(F.grid_sample, kind="pool", run=_run_sampling)
@propagates(F.interpolate, kind="pool", run=_run_bicubic)
def sampled(step: Step, message: Message, context: Context) -> Outcome:
    """LRP-epsilon between the pixels that a sample is made of."""
    assert context.rule is not None
    ratio = over_output(step, message, context.rule, context.rows)
    tensors = [value.available() for value in step.inputs]
    back, *others = adjoint(step.again, tensors, [ratio.s])
    passed = context.message(back, tensors[0])
    return Outcome((passed, *[None for _ in others]), epsilon=ratio.epsilon, dropped=ratio.dropped)
