"""zennit 0.5.1 and captum 0.9.0 on a small VGG, float64, wherever their definitions are ours.

Where they are not, and why these settings:

- zennit adds a stabiliser to every denominator (1e-6 by default): here 1e-12, so 0/0 becomes 0 as with us.
- zennit's w^2 counts the squared bias as a contribution, ours only weights: ``zero_params="bias"``.
- zennit chooses the branch of gamma by z with the bias even when the bias is ignored: not compared.
- captum's gamma leaves the bias unscaled, its alpha1-beta0 takes negative biases too and drops x- W-: compared on
  a network without biases and an input without negative values only.
- captum stabilises gamma and alpha1-beta0 by 1e-9: set to 1e-12 as well. It has no other rule of ours.
"""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from models.torchvision_compat import import_torchvision

import_torchvision()
zennit_rules = pytest.importorskip("zennit.rules")
zennit_types = pytest.importorskip("zennit.types")
zennit_composites = pytest.importorskip("zennit.composites")
zennit_attribution = pytest.importorskip("zennit.attribution")
captum_lrp = pytest.importorskip("captum.attr").LRP
captum_rules = pytest.importorskip("captum.attr._utils.lrp_rules")

TINY = 1e-12


class SmallVGG(nn.Module):
    def __init__(self, bias: bool = True):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1, bias=bias)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(6, 8, 3, padding=1, bias=bias)
        self.relu2 = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.conv3 = nn.Conv2d(8, 8, 3, stride=2, bias=bias)
        self.relu3 = nn.ReLU()
        self.average = nn.AdaptiveAvgPool2d(2)
        self.dense = nn.Linear(32, 16, bias=bias)
        self.relu4 = nn.ReLU()
        self.head = nn.Linear(16, 5, bias=bias)

    def forward(self, x):
        x = self.pool(self.relu2(self.conv2(self.relu1(self.conv1(x)))))
        x = self.average(self.relu3(self.conv3(x)))
        return self.head(self.relu4(self.dense(torch.flatten(x, 1))))


def network(bias: bool = True) -> SmallVGG:
    torch.manual_seed(0)
    model = SmallVGG(bias).double().eval()
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.1)
    return model


def image(*, nonnegative: bool = False) -> torch.Tensor:
    torch.manual_seed(1)
    x = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    return x if nonnegative else 2 * x - 1


def assert_same(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    scale = theirs.abs().max().item()
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-6, atol=1e-7 * scale)


def by_zennit(model, x, rule, *, first=None) -> torch.Tensor:
    """Relevance of class 2 with ``rule`` on every dense and convolutional layer but the head (LRP-0)."""
    names = [(["head"], zennit_rules.Epsilon(TINY))] + ([(["conv1"], first)] if first else [])
    composite = zennit_composites.NameLayerMapComposite(
        name_map=names,
        layer_map=[
            (zennit_types.Activation, zennit_rules.Pass()),
            (zennit_types.AvgPool, zennit_rules.Norm(TINY)),
            (zennit_types.Convolution, rule),
            (zennit_types.Linear, rule),
        ],
    )
    start = torch.zeros_like(model(x))
    start[:, 2] = model(x)[:, 2].detach()
    with zennit_attribution.Gradient(model, composite) as attributor:
        return attributor(x.clone(), start)[1]


ZENNIT = {
    "lrp0": (lrp.LRP0(), lambda: zennit_rules.Epsilon(TINY)),
    "epsilon": (lrp.Epsilon(0.1), lambda: zennit_rules.Epsilon(0.1)),
    "gamma": (lrp.Gamma(0.25), lambda: zennit_rules.Gamma(0.25, stabilizer=TINY)),
    "gamma_stabilised": (lrp.Gamma(0.5, epsilon=0.1), lambda: zennit_rules.Gamma(0.5, stabilizer=0.1)),
    "z_plus": (lrp.ZPlus(), lambda: zennit_rules.ZPlus(TINY)),
    "alpha_beta": (lrp.AlphaBeta(2.0, 1.0), lambda: zennit_rules.AlphaBeta(2.0, 1.0, stabilizer=TINY)),
    "w_square": (lrp.WSquare(), lambda: zennit_rules.WSquare(TINY, zero_params="bias")),
    "flat": (lrp.Flat(), lambda: zennit_rules.Flat(TINY)),
}


@pytest.mark.parametrize("name", ZENNIT)
def test_equals_zennit(name):
    ours, theirs = ZENNIT[name]
    model, x = network(), image()
    composite = lrp.Composite(ours, by_name={"head": lrp.LRP0()}, by_kind={"pool": lrp.LRP0()})
    relevance = lrp.record(model, x).explain(composite, lrp.Target.logit(2)).relevance
    assert_same(relevance, by_zennit(model, x, theirs()))


