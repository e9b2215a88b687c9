"""Is the heatmap right where it is known what matters? Relevance beside a mask of the pixels that an answer depends on.

The measures of CLEVR-XAI (Arras 2022, "CLEVR-XAI: a benchmark dataset for the ground truth evaluation of neural network
explanations", section 3.3), for many pictures at once. Chance is the mask's share of the picture in both.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .pictures import check_numbers, ranking

POOLINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "sum,pos": lambda relevance: relevance.sum(1).clamp(min=0),
    "l2-norm-sq": lambda relevance: relevance.square().sum(1),
    "max-norm": lambda relevance: relevance.abs().amax(1),
}
"""How a pixel's relevance of several channels (B, C, H, W) becomes one number that is not negative (B, H, W), by the
names of Arras 2022: what they sum to, where positive; the sum of their squares; the largest of their sizes."""


def pooled(relevance: Tensor, pooling: str = "sum,pos") -> Tensor:
    """Relevance (B, C, H, W) to (B, H, W) float64, not negative; see `POOLINGS`. A map (B, H, W) has one channel."""
    check_numbers(relevance)
    if relevance.dim() not in (3, 4):
        raise ValueError(f"Relevance must be (B, C, H, W) or (B, H, W), not {tuple(relevance.shape)}.")
    if pooling not in POOLINGS:
        raise ValueError(f"There is no pooling {pooling!r}; the choice is {', '.join(POOLINGS)}.")
    return POOLINGS[pooling]((relevance if relevance.dim() == 4 else relevance[:, None]).double())


def mass_accuracy(pixels: Tensor, masks: Tensor) -> Tensor:
    """Share of the relevance that lies inside the mask, (B,).

    pixels: pooled relevance (B, H, W). masks: bool (B, H, W), none of them empty. A map of nothing but zeros has its
    relevance nowhere: 0, not chance.
    """
    _check(pixels, masks)
    inside, total = (pixels * masks).sum((1, 2)), pixels.sum((1, 2))
    return inside / torch.where(total > 0, total, 1)


def rank_accuracy(pixels: Tensor, masks: Tensor) -> Tensor:
    """Share of the K most relevant pixels that lie inside the mask of K pixels, (B,); arguments as `mass_accuracy`.

    Among pixels of equal relevance those to the upper left go first.
    """
    _check(pixels, masks)
    sizes = masks.sum((1, 2))
    ordered = masks.flatten(1).gather(1, ranking(pixels.flatten(1)))
    first = torch.arange(ordered.shape[1], device=pixels.device) < sizes[:, None]
    return (ordered & first).sum(1).double() / sizes


def _check(pixels: Tensor, masks: Tensor) -> None:
    check_numbers(pixels)
    if pixels.dim() != 3 or masks.shape != pixels.shape or masks.dtype != torch.bool:
        raise ValueError(
            f"Pooled relevance and masks (bool) must both be (B, H, W), not {tuple(pixels.shape)} and {masks.dtype} "
            f"{tuple(masks.shape)}."
        )
    if (pixels < 0).any():
        raise ValueError("Pooled relevance must not be negative; see pooled().")
    if not masks.flatten(1).any(1).all():
        raise ValueError("A mask is empty: where nothing is relevant, nothing can be measured.")
