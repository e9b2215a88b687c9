"""Rotary positions as one step, for models that write the turn as a function of its own, ``rotary(x, cos, sin)``.

Such a function announces itself as torch's own do (``torch.overrides.handle_torch_function``). A turn is linear, and
position belongs to no input: it passes relevance on whole.
"""

from __future__ import annotations

from ..message import Message
from ..registry import propagates
from ..steps import Context, Outcome, Step
from .adjoint import adjoint
from .products import coefficient_of


@propagates("rotary", kind="shape")
def turned(step: Step, message: Message, context: Context) -> Outcome:
    """LRP-0 on a linear map: x * (the turn back of R / z). What arrives as a multiple of z is not divided by it."""
    s, dropped = coefficient_of(step, message, context)
    tensors = [value.available() for value in step.inputs]
    backs = adjoint(step.again, tensors, [s])
    return Outcome(tuple(context.message(b, x) for b, x in zip(backs, tensors, strict=True)), dropped=dropped)
