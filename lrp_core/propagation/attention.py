"""Softmax and attention, by AttnLRP (Achtibat 2024) or CP-LRP (Ali 2022), as the composite says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UnsupportedOp
from ..message import Message
from ..registry import propagates
from ..rows import row_sums
from ..steps import Context, Outcome, Step, Value
from .products import coefficient_of


def _run_softmax(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """Along one axis that is named."""
    given = {**dict(zip(("input", "dim"), args, strict=False)), **kwargs}
    axis = given.get("dim")
    return None if axis is None else (function(*args, **kwargs), {"axis": axis})


@propagates(torch.softmax, kind="attention", run=_run_softmax)
def softmax(step: Step, message: Message, context: Context) -> Outcome:
    """AttnLRP: R_i = x_i (R_i - s_i sum_j R_j), where masked entries get 0.

    CP-LRP takes the weights of attention for a constant: the product with what they weigh gives them nothing, so that
    none arrives here. Where some does, the weights are something else, for which it has no rule.
    """
    if context.composite.attention == "cp":
        raise _no_attention(step)
    axis, s = step.memo["axis"], step.outputs[0].available()
    if message.value is s:
        back = torch.ops.aten._softmax_backward_data(message.coefficient, s, axis, s.dtype)
    else:
        back = message.relevance - s * message.relevance.sum(axis, keepdim=True)
    return with_the_rest(step, message, back, context)


@propagates(torch.log_softmax, kind="attention", run=_run_softmax)
def log_softmax(step: Step, message: Message, context: Context) -> Outcome:
    """AttnLRP: R_i = x_i (c_i - s_i sum_j c_j) with c = R / log s; CP-LRP: the normaliser is a constant."""
    c, dropped = coefficient_of(step, message, context)
    if context.composite.attention != "cp":
        c = c - step.outputs[0].available().exp() * c.sum(step.memo["axis"], keepdim=True)
    return with_the_rest(step, message, c, context, dropped)


def _no_attention(step: Step) -> UnsupportedOp:
    layer = attending(step)
    source = "" if layer == step.name else f", whose scores come from {layer!r},"
    return UnsupportedOp(
        f"CP-LRP has no rule for the step {step.name!r}{source} since its weights are not multiplied with anything "
        'that depends on the input, as those of attention are; explain with attention="attnlrp" instead.'
    )


def with_the_rest(
    step: Step, message: Message, back: Tensor, context: Context, dropped: Tensor | float = 0.0
) -> Outcome:
    """Relevance x * back of the scores x, without their masked entries; what it is short of goes to the softmax."""
    x = step.inputs[0].available()
    back = back.to(x.dtype)
    masked = x == -torch.inf
    passed = context.message(back * x.masked_fill(masked, 0.0)) if masked.any() else context.message(back, x)
    return Outcome((passed,), softmax=message.total - passed.total - dropped, dropped=dropped)


NAMES = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")


KEPT = 2**24
"""bytes up to which recording keeps the weights of an attention, which every walk needs"""


def _run_attention(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """In two products, so that the weights are there for the walk. Dropout that is switched on makes every run another
    network; it has no rule."""
    given = {**dict(zip(NAMES, args, strict=False)), **kwargs}
    if given.get("dropout_p"):
        return None
    query, key = given["query"], given["key"]
    if query.nbytes // query.shape[-1] * key.shape[-2] > KEPT:
        return function(*args, **kwargs), {}
    heads = Heads.of(given)
    probabilities = heads.probabilities()
    output = torch.matmul(probabilities, heads.value)
    if output.dim() == 4:  # in memory token by token, as torch's own: models go on to join the heads of each token
        output = output.transpose(1, 2).contiguous().transpose(1, 2)
    return output, {"probabilities": probabilities}


@dataclass(frozen=True, eq=False)
class Heads:
    """The tensors of one attention, keys and values repeated where several queries share a head."""

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    causal: bool
    scale: float
    groups: int

    @staticmethod
    def of(given: dict[str, Any]) -> Heads:
        items: list[Any] = [given.get(name) for name in NAMES[:4]]
        query, key, value, mask = (item.available() if isinstance(item, Value) else item for item in items)
        groups = query.shape[-3] // key.shape[-3] if given.get("enable_gqa") else 1
        if groups > 1:
            key, value = (tensor.repeat_interleave(groups, -3) for tensor in (key, value))
        scale = given.get("scale")
        scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
        return Heads(query, key, value, mask, bool(given.get("is_causal")), scale, groups)

    def probabilities(self) -> Tensor:
        """softmax(scale * Q K' + mask); a query that may look nowhere looks nowhere."""
        scores = torch.matmul(self.query * self.scale, self.key.mT)
        if self.causal:
            allowed = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
            scores = scores.masked_fill_(~allowed, -torch.inf)
        if self.mask is None:
            return torch.softmax(scores, -1)
        is_bool = self.mask.dtype == torch.bool
        scores = scores.masked_fill_(~self.mask, -torch.inf) if is_bool else scores.add_(self.mask)
        return torch.softmax(scores, -1).nan_to_num_(nan=0.0)

    def shared(self, back: Tensor, shape: torch.Size) -> Tensor:
        """Undo the repetition of heads, and of what was broadcast."""
        if self.groups > 1 and back.shape[-3] != shape[-3]:
            back = back.reshape(*back.shape[:-3], shape[-3], self.groups, *back.shape[-2:]).sum(-3)
        return back.sum_to_size(shape)


def attending(step: Step) -> str:
    """The module that attends: the innermost that holds every layer which queries, keys and values come from."""
    layers: set[str] = set()
    open_steps = [value.producer for value in step.inputs]
    while open_steps:
        before = open_steps.pop()
        if before is not None and before.is_layer and before.op not in ("matmul", "bmm"):  # those read position tables
            layers.add(before.layer)
        elif before is not None:
            open_steps.extend(value.producer for value in before.inputs)
    paths = [layer.split(".") for layer in sorted(layers)]
    alike = takewhile(lambda names: len(set(names)) == 1, zip(*paths, strict=False))
    return ".".join(names[0] for names in alike) or step.name


def weights_of(step: Step) -> Tensor | None:
    """The attention weights of a step, (B, heads, queries, keys); None where it is no attention."""
    if step.op == "softmax" and len(step.outputs[0].shape) == 4:
        return step.outputs[0].available()
    if step.op != "scaled_dot_product_attention":
        return None
    heads = Heads.of({**dict(zip(NAMES, step.args, strict=False)), **step.kwargs})
    return step.kept("probabilities", heads.probabilities)


def of_weights(step: Step, message: Message) -> Tensor | None:
    """AttnLRP's relevance of attention weights (B, heads, queries, keys), from that of what the step puts out.

    None where the step is no attention.
    """
    if step.op == "softmax" and len(step.outputs[0].shape) == 4:
        return message.relevance
    if step.op != "scaled_dot_product_attention":
        return None
    heads = Heads.of({**dict(zip(NAMES, step.args, strict=False)), **step.kwargs})
    output = step.outputs[0].available()
    s = (
        message.coefficient
        if message.value is output
        else message.relevance / output.masked_fill(output == 0, torch.inf)
    )
    return torch.matmul(s * 0.5, heads.value.mT).mul_(step.kept("probabilities", heads.probabilities))


@propagates(F.scaled_dot_product_attention, kind="attention", run=_run_attention)
def attention(step: Step, message: Message, context: Context) -> Outcome:
    """A = softmax(scale * Q K' + mask), O = A V, each by its own rule: AttnLRP halves at O and again at Q K'.

    Masks and constant operands absorb ("constant").
    """
    given: dict[str, Any] = {**dict(zip(NAMES, step.args, strict=False)), **step.kwargs}
    heads = Heads.of(given)
    s, dropped = coefficient_of(step, message, context)
    probabilities = step.kept("probabilities", heads.probabilities)
    at_weights: Tensor | float = 0.0
    if context.composite.attention == "cp":
        if not isinstance(given["value"], Value):
            raise _no_attention(step)
        backs = {"value": torch.matmul(probabilities.mT, s)}
    else:
        s = s * 0.5
        of_scores = torch.matmul(s, heads.value.mT)
        at_weights = row_sums(of_scores, context.rows, probabilities.expand_as(of_scores))
        # The sum of A * (s V') is that of s * (A V), along the keys of each query.
        of_queries = (s * step.outputs[0].available()).sum(-1, keepdim=True)
        of_scores.sub_(of_queries).mul_(probabilities)
        backs = {
            "query": torch.matmul(of_scores, heads.key).mul_(heads.scale / 2),
            "key": torch.matmul(of_scores.mT, heads.query).mul_(heads.scale / 2),
            "value": torch.matmul(probabilities.mT, s),
            "attn_mask": of_scores,
        }
    tensors = {"query": heads.query, "key": heads.key, "value": heads.value, "attn_mask": heads.mask}
    messages: list[Message | None] = []
    constant: Tensor | float = 0.0
    from_scores: Tensor | float = 0.0
    for name in (name for name in given if name in tensors):
        item = given[name]
        back, tensor = backs.get(name), tensors[name]
        if isinstance(item, Value):
            x = item.available()
            passed = None if back is None else context.message(heads.shared(back, x.shape), x)
            messages.append(passed)
            took: Tensor | float = 0.0 if passed is None else passed.total
        elif back is None or tensor is None or tensor.dtype == torch.bool:
            continue
        else:
            took = row_sums(back * tensor.masked_fill(tensor.isinf(), 0.0), context.rows)
            constant = constant + took
        if name != "value":
            from_scores = from_scores + took
    return Outcome(tuple(messages), softmax=at_weights - from_scores, constant=constant, dropped=dropped)
