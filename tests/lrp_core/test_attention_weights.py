"""The weights of each attention, by the module that attends."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp


class Attends(nn.Module):
    """One attention, in one call or written out."""

    def __init__(self, written: bool) -> None:
        super().__init__()
        self.qkv = nn.Linear(4, 12)
        self.written = written

    def forward(self, x):
        q, k, v = (part.unflatten(2, (2, 2)).transpose(1, 2) for part in self.qkv(x).chunk(3, 2))
        if self.written:
            found = (q @ k.mT / 2**0.5).softmax(-1) @ v
        else:
            found = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return found.transpose(1, 2).flatten(1)


@pytest.mark.parametrize("written", [False, True])
def test_they_are_those_of_the_formula(written):
    torch.manual_seed(0)
    net = Attends(written).double().eval()
    x = torch.randn(2, 3, 4, dtype=torch.float64)
    ((name, weights),) = lrp.record(net, x).attention_weights.items()
    q, k, _ = (part.unflatten(2, (2, 2)).transpose(1, 2) for part in net.qkv(x).chunk(3, 2))
    scores = q @ k.mT / 2**0.5
    if not written:
        scores = scores.masked_fill(torch.ones(3, 3).triu(1).bool(), -torch.inf)
    assert name == "qkv"
    torch.testing.assert_close(weights, scores.softmax(-1).detach())


def test_a_network_without_attention_has_none():
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU()).eval()
    assert lrp.record(net, torch.ones(1, 2)).attention_weights == {}
