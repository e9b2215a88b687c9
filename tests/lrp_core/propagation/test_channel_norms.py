"""Norms of channels: instance and local response norms, batch norms without statistics, reparametrised weights."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

import lrp_core as lrp
from tests.lrp_core.networks import (
    Net,
    assert_ledger_closes,
    assert_lrp0_is_gradient_times_input,
    assert_rows_stand_alone,
    gradient_times_input,
    vectors,
)

D = torch.float64
LRP0 = lrp.presets.lrp0()


def pictures(*shape, seed=0):
    return torch.randn(*shape, dtype=D, generator=torch.Generator().manual_seed(seed))


def test_an_instance_norm_by_hand():
    """x = (1, 3), mean 2, deviation 1, gain 2, bias 1: z = (-1, 3). z_2 = 3 = 2 (3 - 1) / 2 + 1, of which x_1 gives -1
    and x_2 gives 3, and the bias 1."""
    norm = nn.InstanceNorm1d(1, eps=0.0, affine=True)
    model = Net(lambda m, x: m.norm(x[:, None])[:, 0], norm=norm)
    norm.weight.fill_(2.0), norm.bias.fill_(1.0)
    explanation = lrp.record(model, torch.tensor([[1.0, 3.0]], dtype=D)).explain(LRP0, lrp.Target.logit(1))
    torch.testing.assert_close(explanation.relevance, torch.tensor([[-1.0, 3.0]], dtype=D))
    assert explanation.ledger.total.bias.item() == pytest.approx(1.0)


@pytest.mark.parametrize("bias", ["absorb", "ignore", "spread"])
def test_an_instance_norm_is_a_group_norm_of_single_channels(bias):
    x = pictures(3, 4, 3, 2)
    norms = nn.InstanceNorm2d(4, affine=True), nn.GroupNorm(4, 4)
    nets = [Net(lambda m, x: m.head(F.relu(m.norm(x)).flatten(1)), norm=n, head=nn.Linear(24, 2)) for n in norms]
    for part in ("weight", "bias"):
        getattr(norms[0], part).copy_(getattr(norms[1], part))
    composite = lrp.Composite(lrp.Epsilon(0.1), bias=bias)
    results = [lrp.record(net, x).explain(composite, lrp.Target.logit(1)) for net in nets]
    torch.testing.assert_close(results[0].relevance, results[1].relevance, rtol=1e-10, atol=1e-12)
    for explanation in results:
        assert_ledger_closes(explanation)
    assert lrp.record(nets[0], x).steps[0].kind == "norm"
    assert_rows_stand_alone(nets[0], composite, x)


@pytest.mark.parametrize(
    ("norm", "shape"),
    [
        (nn.InstanceNorm1d(3), (2, 3, 8)),
        (nn.InstanceNorm2d(3, affine=True), (2, 3, 4, 2)),
        (nn.InstanceNorm3d(3), (2, 3, 2, 2, 2)),
        (nn.LocalResponseNorm(2, alpha=2.0), (2, 3, 4, 2)),
        (nn.LocalResponseNorm(3, alpha=1.0, beta=0.5, k=2.0), (2, 3, 8)),
    ],
)
def test_the_deviation_is_a_constant_and_its_gradient_is_seen_by_the_baseline(norm, shape):
    model, x = Net(lambda m, x: m.head(m.norm(x).flatten(1)), norm=norm, head=nn.Linear(24, 3)), pictures(*shape)
    tape = lrp.record(model, x)
    v = torch.tensor([[0.0, 1.0, 0.0]], dtype=D).expand(2, 3)
    baseline = tape.explain(lrp.presets.gradient_times_input(), lrp.Target.logit(1)).relevance
    torch.testing.assert_close(baseline, gradient_times_input(model, x, v), rtol=1e-9, atol=1e-11)
    for composite in (LRP0, lrp.presets.gamma(), lrp.presets.cp_lrp(0.1), lrp.Composite(lrp.LRP0(), bias="spread")):
        assert_rows_stand_alone(model, composite, x)


def test_a_local_response_norm_by_hand():
    """Two channels (1, 2), k = 1, alpha = 2 over two: divisors 1 + 1 = 2 and 1 + 1 + 4 = 6, so z = (1/2, 1/3)."""
    model = Net(lambda m, x: F.local_response_norm(x[:, :, None], 2, alpha=2.0, beta=1.0)[..., 0])
    tape = lrp.record(model, torch.tensor([[1.0, 2.0]], dtype=D))
    torch.testing.assert_close(tape.output, torch.tensor([[1 / 2, 1 / 3]], dtype=D))
    explanation = tape.explain(LRP0, lrp.Target.logit(1))
    torch.testing.assert_close(explanation.relevance, torch.tensor([[0.0, 1 / 3]], dtype=D))
    with_epsilon = tape.explain(lrp.presets.epsilon(1 / 3), lrp.Target.logit(1))
    torch.testing.assert_close(with_epsilon.relevance, torch.tensor([[0.0, 1 / 6]], dtype=D))
    assert_ledger_closes(with_epsilon)


def test_an_instance_norm_with_running_statistics_is_an_affine_map():
    norm = nn.InstanceNorm1d(2, affine=True, track_running_stats=True)
    model = Net(lambda m, x: m.head(m.norm(x.view(-1, 2, 3)).flatten(1)), norm=norm, head=nn.Linear(6, 3))
    norm.running_mean.copy_(torch.tensor([0.5, -1.0])), norm.running_var.copy_(torch.tensor([2.0, 0.3]))
    assert_lrp0_is_gradient_times_input(model, vectors(3))
    assert_rows_stand_alone(model, lrp.presets.gamma(), vectors(3))


@pytest.mark.parametrize("wrap", [weight_norm, spectral_norm, torch.nn.utils.weight_norm])
@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated")
def test_reparametrised_weights_are_the_weights(wrap):
    """They are made anew at each call, keep the layer's name, and the model is left as it was."""
    model = Net(lambda m, x: m.head(F.relu(m.a(x))), a=wrap(nn.Linear(6, 5)), head=wrap(nn.Linear(5, 3)))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tape = lrp.record(model, vectors())
    assert [step.name for step in tape.steps if step.is_layer] == ["a", "head"]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert_lrp0_is_gradient_times_input(model, vectors())
    for composite in (lrp.presets.gamma(), lrp.presets.alpha_beta(), lrp.presets.w_square()):
        assert_rows_stand_alone(model, composite, vectors())
