"""Operations that move numbers about: the exact adjoint, so that no relevance is lost."""

from __future__ import annotations

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
    *(torch.reshape, torch.flatten, torch.squeeze, torch.unsqueeze, torch.clone, torch.detach, "unflatten", "view"),
    *("view_as", "reshape_as", "contiguous", "to", "type", "type_as", "float", "double", "data", "requires_grad"),
    kind="shape",
)
def same_order(step: Step, message: Message, context: Context) -> Outcome:
    """The same numbers in the same order, under another shape or type."""
    value = step.inputs[0]
    keeps_form = message.value is step.outputs[0].tensor and value.tensor is not None
    arrived = message.coefficient if keeps_form else message.relevance
    dtype = value.tensor.dtype if value.tensor is not None else arrived.dtype
    back = arrived.reshape(value.shape).to(dtype)
    return Outcome((_same_numbers(step, message, back, keeps_form), *[None] * (len(step.inputs) - 1)))


def _same_numbers(step: Step, message: Message, back: Tensor, keeps_form: bool) -> Message:
    """The relevance of the output in the places of the input: nobody need sum it again."""
    value = step.inputs[0]
    return Message(back, value.tensor if keeps_form else None, value.rows, message.total)


@propagates(torch.transpose, torch.swapaxes, torch.swapdims, torch.t, "T", "mT", kind="shape")
def swapped(step: Step, message: Message, context: Context) -> Outcome:
    """Axes that change places, and change back when the same is done again."""
    keeps_form = message.value is step.outputs[0].tensor and step.inputs[0].tensor is not None
    arrived = message.coefficient if keeps_form else message.relevance
    args, kwargs = replaced((step.args, step.kwargs), Value, lambda _: arrived.view_as(arrived))  # it may work in place
    return Outcome((_same_numbers(step, message, step.function(*args, **kwargs), keeps_form),))


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
        step.inputs[0].available().new_zeros(v.shape, dtype=step_dtype(step, context)) if m is None
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


def step_dtype(step: Step, context: Context) -> torch.dtype:
    """Type of the step's relevance."""
    return next(v.tensor.dtype for v in (*step.outputs, *step.inputs) if v.tensor is not None)


def _has_constants(step: Step) -> bool:
    return step.op in ("pad", "masked_fill") or any(
        t.is_floating_point() for t in found((step.args, step.kwargs), Tensor)
    )


def _without_constants(step: Step, ones: list[Tensor]) -> list[Tensor]:
    """1 where the output comes from an input, 0 where it is a constant."""

    def zero(tree: Any) -> Any:
        return replaced(tree, Tensor, lambda t: torch.zeros_like(t) if t.is_floating_point() else t)

    plain = Step(**{**vars(step), "args": zero(step.args), "kwargs": zero(step.kwargs)})
    if step.op == "pad" and step.kwargs.get("mode", "constant") == "constant":
        plain.kwargs["value"] = 0.0
    if step.op == "masked_fill":
        plain.args, plain.kwargs = (plain.args[0], plain.kwargs.get("mask", plain.args[-2]), 0.0), {}
    result = plain.again(*ones)
    return [result] if isinstance(result, Tensor) else list(result)
