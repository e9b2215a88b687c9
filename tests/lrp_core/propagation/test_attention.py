"""Softmax, attention and matrix products: the worked numbers, loops as slow as the formulas read, and masks."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from lrp_core.propagation import attention as attention_module
from tests.lrp_core.networks import Net, assert_ledger_closes, gradient_times_input, vectors

D = torch.float64
ATTN, CP = lrp.presets.attn_lrp(0.0), lrp.presets.cp_lrp(0.0)


def handing_down(function, relevance: torch.Tensor, *inputs: torch.Tensor, composite=ATTN) -> lrp.Explanation:
    """``function`` under a head that hands exactly ``relevance`` to its flattened output."""
    model = Net(lambda m, *x: m.head(function(*x).flatten(1)), head=nn.Linear(relevance.numel(), 1, bias=False))
    model.head.weight.copy_((relevance / function(*inputs)).reshape(1, -1))
    explanation = lrp.record(model, *inputs).explain(composite, lrp.Target.logit(0))
    assert_ledger_closes(explanation)
    return explanation


def test_softmax_worked_numbers():
    explanation = handing_down(
        lambda x: torch.softmax(x, -1),
        torch.tensor([[0.1, 0.3, 0.6]], dtype=D),
        torch.tensor([[1.0, 2.0, 3.0]], dtype=D),
    )
    expected = torch.tensor([[0.009969, 0.110543, -0.195723]], dtype=D)
    torch.testing.assert_close(explanation.relevance, expected, rtol=0, atol=5e-7)
    assert explanation.ledger.total.softmax.item() == pytest.approx(1.0 + 0.075211, abs=5e-6)


A, V = torch.tensor([[[0.25, 0.75]]], dtype=D), torch.tensor([[[2.0, -1.0], [4.0, 1.0]]], dtype=D)
OF_A, OF_V = [[[-0.053571, 0.803571]]], [[[0.071429, -0.125], [0.428571, 0.375]]]


@pytest.mark.parametrize(
    "product",
    [torch.matmul, torch.bmm, lambda a, v: a @ v, lambda a, v: torch.einsum("bij,bjk->bik", a, v)],
    ids=["matmul", "bmm", "@", "einsum"],
)
def test_matrix_product_worked_numbers(product):
    parts = handing_down(product, torch.tensor([[1.0, 0.5]], dtype=D), A, V).parts.values()
    for part, expected in zip(parts, (OF_A, OF_V), strict=True):
        torch.testing.assert_close(part, torch.tensor(expected, dtype=D), rtol=0, atol=5e-7)


def test_in_cp_lrp_the_values_take_all():
    """A comes out of a softmax: its relevance is that of the values, twice the half of AttnLRP."""
    logits = A.log()
    explanation = handing_down(
        lambda x, v: torch.softmax(x, -1) @ v, torch.tensor([[1.0, 0.5]], dtype=D), logits, V, composite=CP
    )
    first, second = explanation.parts.values()
    assert not first.any()
    torch.testing.assert_close(second, 2 * torch.tensor(OF_V, dtype=D), rtol=0, atol=1e-6)
    assert explanation.ledger.total.softmax.item() == 0


def by_loops(q, k, v, mask, scale, relevance, groups=1):
    """R of queries, keys, values and of the mask, by the formulas for one row: q (H, L, E), mask (H, L, S) or None."""
    heads, length, size = q.shape
    of_q, of_k, of_v, of_mask = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v), 0.0
    for h in range(heads):
        g = h // groups
        for i in range(length):
            scores = [scale * sum(q[h, i, e] * k[g, j, e] for e in range(size)) for j in range(k.shape[1])]
            added = [0.0 if mask is None else mask[h, i, j].item() for j in range(k.shape[1])]
            seen = [j for j in range(k.shape[1]) if added[j] > -1e4]
            x = {j: scores[j] + added[j] for j in seen}
            norm = sum(math.exp(x[j]) for j in seen)
            a = {j: math.exp(x[j]) / norm for j in seen}
            out = [sum(a[j] * v[g, j, d] for j in seen) for d in range(v.shape[2])]
            of_a = {
                j: sum(a[j] * v[g, j, d] / (2 * out[d]) * relevance[h, i, d] for d in range(v.shape[2])) for j in seen
            }
            for j in seen:
                for d in range(v.shape[2]):
                    of_v[g, j, d] += a[j] * v[g, j, d] / (2 * out[d]) * relevance[h, i, d]
                of_x = x[j] * (of_a[j] - a[j] * sum(of_a.values()))
                of_mask += added[j] / x[j] * of_x
                for e in range(size):
                    share = scale * q[h, i, e] * k[g, j, e] / (2 * x[j]) * of_x
                    of_q[h, i, e] += share
                    of_k[g, j, e] += share
    return of_q, of_k, of_v, of_mask


def eager(q, k, v, attn_mask=None, scale=None, is_causal=False, enable_gqa=False):
    """The same attention in small steps."""
    if enable_gqa:
        k, v = (t.repeat_interleave(q.shape[-3] // k.shape[-3], -3) for t in (k, v))
    scores = torch.matmul(q, k.transpose(-1, -2)) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        scores = scores.masked_fill(~torch.ones(scores.shape[-2:]).tril().bool(), torch.finfo(scores.dtype).min)
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = torch.where(attn_mask, scores, torch.full((), -torch.inf, dtype=scores.dtype))
    elif attn_mask is not None:
        scores = scores + attn_mask
    return torch.matmul(F.dropout(torch.softmax(scores, -1), 0.1, False), v)


SEEN = torch.tensor([[1, 1, 1, 0], [1, 0, 1, 1], [0, 1, 0, 0]]).bool()
FORMS = {
    "plain": {},
    "scale": {"scale": 0.3},
    "bool mask": {"attn_mask": SEEN},
    "mask of minus infinity": {"attn_mask": torch.zeros(3, 4, dtype=D).masked_fill(~SEEN, -torch.inf)},
    "mask of the smallest number": {"attn_mask": torch.zeros(3, 4, dtype=D).masked_fill(~SEEN, torch.finfo(D).min)},
    "position bias": {"attn_mask": vectors(3, 4, seed=5)},
    "causal": {"is_causal": True},
    "grouped": {"enable_gqa": True},
    "grouped, masked": {"enable_gqa": True, "attn_mask": SEEN},
}


@pytest.mark.parametrize("attention", [F.scaled_dot_product_attention, eager], ids=["sdpa", "eager"])
@pytest.mark.parametrize("form", FORMS)
def test_attention_by_loops(form, attention):
    """Each query, key and value; what a position bias takes is the ledger's "constant", masks take nothing."""
    options = FORMS[form]
    groups = 3 if "enable_gqa" in options else 1
    q, k, v = (vectors(1, n, seed=n) for n in (6 * 3 * 2, 6 // groups * 4 * 2, 6 // groups * 4 * 3))
    q, k, v = q.view(1, 6, 3, 2), k.view(1, 6 // groups, 4, 2), v.view(1, 6 // groups, 4, 3)
    relevance = vectors(1, 6 * 3 * 3, seed=9)
    explanation = handing_down(lambda q, k, v: attention(q, k, v, **options), relevance.view(1, 6, 3, 3), q, k, v)
    mask = options.get("attn_mask")
    if "is_causal" in options:
        mask = torch.ones(3, 4).tril().bool()
    if mask is not None and mask.dtype == torch.bool:
        mask = torch.zeros(3, 4, dtype=D).masked_fill(~mask, -torch.inf)
    mask = None if mask is None else mask.expand(6, 3, 4)
    expected = by_loops(q[0], k[0], v[0], mask, options.get("scale", 2**-0.5), relevance.view(6, 3, 3), groups)
    for part, wanted in zip(explanation.parts.values(), expected[:3], strict=True):
        torch.testing.assert_close(part[0], wanted, rtol=1e-9, atol=1e-11)
    total = explanation.ledger.total
    assert total.constant.item() == pytest.approx(float(expected[3]), rel=1e-9, abs=1e-11)
    assert total.dropped.item() == pytest.approx(0.0, abs=1e-11)
    rest = relevance.sum() - sum(wanted.sum() for wanted in expected[:3]) - expected[3]
    assert total.softmax.item() == pytest.approx(rest.item(), rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("form", FORMS)
def test_in_cp_lrp_attention_is_a_fixed_average(form):
    """Values take their weighted share, queries and keys nothing; in one piece or in small steps."""
    options = FORMS[form]
    groups = 3 if "enable_gqa" in options else 1
    q, k, v = (vectors(1, n, seed=n) for n in (6 * 3 * 2, 6 // groups * 4 * 2, 6 // groups * 4 * 3))
    q, k, v = q.view(1, 6, 3, 2), k.view(1, 6 // groups, 4, 2), v.view(1, 6 // groups, 4, 3)
    relevance = vectors(1, 6 * 3 * 3, seed=9).view(1, 6, 3, 3)
    expected = None
    for attention in (F.scaled_dot_product_attention, eager):
        explanation = handing_down(
            lambda q, k, v, attention=attention: attention(q, k, v, **options), relevance, q, k, v, composite=CP
        )
        of_q, of_k, of_v = explanation.parts.values()
        assert not of_q.any() and not of_k.any()
        assert of_v.sum().item() == pytest.approx(relevance.sum().item())
        expected = of_v if expected is None else expected
        torch.testing.assert_close(of_v, expected)


def test_a_query_that_sees_nothing_is_no_nan():
    seen = torch.tensor([[True, True], [False, False]])
    model = Net(
        lambda m, x: m.head(F.scaled_dot_product_attention(x, x, x, attn_mask=seen).flatten(1)), head=nn.Linear(4, 2)
    )
    for composite in (ATTN, CP):
        explanation = lrp.record(model, vectors(1, 4).view(1, 2, 2)).explain(composite, lrp.Target.logit(0))
        assert explanation.relevance.isfinite().all()
        assert_ledger_closes(explanation)


def test_log_softmax_by_its_taylor_expansion():
    """AttnLRP: x_i (c_i - s_i sum c), of which log p_c gives c_i = [i = c]; CP-LRP: the normaliser is a constant."""
    model = Net(lambda m, x: m.head(F.log_softmax(x, -1)), head=nn.Linear(3, 3, bias=False))
    model.head.weight.copy_(torch.eye(3))
    x = vectors(2, 3)
    tape, one = lrp.record(model, x), torch.tensor([[1.0, 0.0, 0.0]], dtype=D)
    for composite, expected in ((ATTN, x * (one - torch.softmax(x, -1))), (CP, x * one)):
        explanation = tape.explain(composite, lrp.Target.logit(0))
        torch.testing.assert_close(explanation.relevance, expected, rtol=1e-10, atol=1e-12)
        assert_ledger_closes(explanation)


def test_operands_of_one_constant():
    """Attention pooling: a learned query takes its share as a constant, and what it looks at keeps the rest."""
    layers = {"head": nn.Linear(4, 2, bias=False), "query": nn.Linear(4, 1, bias=False)}
    model = Net(
        lambda m, x: m.head(F.scaled_dot_product_attention(m.query.weight.expand(len(x), 1, 4), x, x)[:, 0]), **layers
    )
    explanation = lrp.record(model, vectors(2, 12).view(2, 3, 4)).explain(ATTN, lrp.Target.logit(0))
    assert explanation.ledger.total.constant.abs().min() > 1e-6
    assert_ledger_closes(explanation)


def test_the_baseline_goes_through_attention_as_autograd_does():
    """Gradient x input, also where scores are minus infinity."""
    for options in FORMS.values():
        model = Net(
            lambda m, x, options=options: m.head(eager(x[:, :, :3], x, x, **options).flatten(1)), head=nn.Linear(24, 2)
        )
        x = vectors(1, 4 * 4 * 2).view(1, 4, 4, 2)
        explanation = lrp.record(model, x).explain(lrp.presets.gradient_times_input(), lrp.Target.logit(1))
        expected = gradient_times_input(model, x, torch.tensor([[0.0, 1.0]], dtype=D))
        torch.testing.assert_close(explanation.relevance, expected, rtol=1e-9, atol=1e-12)
        assert_ledger_closes(explanation)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.5), "scaled_dot_product_attention"),
        (lambda x: torch.einsum("bij,bjk,bkl->bil", x, x, x), "einsum"),
        (lambda x: 1.0 / x, "rdiv"),
        (lambda x: torch.div(x, 3.0, rounding_mode="floor"), "div"),
    ],
    ids=["dropout", "three operands", "reciprocal", "rounded"],
)
def test_forms_without_a_rule_are_refused(function, name):
    model = Net(lambda m, x: m.head(function(m.dense(x)).flatten(1)), dense=nn.Linear(3, 3), head=nn.Linear(9, 2))
    tape = lrp.record(model, vectors(1, 9).view(1, 3, 3))
    assert [step.op for step in tape.unsupported()] == [name]
    with pytest.raises(lrp.UnsupportedOp, match=rf"{name}.*\.$"):
        tape.explain(ATTN, lrp.Target.top())


@pytest.mark.parametrize("attention", ["attnlrp", "cp"])
def test_weights_too_large_to_be_kept_are_computed_by_the_walk(monkeypatch, attention):
    """Recording then leaves attention to torch; nothing else differs."""

    class OnePiece(nn.Module):
        def forward(self, x):
            q, k, v = x.reshape(1, 2, 6, 12).chunk(3, -1)
            return F.scaled_dot_product_attention(q, k, v).mean(2).flatten(1)

    x = torch.randn(1, 144, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    composite = lrp.Composite(lrp.Epsilon(1e-3), attention=attention)
    kept = lrp.record(OnePiece().eval(), x)
    monkeypatch.setattr(attention_module, "KEPT", 2 * 6 * 6 * 8 - 1)
    left = lrp.record(OnePiece().eval(), x)
    memos = [next(s.memo for s in tape.steps if s.kind == "attention") for tape in (kept, left)]
    assert ["probabilities" in memo for memo in memos] == [True, False]
    torch.testing.assert_close(kept.output, left.output)
    one, other = (tape.explain(composite, lrp.Target.logit(1)) for tape in (kept, left))
    torch.testing.assert_close(one.relevance, other.relevance)
    torch.testing.assert_close(one.ledger.total.softmax, other.ledger.total.softmax)
