"""Numbers gathered by an index: messages along the edges of a graph, nodes into graphs, tokens back from experts.

A sum or mean over an index is a linear map without weights, and shares by LRP-epsilon as every sum does. Of a maximum
the winner takes all. Numbers that are only written to other places get their own relevance back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from ..message import Message
from ..registry import op_name, propagates
from ..rows import row_sums
from ..steps import Context, Outcome, Step, Value, replaced
from .adjoint import adjoint
from .ratios import over_output

NAMES = {
    "index_add": "input dim index source",
    "scatter_add": "input dim index src",
    "scatter": "input dim index src",
    "scatter_reduce": "input dim index src reduce",
    "index_reduce": "input dim index source reduce",
    "index_put": "input indices values accumulate",
    "segment_reduce": "input reduce",
    "index_copy": "input dim index source",
}


def _given(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments by name; the source, whatever torch calls it, is "source"."""
    given = {**dict(zip(NAMES[op_name(function)].split(), args, strict=False)), **kwargs}
    ours = {"src": "source", "values": "source", "data": "input"}
    return {ours.get(name, name): item for name, item in given.items()}


def _run_sum(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """Sums and means; a product over an index has no rule."""
    given = _given(function, args, kwargs)
    always = op_name(function) in ("index_add", "scatter_add")
    is_sum = always or given.get("accumulate") is True or given.get("reduce") in ("sum", "add", "mean")
    if not is_sum:
        return None
    memo: dict[str, Any] = {"gathers": True}
    if op_name(function) == "scatter":
        memo["function"] = _scatter_add
    elif "scatter" in op_name(function) and given["index"].shape != given["source"].shape:
        memo["function"] = _on_what_is_read(function)
    return function(*args, **kwargs), memo


def _scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str = "add") -> Tensor:
    """``scatter`` with ``reduce="add"``, for which torch has no derivative."""
    return torch.scatter_add(input, dim, index, src[tuple(map(slice, index.shape))])


