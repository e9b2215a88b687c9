"""Functions of one number, and what is made of several numbers as a whole, other than linear maps and maxima.

An activation f with f(0) = 0 passes relevance unchanged: all that it gives comes from its input (Bach 2015, eq. 60 ff.,
for monotonous ones). So does a power, a product of equal factors. Where f(0) is not 0, there is output that no input
accounts for, and no rule (``refusals.py``).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..message import Message
from ..registry import op_name, propagates
from ..rows import row_sums
from ..steps import Context, Outcome, Step
from .adjoint import adjoint
from .arguments import axes_of, given
from .elementwise import halves_or_signal
from .maxima import winner
from .pooling import average
from .products import coefficient_of
from .ratios import over, over_output


def _run_power(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """Powers with a constant exponent above zero."""
    base, exponent = given("input exponent", args, kwargs).values()
    if not tracked(base) or tracked(exponent) or not bool(torch.as_tensor(exponent).gt(0).all()):
        return None
    result = function(*args, **kwargs)
    return (result, {}) if result.shape == base.shape else None


def _run_threshold(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """x above the threshold, else a value: that of zero must be zero."""
    _, threshold, value, *_ = given("input threshold value", args, kwargs).values()
    return None if threshold >= 0 and value != 0 else (function(*args, **kwargs), {})


@propagates(
    *(torch.square, torch.sqrt, torch.abs, torch.sin, torch.tan, torch.asin, torch.atan, torch.sinh, torch.asinh),
    *(torch.atanh, torch.erf, torch.expm1, torch.log1p, torch.nan_to_num, torch.deg2rad, torch.rad2deg),
    kind="activation",
)
@propagates("pow", kind="activation", run=_run_power)
@propagates(F.threshold, kind="activation", run=_run_threshold)
def passing(step: Step, message: Message, context: Context) -> Outcome:
    """f(0) = 0: relevance passes unchanged."""
    return Outcome((message,))


_ORDERS = {"linalg_vector_norm": "input ord dim keepdim", "std": "input dim unbiased", "var": "input dim unbiased"}


def _run_homogeneous(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """Norms of order 1 and above, deviations and variances, over any axes."""
    name = op_name(function)
    named = given(_ORDERS[name], args, kwargs)
    x, dims, order = named["input"], named["dim"], named.get("ord")
    axes = axes_of(None if isinstance(dims, bool) else dims, x.dim())
    order = 2 if order is None else order
    if order < 1 or not x.dim():
        return None
    result = function(*args, **kwargs)
    memo: dict[str, Any] = {"reduced": axes, "degree": 2 if name == "var" else 1}
    if order == float("inf"):
        laid = x.abs().movedim(axes, tuple(range(-len(axes), 0))).flatten(-len(axes))
        memo |= {"winners": laid.argmax(-1, keepdim=True), "axes": axes}
    return result, memo


@propagates(torch.linalg.vector_norm, torch.std, torch.var, kind="pool", run=_run_homogeneous)
def homogeneous(step: Step, message: Message, context: Context) -> Outcome:
    """LRP-epsilon on z = sum_i x_i (dz/dx_i) / n, which is what a function of degree n is made of (Euler's theorem).

    A norm of order p so shares by |x_i|^p, as the power, the sum and the root that it consists of; the largest takes
    all where p is infinite.
    """
    if "winners" in step.memo:
        return winner(step, Message(message.relevance, None, message.rows), context)
    x = step.inputs[0].available()
    assert context.rule is not None
    ratio = over_output(step, message, context.rule, context.rows)
    coefficient = adjoint(step.again, [x], [ratio.s])[0].div_(step.memo["degree"])
    return Outcome((context.message(coefficient, x),), epsilon=ratio.epsilon, dropped=ratio.dropped)


def _run_prod(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    named = given("input dim keepdim", args, kwargs)
    return function(*args, **kwargs), {"reduced": axes_of(named["dim"], named["input"].dim())}


@propagates(torch.prod, kind="product", run=_run_prod)
def product_of_all(step: Step, message: Message, context: Context) -> Outcome:
    """The factors share evenly, as two do (Achtibat 2024)."""
    value, axes = step.inputs[0], step.memo["reduced"]
    kept = [1 if axis in axes else size for axis, size in enumerate(value.shape)]
    count = value.shape.numel() // max(message.coefficient.numel(), 1)
    return Outcome((context.message((message.relevance / max(count, 1)).reshape(kept).expand(value.shape)),))


def _run_logsumexp(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    named = given("input dim keepdim", args, kwargs)
    memo = {"reduced": axes_of(named["dim"], named["input"].dim()), "winners": ()}  # like a maximum, it follows no rule
    return function(*args, **kwargs), memo


@propagates(torch.logsumexp, kind="pool", run=_run_logsumexp)
def soft_maximum(step: Step, message: Message, context: Context) -> Outcome:
    """The largest take most, by their softmax: R_i = softmax(x)_i R (Kauffmann 2020)."""
    value, axes = step.inputs[0], step.memo["reduced"]
    kept = [1 if axis in axes else size for axis, size in enumerate(value.shape)]
    part = (value.available() - step.outputs[0].available().reshape(kept)).exp()
    return Outcome((context.message(part * message.relevance.reshape(kept)),))


def _run_cumsum(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    named = given("input dim", args, kwargs)
    return function(*args, **kwargs), {"axis": named["dim"] % max(named["input"].dim(), 1)}


propagates(torch.cumsum, kind="pool", run=_run_cumsum)(average)


def _run_bilinear(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    named = given("input1 input2 weight bias", args, kwargs)
    if tracked(named["weight"]) or tracked(named["bias"]):
        return None
    return function(*args, **kwargs), {"bias": named["bias"]}


@propagates(torch.bilinear, kind="product", run=_run_bilinear)
def bilinear(step: Step, message: Message, context: Context) -> Outcome:
    """z_k = x W_k y + b_k: the bias takes its part of z by the mode of the composite, the factors share the rest."""
    values, mode = step.inputs, context.composite.bias
    bias: Tensor | None = step.memo["bias"]
    if bias is not None and mode == "ignore":
        s, dropped = over(message, step.output() - bias, context.rows)
    else:
        s, dropped = coefficient_of(step, message, context)
    shares = halves_or_signal((values[0], values[1]), context) if len(values) == 2 else (1.0,)
    tensors = [value.available() for value in values]
    backs = adjoint(step.again, tensors, [s])
    passed: list[Message | None] = [
        context.message(back * share, x) if share else None
        for back, share, x in zip(backs, shares, tensors, strict=True)
    ]
    if bias is None or mode == "ignore":
        return Outcome(tuple(passed), dropped=dropped)
    if mode == "absorb":
        return Outcome(tuple(passed), bias=row_sums(s * bias, context.rows), dropped=dropped)
    each = (s * bias).sum(-1, keepdim=True) / sum(x.shape[-1] for x in tensors)
    spread = [each.expand_as(x) if m is None else m.relevance + each for m, x in zip(passed, tensors, strict=True)]
    return Outcome(tuple(map(context.message, spread)), dropped=dropped)
