"""Matrix products of two operands that both carry relevance: Q K', A V, einsum."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..message import Message
from ..registry import propagates
from ..rows import row_sums
from ..steps import Context, Outcome, Step, Value
from .adjoint import adjoint
from .elementwise import halves_or_signal
from .ratios import over


def coefficient_of(step: Step, message: Message, context: Context) -> tuple[Tensor, Tensor | float]:
    """Relevance at a step's output per unit of it, R / O with 0/0 = 0, and what is dropped for that."""
    output = step.outputs[0].available()
    if message.value is output:
        return message.coefficient, 0.0
    return over(message, output, context.rows)


def _run_two(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """A product of two tracked operands."""
    operands = args[1:] if args and isinstance(args[0], str) else args
    if kwargs or len(operands) != 2 or not all(map(tracked, operands)):
        return None
    return function(*args), {}


@propagates(torch.matmul, torch.mm, torch.bmm, torch.einsum, kind="product", run=_run_two)
def two_operands(step: Step, message: Message, context: Context) -> Outcome:
    """AttnLRP: half each. CP-LRP: nothing to attention weights or another gate, all to the other; else half each."""
    s, dropped = coefficient_of(step, message, context)
    shares = halves_or_signal(step.inputs, context)
    if step.silent:
        shares = (0.0, 1.0) if step.silent == (0,) else (1.0, 0.0)
    return Outcome(_pulled(step, s, shares, context), dropped=dropped)


def _pulled(step: Step, s: Tensor, shares: tuple[float, float], context: Context) -> tuple[Message | None, ...]:
    tensors = [value.available() for value in step.inputs]
    first, second = tensors
    backs: list[Any] = [None, None]
    if step.op == "einsum" or min(first.dim(), second.dim()) < 2:
        backs = [back * share for back, share in zip(adjoint(step.again, tensors, [s]), shares, strict=True)]
    else:
        s = s if shares[0] != 0.5 else s * 0.5
        if shares[0]:
            backs[0] = torch.matmul(s, second.mT).sum_to_size(first.shape)
        if shares[1]:
            backs[1] = torch.matmul(first.mT, s).sum_to_size(second.shape)
    return tuple(
        context.message(back, x) if share else None for back, x, share in zip(backs, tensors, shares, strict=True)
    )


def _run_sum(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """bias + first @ second, of which at least one factor is tracked."""
    if len(args) != 3 or set(kwargs) - {"alpha", "beta"} or not (tracked(args[1]) or tracked(args[2])):
        return None
    return function(*args, **kwargs), {}


@propagates(torch.baddbmm, kind="product", run=_run_sum)
def sum_and_product(step: Step, message: Message, context: Context) -> Outcome:
    """``beta * bias + alpha * first @ second``: LRP-0 between the two terms, then as any product; constants absorb."""
    s, dropped = coefficient_of(step, message, context)
    bias, *factors = step.args
    beta, alpha = step.kwargs.get("beta", 1), step.kwargs.get("alpha", 1)
    messages: list[Message | None] = []
    constant: Tensor | float = 0.0
    if isinstance(bias, Value):
        messages.append(context.message((s * beta).sum_to_size(bias.shape), bias.available()))
    else:
        constant = row_sums(s * (bias.masked_fill(bias.isinf(), 0.0) * beta), context.rows)
    values = [factor for factor in factors if isinstance(factor, Value)]
    shares = halves_or_signal((values[0], values[1]), context) if len(values) == 2 else (1.0,)
    first, second = (factor.available() if isinstance(factor, Value) else factor for factor in factors)
    for value, share in zip(values, shares, strict=True):
        back = torch.matmul(s, second.mT) if value is factors[0] else torch.matmul(first.mT, s)
        messages.append(context.message(back.mul_(alpha * share), value.available()) if share else None)
    return Outcome(tuple(messages), constant=constant, dropped=dropped)
