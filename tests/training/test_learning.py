"""What the trainings share."""

import numpy as np
import pytest
import torch
from torch import nn

from training.learning import WEIGHT_DECAY, decayed, follow, rate_at


def test_the_rate_rises_and_falls_to_nothing():
    rates = [rate_at(step, 100, 1.0, 0.06) for step in range(101)]
    assert rates[0] == 0 and rates[100] == pytest.approx(0) and max(rates) > 0.95
    assert np.argmax(rates) <= 8


def test_only_matrices_decay():
    optimizer = decayed(nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2)), 0.1)
    decays = {p.dim(): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert decays == {2: WEIGHT_DECAY, 1: 0.0}


def test_the_running_mean_forgets_its_beginning_and_keeps_its_memory():
    mean, net = nn.BatchNorm1d(1), nn.BatchNorm1d(1)
    seen, expected = [5.0, 3.0, 4.0], 1.0
    for step, value in enumerate(seen):
        nn.init.constant_(net.weight, value)
        net.running_mean.fill_(value)
        net.num_batches_tracked.fill_(step)
        follow(mean, net, step, 0.15)
        keep = min(0.15, (step + 1) / (step + 10))
        expected = keep * expected + (1 - keep) * value
    assert mean.weight.item() == pytest.approx(expected)
    assert mean.running_mean.item() != 0 and mean.num_batches_tracked == 2
    assert keep == 0.15 and torch.equal(net.weight, torch.tensor([4.0]))