@pytest.mark.parametrize(
    ("mode", "ours", "theirs"),
    [
        ("ignore", lrp.Epsilon(0.1), lambda: zennit_rules.Epsilon(0.1, zero_params="bias")),
        ("ignore", lrp.ZPlus(), lambda: zennit_rules.ZPlus(TINY, zero_params="bias")),
        ("ignore", lrp.AlphaBeta(2.0, 1.0), lambda: zennit_rules.AlphaBeta(2.0, 1.0, TINY, zero_params="bias")),
    ],
    ids=["epsilon", "z_plus", "alpha_beta"],
)
def test_equals_zennit_with_the_bias_ignored(mode, ours, theirs):
    """The biases of the head stay for zennit's head rule only where it has none: the head is made free of bias."""
    model, x = network(), image()
    nn.init.zeros_(model.head.bias)
    composite = lrp.Composite(ours, by_name={"head": lrp.LRP0()}, by_kind={"pool": lrp.LRP0()}, bias=mode)
    relevance = lrp.record(model, x).explain(composite, lrp.Target.logit(2)).relevance
    assert_same(relevance, by_zennit(model, x, theirs()))


def test_epsilon_gamma_box_equals_zennit():
    model, x = network(), image()
    ours = lrp.presets.epsilon_gamma_box(-1.0, 1.0, epsilon=0.1, gamma=0.25)
    layer_map = [
        (zennit_types.Activation, zennit_rules.Pass()),
        (zennit_types.AvgPool, zennit_rules.Norm(0.1)),  # our averages follow the epsilon of the default rule
        (zennit_types.Convolution, zennit_rules.Gamma(0.25, stabilizer=TINY)),
        (zennit_types.Linear, zennit_rules.Epsilon(0.1)),
    ]
    box = zennit_rules.ZBox(-1.0, 1.0, stabilizer=TINY)
    theirs = zennit_composites.SpecialFirstLayerMapComposite(layer_map, [(zennit_types.Convolution, box)])
    start = torch.zeros(2, 5, dtype=torch.float64)
    start[:, 2] = model(x)[:, 2].detach()
    with zennit_attribution.Gradient(model, theirs) as attributor:
        expected = attributor(x.clone(), start)[1]
    assert_same(lrp.record(model, x).explain(ours, lrp.Target.logit(2)).relevance, expected)


def by_captum(model, x, rule) -> torch.Tensor:
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.rule = captum_rules.EpsilonRule(TINY) if layer is model.head else rule()
            if not isinstance(layer.rule, captum_rules.EpsilonRule):
                layer.rule.STABILITY_FACTOR = TINY
        elif isinstance(layer, nn.AdaptiveAvgPool2d):
            layer.rule = captum_rules.EpsilonRule(TINY)
    return captum_lrp(model).attribute(x.requires_grad_(), target=2).detach()


@pytest.mark.parametrize(
    ("bias", "nonnegative", "ours", "theirs"),
    [
        (True, False, lrp.Epsilon(0.1), lambda: captum_rules.EpsilonRule(0.1)),
        (False, True, lrp.Gamma(0.25), lambda: captum_rules.GammaRule(0.25)),
        (False, True, lrp.ZPlus(), lambda: captum_rules.Alpha1_Beta0_Rule()),
    ],
    ids=["epsilon", "gamma", "z_plus"],
)
def test_equals_captum(bias, nonnegative, ours, theirs):
    model, x = network(bias), image(nonnegative=nonnegative)
    composite = lrp.Composite(ours, by_name={"head": lrp.LRP0()}, by_kind={"pool": lrp.LRP0()})
    relevance = lrp.record(model, x).explain(composite, lrp.Target.logit(2)).relevance
    assert_same(relevance, by_captum(model, x.clone(), theirs))


def test_functional_relu_is_the_same_network():
    """Peers must be given ReLU modules; the same weights under functional calls give the same relevance here."""

    class Functional(SmallVGG):
        def forward(self, x):
            x = F.max_pool2d(F.relu(self.conv2(F.relu(self.conv1(x)))), 2)
            x = F.adaptive_avg_pool2d(F.relu(self.conv3(x)), 2)
            return self.head(F.relu(self.dense(x.flatten(1))))

    model, x = network(), image()
    functional = Functional().double().eval()
    functional.load_state_dict(model.state_dict())
    composite = lrp.presets.epsilon_plus(0.1)
    first, second = (lrp.record(net, x).explain(composite, lrp.Target.top()).relevance for net in (model, functional))
    assert torch.equal(first, second)
