"""What the trainings share: how the learning rate goes, what is decayed, and the running mean of the weights."""

import math

import torch
from torch import nn

WEIGHT_DECAY = 0.01


def rate_at(step: float, steps: float, peak: float, warm: float) -> float:
    """The learning rate: up in a line over the share `warm` of the steps, down to nothing along a cosine."""
    done = step / steps
    return peak * min(done / warm, (1 + math.cos(math.pi * done)) / 2)


def decayed(net: nn.Module, rate: float) -> torch.optim.Optimizer:
    """AdamW that decays matrices only."""
    matrices = [p for p in net.parameters() if p.dim() > 1]
    others = [p for p in net.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True)


@torch.no_grad()
def follow(mean: nn.Module, net: nn.Module, step: int, memory: float) -> None:
    """Move the running mean `mean` towards the weights and statistics of `net` after its `step`-th step, from 0.

    memory: the share of the mean that is kept; at first less, so that the fresh weights are soon forgotten.
    """
    new = 1 - min(memory, (step + 1) / (step + 10))
    for kept, trained in zip(mean.state_dict().values(), net.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(trained, new)
        else:
            kept.copy_(trained)
