"""A tape for many targets at once: every recorded tensor as many times as there are targets, along its first axis.

For one row, so that the copies are the rows of a batch, which the walk keeps apart anyway. Where the first axis has one
entry, a copy is a view and takes no memory. Steps that treat the entries of the first axis alike run once for all; the
others run once for each target, as they were recorded. Which are which is known by the operation, or tried.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .limits import Budget
from .message import Message
from .propagation import affine, attention, elementwise, norms, pooling, products, rotary, shaping
from .propagation.arguments import axes_of
from .propagation.layer import Layer
from .propagation.linear_maps import Conv, Dense, Diagonal
from .rows import Rows
from .rules import AlphaBeta, Gamma, Rule, ZPlus
from .steps import Context, Operation, Outcome, Step, Value, found, replaced
from .walk import outcome_of

STANDING = ("map", "axis", "masking", "nonnegative", "head")
"""what a step remembers that is the same for every target"""


class Stack:
    """The values and steps of a tape of one row, ``count`` times."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.rows = Rows(count)
        self._values: dict[Value, Value] = {}
        self._originals: dict[int, Tensor] = {}

    def tensor(self, tensor: Tensor) -> Tensor:
        """As many copies in a row."""
        if not tensor.dim() or len(tensor) == 1:
            return tensor.expand(self.count, *tensor.shape[1:])
        return tensor.expand(self.count, *tensor.shape).flatten(0, 1)

    def value(self, value: Value) -> Value:
        """The value for all targets; always the same one."""
        made = self._values.get(value)
        if made is None:
            shape = (self.count * (len_of(value)), *value.shape[1:])
            made = self._values[value] = Value(torch.empty(shape, dtype=value.dtype, device="meta"), value.part)
            made.tensor = None if value.tensor is None else self.tensor(value.tensor)
            made.rows, made.gate = self.rows, value.gate
            if value.tensor is not None:
                self._originals[id(made.tensor)] = value.tensor
            made.rectified = None if value.rectified is None else self.value(value.rectified)
            made.capped = value.capped
            made.activated = None if value.activated is None else self.value(value.activated)
        return made

    def step(self, step: Step, rule: Rule | None, context: Context) -> Step:
        """The step for all targets."""
        inputs, outputs = (tuple(map(self.value, values)) for values in (step.inputs, step.outputs))
        alike = treats_alike(step)
        operation, memo, args, kwargs = step.operation, {}, step.args, step.kwargs
        if alike:
            args, kwargs = replaced((_in_any_number(step), step.kwargs), Value, self.value)
            memo = {key: item for key, item in step.memo.items() if key in STANDING} | self._copied(step, rule, context)
        elif operation is not None:
            operation = Operation(step.kind, self._one_by_one(step))
        made = replace(step, inputs=inputs, outputs=outputs, operation=operation, args=args, kwargs=kwargs,
                       memo=memo, budget=Budget(0))  # fmt: skip
        for value in outputs:
            value.producer = made
        return made

    def _copied(self, step: Step, rule: Rule | None, context: Context) -> dict[Any, Any]:
        """What a step remembers of its numbers; what the rule will ask for is computed once, not for every target."""
        memo: dict[Any, Any] = {}
        deviation = step.memo.get("deviation")
        if isinstance(deviation, norms.Deviation):
            memo["deviation"] = replace(deviation, rstd=self.tensor(deviation.rstd))
        elif isinstance(deviation, norms.Divisor):
            memo["deviation"] = replace(deviation, divisor=self.tensor(deviation.divisor))
        if step.op == "scaled_dot_product_attention":
            given = {**dict(zip(attention.NAMES, step.args, strict=False)), **step.kwargs}
            probabilities = step.kept("probabilities", lambda: attention.Heads.of(given).probabilities())
            memo["probabilities"] = self.tensor(probabilities)
        if step.map is not None and "head" not in step.memo and isinstance(rule, Gamma | ZPlus | AlphaBeta):
            z = step.outputs[0]
            value = None if z.rectified is None else z.rectified.tensor
            layer = Layer(step, Message(torch.empty(0), value, z.rows), context._replace(rule=rule, rows=z.rows))
            exact = not layer.is_simple or (isinstance(rule, AlphaBeta) and rule.beta > 0)
            kept = layer.p_floored() if exact else layer.p_above_z()
            memo |= {key: self.tensor(item) for key, item in step.memo.items() if item is kept}
            if isinstance(rule, AlphaBeta) and z.dtype == torch.float64:
                memo["negative", layer.counts_bias] = self.tensor(layer.n())
        return memo

    def _one_by_one(self, step: Step) -> Callable[[Step, Any, Context], Outcome]:
        """The propagation of a step as it was recorded, target by target."""
        operation = step.operation
        assert operation is not None

        def propagate(_: Step, arrived: Any, context: Context) -> Outcome:
            messages = arrived if isinstance(arrived, tuple) else (arrived,)
            own = context._replace(rows=step.outputs[0].rows)
            outcomes = []
            for target in range(self.count):
                parts = tuple(
                    None if m is None else self._message(m, v, target)
                    for m, v in zip(messages, step.outputs, strict=True)
                )
                result = operation.propagate(step, parts if len(parts) > 1 else parts[0], own)
                outcomes.append(outcome_of(result, step, own))
            passed = [self.joined([o.messages[place] for o in outcomes], v) for place, v in enumerate(step.inputs)]
            took = zip(*(outcome[1:] for outcome in outcomes), strict=True)
            return Outcome(tuple(passed), *map(self._amounts, took))

        return propagate

    def _message(self, message: Message, value: Value, target: int) -> Message:
        """What of the relevance of a value belongs to one target."""
        original = None if message.value is None else self._originals.get(id(message.value))
        whole = message.coefficient if message.value is None or original is not None else message.relevance
        part = whole.reshape(self.count, *value.shape)[target]
        return Message(part, original, value.rows)

    def joined(self, messages: list[Message | None], value: Value) -> Message | None:
        """The relevance of a value for all targets, from that for each."""
        parts = [m for m in messages if m is not None]
        if not parts:
            return None
        keeps_form = len(parts) == self.count and all(m.value is not None and m.value is value.tensor for m in parts)
        tensors = [
            value.available().new_zeros(value.shape) if m is None else m.coefficient if keeps_form else m.relevance
            for m in messages
        ]
        joined = torch.cat([t.reshape(len_of(value), *value.shape[1:]) for t in tensors])
        return Message(joined, self.value(value).tensor if keeps_form else None, self.rows)

    def _amounts(self, each: tuple[Any, ...]) -> Any:
        if any(amount is None for amount in each):
            return None
        if not any(isinstance(amount, Tensor) for amount in each):
            return 0.0
        return torch.cat([a if isinstance(a, Tensor) else torch.zeros(1, dtype=torch.float64) for a in each])


