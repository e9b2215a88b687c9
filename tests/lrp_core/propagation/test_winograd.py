"""Large convolutions go by Winograd's tiles: the same numbers, and the direct way where tiles would round too much."""

from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lrp_core as lrp
from lrp_core.propagation import winograd
from lrp_core.propagation.linear_maps import Conv

DOUBLE = torch.float64


def numbers(*shape, seed=0, dtype=DOUBLE):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("shape", [(1, 3, 4, 4), (2, 3, 4, 6), (1, 3, 5, 4), (1, 3, 4, 7), (3, 3, 1, 1), (1, 3, 9, 9)])
@pytest.mark.parametrize("lies_last", [False, True])
def test_tiles_give_the_convolution_and_its_transposed_map(shape, lies_last):
    order = torch.channels_last if lies_last else torch.contiguous_format
    x, weight, bias = numbers(*shape), numbers(5, 3, 3, 3, seed=1), numbers(5, seed=2)
    s = numbers(shape[0], 5, *shape[2:], seed=3).to(memory_format=order)
    x, kernel = x.to(memory_format=order), winograd.transformed(weight)
    assert kernel.shape == (16, 5, 3)
    convolved = winograd.convolved(x, kernel, bias)
    torch.testing.assert_close(convolved, F.conv2d(x, weight, bias, padding=1), rtol=0, atol=1e-13)
    torch.testing.assert_close(winograd.convolved(x, kernel, None), F.conv2d(x, weight, padding=1), rtol=0, atol=1e-13)
    back = winograd.pulled(s, kernel)
    torch.testing.assert_close(back, F.conv_transpose2d(s, weight, padding=1), rtol=0, atol=1e-13)
    other = numbers(5, 3, 3, 3, seed=4)
    boosted = winograd.pulled(s, kernel, winograd.transformed(other), 0.3)
    torch.testing.assert_close(boosted, F.conv_transpose2d(s, weight + 0.3 * other, padding=1), rtol=0, atol=1e-13)


def test_in_float32_they_round_no_more_than_four_times_as_much_as_the_direct_way():
    x, weight = numbers(1, 128, 12, 12), numbers(128, 128, 3, 3, seed=1)
    exact = F.conv_transpose2d(x, weight, padding=1)
    by_tiles = winograd.pulled(x.float(), winograd.transformed(weight.float()))
    direct = F.conv_transpose2d(x.float(), weight.float(), padding=1)
    assert (by_tiles - exact).abs().max() < 4 * (direct - exact).abs().max()


WEIGHT = torch.ones(256, 256, 3, 3)


def convolution(weight=WEIGHT, **changed):
    given = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "sources": (weight,), **changed}
    return Conv(weight, None, **given)


@pytest.mark.parametrize(
    ("map_", "side", "dtype"),
    [
        (convolution(stride=(2, 2)), 28, torch.float32),
        (convolution(padding=(0, 0)), 28, torch.float32),
        (convolution(dilation=(2, 2)), 28, torch.float32),
        (convolution(groups=2), 28, torch.float32),
        (convolution(transposed=True), 28, torch.float32),
        (convolution(before=(1, 0, 1, 0)), 28, torch.float32),
        (convolution(sources=()), 28, torch.float32),
        (convolution(torch.ones(256, 256, 5, 5)), 28, torch.float32),
        (convolution(torch.ones(64, 256, 3, 3)), 56, torch.float32),
        (convolution(), 14, torch.float32),
        (convolution(), 28, DOUBLE),
    ],
)
def test_what_does_not_suit_it_goes_the_direct_way(map_, side, dtype):
    assert not winograd.suits(map_, torch.empty(1, 256, side, side, dtype=dtype))


def test_what_suits_it():
    assert winograd.suits(convolution(), torch.empty(1, 256, 28, 28))
    assert winograd.suits(convolution(), torch.empty(4, 256, 29, 28))