def _on_what_is_read(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same without the entries of the source that no index is for, where torch has no derivative."""

    def run(input: Tensor, dim: int, index: Tensor, src: Tensor, *args: Any, **kwargs: Any) -> Any:
        return function(input, dim, index, src[tuple(map(slice, index.shape))], *args, **kwargs)

    return run


@propagates(
    *(torch.index_add, torch.scatter_add, torch.scatter, torch.scatter_reduce, torch.index_reduce, torch.index_put),
    "segment_reduce",
    kind="add",
    run=_run_sum,
)
def summed(step: Step, message: Message, context: Context) -> Outcome:
    """LRP-epsilon between all that is summed; a constant to which it is added absorbs its part."""
    assert context.rule is not None
    ratio = over_output(step, message, context.rule, context.rows)
    tensors = [value.available() for value in step.inputs]
    backs = adjoint(step.again, tensors, [ratio.s])
    alone = step.again(*map(torch.zeros_like, tensors)).nan_to_num_()
    return Outcome(
        tuple(context.message(back, x) for back, x in zip(backs, tensors, strict=True)),
        epsilon=ratio.epsilon,
        constant=row_sums(ratio.s * alone, context.rows) if alone.any() else 0.0,
        dropped=ratio.dropped,
    )


@dataclass(frozen=True, eq=False)
class Contest:
    """A maximum over an index: entry i of the source runs for the entry ``index[i]`` of the result along ``axis``."""

    axis: int
    index: Tensor
    start_won: Tensor
    """where the number that was there before won, shaped like the result"""
    source_won: Tensor
    """shaped like the index"""

    @staticmethod
    def between(start: Tensor, axis: int, index: Tensor, source: Tensor, result: Tensor, counts_start: bool) -> Contest:
        """Of equal numbers the first wins: what was there before, then the source in order."""
        source = source[tuple(map(slice, index.shape))]
        length = index.shape[axis]
        order = torch.arange(length, device=index.device).view([-1 if a == axis else 1 for a in range(index.dim())])
        order = torch.where(source == result.gather(axis, index), order.expand_as(index), length)
        untouched = torch.full(result.shape, length + 1, device=index.device)
        first = untouched.scatter_reduce(axis, index, order, "amin", include_self=False)
        start_won = (start == result) if counts_start else first == length + 1
        first = first.masked_fill(start_won, -1)
        return Contest(axis, index, start_won, order == first.gather(axis, index))

    def to_source(self, arrived: Tensor, shape: torch.Size) -> Tensor:
        """What arrives at the result, given to the entries of a source of this shape that won."""
        back = arrived.new_zeros(shape)
        back[tuple(map(slice, self.index.shape))] = arrived.gather(self.axis, self.index) * self.source_won
        return back


def _run_maximum(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """The greatest or the smallest number of each group."""
    given = _given(function, args, kwargs)
    if given.get("reduce") not in ("amax", "amin", "max", "min"):
        return None
    index, axis, start, source = (cast(Any, given.get(name)) for name in ("index", "dim", "input", "source"))
    if op_name(function) == "segment_reduce":
        result = function(*args, **kwargs)
        index, axis, source = _segments(given, result), 0, start
        start = torch.full_like(result, -torch.inf if given["reduce"] == "max" else torch.inf)
        if index is None or given.get("initial") is not None:
            return None
    else:
        start = start.clone()
        result = function(*args, **kwargs)
    axis %= max(1, result.dim())
    if index.dim() != source.dim():
        index = index.view([-1 if a == axis else 1 for a in range(source.dim())])
    if op_name(function) != "scatter_reduce":
        index = index.expand(source.shape)
    contest = Contest.between(start, axis, index, source, result, given.get("include_self", True))
    memo: dict[str, Any] = {"gathers": True, "winners": contest}
    if op_name(function) == "scatter_reduce" and index.shape != source.shape:
        memo["function"] = _on_what_is_read(function)
    return result, memo


def _segments(given: dict[str, Any], result: Tensor) -> Tensor | None:
    """For each number along the first axis, which segment it lies in."""
    lengths, offsets = given.get("lengths"), given.get("offsets")
    if lengths is None and offsets is not None:
        lengths = offsets.diff()
    if lengths is None or lengths.dim() != 1 or given.get("axis", 0) != 0:
        return None
    return torch.arange(len(result), device=result.device).repeat_interleave(lengths)


@propagates(torch.scatter_reduce, torch.index_reduce, "segment_reduce", kind="pool", run=_run_maximum)
def won(step: Step, message: Message, context: Context) -> Outcome:
    """The winner of each group takes all: of equal ones the first, beginning with what was there before."""
    contest: Contest = step.memo["winners"]
    keeps_form, arrived = _form_of(step, message)
    start, *_ = (*step.args, step.kwargs.get("input"))
    has_start = isinstance(start, Value) and step.op != "segment_reduce"
    messages = []
    for place, value in enumerate(step.inputs):
        back = arrived * contest.start_won if has_start and not place else contest.to_source(arrived, value.shape)
        messages.append(context.message(back, value.available() if keeps_form else None))
    constant: Tensor | float = 0.0
    if len(step.inputs) == 1 and step.op != "segment_reduce":
        constant = row_sums(message.relevance * (contest.start_won != has_start), context.rows)
    return Outcome(tuple(messages), constant=constant)


def _form_of(step: Step, message: Message) -> tuple[bool, Tensor]:
    """Whether relevance comes as a multiple of the output, which inputs that move can keep; and that multiple."""
    keeps_form = message.value is not None and message.value is step.outputs[0].tensor
    return keeps_form, message.coefficient if keeps_form else message.relevance


def _run_write(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """Numbers written over others, which lose what they had."""
    return None if _given(function, args, kwargs).get("reduce") else (function(*args, **kwargs), {})


@propagates(torch.scatter, torch.index_copy, kind="shape", run=_run_write)
def written(step: Step, message: Message, context: Context) -> Outcome:
    """Each number of the result is one of an input, or a constant; where several were written, the one that stayed."""
    sizes = [value.shape.numel() for value in step.inputs]
    keeps_form, arrived = _form_of(step, message)
    stayed = _who_stayed(step, sizes)
    back = arrived.new_zeros(sum(sizes) + 1).index_add_(0, stayed.flatten(), arrived.flatten())[1:]
    return Outcome(
        tuple(
            context.message(part.reshape(value.shape), value.available() if keeps_form else None)
            for part, value in zip(torch.split(back, sizes), step.inputs, strict=True)
        ),
        constant=row_sums(message.relevance * (stayed == 0), context.rows),
    )


def _who_stayed(step: Step, sizes: list[int]) -> Tensor:
    """For each entry of the output the number of the entry that it is, counted from 1 through all inputs; 0: none."""
    args, kwargs = replaced((step.args, step.kwargs), Tensor, lambda t: t.double() if t.is_floating_point() else t)
    numbers = torch.arange(1.0, sum(sizes) + 1, dtype=torch.float64, device=step.outputs[0].available().device)
    own = [part.reshape(v.shape) for part, v in zip(torch.split(numbers, sizes), step.inputs, strict=True)]
    wide = replace(step, args=args, kwargs=kwargs)
    stayed, doubled = wide.again(*own), wide.again(*(part * 2 for part in own))
    return stayed.masked_fill(stayed == doubled, 0).long()  # what does not follow the numbers is a constant


def only_who_meets_whom(step: Step) -> Step:
    """The step as a mean of its inputs in double precision: no constants, no signs, and no maximum."""

    def plain(item: Any) -> Any:
        return torch.zeros_like(item, dtype=torch.float64) if item.is_floating_point() else item

    args, kwargs = replaced((step.args, step.kwargs), Tensor, plain)
    args, kwargs = replaced((args, kwargs), str, lambda name: "add" if name == "add" else "mean")
    return replace(step, args=args, kwargs={name: item for name, item in kwargs.items() if name != "alpha"})
