"""Values that break rules: zeros, dead units, exact cancellation, negative logits, extreme scales. All stay finite."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import EVERY_RULE, Net, RandomNetwork, assert_ledger_closes, random_input, vectors

LRP0, TOP = lrp.presets.lrp0(), lrp.Target.top()


@pytest.mark.parametrize("composite", EVERY_RULE, ids=str)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_all_zero_input(composite, bias):
    model = RandomNetwork(["relu_in_place", "norm", "max_pool", "residual", "avg_pool"], bias=bias)
    explanation = lrp.record(model, torch.zeros_like(random_input())).explain(composite, TOP)
    assert explanation.relevance.isfinite().all()
    assert_ledger_closes(explanation)


@pytest.mark.parametrize("composite", EVERY_RULE, ids=str)
def test_dead_relu(composite):
    """Every hidden unit is off: nothing can reach the input by LRP-0, and nothing turns into NaN by any rule."""
    model = Net(lambda m, x: m.head(F.relu(m.dense(x))), dense=nn.Linear(6, 4), head=nn.Linear(4, 3))
    model.dense.bias.fill_(-100.0)
    explanation = lrp.record(model, vectors()).explain(composite, lrp.Target.logit(0))
    assert explanation.relevance.isfinite().all()
    assert_ledger_closes(explanation)
    if composite == LRP0:
        assert (explanation.relevance == 0).all()


@pytest.mark.parametrize("composite", EVERY_RULE, ids=str)
def test_z_equal_to_zero(composite):
    """Contributions that cancel exactly: 0/0 = 0, and what cannot be given to anyone is in the ledger."""
    model = Net(lambda m, x: m.head(m.dense(x)), dense=nn.Linear(2, 2), head=nn.Linear(2, 2))
    for layer in (model.dense, model.head):
        layer.weight.copy_(torch.tensor([[1.0, -1.0], [1.0, 1.0]]))
        layer.bias.zero_()
    x = torch.tensor([[1.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    for target in (lrp.Target.logit(0), lrp.Target.logit(1), lrp.Target.difference(0, 1)):
        explanation = lrp.record(model, x).explain(composite, target)
        assert explanation.relevance.isfinite().all()
        assert_ledger_closes(explanation)


@pytest.mark.parametrize("composite", EVERY_RULE, ids=str)
def test_negative_logit(composite):
    """z = -.1 with epsilon = .1 is infinite where epsilon has no sign; a slider reaches that."""
    model = Net(lambda m, x: m.dense(x), dense=nn.Linear(2, 2))
    model.dense.weight.copy_(torch.tensor([[-0.1, 0.0], [0.3, 0.2]]))
    model.dense.bias.zero_()
    explanation = lrp.record(model, torch.ones(1, 2, dtype=torch.float64)).explain(composite, lrp.Target.logit(0))
    assert explanation.start[0, 0] < 0
    assert explanation.relevance.isfinite().all() and explanation.relevance.abs().max() < 1
    assert_ledger_closes(explanation)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_extreme_scales_stay_finite(scale):
    x = random_input() * scale
    for composite in EVERY_RULE[:8]:
        explanation = lrp.record(RandomNetwork(["relu_in_place", "residual"], bias=False), x).explain(composite, TOP)
        assert explanation.relevance.isfinite().all()


ACTIVATIONS = [F.gelu, F.silu, torch.tanh, F.mish, F.elu, F.selu, F.leaky_relu, F.hardswish, F.softsign]
TURNING = [lambda x: F.leaky_relu(x, -0.3), lambda x: F.elu(x, alpha=-0.5), lambda x: F.celu(x, -0.5), F.softplus]


@pytest.mark.parametrize("epsilon", [0.0, 1e-3, 2.0])
@pytest.mark.parametrize("activation", [*ACTIVATIONS, *TURNING])
def test_epsilon_below_an_activation_by_the_formula(activation, epsilon):
    """R_in = x W'(R / (z + eps sgn z)), for activations that keep signs and for those that turn them; a z of 0, too."""
    model = Net(lambda m, x: m.head(activation(m.dense(x))), dense=nn.Linear(6, 9), head=nn.Linear(9, 3, bias=False))
    model.dense.bias[0], model.dense.weight[0] = 0.0, 0.0
    x = vectors()
    composite = lrp.Composite(lrp.LRP0(), by_name={"dense": lrp.Epsilon(epsilon)})
    explanation = lrp.record(model, x).explain(composite, lrp.Target.logit(0))
    z = model.dense(x)
    relevance = model.head.weight[0] * activation(z)
    divisor = torch.where(z >= 0, z + epsilon, z - epsilon)
    s = torch.where(divisor == 0, 0.0, relevance / divisor)
    torch.testing.assert_close(explanation.relevance, x * (s @ model.dense.weight), rtol=1e-9, atol=1e-12)
    assert_ledger_closes(explanation)


def test_max_pool_ties_go_to_the_first():
    model = Net(lambda m, x: m.head(F.max_pool2d(x, 2).flatten(1)), head=nn.Linear(1, 2))
    explanation = lrp.record(model, torch.ones(1, 1, 2, 2, dtype=torch.float64)).explain(LRP0, TOP)
    assert (explanation.relevance.flatten()[1:] == 0).all() and explanation.relevance[0, 0, 0, 0] != 0