class Network(nn.Module):
    """Convolutions below ReLUs and a pooling, as in VGG."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        layers = [nn.Conv2d(2, 6, 3, padding=1), nn.Conv2d(6, 8, 3, padding=1), nn.Conv2d(8, 7, 3, padding=1)]
        for layer in layers:
            layer.weight.data = torch.randn(layer.weight.shape, generator=generator) * 0.3
            layer.bias.data = torch.randn(layer.bias.shape, generator=generator) * 0.2
        first, second, third = layers
        self.layers = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(inplace=True), nn.MaxPool2d(2), third, nn.ReLU())
        self.head = nn.Linear(7, 3, bias=False)
        self.head.weight.data = torch.randn(3, 7, generator=generator)
        self.eval().requires_grad_(False)

    def forward(self, x):
        return self.head(self.layers(x).mean((2, 3)))


@pytest.fixture
def runs(monkeypatch):
    """Counts, with thresholds so low that small networks reach them."""
    monkeypatch.setattr(winograd, "CHANNELS", 0)
    monkeypatch.setattr(winograd, "PRODUCTS", 0)
    count = Counter()
    own = {name: getattr(winograd, name) for name in ("pulled", "convolved")}
    for name in own:

        def counted(*args, _name=name):
            count[_name] += 1
            return own[_name](*args)

        monkeypatch.setattr(winograd, name, counted)
    return count


COMPOSITES = {
    "epsilon": (lrp.presets.epsilon(1e-2), (3, 0)),
    "gamma": (lrp.presets.gamma(0.25), (3, 2)),
    "z+": (lrp.presets.z_plus(), (3, 2)),
    "alpha-beta": (lrp.presets.alpha_beta(2.0, 1.0), (3, 0)),
    "ignored biases": (lrp.Composite(lrp.Gamma(0.25), bias="ignore"), (0, 0)),
    "spread biases": (lrp.Composite(lrp.Gamma(0.25), bias="spread"), (1, 1)),
    "gradient": (lrp.presets.gradient_times_input(), (0, 0)),
}


@pytest.mark.parametrize("name", COMPOSITES)
@pytest.mark.parametrize("side", [8, 7])
def test_a_network_gets_what_float64_gets_by_the_direct_way(runs, name, side):
    """The input has both signs, so P of the first layer is made directly; alpha-beta's n = z - p asks for an exact p.

    Spread biases are relevance that is no multiple of a ReLU, which tiles are for.
    """
    composite, expected = COMPOSITES[name]
    x = numbers(2, 2, side, side)
    explained = lrp.record(Network(), x.float()).explain(composite, lrp.Target.logit(1))
    counted = (runs["pulled"], runs["convolved"])
    exact = lrp.record(Network().double(), x).explain(composite, lrp.Target.logit(1))
    assert (runs["pulled"], runs["convolved"]) == counted, "float64 asks for exactness"
    scale = exact.relevance.abs().max()
    torch.testing.assert_close(explained.relevance.double() / scale, exact.relevance / scale, rtol=0, atol=2e-6)
    assert all((row.gap.abs() <= 1e-4 * scale).all() for row in explained.ledger)
    assert counted == expected
    both = lrp.record(Network(), x.float())
    alone = lrp.record(Network(), x[:1].float())
    torch.testing.assert_close(
        both.explain(composite, lrp.Target.logit(1)).relevance[:1],
        alone.explain(composite, lrp.Target.logit(1)).relevance,
        rtol=1e-4, atol=1e-6 * float(scale),
    )  # fmt: skip


def test_p_is_no_smaller_than_z(runs, monkeypatch):
    """Noise that came out as p, where truly z = p + b+ = b, must not be divided by: z+ would explode there."""
    tape = lrp.record(Network(), numbers(1, 2, 8, 8, dtype=torch.float32))
    usual = tape.explain(lrp.presets.epsilon(1e-9), lrp.Target.logit(1)).relevance
    monkeypatch.setattr(
        winograd, "convolved", lambda x, kernel, bias: torch.zeros(len(x), kernel.shape[1], *x.shape[2:])
    )
    noisy = tape.explain(lrp.presets.z_plus(), lrp.Target.logit(1)).relevance
    assert 0 < noisy.abs().max() < 100 * usual.abs().max()


@pytest.mark.parametrize("composite", [lrp.presets.epsilon(1e-2), lrp.presets.gamma(0.25)], ids=["epsilon", "gamma"])
def test_a_kernel_is_made_again_once_its_weight_was_written_to(runs, composite):
    """Also behind the back of autograd, as for the direct way."""
    model, x = Network(), numbers(1, 2, 8, 8, dtype=torch.float32)
    lrp.record(model, x).explain(composite, lrp.Target.logit(1))
    model.layers[2].weight.data[3:5] = model.layers[2].weight.data[[4, 3]]
    again = lrp.record(model, x).explain(composite, lrp.Target.logit(1)).relevance
    other = Network()
    other.layers[2].weight[3:5] = other.layers[2].weight[[4, 3]]
    torch.testing.assert_close(again, lrp.record(other, x).explain(composite, lrp.Target.logit(1)).relevance)


def test_positive_parts_are_made_once(runs):
    """What gamma made serves every gamma, and z+."""
    tape = lrp.record(Network(), numbers(1, 2, 8, 8, dtype=torch.float32))
    tape.explain(lrp.presets.gamma(0.25), lrp.Target.logit(1))
    tape.explain(lrp.presets.gamma(0.5), lrp.Target.logit(1))
    tape.explain(lrp.presets.z_plus(), lrp.Target.logit(1))
    assert runs["convolved"] == 2


def test_the_answer_does_not_depend_on_what_was_asked_before(runs):
    x, gamma = numbers(1, 2, 8, 8, dtype=torch.float32), lrp.presets.gamma(0.25)
    tape = lrp.record(Network(), x)
    tape.explain(lrp.presets.alpha_beta(2.0, 1.0), lrp.Target.logit(1))
    fresh = lrp.record(Network(), x).explain(gamma, lrp.Target.logit(1))
    assert torch.equal(tape.explain(gamma, lrp.Target.logit(1)).relevance, fresh.relevance)


@pytest.mark.parametrize("rule", [lrp.Gamma(0.25), lrp.ZPlus(), lrp.AlphaBeta(2.0, 1.0), lrp.Epsilon(0.1)], ids=str)
def test_many_targets_get_what_each_gets_alone(runs, rule):
    tape, targets = (
        lrp.record(Network(), numbers(1, 2, 8, 8, dtype=torch.float32)),
        list(map(lrp.Target.logit, range(3))),
    )
    together = tape.explain(lrp.Composite(rule), targets)
    for one, target in zip(together, targets, strict=True):
        alone = tape.explain(lrp.Composite(rule), target).relevance
        torch.testing.assert_close(one.relevance, alone, rtol=1e-4, atol=1e-5 * float(alone.abs().max()))
