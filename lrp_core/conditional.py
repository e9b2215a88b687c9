"""Conditional relevance: only what passes chosen channels of chosen layers (Achtibat 2023, concept relevance).

Relevance is sent down from the target as always. At a chosen layer only its chosen channels are let through; what leads
around the layer is stopped where no way to the layer is left. Both are booked as "masked", so that the books close.
Every rule is linear in the relevance that arrives: the maps of all channels of a layer sum to what passes the layer,
and to the whole map where nothing leads around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from operator import index as as_integer
from typing import Any

import torch
from torch import Tensor

from . import walk as walking
from .composite import Composite
from .ledger import Row
from .message import Message
from .propagation.attention import attending
from .propagation.linear_maps import Conv, Dense, Diagonal
from .propagation.weights import WeightCache
from .steps import Context, Step, Value
from .target import Target
from .walk import Messages, Passage, Plan, Trace

Waiting = dict[Value, dict[int, Message]]
"""relevance on its way by what it has passed: bit n for condition n"""


@dataclass(frozen=True, eq=False)
class Condition:
    """One layer and the channels of it that relevance has to pass."""

    channels: tuple[int, ...]
    axes: Mapping[Step, int]
    """the calls of the layer, and the axis of the channels in what each puts out"""
    above: frozenset[Value]
    """the values that it has a part in: relevance of these can still come to it"""

    def masked(self, step: Step, message: Message, value: Value) -> tuple[Message, Tensor]:
        """What goes through, and what is left out per row."""
        shape = [1] * len(value.shape)
        axis = self.axes[step]
        shape[axis] = value.shape[axis]
        mask = message.coefficient.new_zeros(value.shape[axis])
        mask[list(self.channels)] = 1.0
        mask = mask.reshape(shape)
        kind = type(message)
        left_out = kind(message.coefficient * (1 - mask), message.value, message.rows)
        return kind(message.coefficient * mask, message.value, message.rows), left_out.total


def conditions(steps: tuple[Step, ...], through: Any) -> tuple[Condition, ...]:
    """The conditions that ``through`` names; ``TypeError`` or ``ValueError`` in one sentence where it names none."""
    if not isinstance(through, Mapping):
        raise TypeError(
            "through names layers and their channels, such as {'features.10': [42]}; it is no "
            f"{type(through).__name__}."
        )
    if not through:
        raise ValueError("through names no layer; give one, such as {'features.10': [42]}, or leave it out.")
    return tuple(_condition(steps, name, channels) for name, channels in through.items())


def _condition(steps: tuple[Step, ...], name: Any, channels: Any) -> Condition:
    axes = _calls(steps, name) or _attentions(steps, name)
    if not axes:
        known = dict.fromkeys(step.layer for step in steps if _channel_axis(step) is not None)
        known |= dict.fromkeys(_attending(step, steps) for step in steps if step.kind == "attention")
        near = get_close_matches(str(name), [str(one) for one in known], 3, 0.4) or [*known][:3]
        raise ValueError(
            f"through: there is no layer {name!r} whose channels can be chosen; the nearest are "
            f"{', '.join(map(repr, near)) or 'none'}."
        )
    count = min(step.outputs[0].shape[axis] for step, axis in axes.items())
    return Condition(_channels(name, channels, count), axes, _above(steps, set(axes)))


def _calls(steps: tuple[Step, ...], name: Any) -> dict[Step, int]:
    """All calls of a layer, or the one that is meant by ``name#2``."""
    named = {step: _channel_axis(step) for step in steps if step.is_layer and name in (step.layer, step.name)}
    return {step: axis for step, axis in named.items() if axis is not None}


def _channel_axis(step: Step) -> int | None:
    """Filters of convolutions, features of dense layers and of norms."""
    if not step.is_layer:
        return None
    if isinstance(step.map, Conv | Dense | Diagonal):
        return step.map.output_axis
    if "deviation" in step.memo:
        return -1 if step.op in ("layer_norm", "rms_norm") else 1
    return None


def _attentions(steps: tuple[Step, ...], name: Any) -> dict[Step, int]:
    """Where the heads of the module that attends put out what they found: (B, heads, queries, features)."""
    found: dict[Step, int] = {}
    for step in steps:
        if step.kind != "attention" or _attending(step, steps) != name:
            continue
        if step.op == "scaled_dot_product_attention" and len(step.output_shape) == 4:
            found[step] = 1
        elif step.op == "softmax" and len(step.output_shape) == 4:
            found |= dict.fromkeys(_weighed_by(step, steps), 1)
    return found


def _attending(step: Step, steps: tuple[Step, ...]) -> str:
    """The module that attends; where queries, keys and values come from one layer, the module around that."""
    name = attending(step)
    return name.rpartition(".")[0] if any(other.layer == name and other.is_layer for other in steps) else name


def _weighed_by(softmax: Step, steps: tuple[Step, ...]) -> list[Step]:
    """The products of attention weights with what they weigh."""
    weights = {softmax.outputs[0]}
    products = []
    for step in steps:
        if not weights.intersection(step.inputs):
            continue
        if len(step.inputs) == 1 and step.output_shape == softmax.output_shape:
            weights.update(step.outputs)
        elif step.op in ("matmul", "bmm") and len(step.output_shape) == 4:
            products.append(step)
    return products


