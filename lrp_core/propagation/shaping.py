"""Operations that move numbers about: the exact adjoint, so that no relevance is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..message import Message
from ..registry import propagates
from ..rows import row_sums
from ..steps import Context, Outcome, Step, Value, found, replaced
from .adjoint import adjoint


def _run_dropout(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """Dropout that is switched on makes every run another network; it has no rule."""
    training = kwargs.get("training", args[2] if len(args) > 2 else True)
    return None if training else (function(*args, **kwargs), {})


@propagates(
    *(F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout),
    kind="shape",
    run=_run_dropout,
)
@propagates(
    *(torch.reshape, torch.flatten, torch.squeeze, torch.unsqueeze, torch.clone, torch.detach, "unflatten"),
    *("view_as", "reshape_as", "contiguous", "to", "type", "type_as", "float", "double", "data", "requires_grad"),
    kind="shape",
)
def same_order(step: Step, message: Message, context: Context) -> Outcome:
    """The same numbers in the same order, under another shape or type."""
    (value,) = step.inputs
    keeps_form = message.value is step.outputs[0].tensor and value.tensor is not None
    arrived = message.coefficient if keeps_form else message.relevance
    back = arrived.reshape(value.shape).to(value.dtype)
    return Outcome((message.moved_to(back, value.tensor if keeps_form else None, value.rows, in_order=True),))


def _run_view(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """Another type makes other numbers of the same bits; that has no rule."""
    result = function(*args, **kwargs)
    return (result, {}) if result.dtype == args[0].dtype else None


propagates("view", kind="shape", run=_run_view)(same_order)


@propagates(torch.transpose, torch.swapaxes, torch.swapdims, torch.t, "T", "mT", kind="shape")
def swapped(step: Step, message: Message, context: Context) -> Outcome:
    """Axes that change places, and change back when the same is done again."""
    (value,) = step.inputs
    keeps_form = message.value is step.outputs[0].tensor and value.tensor is not None
    arrived = message.coefficient if keeps_form else message.relevance
    args, kwargs = replaced((step.args, step.kwargs), Value, lambda _: arrived.view_as(arrived))  # it may work in place
    back = step.function(*args, **kwargs)
    return Outcome((message.moved_to(back, value.tensor if keeps_form else None, value.rows),))


@propagates(
    *(torch.permute, torch.movedim, torch.moveaxis, torch.cat, torch.stack),
    *(torch.hstack, torch.vstack, torch.dstack, torch.where, torch.masked_fill),
    *(torch.split, torch.chunk, torch.tensor_split, torch.unbind, torch.select, torch.narrow, "getitem"),
    *(torch.index_select, torch.gather, torch.take_along_dim, "expand", "expand_as", "repeat", torch.tile),
    *(torch.broadcast_to, torch.repeat_interleave, torch.flip, torch.roll, torch.rot90, F.pad, F.unfold, "unfold"),
    *(torch.channel_shuffle, F.pixel_shuffle, F.pixel_unshuffle, torch.tril, torch.triu, torch.diagonal),
    kind="shape",
)
def moved(step: Step, arrived: Message | tuple[Message | None, ...], context: Context) -> Outcome:
    """Every number of the output is a number of the input, or a constant; each gets its relevance back."""
    messages = arrived if isinstance(arrived, tuple) else (arrived,)
    tensors = [value.tensor for value in step.inputs]
    whole = [m is None or m.value is v.tensor for m, v in zip(messages, step.outputs, strict=True)]
    keeps_form = all(whole) and all(t is not None for t in tensors)
    sent = [
        step.inputs[0].available().new_zeros(v.shape, dtype=v.dtype) if m is None
        else m.coefficient if keeps_form else m.relevance
        for m, v in zip(messages, step.outputs, strict=True)
    ]  # fmt: skip
    like = [value.available() for value in step.inputs]
    back = adjoint(step.again, like, sent)
    passed = tuple(context.message(c, t if keeps_form else None) for c, t in zip(back, tensors, strict=True))
    if not _has_constants(step):
        return Outcome(passed)
    covered = _without_constants(step, [torch.ones_like(t) for t in like])
    return Outcome(passed, constant=sum(
        row_sums(m.relevance * (1 - c), m.rows) for m, c in zip(messages, covered, strict=True) if m is not None
    ))  # fmt: skip


JOINED = {"cat", "stack", "hstack", "vstack", "dstack"}

GIVING: dict[str, tuple[int | str, ...]] = {
    **dict.fromkeys(JOINED, (0, "tensors")),
    "masked_fill": (0, 2, "value"),
    "pad": (3, "value"),
    "where": (0, 1, 2, "input", "other"),
}
"""where an argument stands, or how it is called, whose numbers become part of the output, of whatever type they are"""


def _has_constants(step: Step) -> bool:
    if step.op == "pad":
        mode = step.args[2] if len(step.args) > 2 else step.kwargs.get("mode", "constant")
        return bool(mode == "constant")
    items: list[tuple[int | str, Any]] = [*enumerate(step.args), *step.kwargs.items()]
    giving = GIVING.get(step.op, ())
    return any(isinstance(item, int | float) for place, item in items if place in giving) or any(
        _gives(step, place, tensor) for place, item in items for tensor in found(item, Tensor)
    )


def _gives(step: Step, place: int | str, tensor: Tensor) -> bool:
    """Whether a constant tensor has numbers for the output, as an index and a condition have not."""
    if tensor.dtype == torch.bool and step.op not in JOINED:
        return False
    return tensor.is_floating_point() or tensor.is_complex() or place in GIVING.get(step.op, ())


def _without_constants(step: Step, ones: list[Tensor]) -> list[Tensor]:
    """1 where the output comes from an input, 0 where it is a constant."""

    def zero(place: int | str, item: Any) -> Any:
        if isinstance(item, int | float):
            return 0.0 if place in GIVING.get(step.op, ()) else item
        return replaced(item, Tensor, lambda t: torch.zeros_like(t) if _gives(step, place, t) else t)

    args = tuple(zero(place, item) for place, item in enumerate(step.args))
    kwargs = {name: zero(name, item) for name, item in step.kwargs.items()}
    result = replace(step, args=args, kwargs=kwargs).again(*ones)
    return [result] if isinstance(result, Tensor) else list(result)
