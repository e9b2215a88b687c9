"""A convolution of one place at a time is a dense layer at every place, whatever the rule and the signs."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lrp_core as lrp
from tests.lrp_core.networks import Net

RULES = [
    *(lrp.LRP0(), lrp.Epsilon(0.3), lrp.Gamma(0.25), lrp.Gamma(1.0, epsilon=0.1), lrp.ZPlus(), lrp.Flat()),
    *(lrp.AlphaBeta(2.0, 1.0), lrp.WSquare(), lrp.ZBox(-3.0, 3.0)),
]


@pytest.mark.parametrize("bias", ["absorb", "ignore", "spread"])
@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("signs", ["both", "positive"])
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("activation", [F.relu, F.relu6, lambda z: z])
def test_it_is_the_dense_layer(activation, dims, signs, rule, bias):
    torch.manual_seed(0)
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1]
    convolutions = nn.ModuleList([kind(3, 5, 1), kind(5, 4, 1)]).double().requires_grad_(False)
    denses = nn.ModuleList([nn.Linear(3, 5), nn.Linear(5, 4)]).double().requires_grad_(False)
    for dense, convolution in zip(denses, convolutions, strict=True):
        dense.weight.copy_(convolution.weight.flatten(1))
        dense.bias.copy_(convolution.bias)
    places = tuple(range(2, dims + 2))

    def run(m, x):
        return m.layers[1](activation(m.layers[0](x))).mean(places)

    def run_dense(m, x):
        return m.layers[1](activation(m.layers[0](x.movedim(1, -1)))).movedim(-1, 1).mean(places)

    x = 8 * torch.randn(2, 3, *(3, 2, 4)[:dims], dtype=torch.float64)
    x = x.abs() if signs == "positive" else x
    composite = lrp.Composite(rule, by_kind={"pool": lrp.Epsilon(0.1)}, bias=bias)
    results = [
        lrp.record(Net(model, layers=layers).eval(), x).explain(composite, lrp.Target.logit(1))
        for model, layers in ((run, convolutions), (run_dense, denses))
    ]
    torch.testing.assert_close(results[0].relevance, results[1].relevance, rtol=1e-9, atol=1e-11)
    for name in ("bias", "epsilon", "dropped"):
        totals = [getattr(result.ledger.total, name) for result in results]
        torch.testing.assert_close(*totals, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(4, 4, 1, stride=2), nn.Conv2d(4, 4, 1, groups=2), nn.Conv2d(4, 4, 1, padding=1)]
)
def test_other_convolutions_of_one_tap_are_themselves(layer):
    x = torch.randn(1, 4, 4, 4)
    model = nn.Sequential(layer, nn.Flatten()).eval()
    explained = lrp.record(model, x).explain(lrp.presets.lrp0(), lrp.Target.logit(3))
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf)[0, 3], leaf)
    torch.testing.assert_close(explained.relevance, gradient * x)
