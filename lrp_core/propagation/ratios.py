"""R / (z + epsilon sgn z): the division at the heart of LRP, shared by affine steps, additions and averages."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..message import Message
from ..rows import Rows, row_sums
from ..rules import Rule
from ..steps import Step, Value


def tiny(dtype: torch.dtype) -> float:
    """Below this a positive number counts as zero: far below any signal, far above underflow."""
    return torch.finfo(dtype).tiny * 1e8


def is_rectified(step: Step, message: Message) -> bool:
    """Whether the relevance at z comes as a multiple of relu(z), or of what a ceiling left of that.

    Then it is 0 where z <= 0, and relu(z) can stand for z in every rule.
    """
    rectified = step.outputs[0].rectified
    return rectified is not None and message.value is not None and message.value is rectified.tensor


def visible_output(step: Step, message: Message) -> Tensor:
    """z, or relu(z) where that is all the relevance can see."""
    if message.value is None or not is_rectified(step, message):
        return step.output()
    if step.outputs[0].capped:
        return step.kept("above zero", lambda: step.output().clamp(min=0))
    return message.value


def epsilon_of(step: Step, rule: Rule, rows: Rows) -> Tensor | float:
    """The stabiliser in units of z: a number, or one per row, shaped to broadcast over z, where it is relative."""
    epsilon = float(getattr(rule, "epsilon", 0.0))
    if epsilon == 0 or not getattr(rule, "relative", False):
        return epsilon
    scale = scale_of(step, rows)
    z_shape = step.outputs[0].shape
    return rows.spread((epsilon * scale).clamp(min=tiny(scale.dtype)), z_shape)


def scale_of(step: Step, rows: Rows) -> Tensor:
    """What a relative epsilon is measured by: the root mean square of z, per row."""
    return step.kept("rms", lambda: _root_mean_square(step, rows))


def _root_mean_square(step: Step, rows: Rows) -> Tensor:
    """Of z, per row, in the type of z."""
    kept = step.outputs[0].tensor
    z = kept if kept is not None else step.run_again()
    return row_sums(z, rows, z).div(rows.entries(z.shape, z.device)).sqrt().to(z.dtype.to_real())


@dataclass(frozen=True, eq=False)
class Ratio:
    """s = R / (z + epsilon sgn z), and what went elsewhere, (B,) in float64 or 0."""

    s: Tensor
    epsilon: Tensor | float = 0.0
    dropped: Tensor | float = 0.0


@dataclass(frozen=True, eq=False)
class Denominator:
    """A denominator that several walks divide by: zeros are looked for once, and stand as infinity."""

    divisor: Tensor
    zero: Tensor | None

    @staticmethod
    def of(tensor: Tensor, zero_up_to: float = 0.0) -> Denominator:
        """``zero_up_to``: for a sum of sizes, what its zeros come to where their summands have a floor."""
        zero = tensor <= zero_up_to if zero_up_to else tensor == 0
        return Denominator(tensor.masked_fill(zero, torch.inf), zero) if zero.any() else Denominator(tensor, None)

    def under(self, message: Message, rows: Rows) -> tuple[Tensor, Tensor | float]:
        """R / denominator, and what is dropped where the denominator is zero."""
        relevance = message.relevance
        return relevance / self.divisor, 0.0 if self.zero is None else row_sums(relevance * self.zero, rows)


def over_output(step: Step, message: Message, rule: Rule, rows: Rows) -> Ratio:
    """The relevance at a step's output over the stabilised output, by LRP-0 or LRP-epsilon."""
    epsilon = epsilon_of(step, rule, rows)
    if isinstance(epsilon, float) and epsilon == 0:
        return _over_plain_output(step, message, rows)
    if is_rectified(step, message):
        s = ratio_of_value(message, visible_output(step, message) + epsilon)
        return Ratio(s, taken(epsilon, s, rows))
    return over_stabilised(message, step.output(), epsilon, rows, step.outputs[0].activated)


def over_stabilised(
    message: Message, z: Tensor, epsilon: Tensor | float, rows: Rows, activated: Value | None = None
) -> Ratio:
    """R / (z + epsilon sgn z) for any z; nothing but a zero denominator drops relevance.

    Where R = c v with v = z or with ``activated``, the v that an activation made of z without changing signs, nothing
    is divided by zero, and no sign need be looked up: s = c |v| / (|z| + epsilon), and s sgn z = c v / (|z| + epsilon).
    All of it is written over one tensor: on a fresh one, the first touch costs more than the arithmetic.
    """
    v = message.value
    is_alike = v is z or (activated is not None and v is activated.tensor)
    if v is not None and is_alike and (isinstance(epsilon, Tensor) or epsilon):
        share = z.abs().add_(epsilon)
        torch.div(v, share, out=share)
        took = taken(epsilon, share, rows, message.coefficient)
        return Ratio(share.abs_().mul_(message.coefficient), took)
    sign = torch.where(z >= 0, 1.0, -1.0).to(z.dtype)
    s, dropped = over(message, z + epsilon * sign, rows)
    return Ratio(s, taken(epsilon, s * sign, rows), dropped)


def _over_plain_output(step: Step, message: Message, rows: Rows) -> Ratio:
    """R / z: the coefficient itself where relevance is a multiple of z."""
    if is_rectified(step, message):
        if step.outputs[0].capped:
            z = visible_output(step, message)
            return Ratio(ratio_of_value(message, z.clamp(min=tiny(z.dtype))))
        return Ratio(torch.ops.aten.threshold_backward(message.coefficient, message.value, 0))
    z = step.output()
    if message.value is z:
        return Ratio(message.coefficient.masked_fill(z == 0, 0.0))
    s, dropped = over(message, z, rows)
    return Ratio(s, dropped=dropped)


def over(message: Message, denominator: Tensor, rows: Rows, zero_up_to: float = 0.0) -> tuple[Tensor, Tensor | float]:
    """R / denominator with 0/0 = 0, and what is dropped where the denominator is zero: nobody is there to take it."""
    return Denominator.of(denominator, zero_up_to).under(message, rows)


def ratio_of_value(message: Message, denominator: Tensor) -> Tensor:
    """coefficient * value / denominator, written over the denominator, which must not be 0."""
    assert message.value is not None
    return torch.div(message.value, denominator, out=denominator).mul_(message.coefficient)


def taken(epsilon: Tensor | float, s: Tensor, rows: Rows, times: Tensor | None = None) -> Tensor | float:
    """What a stabiliser takes: sum of epsilon * s (times a tensor of its shape) per row, (B,) in float64."""
    if isinstance(epsilon, Tensor):
        return row_sums(s * epsilon, rows, times)
    return row_sums(s, rows, times) * epsilon if epsilon else 0.0
