"""The walk: relevance from the output back to the inputs, step by step, with the books kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from . import gradient
from .composite import Composite
from .ledger import ABSORBERS, Row
from .message import Message
from .rules import Rule
from .steps import Context, Outcome, Step, Value
from .target import Target
from .weights import WeightCache


class Passage(NamedTuple):
    """What happened at one step: which rule, what it passed on, and its row in the ledger."""

    rule: Rule | None
    outcome: Outcome
    row: Row
    arrived: tuple[Message | None, ...] = ()
    """relevance at the outputs of a step of attention, from which that of its weights follows"""


@dataclass(frozen=True, eq=False)
class Trace:
    """A finished walk. The next one keeps everything above the highest step whose rule changed."""

    start: Message
    target: Target
    attention: str
    bias: str
    gradient: bool
    passages: Mapping[Step, Passage]
    arrived: Mapping[Value, Message]
    """relevance of the inputs and embeddings that it reached"""

    def fits(self, composite: Composite, target: Target) -> bool:
        """Whether a walk with this composite and target starts like this one."""
        return (self.target, self.attention, self.bias, self.gradient) == (
            target,
            composite.attention,
            composite.bias,
            composite.is_gradient,
        )


def walk(
    plan: tuple[tuple[Step, Rule | None], ...],
    output: Value,
    start: Message,
    target: Target,
    composite: Composite,
    weights: WeightCache,
    zero: Tensor,
    again: dict[Step, Passage],
) -> Trace:
    """Share ``start``, the relevance of ``output``, over the inputs; ``plan`` lists steps in the order they ran.

    Passages in ``again`` are used as they are, down to the first step whose rule is another; the rest is let go.
    """
    passages: dict[Step, Passage] = {}
    pending: dict[Value, Message] = {output: start}
    for step, rule in reversed(plan):
        messages = tuple(pending.pop(value, None) for value in step.outputs)
        if all(message is None for message in messages):
            continue
        if step in again and again[step].rule == rule:
            passage = again.pop(step)
        else:
            again.clear()
            passage = _pass(step, messages, Context(rule, composite, weights, step.outputs[0].rows), zero)
        passages[step] = passage
        for value, message in zip(step.inputs, passage.outcome.messages, strict=True):
            if message is not None:
                pending[value] = pending[value].plus(message) if value in pending else message
    return Trace(start, target, composite.attention, composite.bias, composite.is_gradient, passages, pending)


def _pass(step: Step, messages: tuple[Message | None, ...], context: Context, zero: Tensor) -> Passage:
    r_out = _sum([message.total for message in messages if message is not None])
    arrived: Any = messages[0] if len(messages) == 1 else messages
    if context.composite.is_gradient:
        result: Any = gradient.propagate(step, arrived, context)
    else:
        assert step.operation is not None
        result = step.operation.propagate(step, arrived, context)
    outcome = _outcome_of(result, step, context)
    placed = tuple(m if m is None else m.at(v.rows) for m, v in zip(outcome.messages, step.inputs, strict=True))
    passed = [message.total for message in placed if message is not None]
    r_in = _sum(passed) if passed else zero
    absorbed = {name: a if isinstance(a := getattr(outcome, name), Tensor) else zero for name in ABSORBERS}
    if outcome.dropped is None:
        absorbed["dropped"] = r_out - r_in - sum(absorbed.values())
    row = Row(step, r_out, r_in, **absorbed)
    return Passage(context.rule, outcome._replace(messages=placed), row, messages if step.kind == "attention" else ())


def _outcome_of(result: Any, step: Step, context: Context) -> Outcome:
    """What a propagation function returned, as an Outcome: plain tensors get their loss booked as dropped."""
    if isinstance(result, Outcome):
        return result
    tensors = result if isinstance(result, tuple | list) else (result,)
    if len(tensors) != len(step.inputs):
        raise ValueError(
            f"The propagation function of {step.op} returned {len(tensors)} tensors for {len(step.inputs)} inputs."
        )
    return Outcome(tuple(None if tensor is None else context.message(tensor) for tensor in tensors), dropped=None)


def _sum(totals: list[Tensor]) -> Tensor:
    return totals[0] if len(totals) == 1 else torch.stack(totals).sum(0)
