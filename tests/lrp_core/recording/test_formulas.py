"""Functions that are short for a formula: the same relevance, whether torch or the model writes it out."""

import math

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
COMPOSITES = [LRP0, lrp.presets.epsilon(0.1), lrp.presets.gamma(), lrp.presets.attn_lrp(), lrp.presets.cp_lrp()]


def of_length_one(x):
    return x / x.square().sum(-1, keepdim=True).sqrt()


FORMULAS = {
    "GLU": (lambda a, b: F.glu(torch.cat([a, b], -1)), lambda a, b: a * torch.sigmoid(b)),
    "softmin": (lambda a, b: a * F.softmin(b, -1), lambda a, b: a * torch.softmax(-b, -1)),
    "times one over a length": (
        lambda a, b: a * (1 / (b.norm(dim=-1, keepdim=True) + 1)),
        lambda a, b: a / (b.norm(dim=-1, keepdim=True) + 1),
    ),
    "times a constant over a sum": (
        lambda a, b: a * torch.div(2.0, b.abs().sum(-1, keepdim=True)),
        lambda a, b: 2 * a / b.abs().sum(-1, keepdim=True),
    ),
    "addcmul": (lambda a, b: torch.addcmul(a, a, b, value=0.5), lambda a, b: a + 0.5 * (a * b)),
    "addcmul in place": (lambda a, b: (a * 1).addcmul_(b, b), lambda a, b: a + b * b),
    "addcdiv": (lambda a, b: torch.addcdiv(a, a, b.abs() + 1, value=2), lambda a, b: a + 2 * (a / (b.abs() + 1))),
    "lerp": (lambda a, b: torch.lerp(a, b, 0.25), lambda a, b: 0.75 * a + 0.25 * b),
    "lerp with a gate": (
        lambda a, b: torch.lerp(a, b, torch.sigmoid(b)),
        lambda a, b: a * (1 - torch.sigmoid(b)) + b * torch.sigmoid(b),
    ),
    "cosine": (
        lambda a, b: F.cosine_similarity(a.view(-1, 2, 3), b.view(-1, 2, 3), dim=-1),
        lambda a, b: (of_length_one(a.view(-1, 2, 3)) * of_length_one(b.view(-1, 2, 3))).sum(-1),
    ),
    "distance": (
        lambda a, b: F.pairwise_distance(a.view(-1, 2, 3), b.view(-1, 2, 3), eps=0.25),
        lambda a, b: torch.linalg.vector_norm(a.view(-1, 2, 3) - b.view(-1, 2, 3) + 0.25, dim=-1),
    ),
    "all distances": (
        lambda a, b: torch.cdist(a.view(-1, 2, 3), b.view(-1, 2, 3)).flatten(1),
        lambda a, b: (a.view(-1, 2, 1, 3) - b.view(-1, 1, 2, 3)).norm(dim=-1).flatten(1),
    ),
    "pooling by a power": (
        lambda a, b: F.lp_pool1d((a + 4 + 0 * b)[:, None], 3, 2)[:, 0],
        lambda a, b: (2 * (a + 4 + 0 * b).view(-1, 3, 2).pow(3).mean(-1)).pow(1 / 3),
    ),
    "pooling by a power in 2-d": (
        lambda a, b: F.lp_pool2d((a + 4 + 0 * b).view(-1, 1, 2, 3), 2, (2, 1)).flatten(1),
        lambda a, b: (2 * (a + 4 + 0 * b).view(-1, 2, 3).square().mean(1)).sqrt(),
    ),
    "outer product": (
        lambda a, b: torch.stack([torch.outer(x, y) for x, y in zip(a, b, strict=True)]).flatten(1)
        if len(a) == 1 else torch.einsum("bi,bj->bij", a, b).flatten(1),
        lambda a, b: torch.einsum("bi,bj->bij", a, b).flatten(1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_a_function_is_its_formula(name):
    ours, written = (
        Net(lambda m, x, f=f: f(m.a(x), m.b(x)) @ torch.linspace(-1, 1, f(x, x).shape[1] * 3, dtype=D).view(-1, 3),
            a=nn.Linear(6, 6), b=nn.Linear(6, 6))
        for f in FORMULAS[name]
    )  # fmt: skip
    x = vectors(2)
    tape, other = lrp.record(ours, x), lrp.record(written, x)
    assert tape.unsupported() == ()
    torch.testing.assert_close(tape.output, ours(x), rtol=1e-10, atol=1e-12)
    for composite in COMPOSITES:
        explanation = tape.explain(composite, lrp.Target.logit(1))
        expected = other.explain(composite, lrp.Target.logit(1)).relevance
        torch.testing.assert_close(explanation.relevance, expected, rtol=1e-8, atol=1e-8)
        assert_ledger_closes(explanation)
    assert_rows_stand_alone(ours, lrp.presets.attn_lrp(), x)
    v = torch.tensor([[0.0, 1.0, 0.0]], dtype=D).expand(2, 3)
    baseline = tape.explain(GRADIENT, lrp.Target.logit(1)).relevance
    torch.testing.assert_close(baseline, gradient_times_input(ours, x, v), rtol=1e-8, atol=1e-9)


def test_a_cosine_by_hand():
    """(1, 2) and (2, 1): 4/5 = 2/5 + 2/5 from each pair of numbers, half to either of them."""
    model = Net(lambda m, x, y: F.cosine_similarity(x, y, -1)[:, None])
    x, y = torch.tensor([[1.0, 2.0]], dtype=D), torch.tensor([[2.0, 1.0]], dtype=D)
    for part in lrp.record(model, x, y).explain(LRP0, lrp.Target.logit(0)).parts.values():
        torch.testing.assert_close(part, torch.tensor([[0.2, 0.2]], dtype=D))


PRODUCTS = {
    "inner": lambda x, w: torch.inner(x, w),
    "tensordot": lambda x, w: torch.tensordot(x, w, dims=([1], [1])),
    "tensordot, one axis": lambda x, w: torch.tensordot(x, w.T.contiguous(), 1),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_with_a_constant_is_a_layer(name):
    """By any rule, as a dense layer without a bias."""
    ours, dense = (
        Net(lambda m, x, f=f: f(F.relu(m.a(x)), m.head.weight), a=nn.Linear(6, 6), head=nn.Linear(6, 3, bias=False))
        for f in (PRODUCTS[name], F.linear)
    )
    for composite in (lrp.presets.gamma(), lrp.presets.z_plus(), lrp.presets.alpha_beta(), LRP0):
        results = [
            lrp.record(net, vectors(3)).explain(composite, lrp.Target.logit(1)).relevance for net in (ours, dense)
        ]
        torch.testing.assert_close(*results, rtol=1e-10, atol=1e-12)


def test_products_of_two_vectors_share_half_each():
    x, y = torch.tensor([1.0, 2.0], dtype=D), torch.tensor([3.0, -1.0], dtype=D)
    for function in (torch.dot, torch.vdot, torch.inner):
        model = Net(lambda m, x, y, f=function: f(x[0], y[0]).view(1, 1))
        first, second = lrp.record(model, x[None], y[None]).explain(LRP0, lrp.Target.logit(0)).parts.values()
        assert first.tolist() == second.tolist() == [[1.5, -1.0]]
    with pytest.raises(ValueError, match="one row at a time"):
        lrp.record(Net(lambda m, x: torch.inner(x, x * 2)), vectors(2))


def shifted(y):
    return torch.exp(y - y.max(1, keepdim=True)[0])


SOFTMAX = (lambda b, y: b * y.softmax(-1), lambda b, y: F.softplus(y) + 0 * b, lambda b, y: b * torch.sigmoid(y))
IDIOMS = {
    "softmax": (lambda b, y: b * (y.exp() / y.exp().sum(-1, keepdim=True)), SOFTMAX[0]),
    "softmax, shifted": (lambda b, y: b * (lambda e: e / e.sum(1)[:, None])(shifted(y)), SOFTMAX[0]),
    "softmax, sum in another way": (lambda b, y: b * (lambda e: e / e.sum((1,), True))(shifted(y)), SOFTMAX[0]),
    "sigmoid": (lambda b, y: b * (1 / (1 + torch.exp(-y))), SOFTMAX[2]),
    "sigmoid, the other way": (lambda b, y: b * (y.exp() / (y.exp() + 1)), SOFTMAX[2]),
    "sigmoid, by a reciprocal": (lambda b, y: b * torch.reciprocal((-y).exp() + 1.0), SOFTMAX[2]),
    "sigmoid, by div": (lambda b, y: b * torch.div(1.0, torch.add(1, (-y).exp())), SOFTMAX[2]),
    "softplus": (lambda b, y: torch.log(1 + y.exp()) + 0 * b, SOFTMAX[1]),
    "softplus, by log1p": (lambda b, y: torch.log1p(torch.exp(y)) + 0 * b, SOFTMAX[1]),
    "mish": (lambda b, y: y * torch.tanh(torch.log(1 + y.exp())) + b, lambda b, y: F.mish(y) + b),
    "silu": (lambda b, y: y / (1 + torch.exp(-y)) + b, lambda b, y: F.silu(y) + b),
    "logsumexp": (lambda b, y: b + y.exp().sum(1, True).log(), lambda b, y: b + y.logsumexp(1, True)),
    "logsumexp, shifted": (
        lambda b, y: b + (y.amax(1)[:, None] + (y - y.amax(1)[:, None]).exp().sum(1, keepdim=True).log()),
        lambda b, y: b + y.logsumexp(1, True),
    ),
}


@pytest.mark.parametrize("name", [name for name in IDIOMS if name != "logsumexp, shifted"])
def test_what_is_written_out_with_exp_is_known(name):
    ours, plain = (
        Net(lambda m, x, f=f: m.head(f(m.b(x), m.a(x))), a=nn.Linear(6, 6), b=nn.Linear(6, 6), head=nn.Linear(6, 3))
        for f in IDIOMS[name]
    )
    x = vectors(2)
    tape, other = lrp.record(ours, x), lrp.record(plain, x)
    for composite in COMPOSITES:
        explanation = tape.explain(composite, lrp.Target.logit(1))
        expected = other.explain(composite, lrp.Target.logit(1)).relevance
        torch.testing.assert_close(explanation.relevance, expected, rtol=1e-8, atol=1e-9)
        assert_ledger_closes(explanation)
    assert_rows_stand_alone(ours, lrp.presets.attn_lrp(), x)


def test_a_shifted_logsumexp_is_known():
    def forward(m, x):
        y = m.a(x)
        largest = y.amax(1, keepdim=True)
        return m.head(largest + (y - largest).exp().sum(1, keepdim=True).log())

    model = Net(forward, a=nn.Linear(6, 6), head=nn.Linear(1, 3))
    plain = Net(lambda m, x: m.head(m.a(x).logsumexp(1, True)), a=nn.Linear(6, 6), head=nn.Linear(1, 3))
    tapes = [lrp.record(net, vectors(2)) for net in (model, plain)]
    results = [tape.explain(lrp.presets.epsilon(0.1), lrp.Target.logit(1)).relevance for tape in tapes]
    torch.testing.assert_close(*results, rtol=1e-9, atol=1e-10)


NO_IDIOM = {
    "another exponent below": lambda y: y.exp() / (2 * y).exp().sum(-1, keepdim=True),
    "one more than two": lambda y: torch.log(2 + y.exp()),
    "two over it": lambda y: 2 / (1 + torch.exp(-y)),
    "sum over another axis": lambda y: (y.view(-1, 2, 3).exp() / y.view(-1, 2, 3).exp().sum((1, 2), True)).flatten(1),
}


@pytest.mark.parametrize("name", NO_IDIOM)
def test_what_only_looks_like_an_idiom_is_refused(name):
    tape = lrp.record(Net(lambda m, x: NO_IDIOM[name](m.a(x)), a=nn.Linear(6, 6)), vectors(1))
    with pytest.raises(lrp.UnsupportedOp, match=r"no propagation rule"):
        tape.explain(LRP0, lrp.Target.top())
    assert math.isfinite(tape.output.sum().item())


def test_a_read_out_that_is_written_out_is_known():
    for read_out, name in (
        (lambda z: (lambda e: e / e.sum(-1, keepdim=True))(shifted(z)), "softmax"),
        (lambda z: 1 / (1 + torch.exp(-z)), "sigmoid"),
    ):
        model = Net(lambda m, x, f=read_out: f(m.a(x)), a=nn.Linear(6, 3))
        tape = lrp.record(model, vectors(2))
        assert tape.readout == name
        torch.testing.assert_close(tape.scores, model.a(vectors(2)), rtol=1e-12, atol=1e-12)