def _channels(name: str, channels: Any, count: int) -> tuple[int, ...]:
    given = channels.tolist() if hasattr(channels, "tolist") else channels
    listed = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    if not listed:
        raise ValueError(f"through: choose at least one channel of {name!r}.")
    for channel in listed:
        if isinstance(channel, bool) or not hasattr(channel, "__index__"):
            raise TypeError(f"through: a channel of {name!r} is an integer, not {channel!r}.")
        if not 0 <= as_integer(channel) < count:
            raise ValueError(f"through: {name!r} has the channels 0 to {count - 1}, not {channel}.")
    return tuple(sorted({as_integer(channel) for channel in listed}))


def _above(steps: tuple[Step, ...], calls: set[Step]) -> frozenset[Value]:
    """All values that relevance passes on its way to one of the calls."""
    reached: set[Value] = set()
    for step in steps:
        read = (value for place, value in enumerate(step.inputs) if place not in step.silent)
        if step in calls or not reached.isdisjoint(read):
            reached.update(step.outputs)
    return frozenset(reached)


def walk_through(
    plan: Plan,
    wide: torch.dtype | None,
    output: Value,
    start: Message,
    target: Target,
    composite: Composite,
    weights: WeightCache,
    zero: Tensor,
    conditions: tuple[Condition, ...],
    keep_all: bool,
) -> Trace:
    """The walk of the relevance that passes all conditions; see :func:`lrp_core.walk.walk` for the rest.

    Of a layer that is called several times, each call lets only the chosen channels through, and one is passed.
    """
    waiting: Waiting = {output: {0: start}}
    passages: dict[Step, Passage] = {}
    everything = 2 ** len(conditions) - 1
    for step, rule in reversed(plan):
        of_outputs = [waiting.pop(value, {}) for value in step.outputs]
        if not any(of_outputs):
            continue
        context = Context(rule, composite, weights, step.outputs[0].rows)
        rows: list[Row] = []
        handed: list[dict[int, Message]] = [{} for _ in step.inputs]
        for state in sorted({state for messages in of_outputs for state in messages}):
            arriving: Messages = tuple(messages.get(state) for messages in of_outputs)
            arriving, after, left_out = _through_the_step(step, arriving, state, conditions)
            passed, row = walking.hand_on(step, arriving, context, zero, wide)
            kept, stopped = _with_a_way_left(step, passed, after, conditions)
            row = row._replace(r_in=row.r_in - stopped, masked=stopped) if stopped is not None else row
            for value, message, own in zip(step.inputs, kept, handed, strict=True):
                if message is not None:
                    row = walking.added(waiting.setdefault(value, {}), after, value, message, row, wide)
                    own[after] = message if after not in own else own[after].plus(message)
            if left_out is not None:
                row = row._replace(r_out=row.r_out + left_out, masked=row.masked + left_out)
            rows.append(row)
        arrived = tuple(_joined(messages) for messages in of_outputs)
        passages[step] = Passage(
            rule,
            _summed(rows),
            {value: message for value, states in waiting.items() if (message := _joined(states))} if keep_all else None,
            tuple(map(_joined, handed)) if keep_all else None,
            arrived if keep_all and step.kind == "attention" else None,
        )
    same = (composite.attention, composite.bias, composite.is_gradient)
    reached = {value: states[everything] for value, states in waiting.items() if everything in states}
    return Trace(start, target, *same, passages, reached, keep_all)


def _through_the_step(
    step: Step, arriving: Messages, state: int, conditions: tuple[Condition, ...]
) -> tuple[Messages, int, Tensor | None]:
    """What a step's channels let through, what it has passed then, and what was left out, where it has a condition."""
    left_out: Tensor | None = None
    for number, condition in enumerate(conditions):
        if step in condition.axes and arriving[0] is not None:
            message, out = condition.masked(step, arriving[0], step.outputs[0])
            arriving, state = (message, *arriving[1:]), state | 1 << number
            left_out = out if left_out is None else left_out + out
    return arriving, state, left_out


def _with_a_way_left(
    step: Step, passed: Messages, state: int, conditions: tuple[Condition, ...]
) -> tuple[Messages, Tensor | None]:
    """What can still come to all conditions that it has not passed, and how much cannot."""
    missing = [condition for number, condition in enumerate(conditions) if not state >> number & 1]
    kept: list[Message | None] = []
    stopped: Tensor | None = None
    for value, message in zip(step.inputs, passed, strict=True):
        if message is None or all(value in condition.above for condition in missing):
            kept.append(message)
        else:
            kept.append(None)
            stopped = message.total if stopped is None else stopped + message.total
    return tuple(kept), stopped


def _joined(states: Mapping[int, Message]) -> Message | None:
    """All relevance of a value, whatever it has passed."""
    joined: Message | None = None
    for message in states.values():
        joined = message if joined is None else joined.plus(message)
    return joined


def _summed(rows: list[Row]) -> Row:
    if len(rows) == 1:
        return rows[0]
    return Row(rows[0].step, *(torch.stack(numbers).sum(0) for numbers in zip(*(row[1:] for row in rows), strict=True)))
