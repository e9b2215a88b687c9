"""Every rule and bias mode on every kind of affine layer, against the double loop of ``brute_force``."""

import numpy as np
import pytest
import torch
from torch import nn

import lrp_core as lrp
from tests.lrp_core.propagation import brute_force

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
LOW, HIGH = -1.5, 2.0
RULES = [
    lrp.LRP0(),
    lrp.Epsilon(0.3),
    lrp.Epsilon(0.3, relative=True),
    lrp.Gamma(0.25),
    lrp.Gamma(2.0, epsilon=0.1),
    lrp.ZPlus(),
    lrp.AlphaBeta(2.0, 1.0),
    lrp.AlphaBeta(1.0, 0.0),
    lrp.AlphaBeta(1.5, 0.5),
    lrp.WSquare(),
    lrp.Flat(),
    lrp.ZBox(LOW, HIGH),
]

# name: (layer, shape of one input)
LAYERS = {
    "linear": (lambda: nn.Linear(7, 5), (7,)),
    "linear_no_bias": (lambda: nn.Linear(7, 5, bias=False), (7,)),
    "linear_per_token": (lambda: nn.Linear(4, 3), (5, 4)),
    "conv1d": (lambda: nn.Conv1d(3, 4, 3, stride=2, padding=2, dilation=2), (3, 9)),
    "conv2d": (lambda: nn.Conv2d(2, 3, 3, padding=1), (2, 5, 4)),
    "conv2d_strided": (lambda: nn.Conv2d(2, 3, (3, 2), stride=(2, 3), padding=(2, 1)), (2, 6, 7)),
    "conv2d_grouped": (lambda: nn.Conv2d(4, 6, 3, padding=1, groups=2), (4, 4, 3)),
    "conv2d_depthwise": (lambda: nn.Conv2d(3, 6, 3, padding=1, dilation=2, groups=3, bias=False), (3, 5, 5)),
    "conv2d_same": (lambda: nn.Conv2d(2, 2, 4, padding="same"), (2, 5, 4)),
    "conv3d": (lambda: nn.Conv3d(2, 2, 2, padding=1, stride=(1, 2, 1)), (2, 3, 3, 2)),
    "transposed1d": (lambda: nn.ConvTranspose1d(3, 2, 3, stride=2, padding=1, output_padding=1), (3, 4)),
    "transposed2d": (
        lambda: nn.ConvTranspose2d(4, 2, 3, stride=(2, 1), padding=1, output_padding=(1, 0), groups=2),
        (4, 3, 3),
    ),
    "transposed3d": (
        lambda: nn.ConvTranspose3d(2, 2, 2, stride=2, dilation=(1, 1, 2), padding=(0, 1, 0)),
        (2, 2, 2, 2),
    ),
}


class Probe(nn.Module):
    """A layer under a head that turns its output z into relevance (head weight) * z: any mix of signs.

    With ``relu`` between them it is (head weight) * relu(z): the engine may then take shortcuts that must not show.
    """

    def __init__(self, *layers: nn.Module, shape: tuple[int, ...], relu: bool = False):
        super().__init__()
        self.relu = relu
        self.layer = nn.Sequential(*layers)
        outputs = self.layer.double().eval()(torch.zeros(1, *shape, dtype=torch.float64)).numel()
        self.head = nn.Linear(outputs, 1, bias=False, dtype=torch.float64)

    def forward(self, x):
        z = self.layer(x)
        return self.head((z.relu() if self.relu else z).flatten(1))


def build(*layers: nn.Module, shape: tuple[int, ...], relu: bool = False) -> Probe:
    probe = Probe(*layers, shape=shape, relu=relu)
    with torch.no_grad():
        for parameter in probe.parameters():
            parameter.normal_(std=0.7)
    return probe.eval().requires_grad_(False)


def inputs(shape: tuple[int, ...], signs: str) -> torch.Tensor:
    x = torch.empty(2, *shape, dtype=torch.float64).uniform_(LOW, HIGH)
    return x.clamp(min=0.0) if signs == "nonnegative" else x


def assert_equal_to_brute_force(model: Probe, layer: brute_force.Affine, x: torch.Tensor, rule, bias: str) -> None:
    composite = lrp.Composite(rule, by_name={"head": lrp.LRP0()}, bias=bias)
    explanation = lrp.record(model, x).explain(composite, lrp.Target.logit(0))
    total = explanation.ledger.total
    for row, values in enumerate(x.flatten(1).numpy()):
        z = layer(values)
        relevance = model.head.weight[0].numpy() * (np.maximum(z, 0.0) if model.relu else z)
        split = brute_force.propagate(layer, values, relevance, rule, bias, rms=np.sqrt(np.mean(z**2)))
        scale = np.abs(split.relevance).max()
        got = explanation.relevance[row].flatten().numpy()
        np.testing.assert_allclose(got, split.relevance, rtol=1e-10, atol=1e-10 * scale)
        for column in ("bias", "epsilon", "dropped"):
            expected = getattr(split, column)
            assert getattr(total, column)[row].item() == pytest.approx(expected, rel=1e-9, abs=1e-9 * scale), column


