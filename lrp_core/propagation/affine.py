"""The rules on affine steps z = Wx + b.

A contribution rule says how much relevance one unit of contribution is worth: shares s_k for all contributions of
output k, or for its positive or negative ones only. Everything else follows from the shares, the same for every rule:
R_j = x_j * (transposed map of s), what the bias took, and what was spread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..message import Message
from ..rows import row_sums
from ..rules import LRP0, AlphaBeta, Epsilon, Flat, Gamma, Pass, Rule, WSquare, ZBox, ZPlus
from ..steps import Context, Outcome, Step
from .boxes import share_within_box
from .few_outputs import at_few_outputs
from .layer import Layer, Share
from .ratios import epsilon_of, over, over_output, over_stabilised, ratio_of_value, taken, tiny, visible_output
from .weights import of_entries


@dataclass(frozen=True, eq=False)
class Shares:
    """What a contribution rule decides; epsilon and dropped are (B,) in float64 or 0."""

    shares: list[Share]
    epsilon: Tensor | float = 0.0
    dropped: Tensor | float = 0.0
    back: Tensor | None = None
    """the transposed maps of all shares, where they are known already"""


def propagate(step: Step, message: Message, context: Context) -> Outcome:
    """Relevance through an affine step by the rule that the context names."""
    rule = context.rule
    if isinstance(rule, Pass):
        return _pass(step, message, context)
    if (outcome := at_few_outputs(_share_out, step, message, context)) is not None:
        return outcome
    return _share_out(step, message, context)


def _share_out(step: Step, message: Message, context: Context) -> Outcome:
    rule = context.rule
    layer = Layer(step, message, context)
    if isinstance(rule, ZBox):
        z = visible_output(step, message)
        relevance, dropped = share_within_box(step, message, rule, z, context)
        return Outcome((context.message(relevance),), dropped=dropped)
    if isinstance(rule, WSquare | Flat):
        return _by_weights(layer, rule)
    if type(rule) not in CONTRIBUTION_RULES:
        raise TypeError(f"Layer {step.name} was given {rule!r}, which is not a rule for affine steps.")
    return _settle(layer, CONTRIBUTION_RULES[type(rule)](rule, layer))


def _settle(layer: Layer, shares: Shares) -> Outcome:
    """From shares to relevance of the input, with the books kept."""
    context = layer.context
    coefficient = shares.back
    bias: Tensor | None = None
    for share in shares.shares:
        back = None if shares.back is not None else layer.back(share)
        if back is None and shares.back is None:
            continue
        if coefficient is None:
            assert back is not None
            coefficient = back if share.scale == 1 else back.mul_(share.scale)
        elif back is not None:
            coefficient = coefficient.add_(back, alpha=share.scale)
        b = layer.bias(share.part, share.boost)
        if b is not None and layer.counts_bias and context.composite.bias == "absorb":
            took = layer.map.weighed(share.s, b, context.rows)
            took = took if share.scale == 1 else took * share.scale
            bias = took if bias is None else bias + took
    message = context.message(torch.zeros_like(layer.x) if coefficient is None else coefficient, layer.x)
    dropped = shares.dropped
    if layer.counts_bias and context.composite.bias == "spread":
        spread, lonely = _spread(layer, shares.shares)
        message = context.message(message.relevance + spread)
        dropped = dropped + lonely
    return Outcome((message,), bias=0.0 if bias is None else bias, epsilon=shares.epsilon, dropped=dropped)


def _spread(layer: Layer, shares: list[Share]) -> tuple[Tensor, Tensor]:
    """The bias' share of each output, spread evenly over its inputs (Arras 2017); what an output without any drops."""
    taken_by_bias: Any = 0.0
    for share in shares:
        b = layer.bias(share.part, share.boost)
        assert b is not None
        taken_by_bias = taken_by_bias + share.s * layer.map.along_outputs(b, share.s.dim()) * share.scale
    spread, kept = layer.map.spread(taken_by_bias, layer.x)
    return spread, row_sums(kept, layer.context.rows)


