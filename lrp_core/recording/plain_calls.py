"""Calls as the rules know them: what ``torch.export`` writes, and layers that were given no batch axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..steps import Step, Value

CONVOLUTIONS = {f"conv{way}{n}d": n + 2 for way in ("", "_transpose") for n in (1, 2, 3)}
RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")
LAYERS = {*CONVOLUTIONS, *RECURRENT, "multi_head_attention_forward"}


def plain_call(function: Any, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
    """The function of ``torch.nn.functional`` for an operator of ATen whose arguments stand in another order."""
    if type(function) is not torch._ops.OpOverload:
        return function, args, kwargs
    name = function.overloadpacket.__name__
    if name == "batch_norm" and len(args) == 9:
        x, weight, bias, mean, var, training, momentum, eps, _ = args
        return F.batch_norm, (x, mean, var, weight, bias, training, momentum, eps), kwargs
    if name == "group_norm":
        return F.group_norm, args[:5], {}
    if name == "layer_norm":
        return F.layer_norm, args[:5], {}
    return function, args, kwargs


def unbatched(name: str, args: Any, live: Mapping[int, tuple[Tensor, Value]]) -> int | None:
    """The number of axes of a layer's input where it is a single example, without the axis of the batch."""
    if name not in LAYERS or not args or id(args[0]) not in live:
        return None
    x = args[0]
    if name in RECURRENT:
        return 2 if _is_single(live[id(x)][1].producer, bool(len(args) == 9 and args[8])) else None
    single = CONVOLUTIONS.get(name, 3) - 1
    return single if x.dim() == single else None


def _is_single(step: Step | None, batch_first: bool) -> bool:
    """Whether torch itself has added the axis of the batch to one sequence (L, E)."""
    if step is None or step.op != "unsqueeze" or len(step.input_shapes[0]) != 2:
        return False
    return bool((step.args[1] if len(step.args) > 1 else step.kwargs["dim"]) == (0 if batch_first else 1))
