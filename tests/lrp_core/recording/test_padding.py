"""Zeros put around a picture before a convolution are the convolution's own: no relevance goes to them."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lrp_core as lrp
from tests.lrp_core.networks import Net

RULES = [
    *(lrp.LRP0(), lrp.Epsilon(0.3), lrp.Gamma(0.25), lrp.ZPlus(), lrp.AlphaBeta(2.0, 1.0), lrp.WSquare(), lrp.Flat()),
    lrp.ZBox(-3.0, 3.0),
]
PAIRS = {
    "even": ((1, 1, 1, 1), {"kernel_size": 3, "padding": 1}, {"kernel_size": 3}),
    "added to its own": ((1, 1, 2, 2), {"kernel_size": 5, "padding": (3, 2)}, {"kernel_size": 5, "padding": 1}),
    "more behind": ((1, 2, 1, 2), {"kernel_size": 4, "padding": "same"}, {"kernel_size": 4}),
    "one axis": ((2, 2), {"kernel_size": 3, "padding": (0, 2), "stride": 2}, {"kernel_size": 3, "stride": 2}),
    "by groups": (
        (1, 2, 1, 2),
        {"kernel_size": 4, "padding": "same", "groups": 2},
        {"kernel_size": 4, "groups": 2},
    ),
    "more behind, its own the same": (
        (0, 1, 0, 1),
        {"kernel_size": 4, "padding": "same"},
        {"kernel_size": 4, "padding": 1},
    ),
}


def twins(name):
    sides, whole, rest = PAIRS[name]
    torch.manual_seed(0)
    convolution = nn.Conv2d(2, 4, **whole).double()
    without = nn.Conv2d(2, 4, **rest).double()
    without.load_state_dict(convolution.state_dict())
    heads = {"norm": nn.BatchNorm2d(4).double()}
    heads["norm"].running_mean.uniform_(-1, 1)

    def own(m, x):
        return m.norm(m.layer(x)).relu().mean((2, 3))

    def padded(m, x):
        return m.norm(m.layer(F.pad(x, sides))).relu().mean((2, 3))

    return [Net(run, layer=layer, **heads).eval() for run, layer in ((own, convolution), (padded, without))]


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("name", PAIRS)
def test_it_is_the_convolution_with_that_padding(name, rule):
    x, composite = torch.randn(2, 2, 7, 6, dtype=torch.float64), lrp.Composite(lrp.Epsilon(0.1), first=rule)
    tapes = [lrp.record(model, x) for model in twins(name)]
    assert [step.op for step in tapes[1].steps] == [step.op for step in tapes[0].steps]
    own, padded = (tape.explain(composite, lrp.Target.logit(1)) for tape in tapes)
    torch.testing.assert_close(padded.relevance, own.relevance, rtol=1e-9, atol=1e-12)
    for ours, theirs in zip(padded.ledger, own.ledger, strict=True):
        assert ours.gap.abs().max() < 1e-10
        torch.testing.assert_close(ours[1:], theirs[1:], rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_zeros_before_two_convolutions_belong_to_both(rule):
    torch.manual_seed(0)
    layers = {"one": nn.Conv2d(2, 3, 3).double(), "two": nn.Conv2d(2, 3, 3, dilation=2).double()}

    def run(m, x):
        x = F.pad(x, (2, 1, 2, 2))
        return m.one(x).relu().mean((2, 3)) + m.two(x).relu().mean((2, 3))

    tape = lrp.record(Net(run, **layers).eval(), torch.randn(2, 2, 6, 6, dtype=torch.float64))
    assert "pad" not in [step.op for step in tape.steps]
    explained = tape.explain(lrp.Composite(lrp.Epsilon(0.1), first=rule), lrp.Target.logit(1))
    total = explained.ledger.total
    assert explained.relevance.shape == (2, 2, 6, 6) and total.gap.abs().max() < 1e-9
    if isinstance(rule, lrp.Flat | lrp.WSquare | lrp.ZBox):
        torch.testing.assert_close(total.dropped + total.constant, torch.zeros(2, dtype=torch.float64))


KEPT = {
    "ones": lambda x: F.pad(x, (1, 1, 1, 1), value=1.0),
    "mirrored": lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"),
    "cropped": lambda x: F.pad(x, (-1, 1, 0, 1)),
    "more channels": lambda x: F.pad(x, (1, 1, 1, 1, 0, 1)),
}


@pytest.mark.parametrize("name", KEPT)
def test_other_paddings_stay_steps(name):
    torch.manual_seed(0)
    channels = 3 if name == "more channels" else 2
    model = Net(lambda m, x: m.layer(KEPT[name](x)).mean((2, 3)), layer=nn.Conv2d(channels, 3, 3).double()).eval()
    x = torch.randn(1, 2, 6, 6, dtype=torch.float64)
    tape = lrp.record(model, x)
    assert "pad" in [step.op for step in tape.steps]
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf)[0, 1], leaf)
    explained = tape.explain(lrp.presets.lrp0(), lrp.Target.logit(1))
    torch.testing.assert_close(explained.relevance, gradient * x)
    assert explained.ledger.total.gap.abs().max() < 1e-10


def test_zeros_that_somebody_else_reads_stay_a_step():
    torch.manual_seed(0)

    def run(m, x):
        x = F.pad(x, (1, 1, 1, 1))
        return (m.layer(x) + x[:, :, 1:-1, 1:-1]).mean((2, 3))

    model = Net(run, layer=nn.Conv2d(2, 2, 3).double()).eval()
    x = torch.randn(1, 2, 6, 6, dtype=torch.float64)
    tape = lrp.record(model, x)
    assert "pad" in [step.op for step in tape.steps]
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf)[0, 1], leaf)
    torch.testing.assert_close(tape.explain(lrp.presets.lrp0(), lrp.Target.logit(1)).relevance, gradient * x)


def test_a_transposed_convolution_has_no_place_for_them():
    model = Net(lambda m, x: m.layer(F.pad(x, (1, 1))).mean(2), layer=nn.ConvTranspose1d(2, 2, 3).double()).eval()
    tape = lrp.record(model, torch.randn(1, 2, 5, dtype=torch.float64))
    assert "pad" in [step.op for step in tape.steps]


def test_the_padded_copy_is_not_kept():
    layers = {"layer": nn.Conv2d(2, 2, 3)}
    x = torch.randn(1, 2, 64, 64, dtype=torch.float64)
    sizes = [
        lrp.record(Net(run, **layers).eval(), x).nbytes
        for run in (lambda m, x: m.layer(F.pad(x, (1, 1, 1, 1))).mean((2, 3)), lambda m, x: m.layer(x).mean((2, 3)))
    ]
    assert sizes[0] - sizes[1] < x.nbytes / 2


def test_zeros_around_the_output_stay_a_step():
    model = Net(lambda m, x: F.pad(m.layer(x), (1, 2)), layer=nn.Linear(3, 2).double()).eval()
    tape = lrp.record(model, torch.randn(1, 3, dtype=torch.float64))
    assert tape.output.shape == (1, 5) and [step.op for step in tape.steps] == ["linear", "pad"]
    assert tape.explain(lrp.presets.lrp0(), lrp.Target.logit(2)).ledger.total.gap.abs().max() < 1e-12
