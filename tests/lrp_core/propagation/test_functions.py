"""Functions of one number, and what is made of many: powers, norms, deviations, products, soft maxima."""

import math
import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import (
    Net,
    assert_ledger_closes,
    assert_rows_stand_alone,
    gradient_times_input,
    vectors,
)

D = torch.float64
LRP0, GRADIENT = lrp.presets.lrp0(), lrp.presets.gradient_times_input()
EVERY_PRESET = [
    *(LRP0, lrp.presets.epsilon(0.1), lrp.presets.epsilon(0.1, relative=True), lrp.presets.gamma()),
    *(lrp.presets.z_plus(), lrp.presets.alpha_beta(), lrp.presets.w_square(), lrp.presets.epsilon_plus()),
    *(lrp.presets.epsilon_plus_flat(), lrp.presets.epsilon_gamma_box(-4.0, 4.0), lrp.presets.overview()),
    *(lrp.presets.attn_lrp(), lrp.presets.cp_lrp(), GRADIENT, lrp.Composite(LRP0.default, bias="spread")),
]


def explained(function, numbers, composite=LRP0, logit=0):
    """Relevance of the numbers, one row, for a function that gives (B, C)."""
    x = torch.tensor([numbers], dtype=D)
    explanation = lrp.record(Net(lambda m, x: function(x)), x).explain(composite, lrp.Target.logit(logit))
    assert_ledger_closes(explanation)
    return explanation.relevance[0].tolist(), explanation.ledger.total


