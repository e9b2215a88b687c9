"""Sampling between pixels: the weights of a sample by hand, and a grid that takes no relevance."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import (
    EVERY_RULE,
    Net,
    assert_ledger_closes,
    assert_lrp0_is_gradient_times_input,
    assert_rows_stand_alone,
    vectors,
)

D = torch.float64


def test_a_sample_is_a_weighted_mean():
    """A quarter of the way from 4 to 8: 3/4 * 4 + 1/4 * 8 = 5, of which 3 and 2; with epsilon 1 five sixths of that."""
    grid = torch.tensor([[[[-0.5, 0.0]]]], dtype=D)  # corners aligned: -1 is the first pixel, 1 the second
    model = Net(lambda m, x: F.grid_sample(x.view(1, 1, 1, 2), grid, align_corners=True).flatten(1))
    x = torch.tensor([[4.0, 8.0]], dtype=D)
    tape = lrp.record(model, x)
    relevance = tape.explain(lrp.presets.lrp0(), lrp.Target.logit(0)).relevance
    torch.testing.assert_close(relevance, torch.tensor([[3.0, 2.0]], dtype=D))
    explanation = tape.explain(lrp.presets.epsilon(1.0), lrp.Target.logit(0))
    torch.testing.assert_close(explanation.relevance, torch.tensor([[2.5, 10 / 6]], dtype=D))
    assert explanation.ledger.total.epsilon.item() == pytest.approx(5 / 6)


TURNED = torch.tensor([[[0.8, 0.1, 0.05], [-0.1, 0.9, 0.1]]], dtype=D)


def picture(x):
    return x.view(-1, 1, 6, 6)


def turned(x, theta, mode="bilinear"):
    grid = F.affine_grid(theta, [len(x), 1, 6, 6], align_corners=False)
    return F.grid_sample(picture(x), grid, mode=mode, padding_mode="border", align_corners=False).flatten(1)


NETWORKS = {
    "turned": lambda m, x: turned(F.relu(m.a(x)), TURNED.expand(len(x), -1, -1)),
    "turned, bicubic": lambda m, x: turned(F.relu(m.a(x)), TURNED.expand(len(x), -1, -1), "bicubic"),
    "resized": lambda m, x: F.interpolate(picture(F.relu(m.a(x))), size=(4, 9), mode="bicubic").flatten(1),
    "resized twice": lambda m, x: F.interpolate(picture(x), None, 0.5, "bicubic").repeat(1, 4, 1, 1).flatten(1),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_on_a_constant_grid_it_is_linear(name):
    model = Net(lambda m, x: m.head(F.relu(NETWORKS[name](m, x))), a=nn.Linear(36, 36), head=nn.Linear(36, 3))
    assert_lrp0_is_gradient_times_input(model, vectors(2, 36))
    for composite in EVERY_RULE:
        assert_ledger_closes(lrp.record(model, vectors(2, 36)).explain(composite, lrp.Target.logit(1)))
    assert_rows_stand_alone(model, lrp.presets.epsilon(0.1, relative=True), vectors(2, 36))


def transformer():
    """A spatial transformer: a localisation network says how to turn the picture."""

    def forward(m, x, held=lambda t: t):
        return m.head(turned(x, held(m.where(x)).view(-1, 2, 3)))

    model = Net(forward, where=nn.Linear(36, 6), head=nn.Linear(36, 3))
    model.where.weight.mul_(0.05)
    model.where.bias.copy_(TURNED.flatten())
    return model


def test_where_to_look_takes_no_relevance():
    """LRP-0 is gradient x input with the grid detached; the baseline goes through the grid."""
    model, x = transformer(), vectors(2, 36)
    tape = lrp.record(model, x)
    leaf = x.clone().requires_grad_()
    (still,) = torch.autograd.grad(model(leaf, held=torch.Tensor.detach)[:, 1].sum(), leaf)
    (moving,) = torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)
    for composite, gradient in ((lrp.presets.lrp0(), still), (lrp.presets.gradient_times_input(), moving)):
        explanation = tape.explain(composite, lrp.Target.logit(1))
        torch.testing.assert_close(explanation.relevance, gradient * x)
        assert_ledger_closes(explanation)
    assert not torch.allclose(still, moving)


def test_a_constant_picture_on_a_grid_of_the_input_is_refused():
    model = Net(lambda m, x: F.grid_sample(picture(torch.ones(1, 36, dtype=D)), x.view(1, 3, 1, 2)).flatten(1))
    with pytest.raises(lrp.UnsupportedOp, match="grid_sample"):
        lrp.record(model, vectors(1)).explain(lrp.presets.lrp0(), lrp.Target.logit(0))


def test_bicubic_overshoots_below_zero():
    """Positive pixels can give negative samples, whose negative part z+ must see."""
    model = Net(
        lambda m, x: m.head(F.interpolate(F.relu(picture(x)), 12, mode="bicubic")).flatten(1),
        head=nn.Conv2d(1, 2, 12, bias=False),
    )
    x = torch.zeros(1, 36, dtype=D)
    x[0, 14] = 1.0
    tape = lrp.record(model, x)
    samples = F.interpolate(picture(x), 12, mode="bicubic")
    assert (samples < 0).any()
    contributions = samples * model.head.weight[:1]
    expected = contributions.clamp(min=0) / contributions.clamp(min=0).sum() * tape.output[0, 0]
    explanation = tape.explain(lrp.presets.z_plus(), lrp.Target.logit(0), layers=True)
    torch.testing.assert_close(explanation.layers["head"], expected)
