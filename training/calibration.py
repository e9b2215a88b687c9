"""How far probabilities can be trusted."""

import torch
from torch import Tensor

BINS = 15


def calibration_error(probabilities: Tensor, labels: Tensor) -> float:
    """Expected calibration error: |accuracy - confidence| over 15 equal bins, weighted by their size (Guo 2017).

    probabilities: (N, C). labels: (N,) class indices.
    """
    confidence, calls = probabilities.max(1)
    hit = (calls == labels).double()
    bins = (confidence * BINS).long().clamp(max=BINS - 1)
    gaps = torch.zeros(BINS, dtype=torch.float64).index_add_(0, bins, hit - confidence.double())
    return gaps.abs().sum().item() / len(labels)
