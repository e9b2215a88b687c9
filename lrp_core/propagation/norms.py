"""Layer, group and root-mean-square norms: the deviation is a constant, the rest a linear map (Ali 2022)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..message import Message
from ..registry import propagates
from ..rows import row_sums, weighed
from ..rules import Pass
from ..steps import Context, Outcome, Step
from .ratios import epsilon_of, over_output, over_stabilised


@dataclass(frozen=True, eq=False)
class Deviation:
    """What a norm did: z = gain * (x - mean) / deviation + bias, the mean over the last axis of ``view``."""

    rstd: Tensor
    """1 / deviation, one number per group of entries: (N, 1)"""
    gain: Tensor | None
    """shaped to broadcast over z, like ``bias``"""
    bias: Tensor | None
    centred: bool
    """whether the mean is taken off; a root-mean-square norm leaves it"""

    def transpose(self, s: Tensor) -> Tensor:
        """The transposed map of ``s``, shaped like z and x."""
        scaled = s.clone() if self.gain is None else s * self.gain
        groups = scaled.reshape(len(self.rstd), -1)
        if self.centred:
            groups.sub_(groups.mean(1, keepdim=True))
        return groups.mul_(self.rstd).reshape(s.shape)


def _given(names: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    return {**dict.fromkeys(names.split()), **dict(zip(names.split(), args, strict=False)), **kwargs}


def _run_layer_norm(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    given = _given("input normalized_shape weight bias eps", args, kwargs)
    if any(tracked(given[name]) for name in ("weight", "bias")):
        return None
    x, shape, gain, bias = (given[name] for name in ("input", "normalized_shape", "weight", "bias"))
    z, _, rstd = torch.native_layer_norm(x, shape, gain, bias, 1e-5 if given["eps"] is None else given["eps"])
    return z, {"deviation": Deviation(rstd.reshape(-1, 1).to(x.dtype), gain, bias, centred=True)}


def _run_rms_norm(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    given = _given("input normalized_shape weight eps", args, kwargs)
    x, gain = given["input"], given["weight"]
    if tracked(gain):
        return None
    eps = torch.finfo(x.dtype).eps if given["eps"] is None else given["eps"]
    groups = x.reshape(-1, math.prod(given["normalized_shape"]))
    rstd = groups.square().mean(1, keepdim=True).add_(eps).rsqrt_()
    return function(*args, **kwargs), {"deviation": Deviation(rstd, gain, None, centred=False)}


def _run_group_norm(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    given = _given("input num_groups weight bias eps", args, kwargs)
    x, groups, gain, bias = (given[name] for name in ("input", "num_groups", "weight", "bias"))
    if function is not F.group_norm or tracked(gain) or tracked(bias):
        return None
    variance, _ = torch.var_mean(x.reshape(len(x) * groups, -1), 1, correction=0, keepdim=True)
    rstd = variance.add_(1e-5 if given["eps"] is None else given["eps"]).rsqrt_()
    per_channel = (-1, *[1] * (x.dim() - 2))
    gain, bias = (None if t is None else t.reshape(per_channel) for t in (gain, bias))
    return function(*args, **kwargs), {"deviation": Deviation(rstd, gain, bias, centred=True)}


@propagates(F.layer_norm, kind="norm", run=_run_layer_norm)
@propagates(F.rms_norm, kind="norm", run=_run_rms_norm)
@propagates(F.group_norm, kind="norm", run=_run_group_norm)
def norm(step: Step, message: Message, context: Context) -> Outcome:
    """LRP-epsilon on z = gain * (x - mean) / deviation + bias, with the deviation held; :class:`Pass` skips it all."""
    value, rule, mode = step.inputs[0], context.rule, context.composite.bias
    if isinstance(rule, Pass):
        return Outcome((context.message(message.relevance),))
    assert rule is not None
    deviation: Deviation = step.memo["deviation"]
    bias = deviation.bias
    if bias is not None and mode == "ignore":
        epsilon = epsilon_of(step, rule, context.rows)
        ratio = over_stabilised(message, step.output() - bias, epsilon, context.rows)
    else:
        ratio = over_output(step, message, rule, context.rows)
    back = context.message(deviation.transpose(ratio.s), value.available())
    took: Tensor | float = 0.0
    if bias is not None and mode == "absorb":
        along_last = step.op == "layer_norm" and bias.dim() == 1
        took = weighed(ratio.s, bias, context.rows) if along_last else row_sums(ratio.s * bias, context.rows)
    elif bias is not None and mode == "spread":
        groups = (ratio.s * bias).reshape(len(deviation.rstd), -1)
        spread = groups.mean(1, keepdim=True).expand_as(groups).reshape(value.shape)
        back = context.message(back.relevance + spread)
    return Outcome((back,), bias=took, epsilon=ratio.epsilon, dropped=ratio.dropped)
