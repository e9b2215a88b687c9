"""Norms with the deviation held, in one piece and hand-written; gates, gated units and hand-written activations."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import Net, assert_ledger_closes, gradient_times_input, vectors

D = torch.float64
LRP0 = lrp.presets.lrp0()


def layer_norm_by_hand(m, x):
    centred = x - x.mean(-1, keepdim=True)
    return centred / torch.sqrt(centred.pow(2).mean(-1, keepdim=True) + 1e-5) * m.norm.weight + m.norm.bias


def rms_norm_by_hand(m, x):
    """As Llama, Qwen and T5 write it."""
    x = x.to(D)
    variance = x.pow(2).mean(-1, keepdim=True)
    return m.norm.weight * (x * torch.rsqrt(variance + 1e-5)).to(D)


NORMS = {
    "layer norm": (lambda m, x: m.norm(x), nn.LayerNorm(6), 1, True),
    "layer norm over two axes": (lambda m, x: m.norm(x.view(-1, 2, 3)).flatten(1), nn.LayerNorm((2, 3)), 1, True),
    "layer norm without gain": (lambda m, x: m.norm(x), nn.LayerNorm(6, elementwise_affine=False), 1, True),
    "layer norm by hand": (layer_norm_by_hand, nn.LayerNorm(6), 1, True),
    "rms norm": (lambda m, x: m.norm(x), nn.RMSNorm(6, eps=1e-5), 1, False),
    "rms norm by hand": (rms_norm_by_hand, nn.RMSNorm(6, eps=1e-5), 1, False),
    "group norm": (lambda m, x: m.norm(x.view(-1, 6, 1)).flatten(1), nn.GroupNorm(2, 6), 2, True),
    "unit length": (lambda m, x: F.normalize(x, dim=-1), nn.Identity(), 0, False),
}


@pytest.mark.parametrize("name", [name for name in NORMS if "hand" not in name and name != "unit length"])
def test_the_transposed_map_leaves_what_it_is_given_as_it_was(name):
    forward, norm, *_ = NORMS[name]
    tape = lrp.record(Net(forward, norm=norm), vectors(3, 6))
    (step,) = [step for step in tape.steps if step.kind == "norm"]
    s = torch.randn(step.output_shape, dtype=D)
    before = s.clone()
    step.memo["deviation"].transpose(s)
    assert torch.equal(s, before)


def by_loops(norm, x, relevance, groups, centred, epsilon=0.0, bias="absorb"):
    """z_i = g_i (x_i - mean) / deviation + b_i, split in proportion to what each x_j gives to z_i; x (6,)."""
    gain = getattr(norm, "weight", None)
    gain = torch.ones(6, dtype=D) if gain is None else gain.flatten()
    shift = getattr(norm, "bias", None)
    shift = torch.zeros(6, dtype=D) if shift is None else shift.flatten()
    result, to_bias = torch.zeros(6, dtype=D), 0.0
    size = 6 // max(groups, 1)
    for start in range(0, 6, size):
        inside = range(start, start + size)
        mean = sum(x[j] for j in inside) / size if centred else 0.0
        square = sum((x[j] - mean) ** 2 for j in inside)
        deviation = math.sqrt(square / size + 1e-5) if groups else math.sqrt(square)
        for i in inside:
            gives = {j: gain[i] * (float(i == j) - (1 / size if centred else 0.0)) * x[j] / deviation for j in inside}
            b = 0.0 if bias == "ignore" else shift[i]
            z = sum(gives.values()) + b
            z = z + epsilon * (1 if z >= 0 else -1)
            for j in inside:
                result[j] += (gives[j] + (b / size if bias == "spread" else 0.0)) / z * relevance[i]
            to_bias += b / z * relevance[i] if bias == "absorb" else 0.0
    return result, float(to_bias)


@pytest.mark.parametrize("bias", ["absorb", "ignore", "spread"])
@pytest.mark.parametrize("name", NORMS)
def test_norms_by_loops(name, bias):
    """The deviation is a constant, the rest a linear map; the bias by the mode of the composite."""
    if "by hand" in name and bias != "absorb":
        pytest.skip("written by hand, the shift is the addition of a constant, which always absorbs")
    function, norm, groups, centred = NORMS[name]
    model, x = Net(lambda m, x: m.head(function(m, x)), norm=norm, head=nn.Linear(6, 1, bias=False)), vectors(3, 6)
    tape = lrp.record(model, x)
    assert tape.unsupported() == ()
    explanation = tape.explain(lrp.Composite(lrp.LRP0(), bias=bias), lrp.Target.logit(0))
    assert_ledger_closes(explanation)
    z = function(model, x)
    for row in range(3):
        relevance = model.head.weight[0] * z[row]
        expected, to_bias = by_loops(model.norm, x[row], relevance, groups, centred, bias=bias)
        torch.testing.assert_close(explanation.relevance[row], expected, rtol=1e-8, atol=1e-10)
        total = explanation.ledger.total
        assert (total.bias + total.constant)[row].item() == pytest.approx(to_bias, rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("name", ["layer norm", "group norm", "rms norm"])
def test_norms_follow_epsilon_and_can_be_passed(name):
    function, norm, groups, centred = NORMS[name]
    model, x = Net(lambda m, x: m.head(function(m, x)), norm=norm, head=nn.Linear(6, 1, bias=False)), vectors(1, 6)
    tape, relevance = lrp.record(model, x), model.head.weight[0] * function(model, x)[0]
    composite = lrp.Composite(lrp.LRP0(), by_kind={"norm": lrp.Epsilon(0.2)})
    explanation = tape.explain(composite, lrp.Target.logit(0))
    expected, _ = by_loops(model.norm, x[0], relevance, groups, centred, epsilon=0.2)
    torch.testing.assert_close(explanation.relevance[0], expected, rtol=1e-9, atol=1e-11)
    assert explanation.ledger.total.epsilon.abs().item() > 1e-6
    assert_ledger_closes(explanation)
    passed = tape.explain(lrp.Composite(lrp.LRP0(), by_kind={"norm": lrp.Pass()}), lrp.Target.logit(0))
    torch.testing.assert_close(passed.relevance[0], relevance, rtol=1e-12, atol=1e-14)
    gamma = tape.explain(lrp.Composite(lrp.Gamma(0.25)), lrp.Target.logit(0))
    assert_ledger_closes(gamma)
    assert {step.kind: rule for step, rule in tape.plan(lrp.Composite(lrp.Gamma(0.25)))}["norm"] == lrp.Epsilon(0.0)


def gelu_of_gpt2(x):
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))))


ACTIVATIONS = {
    "gelu": F.gelu,
    "gelu by tanh": lambda x: F.gelu(x, approximate="tanh"),
    "gelu as in GPT-2": gelu_of_gpt2,
    "gelu as in BERT": lambda x: x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0))),
    "quick gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "silu": F.silu,
    "mish by hand": lambda x: x * torch.tanh(F.softplus(x)),
    "square": lambda x: x * x,
    "tanh": torch.tanh,
}


@pytest.mark.parametrize("attention", ["attnlrp", "cp"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_passes_relevance_whichever_way_it_is_written(name, attention):
    function = ACTIVATIONS[name]
    model, x = Net(lambda m, x: m.head(function(x)), head=nn.Linear(6, 2, bias=False)), vectors(2, 6)
    tape = lrp.record(model, x)
    assert tape.unsupported() == ()
    explanation = tape.explain(lrp.Composite(lrp.LRP0(), attention=attention), lrp.Target.logit(1))
    torch.testing.assert_close(explanation.relevance, model.head.weight[1] * function(x), rtol=1e-10, atol=1e-12)
    assert_ledger_closes(explanation)
    baseline = tape.explain(lrp.presets.gradient_times_input(), lrp.Target.logit(1)).relevance
    v = torch.tensor([[0.0, 1.0]], dtype=D).expand(2, 2)
    torch.testing.assert_close(baseline, gradient_times_input(model, x, v), rtol=1e-9, atol=1e-12)


GATED = {
    "GLU": (lambda a, b: a * torch.sigmoid(b), (1.0, 0.0)),
    "gate first": (lambda a, b: torch.sigmoid(b) * a, (1.0, 0.0)),
    "SwiGLU": (lambda a, b: a * F.silu(b), (1.0, 0.0)),
    "GeGLU": (lambda a, b: F.gelu(b) * a, (1.0, 0.0)),
    "output of an LSTM": (lambda a, b: torch.tanh(a) * torch.sigmoid(b), (1.0, 0.0)),
    "softmax over a pool": (lambda a, b: a * torch.softmax(b, -1), (1.0, 0.0)),
    "scaled gate": (lambda a, b: a * (2.0 * torch.sigmoid(b)).view(a.shape), (1.0, 0.0)),
    "two signals": (lambda a, b: a * b, (0.5, 0.5)),
    "two gates": (lambda a, b: torch.sigmoid(a) * torch.sigmoid(b), (0.5, 0.5)),
}


@pytest.mark.parametrize("name", GATED)
def test_of_two_factors_the_signal_takes_all_or_both_half(name):
    function, in_cp = GATED[name]
    model = Net(lambda m, a, b: m.head(function(a, b)), head=nn.Linear(5, 2, bias=False))
    a, b = vectors(2, 5), vectors(2, 5, seed=1)
    tape, relevance = lrp.record(model, a, b), model.head.weight[1] * function(a, b)
    shares = {"cp": in_cp, "attnlrp": (0.5, 0.5)}
    for attention, wanted in shares.items():
        explanation = tape.explain(lrp.Composite(lrp.LRP0(), attention=attention), lrp.Target.logit(1))
        assert_ledger_closes(explanation)
        parts = list(explanation.parts.values())[: 1 if "softmax" in name else 2]
        for part, share in zip(parts, wanted, strict=False):
            torch.testing.assert_close(part, share * relevance, rtol=1e-10, atol=1e-12)


def test_a_deviation_takes_nothing_even_from_another_value():
    """x * rsqrt(f(y)): whatever the factor is made of, it only sets the scale."""
    model = Net(
        lambda m, x, y: m.head(x * torch.rsqrt(y.pow(2).mean(-1, keepdim=True))) + 0 * m.head(y), head=nn.Linear(5, 2)
    )
    tape = lrp.record(model, vectors(2, 5), vectors(2, 5, seed=1))
    first, second = tape.explain(LRP0, lrp.Target.logit(0)).parts.values()
    assert first.abs().min() > 0 and not second.any()


def test_what_only_the_deviation_is_made_of_needs_no_rule():
    """Only what a deviation is made of needs no rule."""
    model = Net(lambda m, x: m.head(x.exp() * torch.rsqrt(x.exp().mean(-1, keepdim=True))), head=nn.Linear(5, 2))
    tape = lrp.record(model, vectors(2, 5))
    assert [step.op for step in tape.unsupported()] == ["exp"]
    with pytest.raises(lrp.UnsupportedOp):
        tape.explain(LRP0, lrp.Target.top())
