"""The walk: relevance from the output back to the inputs, step by step, with the books kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from .composite import Composite
from .ledger import Row
from .message import Message
from .propagation import gradient
from .propagation.recurrent import rule_of_sums
from .propagation.weights import WeightCache
from .rows import row_sums
from .rules import Rule
from .steps import Context, Outcome, Step, Value
from .target import Target

K = TypeVar("K")
Messages = tuple[Message | None, ...]
Plan = tuple[tuple[Step, Rule | None], ...]
"""which rule on which step; None where the operation has only one way"""


class Passage(NamedTuple):
    """What happened at one step: which rule, its row in the ledger, and what of the relevance is kept."""

    rule: Rule | None
    row: Row
    pending: Mapping[Value, Message] | None
    """all that is on its way once the step is done; kept where that is one message, so that a walk can restart there"""
    messages: Messages | None
    """what the step passed on; kept with the above, and by a walk that keeps all"""
    arrived: Messages | None
    """relevance at the outputs of a step of attention, from which that of its weights follows; as ``messages``"""
    inner: Rule | None = None
    """the rule of the sums within a recurrent step, which has two"""


@dataclass(frozen=True, eq=False)
class Trace:
    """A finished walk. The next one can restart where this one kept enough, above the highest step whose rule changed.

    Most of the relevance is let go as soon as it has been passed on: in a residual block, many times as much as ever
    waits between two blocks.
    """

    start: Message
    target: Target
    attention: str
    bias: str
    gradient: bool
    passages: Mapping[Step, Passage]
    arrived: Mapping[Value, Message]
    """relevance of the inputs and embeddings that it reached"""
    keeps_all: bool
    """whether nothing was let go"""

    def fits(self, composite: Composite, target: Target) -> bool:
        """Whether a walk with this composite and target starts like this one."""
        return (self.target, self.attention, self.bias, self.gradient) == (
            target,
            composite.attention,
            composite.bias,
            composite.is_gradient,
        )

    def shows(self, streams: Iterable[Value]) -> bool:
        """Whether the relevance inside the network is known: of all layers, all attention and these values."""
        asked = ((step, passage) for step, passage in self.passages.items() if step.is_layer or _attends(step))
        known = all((passage.arrived if _attends(step) else passage.messages) is not None for step, passage in asked)
        return known and all(self._on_its_way(value) is not None for value in streams)

    def at(self, value: Value) -> Message | None:
        """The whole relevance of a value, of all that read it; None where there is none. For a walk that kept all."""
        return (self._on_its_way(value) or {}).get(value)

    def _on_its_way(self, value: Value) -> Mapping[Value, Message] | None:
        """All relevance that waits when the step is reached that made this value; None where it was let go."""
        if value.producer is None or value.producer not in self.passages:
            return self.arrived
        above = self._passage_above.get(value.producer)
        return dict.fromkeys(value.producer.outputs, self.start) if above is None else above.pending

    @cached_property
    def _passage_above(self) -> Mapping[Step, Passage]:
        return {below: self.passages[above] for above, below in pairwise(self.passages)}

    @property
    def held(self) -> list[Message]:
        """The messages that are kept, each once."""
        tuples = [t for passage in self.passages.values() for t in (passage.messages, passage.arrived) if t]
        kept = [m for messages in tuples for m in messages if m is not None]
        kept += [m for passage in self.passages.values() if passage.pending for m in passage.pending.values()]
        return list({id(message.coefficient): message for message in kept}.values())


def walk(
    plan: Plan,
    wide: torch.dtype | None,
    output: Value,
    start: Message,
    target: Target,
    composite: Composite,
    weights: WeightCache,
    zero: Tensor,
    again: dict[Step, Passage],
    keep: str | None = "crossings",
    waiting: Mapping[Value, Message] | None = None,
) -> Trace:
    """Share ``start``, the relevance of ``output``, over the inputs; ``plan`` lists steps in the order they ran.

    ``wide``: see :func:`widest`. ``keep``: "all" that passed each step, None of it, or that at "crossings", where one
    message was on its way. ``waiting``: what is on its way already, where the plan begins below the output.
    Passages in ``again`` are used as they are, down to the first step whose rule is another; the rest is let go.
    """
    passages = _restart(plan, again, composite)
    again.clear()
    last = next(reversed(passages.values())) if passages else None
    if last is None or last.pending is None:
        pending = {output: start} if waiting is None else dict(waiting)
    else:
        pending = dict(last.pending)
    for step, rule in reversed(plan):
        if step in passages:
            continue
        arriving = tuple([pending.pop(value, None) for value in step.outputs])
        if arriving.count(None) == len(arriving):
            continue
        passed, row = hand_on(step, arriving, Context(rule, composite, weights, step.outputs[0].rows), zero, wide)
        for value, message in zip(step.inputs, passed, strict=True):
            if message is not None:
                row = added(pending, value, value, message, row, wide)
        kept = keep == "all" or (keep is not None and sum(value.part is None for value in pending) <= 1)
        passages[step] = Passage(
            rule,
            row,
            dict(pending) if kept else None,
            passed if kept else None,
            arriving if keep == "all" and _attends(step) else None,
            _inner_rule(step, composite),
        )
    same = (composite.attention, composite.bias, composite.is_gradient)
    return Trace(start, target, *same, passages, pending, keep == "all")


def hand_on(
    step: Step, arriving: Messages, context: Context, zero: Tensor, wide: torch.dtype | None
) -> tuple[Messages, Row]:
    """What the step passes to each of its inputs, and its row in the ledger, whatever the precision."""
    passed, row = _pass(step, arriving, context, zero)
    if wide is not None and any(value.dtype != wide for value in (*step.inputs, *step.outputs)):
        row = _rounded(row, arriving, passed)
    return passed, row


def added(waiting: dict[K, Message], key: K, value: Value, message: Message, row: Row, wide: torch.dtype | None) -> Row:
    """Add relevance of a value to what is on its way to it already; the row, with what a narrow sum loses dropped."""
    before = waiting.get(key)
    waiting[key] = message if before is None else before.plus(message)
    if before is None or wide is None or value.dtype == wide:
        return row
    lost = before.total + message.total - waiting[key].total
    return row._replace(r_in=row.r_in - lost, dropped=row.dropped + lost)


def _restart(plan: Plan, again: Mapping[Step, Passage], composite: Composite) -> dict[Step, Passage]:
    """The passages of an earlier walk down to the last place, above all changes, where it kept what was on its way."""
    same: list[tuple[Step, Passage]] = []
    count = 0
    for step, rule in reversed(plan):
        if step in again:
            if again[step].rule != rule or again[step].inner != _inner_rule(step, composite):
                break
            same.append((step, again[step]))
            count = len(same) if again[step].pending is not None else count
    return dict(same[:count])


def _inner_rule(step: Step, composite: Composite) -> Rule | None:
    return rule_of_sums(composite) if step.repeats else None


def _attends(step: Step) -> bool:
    return step.kind == "attention"


def _pass(step: Step, arriving: Messages, context: Context, zero: Tensor) -> tuple[Messages, Row]:
    """What the step passes to each of its inputs, and its row in the ledger."""
    r_out = _sum([message.total for message in arriving if message is not None])
    arrived: Any = arriving[0] if len(arriving) == 1 else arriving
    if context.composite.is_gradient:
        result: Any = gradient.propagate(step, arrived, context)
    else:
        assert step.operation is not None
        result = step.operation.propagate(step, arrived, context)
    outcome = outcome_of(result, step, context)
    messages, *took = outcome
    placed = tuple([m if m is None else m.at(v.rows, v.dtype) for m, v in zip(messages, step.inputs, strict=True)])
    passed = [message.total for message in placed if message is not None]
    r_in = _sum(passed) if passed else zero
    absorbed = [amount if isinstance(amount, Tensor) else zero for amount in took]
    if outcome.dropped is None:
        absorbed[-1] = r_out - r_in - sum(absorbed)
    bias, epsilon, softmax, constant, dropped = absorbed
    return placed, Row(step, r_out, r_in, bias, epsilon, softmax, constant, zero, dropped)


def widest(steps: tuple[Step, ...]) -> torch.dtype | None:
    """The widest precision of a model that computes in several, None for one that does not."""
    dtypes = {value.dtype for step in steps for value in step.outputs}
    return max(dtypes, key=_digits) if len(dtypes) > 1 else None


def _digits(dtype: torch.dtype) -> float:
    return -torch.finfo(dtype).eps


def _rounded(row: Row, arriving: Messages, passed: Messages) -> Row:
    """What rounding takes where a wide model computes in a narrow precision is dropped: measured, and never more."""
    messages = [message for message in (*arriving, *passed) if message is not None]
    size = _sum([row_sums(message.relevance.abs(), message.rows) for message in messages])
    noise = 64 * max(torch.finfo(message.coefficient.dtype).eps for message in messages) * size
    gap = row.gap
    return row._replace(dropped=row.dropped + torch.where(gap.abs() <= noise, gap, 0.0))


def outcome_of(result: Any, step: Step, context: Context) -> Outcome:
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