def len_of(value: Value) -> int:
    """Entries of the first axis; a number by itself counts as one."""
    return value.shape[0] if value.shape else 1


def treats_alike(step: Step) -> bool:
    """Whether a step does the same with every entry of the first axis, and with copies behind each other."""
    if step.operation is None or not all(value.shape for value in (*step.inputs, *step.outputs)):
        return False
    if "alike" not in step.memo:
        known = ALIKE.get(step.operation.propagate)
        step.memo["alike"] = known is not None and known(step)
    return bool(step.memo["alike"])


def _affine(step: Step) -> bool:
    dims = len(step.inputs[0].shape)
    if isinstance(step.map, Conv):
        return dims == step.map.weight.dim()
    return isinstance(step.map, Dense | Diagonal) and dims > 1


def _norm(step: Step) -> bool:
    dims = len(step.inputs[0].shape)
    if step.op in ("layer_norm", "rms_norm"):
        shape = step.kwargs.get("normalized_shape", step.args[1] if len(step.args) > 1 else ())
        return dims > len(shape)
    return dims > 1


def _entrywise(step: Step) -> bool:
    """Entry by entry, with nothing repeated along the first axis but what has no such axis, or one entry along it."""
    shape = step.outputs[0].shape
    constants = found((step.args, step.kwargs), Tensor)
    return all(len(v.shape) == len(shape) and v.shape[0] == shape[0] for v in step.inputs) and all(
        t.dim() < len(shape) or len(t) == 1 for t in constants
    )


