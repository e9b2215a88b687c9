"""Layer, group, instance, local response and root-mean-square norms.

The deviation is a constant, the rest a linear map (Ali 2022).
"""

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
from .arguments import given
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


def _run_layer_norm(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    named = given("input normalized_shape weight bias eps", args, kwargs)
    if any(tracked(named[name]) for name in ("weight", "bias")):
        return None
    x, shape, gain, bias = (named[name] for name in ("input", "normalized_shape", "weight", "bias"))
    z, _, rstd = torch.native_layer_norm(x, shape, gain, bias, 1e-5 if named["eps"] is None else named["eps"])
    return z, {"deviation": Deviation(rstd.reshape(-1, 1).to(x.dtype), gain, bias, centred=True)}


def _run_rms_norm(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    named = given("input normalized_shape weight eps", args, kwargs)
    x, gain = named["input"], named["weight"]
    if tracked(gain):
        return None
    eps = torch.finfo(x.dtype).eps if named["eps"] is None else named["eps"]
    groups = x.reshape(-1, math.prod(named["normalized_shape"]))
    rstd = groups.square().mean(1, keepdim=True).add_(eps).rsqrt_()
    return function(*args, **kwargs), {"deviation": Deviation(rstd, gain, None, centred=False)}


def _run_group_norm(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    named = given("input num_groups weight bias eps", args, kwargs)
    x, groups, gain, bias = (named[name] for name in ("input", "num_groups", "weight", "bias"))
    if function is not F.group_norm or tracked(gain) or tracked(bias):
        return None
    variance, _ = torch.var_mean(x.reshape(len(x) * groups, -1), 1, correction=0, keepdim=True)
    rstd = variance.add_(1e-5 if named["eps"] is None else named["eps"]).rsqrt_()
    per_channel = (-1, *[1] * (x.dim() - 2))
    gain, bias = (None if t is None else t.reshape(per_channel) for t in (gain, bias))
    return function(*args, **kwargs), {"deviation": Deviation(rstd, gain, bias, centred=True)}


def _run_instance_norm(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """Statistics of each channel of each row; with running ones it is an affine map (see ``affine_ops.py``)."""
    names = "input running_mean running_var weight bias use_input_stats momentum eps"
    named = given(names, args, kwargs)
    x, gain, bias = (named[name] for name in ("input", "weight", "bias"))
    if function is not F.instance_norm or named["use_input_stats"] is False or tracked(gain) or tracked(bias):
        return None
    variance, _ = torch.var_mean(x.reshape(len(x) * x.shape[1], -1), 1, correction=0, keepdim=True)
    rstd = variance.add_(1e-5 if named["eps"] is None else named["eps"]).rsqrt_()
    per_channel = (-1, *[1] * (x.dim() - 2))
    gain, bias = (None if t is None else t.reshape(per_channel) for t in (gain, bias))
    return function(*args, **kwargs), {"deviation": Deviation(rstd, gain, bias, centred=True)}


@dataclass(frozen=True, eq=False)
class Divisor:
    """What a norm divided every number by: z = x / divisor."""

    divisor: Tensor
    bias: Tensor | None = None

    def transpose(self, s: Tensor) -> Tensor:
        """The transposed map of ``s``."""
        return s / self.divisor


def _run_local_response_norm(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """z = x / (k + alpha * mean of x^2 over neighbouring channels)^beta."""
    named = given("input size alpha beta k", args, kwargs)
    x, size, alpha, beta, k = named.values()
    alpha, beta, k = (d if n is None else n for n, d in ((alpha, 1e-4), (beta, 0.75), (k, 1.0)))
    around = F.pad(x.square().flatten(2)[:, None], (0, 0, size // 2, (size - 1) // 2))
    mean = F.avg_pool2d(around, (size, 1), stride=1).reshape(x.shape)
    return function(*args, **kwargs), {"deviation": Divisor(mean.mul_(alpha).add_(k).pow_(beta))}


@propagates(F.local_response_norm, kind="norm", run=_run_local_response_norm)
@propagates(F.instance_norm, kind="norm", run=_run_instance_norm)
@propagates(F.layer_norm, kind="norm", run=_run_layer_norm)
@propagates(F.rms_norm, kind="norm", run=_run_rms_norm)
@propagates(F.group_norm, kind="norm", run=_run_group_norm)
def norm(step: Step, message: Message, context: Context) -> Outcome:
    """LRP-epsilon on z = gain * (x - mean) / deviation + bias, with the deviation held; :class:`Pass` skips it all."""
    value, rule, mode = step.inputs[0], context.rule, context.composite.bias
    if isinstance(rule, Pass):
        return Outcome((context.message(message.relevance),))
    assert rule is not None
    deviation: Deviation | Divisor = step.memo["deviation"]
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
    elif bias is not None and mode == "spread" and isinstance(deviation, Deviation):
        groups = (ratio.s * bias).reshape(len(deviation.rstd), -1)
        spread = groups.mean(1, keepdim=True).expand_as(groups).reshape(value.shape)
        back = context.message(back.relevance + spread)
    return Outcome((back,), bias=took, epsilon=ratio.epsilon, dropped=ratio.dropped)