def _epsilon(rule: Rule, layer: Layer) -> Shares:
    rows = layer.context.rows
    if layer.z_is_recorded:
        ratio = over_output(layer.step, layer.message, rule, rows)
    else:
        ratio = over_stabilised(layer.message, layer.z(), epsilon_of(layer.step, rule, rows), rows)
    return Shares([Share("all", ratio.s)], ratio.epsilon, ratio.dropped)


def _gamma(rule: Gamma, layer: Layer) -> Shares:
    """Outputs above zero favour positive contributions, those below zero negative ones: one transposed map for each.

    As n + b- = z - (p + b+), the size of a denominator is a sum of sizes: |z| + gamma (p + b+ + max(-z, 0)) + epsilon.
    """
    rows, message = layer.context.rows, layer.message
    if rule.gamma == 0:
        return _epsilon(Epsilon(rule.epsilon), layer)
    z = layer.z()
    if layer.is_simple and rule.gamma >= 1e-6:
        size = torch.add(z, layer.p_above_z(), alpha=rule.gamma)
        s = ratio_of_value(message, size.add_(rule.epsilon) if rule.epsilon else size)
        return Shares([Share("positive", s, boost=rule.gamma)], epsilon=taken(rule.epsilon, s, rows))
    size = torch.add(z, layer.p_floored(), alpha=rule.gamma)
    below = z.clamp(max=0)
    size.sub_(below, alpha=2 + rule.gamma).add_(rule.epsilon)
    s, dropped = over(message, size, rows, (1 + rule.gamma) * tiny(size.dtype))
    up = s.masked_fill(below < 0, 0.0)
    down = up - s
    shares = [Share("positive", up, boost=rule.gamma, gaps=True)]
    shares.append(Share("negative", down, boost=rule.gamma, gaps=True))
    back = layer.back_of_two(up, down, rule.gamma) if layer.map.is_product else None
    return Shares(shares, epsilon=taken(rule.epsilon, s, rows), dropped=dropped, back=back)


def _positive_share(layer: Layer, exact: bool) -> tuple[Tensor, Tensor | float]:
    """R / (p + b+), 0 where that is 0, and what is lost there; ``exact``: by the p that n follows from."""
    if layer.is_simple:
        p = layer.p_floored() if exact else layer.p_above_z()
        assert layer.message.value is not None
        return torch.div(layer.message.value, p).mul_(layer.message.coefficient), 0.0
    return over(layer.message, layer.p(), layer.context.rows)


def _z_plus(rule: ZPlus, layer: Layer) -> Shares:
    s, dropped = _positive_share(layer, exact=False)
    return Shares([Share("positive", s)], dropped=dropped)


def _alpha_beta(rule: AlphaBeta, layer: Layer) -> Shares:
    s, dropped = _positive_share(layer, exact=rule.beta > 0)
    if not rule.beta:
        return Shares([Share("positive", s)], dropped=dropped)
    negative_s, undone = over(layer.message, layer.n(), layer.context.rows)
    shares = [Share("positive", s, rule.alpha), Share("negative", negative_s, -rule.beta)]
    return Shares(shares, dropped=rule.alpha * dropped - rule.beta * undone)


def _by_weights(layer: Layer, rule: Rule) -> Outcome:
    """w^2 and flat: shares that do not depend on the input."""
    w = layer.map.weight
    weight = of_entries(w, torch.square if isinstance(rule, WSquare) else torch.ones_like)
    denominator = layer.map.forward(torch.ones_like(layer.map.sample(layer.x)), weight)
    s, dropped = over(layer.message, denominator.expand(layer.step.outputs[0].shape), layer.context.rows)
    return Outcome((layer.context.message(layer.map.transpose(s, weight, layer.x)),), dropped=dropped)


def _pass(step: Step, message: Message, context: Context) -> Outcome:
    if step.inputs[0].shape != step.outputs[0].shape:
        raise ValueError(
            f"Pass needs inputs and outputs of one shape, but layer {step.name} maps "
            f"{step.input_shapes[0]} to {step.output_shape}."
        )
    return Outcome((context.message(message.relevance),))


CONTRIBUTION_RULES: dict[type, Callable[[Any, Layer], Shares]] = {
    LRP0: _epsilon,
    Epsilon: _epsilon,
    Gamma: _gamma,
    ZPlus: _z_plus,
    AlphaBeta: _alpha_beta,
}
