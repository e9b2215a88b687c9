"""A ReLU with a ceiling, such as ReLU6, is a ReLU to the layer below: no relevance where z <= 0, and z counts whole."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lrp_core as lrp
from lrp_core.steps import rectifies
from tests.lrp_core.networks import Net
from tests.lrp_core.propagation import brute_force

FORMS = {
    "relu6": F.relu6,
    "in place": lambda z: F.relu6(z, inplace=True),
    "module": nn.ReLU6(),
    "module in place": nn.ReLU6(inplace=True),
    "hardtanh": lambda z: F.hardtanh(z, 0.0, 6.0),
    "hardtanh by names": lambda z: F.hardtanh(z, max_val=6, min_val=0),
    "clamp": lambda z: z.clamp(0, 6),
    "clamp by names": lambda z: torch.clamp(z, max=6.0, min=0.0),
}
RULES = [
    *(lrp.LRP0(), lrp.Epsilon(0.3), lrp.Epsilon(0.1, relative=True), lrp.Gamma(0.25), lrp.Gamma(2.0, epsilon=0.1)),
    *(lrp.ZPlus(), lrp.AlphaBeta(2.0, 1.0), lrp.WSquare(), lrp.Flat(), lrp.ZBox(-9.0, 9.0)),
]


def model_with(form):
    torch.manual_seed(1)
    first, second = nn.Linear(6, 9).double(), nn.Linear(9, 2).double()
    return Net(lambda m, x: m.second(form(m.first(x))), first=first, second=second).eval().requires_grad_(False)


X = 12 * torch.randn(1, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("bias", ["absorb", "ignore", "spread"])
@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_every_rule_below_it_is_the_published_one(form, rule, bias):
    model = model_with(FORMS[form])
    z = model.first(X)
    assert (z < 0).any() and ((z > 0) & (z < 6)).any() and (z > 6).any()
    tape = lrp.record(model, X)
    explained = tape.explain(lrp.Composite(lrp.Epsilon(0.1), first=rule, bias=bias), lrp.Target.logit(1))
    start = torch.zeros(2, dtype=torch.float64).index_fill(0, torch.tensor([1]), float(tape.output[0, 1])).numpy()
    hidden = z.clamp(0, 6)[0].numpy()
    upper = brute_force.propagate(brute_force.affine(model.second, (9,)), hidden, start, lrp.Epsilon(0.1), bias)
    rms = float(z.square().mean().sqrt())
    lower = brute_force.propagate(
        brute_force.affine(model.first, (6,)), X[0].numpy(), upper.relevance, rule, bias, rms=rms
    )
    torch.testing.assert_close(explained.relevance[0], torch.from_numpy(lower.relevance), rtol=1e-9, atol=1e-11)
    assert all(row.gap.abs().max() < 1e-10 for row in explained.ledger)


@pytest.mark.parametrize("form", FORMS)
def test_gradient_times_input_knows_the_ceiling(form):
    model, leaf = model_with(FORMS[form]), X.clone().requires_grad_()
    explained = lrp.record(model, X).explain(lrp.presets.gradient_times_input(), lrp.Target.logit(0))
    (gradient,) = torch.autograd.grad(model(leaf)[0, 0], leaf)
    torch.testing.assert_close(explained.relevance, gradient * X)


@pytest.mark.parametrize(
    "form",
    [
        F.hardtanh,
        lambda z: F.hardtanh(z, -1.0, 6.0),
        lambda z: z.clamp(-1.0, 6.0),
        lambda z: z.clamp(max=6.0),
        lambda z: z.clamp(min=0.5),
        lambda z: z.clamp(min=torch.zeros(())),
        F.hardsigmoid,
    ],
)
def test_what_passes_negative_numbers_is_none(form):
    """Relevance passes it unchanged, and finds the signed z below."""
    model = model_with(form)
    assert lrp.record(model, X).steps[0].outputs[0].rectified is None


def test_which_calls_rectify():
    z = object()
    assert rectifies("relu", (z,), {}) and rectifies("relu6", (z, True), {})
    assert rectifies("clamp", (z, 0), {}) and rectifies("clamp", (z,), {"min": 0.0, "max": 1})
    assert not rectifies("clamp", (z,), {"max": 6}) and not rectifies("clamp", (z, 0, 0), {})
    assert not rectifies("clamp", (z, 0, -1.0), {}) and not rectifies("clamp", (z, torch.zeros(3)), {})
    assert not rectifies("hardtanh", (z,), {}) and rectifies("hardtanh", (z, 0.0, 6.0), {})
    assert not rectifies("clamp", (z, 0, torch.ones(3)), {}) and not rectifies("gelu", (z,), {})


@pytest.mark.parametrize("rule", [lrp.Gamma(0.25), lrp.ZPlus(), lrp.Epsilon(0.1)], ids=str)
def test_several_targets_and_a_head_that_ends_in_it(rule):
    """Where relevance starts at the ceiling itself, and where few outputs of a large head are computed with."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(300, 300), nn.ReLU6(), nn.Linear(300, 300), nn.ReLU6()).double().eval()
    model.requires_grad_(False)
    x = 20 * torch.randn(1, 300, dtype=torch.float64)
    tape, composite = lrp.record(model, x), lrp.Composite(rule)
    assert (model(x) == 6).any()
    classes = model(x)[0].argsort(descending=True)[[0, 40, 80]].tolist()
    together = tape.explain(composite, [lrp.Target.logit(c) for c in classes])
    for one, c in zip(together, classes, strict=True):
        alone = lrp.record(model, x).explain(composite, lrp.Target.logit(c))
        torch.testing.assert_close(one.relevance, alone.relevance)
        assert all(row.gap.abs().max() < 1e-9 for row in alone.ledger)