PASSING = {
    "square": torch.square,
    "power": lambda x: x**3,
    "square root": lambda x: (x * x).sqrt(),
    "power of a half": lambda x: (x * x) ** 0.5,
    "powers": lambda x: (x * x) ** torch.tensor([1.0, 2.0, 0.5, 1.5, 3.0, 1.0], dtype=D),
    "abs": torch.abs,
    "sin": torch.sin,
    "tan": lambda x: torch.tan(x / 4),
    "asin": lambda x: torch.arcsin(x / 4),
    "atan": torch.arctan,
    "sinh": torch.sinh,
    "asinh": torch.asinh,
    "atanh": lambda x: torch.atanh(x / 4),
    "erf": torch.special.erf,
    "expm1": torch.expm1,
    "log1p": lambda x: torch.log1p(x * x),
    "threshold": lambda x: F.threshold(x, 0.5, 0.0),
    "threshold below zero": lambda x: F.threshold(x, -0.5, 7.0),
    "clip": lambda x: torch.clip(x, -0.5, 0.5),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_is_zero_at_zero_passes_relevance_unchanged(name):
    function = PASSING[name]
    model, x = Net(lambda m, x: m.head(function(x)), head=nn.Linear(6, 2, bias=False)), vectors(2, 6)
    tape = lrp.record(model, x)
    expected = model.head.weight[1] * function(x)
    for composite in (LRP0, lrp.presets.cp_lrp(0.0), lrp.presets.gamma(0.0)):
        explanation = tape.explain(composite, lrp.Target.logit(1))
        torch.testing.assert_close(explanation.relevance, expected, rtol=1e-12, atol=1e-12)
    v = torch.tensor([[0.0, 1.0]], dtype=D).expand(2, 2)
    baseline = tape.explain(GRADIENT, lrp.Target.logit(1))
    torch.testing.assert_close(baseline.relevance, gradient_times_input(model, x, v), rtol=1e-10, atol=1e-12)


REFUSED = {
    "exp": (torch.exp, "exp(0) is 1"),
    "exp2": (torch.exp2, "0 is 1"),
    "cos": (torch.cos, "cos(0) is 1"),
    "cosh": (torch.cosh, "cosh(0) is 1"),
    "log": (lambda x: x.abs().log(), "log(0)"),
    "rdiv": (lambda x: 1 / x, "1/0"),
    "reciprocal": (torch.reciprocal, "1/0"),
    "rsqrt": (lambda x: x.abs().rsqrt() + x, "sqrt(0)"),
    "div": (lambda x: torch.div(torch.ones(6, dtype=D), x), "divided by 0"),
    "rpow": (lambda x: 2**x, "power of 0"),
    "pow": (lambda x: x.abs() ** x, "exponent"),
    "pow ": (lambda x: x**-1.0, "exponent"),
    "threshold": (lambda x: F.threshold(x, 0.5, 7.0), "not 0 at 0"),
    "round": (torch.round, "jumps"),
    "floor": (torch.floor, "jumps"),
    "sign": (torch.sign, "jumps"),
    "cumprod": (lambda x: x.cumprod(1), "product"),
    "batch_norm": (lambda x: F.batch_norm(x, None, None, training=True), "running statistics"),
    "batch_norm ": (
        lambda x: F.batch_norm(x, torch.zeros(6).double(), torch.ones(6).double(), training=True),
        "statist",
    ),
    "dropout": (lambda x: F.dropout(x, 0.5, training=True), "switched on"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_zero_at_zero_is_refused_with_the_reason(name):
    function, reason = REFUSED[name]
    tape = lrp.record(Net(lambda m, x: m.head(function(m.a(x))), a=nn.Linear(6, 6), head=nn.Linear(6, 2)), vectors())
    with pytest.raises(lrp.UnsupportedOp) as caught:
        tape.explain(LRP0, lrp.Target.top())
    message = str(caught.value)
    assert repr(name.strip()) in message and reason in message and "'a'" in message
    assert len(re.findall(r"[.!?](?:\s|$)", message)) == 1 and message.endswith(".")


def test_norms_share_by_powers():
    """x = (3, -4): |x|_2 = 5 = 9/5 + 16/5; |x|_1 = 7 = 3 + 4; the largest size is 4."""
    for function in (
        lambda x: x.norm(dim=-1, keepdim=True),
        lambda x: torch.norm(x, 2, 1, True),
        lambda x: torch.linalg.norm(x, dim=1, keepdim=True),
        lambda x: torch.linalg.vector_norm(x, dim=(1,), keepdim=True),
        lambda x: x.square().sum(1, keepdim=True).sqrt(),
    ):
        relevance, _ = explained(function, [3.0, -4.0])
        assert relevance == pytest.approx([9 / 5, 16 / 5])
    assert explained(lambda x: x.norm(1, 1, True), [3.0, -4.0])[0] == pytest.approx([3, 4])
    cubes, _ = explained(lambda x: x.norm(3, 1, True), [3.0, -4.0])
    assert cubes == pytest.approx([27 / 91 ** (2 / 3), 64 / 91 ** (2 / 3)])
    assert explained(lambda x: x.norm(math.inf, 1, True), [3.0, -4.0])[0] == [0, 4]
    matrix, _ = explained(lambda x: torch.linalg.norm(x.view(1, 2, 2), "fro", (1, 2))[:, None], [1.0, 1, 1, 1])
    assert matrix == pytest.approx([0.5] * 4)


def test_norms_follow_epsilon_and_a_vector_of_zeros_has_nothing():
    relevance, total = explained(lambda x: x.norm(dim=-1, keepdim=True), [3.0, -4.0], lrp.presets.epsilon(1.0))
    assert relevance == pytest.approx([9 / 6, 16 / 6])
    assert total.epsilon.item() == pytest.approx(5 / 6)
    for composite in (LRP0, GRADIENT):
        relevance, _ = explained(lambda x: x[:, :2].norm(dim=-1, keepdim=True) + x[:, 2:], [0.0, 0.0, 3.0], composite)
        assert relevance == [0, 0, 3]


def test_deviations_share_by_what_they_are_made_of():
    """x = (1, 2, 6), mean 3: x (x - mean) = (-2, -2, 18), in all 14; var = 7 and std its root."""
    parts = torch.tensor([-2.0, -2.0, 18.0], dtype=D) / 14
    for function, value in (
        (lambda x: x.var(-1, keepdim=True), 7.0),
        (lambda x: torch.var(x, 1, unbiased=False, keepdim=True), 14 / 3),
        (lambda x: x.std(-1, keepdim=True), math.sqrt(7)),
        (lambda x: torch.std(x, 1, correction=0, keepdim=True), math.sqrt(14 / 3)),
    ):
        assert explained(function, [1.0, 2.0, 6.0])[0] == pytest.approx((parts * value).tolist())
    both, _ = explained(lambda x: sum(torch.var_mean(x, 1, keepdim=True)), [1.0, 2.0, 6.0])
    assert both == pytest.approx((parts * 7 + torch.tensor([1.0, 2, 6], dtype=D) / 3).tolist())


def test_the_factors_of_a_product_share_evenly():
    """2 * 3 * -4 = -24: eight less than nothing each."""
    for composite in (LRP0, lrp.presets.cp_lrp(0.0)):
        assert explained(lambda x: x.prod(-1, keepdim=True), [2.0, 3.0, -4.0], composite)[0] == [-8, -8, -8]
        zero, _ = explained(lambda x: torch.prod(x, 1)[:, None] + x[:, 2:], [2.0, 0.0, -4.0], composite)
        assert zero == [0, 0, -4]


def test_in_a_soft_maximum_the_largest_take_most():
    x = torch.tensor([1.0, 2.0, 4.0], dtype=D)
    value = x.logsumexp(0)
    expected = (x.softmax(0) * value).tolist()
    for function in (
        lambda x: torch.logsumexp(x, 1, keepdim=True),
        lambda x: x.logsumexp((1,))[:, None],
        lambda x: torch.special.logsumexp(x, -1, True),
    ):
        assert explained(function, x.tolist())[0] == pytest.approx(expected)


def test_running_sums_share_like_sums():
    """x = (1, 2, -4): 1, 3, -1; the last two together have 2 (1 + 2) - 4 = 2."""
    assert explained(lambda x: x.cumsum(1), [1.0, 2.0, -4.0], logit=2)[0] == [1, 2, -4]
    relevance, _ = explained(lambda x: torch.cumsum(x, -1)[:, 1:].sum(1, keepdim=True), [1.0, 2.0, -4.0])
    assert relevance == [2, 4, -4]


def test_a_bilinear_layer_shares_half_each_and_its_bias_by_the_mode():
    """x = (1, 2), y = (3, 1), W = [[1, -1], [2, 1]]: z = 3 - 1 + 12 + 2 = 16, and b = 4."""
    layer = nn.Bilinear(2, 2, 1)
    x, y = torch.tensor([[1.0, 2]], dtype=D), torch.tensor([[3.0, 1]], dtype=D)
    model = Net(lambda m, x, y: m.layer(x, y), layer=layer)
    layer.weight.copy_(torch.tensor([[[1.0, -1], [2, 1]]])), layer.bias.fill_(4.0)
    tape = lrp.record(model, x, y)
    of_x, of_y = torch.tensor([[2.0, 14]], dtype=D), torch.tensor([[15.0, 1]], dtype=D)
    for mode, share, spread in (("absorb", 0.5, 0.0), ("ignore", 0.5 * 20 / 16, 0.0), ("spread", 0.5, 1.0)):
        explanation = tape.explain(lrp.Composite(lrp.LRP0(), bias=mode), lrp.Target.logit(0))
        first, second = explanation.parts.values()
        torch.testing.assert_close(first, of_x * share + spread, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(second, of_y * share + spread, rtol=1e-12, atol=1e-12)
        assert explanation.ledger.total.bias.item() == (4.0 if mode == "absorb" else 0.0)
        assert_ledger_closes(explanation)
    one = Net(lambda m, x: m.layer(x, y.expand(len(x), 2)), layer=layer)
    one.layer.weight.copy_(torch.tensor([[[1.0, -1], [2, 1]]])), one.layer.bias.fill_(4.0)
    relevance = lrp.record(one, x).explain(LRP0, lrp.Target.logit(0)).relevance
    torch.testing.assert_close(relevance, of_x, rtol=1e-12, atol=1e-12)


IN_NETWORKS = {
    "norm of each": lambda m, y: y.norm(dim=-1),
    "norm over two axes": lambda m, y: torch.linalg.vector_norm(y, 3, (1, 2))[:, None].expand(-1, 2),
    "largest size": lambda m, y: y.norm(math.inf, dim=-1),
    "deviation": lambda m, y: torch.std(y, 2, unbiased=False),
    "variance, in front": lambda m, y: y.transpose(0, 2).var(0).T,
    "product": lambda m, y: y.prod(-1),
    "product, in front": lambda m, y: y.transpose(0, 1).prod(0)[:, :2],
    "soft maximum": lambda m, y: y.logsumexp(-1),
    "running sum": lambda m, y: y.cumsum(1)[..., 0],
    "running sum, in front": lambda m, y: y.permute(1, 0, 2).cumsum(0)[1][:, :2],
    "bilinear": lambda m, y: m.bilinear(y[:, 0], y[:, 1]),
    "standardised": lambda m, y: ((y - y.mean(-1, keepdim=True)) / (y.std(-1, keepdim=True) + 1e-5))[..., 0],
}


@pytest.mark.parametrize("name", IN_NETWORKS)
def test_in_networks_by_every_preset(name):
    model = Net(
        lambda m, x: m.head(IN_NETWORKS[name](m, m.a(x).view(-1, 2, 3))),
        a=nn.Linear(6, 6),
        bilinear=nn.Bilinear(3, 3, 2),
        head=nn.Linear(2, 3),
    )
    x = vectors(2)
    tape = lrp.record(model, x)
    assert tape.unsupported() == ()
    for composite in EVERY_PRESET:
        explanation = tape.explain(composite, lrp.Target.logit(1))
        assert explanation.relevance.isfinite().all()
        assert_ledger_closes(explanation)
    for composite in (lrp.presets.epsilon(0.1, relative=True), lrp.presets.cp_lrp(), GRADIENT):
        assert_rows_stand_alone(model, composite, x)
    v = torch.tensor([[0.0, 1.0, 0.0]], dtype=D).expand(2, 3)
    baseline = tape.explain(GRADIENT, lrp.Target.logit(1)).relevance
    torch.testing.assert_close(baseline, gradient_times_input(model, x, v), rtol=1e-9, atol=1e-11)
