"""A large convolution that reads few channels, such as a picture's, is walked back by its columns: the same numbers."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lrp_core as lrp
from lrp_core.propagation import linear_maps

LAYERS = {
    "plain": lambda: nn.Conv2d(3, 5, 3, padding=1),
    "strided": lambda: nn.Conv2d(3, 5, 3, stride=2, padding=1),
    "what the last stride leaves over": lambda: nn.Conv2d(1, 4, 2, stride=3),
    "dilated, unequal sides": lambda: nn.Conv2d(2, 4, (3, 2), dilation=(2, 1), padding=(2, 0), stride=(1, 2)),
    "seven by seven": lambda: nn.Conv2d(3, 6, 7, stride=2, padding=3),
}
RULES = [lrp.Epsilon(0.1), lrp.ZBox(-2.0, 2.0), lrp.ZBox((-1.0,), (3.0,)), lrp.Gamma(0.25), lrp.Flat()]


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_columns_give_what_torch_gives(monkeypatch, name, rule, dtype):
    torch.manual_seed(0)
    layer = LAYERS[name]()
    model = nn.Sequential(layer, nn.Tanh(), nn.Flatten(), nn.LazyLinear(2)).to(dtype)
    x = torch.randn(2, layer.in_channels, 9, 11, dtype=dtype)
    model(x)
    model.eval().requires_grad_(False)
    composite = lrp.Composite(lrp.Epsilon(0.1), first=rule)
    usual = lrp.record(model, x).explain(composite, lrp.Target.logit(1))
    folded, own = [], F.fold
    monkeypatch.setattr(F, "fold", lambda *args: folded.append(1) or own(*args))
    monkeypatch.setattr(linear_maps, "PICTURE", 0)
    by_columns = lrp.record(model, x).explain(composite, lrp.Target.logit(1))
    torch.testing.assert_close(by_columns.relevance, usual.relevance, rtol=1e-4, atol=1e-5)
    few = layer.in_channels * (2 if isinstance(rule, lrp.ZBox) else 1) * layer.weight[0, 0].numel() <= 150
    assert bool(folded) == few


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(7, 8, 3), nn.Conv2d(4, 8, 3, groups=2), nn.ConvTranspose2d(3, 8, 3), nn.Conv2d(2, 8, 9)]
)
def test_what_does_not_suit_it_goes_the_usual_way(monkeypatch, layer):
    monkeypatch.setattr(F, "fold", None)
    monkeypatch.setattr(linear_maps, "PICTURE", 0)
    model = nn.Sequential(layer, nn.Flatten()).eval()
    lrp.record(model, torch.rand(1, layer.in_channels, 12, 12)).explain(lrp.presets.epsilon(0.1), lrp.Target.logit(0))
