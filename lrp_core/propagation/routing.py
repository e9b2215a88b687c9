"""Mixture of experts: tokens sorted by expert, each expert's own weights on its share of them.

Which expert a token goes to is a decision: it has no derivative and takes no relevance. The routing weight that scales
an expert's answer is a factor like any other: half by AttnLRP, nothing by CP-LRP where it comes from a softmax or
sigmoid (see ``elementwise.py``).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..registry import propagates
from .affine import propagate
from .linear_maps import Contraction


def grouped(x: Tensor, weight: Tensor, ends: list[int]) -> Tensor:
    """x (S, J) in groups that end at ``ends``, each times its own weight of (E, J, K): (S, K), then zeros."""
    starts = [0, *ends[:-1]]
    parts = [x[a:b] @ own for a, b, own in zip(starts, ends, weight, strict=True)]
    return torch.cat([*parts, x.new_zeros(len(x) - ends[-1], weight.shape[2])])


def _run_grouped(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """Tokens in groups, weights that are constants; written out, as torch has it in single precision only."""
    given: dict[str, Any] = {**dict(zip(("input", "weight", "offs"), args, strict=False)), **kwargs}
    if len(args) < 2:
        return None
    x, weight, offs = args[0], args[1], given.get("offs")
    if offs is None or x.dim() != 2 or weight.dim() != 3 or tracked(weight) or given.get("bias") is not None:
        return None
    ends = offs.tolist()
    map_ = Contraction(weight, None, (weight,), lambda x, w: grouped(x, w, ends))
    return map_.forward(x, weight), {"map": map_, "mixes": (1,)}


propagates("grouped_mm", "grouped_mm_fallback", kind="linear", run=_run_grouped)(propagate)