def _batched(step: Step) -> bool:
    shapes = [value.shape for value in (*step.inputs, *step.outputs)]
    return step.op != "einsum" and all(len(s) == len(shapes[0]) > 2 and s[0] == shapes[0][0] for s in shapes)


def _attention(step: Step) -> bool:
    given = {**dict(zip(attention.NAMES, step.args, strict=False)), **step.kwargs}
    mask = given.get("attn_mask")
    is_plain = mask is None or (isinstance(mask, Tensor) and (mask.dim() < len(step.output_shape) or len(mask) == 1))
    dims = 3 if given.get("enable_gqa") else 2
    return len(step.inputs) == 3 and is_plain and _batched(step) and len(step.output_shape) > dims


def _average(step: Step) -> bool:
    named = step.kwargs.get("dim", step.args[1] if len(step.args) > 1 else None)
    return step.op in ("mean", "sum") and named is not None and 0 not in axes_of(named, len(step.inputs[0].shape))


def _tried(step: Step) -> bool:
    """By moving numbers that are all different: of two copies behind each other it has to make two results so."""
    sizes = [value.shape.numel() for value in step.inputs]
    first = [
        torch.arange(1, size + 1).add(sum(sizes[:place])).reshape(value.shape)
        for place, (size, value) in enumerate(zip(sizes, step.inputs, strict=True))
    ]
    second = [marks + sum(sizes) for marks in first]
    dtype = torch.float64 if sum(sizes) > 2**22 else step.inputs[0].dtype
    one, other, both = (
        [m.to(step.inputs[0].available().device, dtype) for m in marks]
        for marks in (first, second, [torch.cat(pair) for pair in zip(first, second, strict=True)])
    )
    try:
        results = [found(step.again(*marks), Tensor) for marks in (one, other)]
        together = found(replace(step, args=_in_any_number(step)).again(*both), Tensor)
        return all(torch.equal(torch.cat([a, b]), c) for a, b, c in zip(*results, together, strict=True))
    except (RuntimeError, IndexError, TypeError, ValueError):
        return False


def _in_any_number(step: Step) -> tuple[Any, ...]:
    """The arguments with the length of the first axis left open, where an operation names it."""
    if step.op != "expand" or len(step.args) < 2:
        return step.args
    listed = isinstance(step.args[1], list | tuple)
    sizes = list(step.args[1]) if listed else list(step.args[1:])
    if len(sizes) == len(step.inputs[0].shape) and sizes[0] == len_of(step.inputs[0]):
        sizes[0] = -1
    return (step.args[0], sizes) if listed else (step.args[0], *sizes)


def _always(step: Step) -> bool:
    return True


ALIKE: dict[Any, Callable[[Step], bool]] = {
    affine.propagate: _affine,
    norms.norm: _norm,
    elementwise.activation: _always,
    elementwise.sign: _always,
    elementwise.addition: _entrywise,
    elementwise.product: _entrywise,
    rotary.propagate: _entrywise,
    products.two_operands: _batched,
    attention.attention: _attention,
    attention.softmax: lambda step: step.memo["axis"] % len(step.output_shape) != 0,
    pooling.average: _average,
    shaping.same_order: _always,
    shaping.swapped: _tried,
    shaping.moved: _tried,
}
"""by propagation function: whether a step with it treats the entries of the first axis alike"""
