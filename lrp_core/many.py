"""Many targets on one tape in one walk: why each of twenty words was said, for what ten of them cost alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from . import limits
from .composite import Composite
from .explanation import Explanation, thin
from .ledger import Ledger, Row
from .message import Message
from .propagation.linear_maps import Dense
from .propagation.weights import WeightCache
from .rows import Rows
from .stacking import Stack, len_of
from .steps import Context, Step, Value
from .target import Target
from .walk import Passage, Plan, Trace, walk, widest

PEAK = 6
"""times the largest tensor that a walk holds at once, with what it is computing"""


def fit_together(steps: tuple[Step, ...], scores: Tensor, composite: Composite) -> bool:
    """Whether one walk for many targets is worth it: for one row, through dense layers.

    Convolutions of many copies ran half as fast as one after the other; a batch of rows is long enough by itself.
    """
    affine = [step for step in steps if step.is_affine]
    return len(scores) == 1 and not composite.is_gradient and all(isinstance(step.map, Dense) for step in affine)


class _Top(NamedTuple):
    """The walk of one target down to where all targets are walked together."""

    start: Tensor
    """relevance of the output, without its zeros"""
    total: Tensor
    passages: Mapping[Step, Passage]
    waiting: Mapping[Value, Message]


class Together:
    """One walk for several targets; see ``stacking.py``. The top of the network is walked for each by itself.

    There a target is one word of fifty thousand; below the first dense layer all targets look alike.
    """

    def __init__(
        self, plan: Plan, output: Value, composite: Composite, weights: WeightCache, parts: Mapping[str, Value]
    ) -> None:
        self._top, self._rest = top_and_rest(plan, output)
        self._wide = widest(tuple(step for step, _ in plan))
        self._output, self._composite, self._weights, self._parts = output, composite, weights, parts

    def in_chunks(self, targets: Sequence[Target]) -> list[Sequence[Target]]:
        """As many targets at a time as memory is set aside for, in parts of equal size."""
        values = {value for step, _ in self._rest for value in (*step.inputs, *step.outputs)}
        copied = sum(v.tensor.nbytes for v in values if v.tensor is not None and len_of(v) > 1)
        each = copied + PEAK * max((v.shape.numel() * v.dtype.itemsize for v in values), default=0)
        parts = -(-len(targets) // max(1, limits.TARGETS_AT_ONCE // max(each, 1)))
        size = -(-len(targets) // parts)
        return [targets[begin : begin + size] for begin in range(0, len(targets), size)]

    def explain(self, starts: Iterable[Message]) -> list[Explanation]:
        """An explanation for each relevance of the output, taken one by one."""
        tops = [self._from_the_top(start) for start in starts]
        stack, nothing = Stack(len(tops)), torch.zeros_like(tops[0].total)
        context = Context(None, self._composite, self._weights, Rows(1))
        original = {stack.step(step, rule, context): (step, rule) for step, rule in self._rest}
        waiting = {
            stack.value(value): message
            for value in dict.fromkeys(value for top in tops for value in top.waiting)
            if (message := stack.joined([top.waiting.get(value) for top in tops], value)) is not None
        }
        zero = nothing.expand(stack.count)
        plan = tuple((made, rule) for made, (_, rule) in original.items())
        start = Message(zero, None, stack.rows)
        trace = self._walk(plan, start, zero, waiting)
        below = [(original[step][0], passage.row) for step, passage in trace.passages.items()]
        arrived = {value: trace.arrived.get(stack.value(value)) for value in self._parts.values()}
        totals = sum((message.total for message in arrived.values() if message is not None), zero)
        relevance = {name: _each(arrived[value], value, stack.count) for name, value in self._parts.items()}
        return [
            Explanation(
                parts={name: relevance[name][place] for name in self._parts},
                _start=top.start,
                layers={},
                attention={},
                ledger=Ledger(
                    (*(passage.row for passage in top.passages.values()), *rows),
                    top.total,
                    totals[place : place + 1],
                    nothing,
                ),
            )
            for place, (top, rows) in enumerate(zip(tops, _rows(below, stack.count, zero, nothing), strict=True))
        ]

    def _from_the_top(self, start: Message) -> _Top:
        assert start.value is not None
        trace = self._walk(self._top, start, torch.zeros_like(start.total), {self._output: start})
        return _Top(thin(start.coefficient, start.value), start.total, trace.passages, trace.arrived)

    def _walk(self, plan: Plan, start: Message, zero: Tensor, waiting: Mapping[Value, Message]) -> Trace:
        """Nothing of it is kept for another walk, which would start for another target."""
        by, top = (self._composite, self._weights, zero), Target.top()
        return walk(plan, self._wide, self._output, start, top, *by, {}, keep=None, waiting=waiting)


def top_and_rest(plan: Plan, output: Value) -> tuple[Plan, Plan]:
    """The plan down to the first affine steps, and the plan below them, where nothing reads a result of the top."""
    readers: dict[Value, list[Step]] = {}
    for step, _ in plan:
        for value in step.inputs:
            readers.setdefault(value, []).append(step)
    top: set[Step] = set()
    passing: set[Step] = set()
    for step, _ in reversed(plan):
        read_by = [reader for value in step.outputs for reader in readers.get(value, ())]
        if passing.issuperset(read_by) and (read_by or output in step.outputs):
            top.add(step)
            if not step.is_affine:
                passing.add(step)
    return tuple(pair for pair in plan if pair[0] in top), tuple(pair for pair in plan if pair[0] not in top)


def _each(message: Message | None, value: Value, count: int) -> list[Tensor]:
    """The relevance of an input, for each target by itself."""
    if message is None:
        return [value.available().new_zeros(value.shape) for _ in range(count)]
    return [part.reshape(value.shape).clone() for part in message.relevance.chunk(count)]


def _rows(below: list[tuple[Step, Row]], count: int, zero: Tensor, nothing: Tensor) -> list[list[Row]]:
    """The rows of each target's ledger."""
    rows: list[list[Row]] = [[] for _ in range(count)]
    none = [nothing] * count
    for step, row in below:
        columns = [none if number is zero else torch.unbind(number[:, None]) for number in row[1:]]
        for own, numbers in zip(rows, zip(*columns, strict=True), strict=True):
            own.append(Row(step, *numbers))
    return rows