@pytest.mark.parametrize("bias", ["absorb", "ignore", "spread"])
@pytest.mark.parametrize("signs", ["nonnegative", "mixed"])
@pytest.mark.parametrize("name", LAYERS)
def test_layer_equals_brute_force(name, signs, bias):
    torch.manual_seed(0)
    make, shape = LAYERS[name]
    model, x = build(make(), shape=shape), inputs(shape, signs)
    layer = brute_force.affine(model.layer, shape)
    z = torch.tensor(layer(x[0].flatten().numpy()))
    assert (z > 0).any() and (z < 0).any(), "both branches of gamma must be on trial"
    for rule in RULES:
        assert_equal_to_brute_force(model, layer, x, rule, bias)


@pytest.mark.parametrize("bias", ["absorb", "ignore", "spread"])
@pytest.mark.parametrize("signs", ["nonnegative", "mixed"])
@pytest.mark.parametrize("name", ["linear", "conv2d", "conv2d_grouped", "transposed2d"])
def test_layer_below_a_relu_equals_brute_force(name, signs, bias):
    torch.manual_seed(1)
    make, shape = LAYERS[name]
    model, x = build(make(), shape=shape, relu=True), inputs(shape, signs)
    layer = brute_force.affine(model.layer, shape)
    for rule in RULES:
        assert_equal_to_brute_force(model, layer, x, rule, bias)


@pytest.mark.parametrize("signs", ["nonnegative", "mixed"])
@pytest.mark.parametrize("name", ["conv2d", "conv2d_grouped", "transposed2d"])
def test_gamma_on_few_channels_equals_brute_force(name, signs):
    """Biases left out where one channel's is positive: its share takes a way of its own; dark corners have nothing."""
    torch.manual_seed(2)
    make, shape = LAYERS[name]
    model, x = build(make(), shape=shape, relu=True), inputs(shape, signs)
    model.layer[0].bias.copy_(torch.linspace(2.0, -0.5, len(model.layer[0].bias)))
    x[..., :2, :2] = 0.0
    layer = brute_force.affine(model.layer, shape)
    for rule in (lrp.Gamma(0.25), lrp.Gamma(2.0, epsilon=0.1), lrp.Gamma(1e-9)):
        assert_equal_to_brute_force(model, layer, x, rule, "ignore")


@pytest.mark.parametrize("bias", ["absorb", "ignore", "spread"])
@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ((nn.Conv2d(2, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3)), (2, 4, 4)),
        ((nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=2), nn.BatchNorm2d(4)), (4, 5, 4)),
        ((nn.Linear(6, 4), nn.BatchNorm1d(4)), (6,)),
        ((nn.ConvTranspose2d(2, 4, 2, stride=2, groups=2), nn.BatchNorm2d(4)), (2, 3, 2)),
        ((nn.BatchNorm2d(3),), (3, 2, 4)),
        ((nn.BatchNorm1d(5),), (5,)),
    ],
    ids=["conv+norm", "grouped+norm", "linear+norm", "transposed+norm", "norm2d", "norm1d"],
)
def test_batch_norm_equals_brute_force_on_the_merged_map(layers, shape, bias):
    """A batch norm after an affine layer is one map with it: W' = g/s W. On its own it is diagonal: one input each."""
    torch.manual_seed(0)
    model, x = build(*layers, shape=shape), inputs(shape, "mixed")
    norm = model.layer[-1]
    norm.running_mean.normal_(std=0.5)
    norm.running_var.uniform_(0.5, 2.0)
    if len(layers) == 2:
        before = brute_force.affine(layers[0], shape)
        outputs = tuple(layers[0](x).shape[1:])
    else:
        size = int(np.prod(shape))
        before, outputs = brute_force.Affine(np.eye(size), np.zeros(size), np.eye(size, dtype=bool)), shape
    scale, shift = brute_force.batch_norm(norm, outputs)
    merged = brute_force.Affine(scale[:, None] * before.weight, scale * before.bias + shift, before.feeds)
    np.testing.assert_allclose(merged(x[0].flatten().numpy()), model.layer(x)[0].flatten(), rtol=1e-10, atol=1e-12)
    for rule in RULES:
        assert_equal_to_brute_force(model, merged, x, rule, bias)


def test_every_rule_is_on_trial():
    """A new rule must be added to the list above, or it would go untested."""
    affine_rules = {lrp.LRP0, lrp.Epsilon, lrp.Gamma, lrp.ZPlus, lrp.AlphaBeta, lrp.WSquare, lrp.Flat, lrp.ZBox}
    assert {type(rule) for rule in RULES} == affine_rules


def test_box_bounds_per_channel():
    """low and high may differ by channel; zero padding stays zero and takes no part."""
    torch.manual_seed(0)
    shape, low, high = (3, 4, 4), [-1.5, -1.0, -2.0], [2.0, 1.0, 1.5]
    model, x = build(nn.Conv2d(3, 4, 3, padding=1), shape=shape), inputs(shape, "mixed")
    layer = brute_force.affine(model.layer, shape)
    per_input = [np.repeat(bounds, 16) for bounds in (low, high)]
    relevance = model.head.weight[0].numpy() * layer(x[0].flatten().numpy())
    expected = brute_force.propagate(layer, x[0].flatten().numpy(), relevance, lrp.ZBox(*per_input))
    for kind in (list, tuple, torch.tensor):
        composite = lrp.Composite(lrp.LRP0(), first=lrp.ZBox(kind(low), kind(high)))
        explanation = lrp.record(model, x).explain(composite, lrp.Target.logit(0))
        np.testing.assert_allclose(explanation.relevance[0].flatten(), expected.relevance, rtol=1e-10, atol=1e-12)
