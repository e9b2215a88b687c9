"""The zB rule: relevance shared by how far each input stands from the walls of its box."""

from __future__ import annotations

import torch
from torch import Tensor

from ..message import Message
from ..rules import ZBox
from ..steps import Context, Step
from .linear_maps import Conv, Dense, LinearMap
from .ratios import Denominator, is_rectified
from .weights import negative, positive


def share_within_box(
    step: Step, message: Message, rule: ZBox, z: Tensor, context: Context
) -> tuple[Tensor, Tensor | float]:
    """(relevance of x, what was dropped): f = (c - W+ low - W- high) / sum_j of the same.

    That numerator is W+ (x - low) + W- (x - high). ``z`` is the output where relevance can see it. The walls cost one
    map each way: W+ and W- side by side.
    """
    x, map_ = step.inputs[0].tensor, step.map
    assert x is not None and map_ is not None
    if ("walls", rule) not in step.memo:
        step.memo["walls", rule] = tuple([_walls(bound, x, map_, step.name) for bound in (rule.low, rule.high)])
    low, high = step.memo["walls", rule]
    key = ("box", rule, is_rectified(step, message))
    denominator = step.memo.get(key)
    if denominator is None:
        walls = _joined(map_, [low, high], [positive(map_.weight), negative(map_.weight)])
        denominator = z - (walls if map_.bias is None else walls + map_.along_outputs(map_.bias, z.dim()))
        denominator = Denominator.of(denominator)
        if step.budget.room(denominator.divisor):
            step.memo[key] = denominator
    s, dropped = denominator.under(message, context.rows)
    plus, minus = _pulled(map_, s, x, context)
    return torch.mul(x - low, plus).addcmul_(x - high, minus), dropped


def _walls(bound: float | tuple[float, ...], x: Tensor, map_: LinearMap, layer: str) -> Tensor:
    """A bound as one tensor (1, ...) shaped like an input; zero padding is not part of it and stays zero."""
    axis = 1 if map_.output_axis == 1 else x.dim() - 1
    values = x.new_tensor(bound).reshape(-1)
    if len(values) not in (1, x.shape[axis]):
        raise ValueError(f"ZBox has {len(values)} bounds, but layer {layer} has {x.shape[axis]} input channels.")
    shape = [1] * x.dim()
    shape[axis] = -1
    return values.reshape(shape).expand_as(map_.sample(x))


def _input_axis(map_: LinearMap) -> int | None:
    """Axis of the weight along which copies for several inputs can be put side by side."""
    if isinstance(map_, Dense):
        return 1
    if isinstance(map_, Conv) and map_.groups == 1:
        return 0 if map_.transposed else 1
    return None


def _joined(map_: LinearMap, inputs: list[Tensor], weights: list[Tensor]) -> Tensor:
    """Sum of map(input, weight) over the pairs, as one map where that is possible."""
    axis = _input_axis(map_)
    if axis is None:
        return torch.stack([map_.forward(x, w) for x, w in zip(inputs, weights, strict=True)]).sum(0)
    channels = 1 if map_.output_axis == 1 else -1
    return map_.forward(torch.cat(inputs, channels), torch.cat(weights, axis))


def _pulled(map_: LinearMap, s: Tensor, x: Tensor, context: Context) -> tuple[Tensor, ...]:
    """The transposed maps of s with W+ and W-."""
    axis = _input_axis(map_)
    if axis is None:
        return tuple(map_.transpose(s, w, x) for w in (positive(map_.weight), negative(map_.weight)))

    def side_by_side() -> Tensor:
        return torch.cat([positive(map_.weight), negative(map_.weight)], axis)

    channels = 1 if map_.output_axis == 1 else x.dim() - 1
    like = torch.cat([x] * 2, channels)
    weight = context.weights.get("walls", map_.sources, side_by_side)
    return map_.transpose(s, weight, like).chunk(2, channels)
