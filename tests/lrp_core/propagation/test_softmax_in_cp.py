"""CP-LRP takes the weights of attention for constants, however it is written; for other softmaxes it has no rule.

The oracle for networks that are linear but for their attention: gradient x input with the weights detached, which is
what CP-LRP computes (Ali 2022).
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import Net, assert_ledger_closes, gradient_times_input, vectors

CP, ATTN = lrp.presets.cp_lrp(0.0), lrp.presets.attn_lrp(0.0)
LENGTH, HEADS, WIDTH = 4, 2, 6


def softmax(scores, axis=-1):
    return torch.softmax(scores, axis)


def in_heads(t):
    return t.view(len(t), LENGTH, HEADS, WIDTH // HEADS).transpose(1, 2)


def weighing(attend):
    """A network whose queries, keys and values are put together by ``attend(m, q, k, v)``, (B, heads, tokens, 3)."""

    def forward(m, x):
        heads = attend(m, *(in_heads(layer(x)) for layer in (m.q, m.k, m.v)))
        return m.head(m.o(heads.transpose(1, 2).reshape(len(x), LENGTH, WIDTH)).mean(1))

    return forward


def eager(m, q, k, v):
    """As transformers write it."""
    weights = softmax(torch.matmul(q, k.transpose(2, 3)) / math.sqrt(3)).to(q.dtype)
    return torch.matmul(F.dropout(weights, 0.1, training=False), v)


def in_one_batch(m, q, k, v):
    weights = softmax(q @ k.mT).reshape(-1, LENGTH, LENGTH)
    return torch.bmm(weights, v.reshape(-1, LENGTH, 3)).view(-1, HEADS, LENGTH, 3)


def head_by_head(m, q, k, v):
    first, second = softmax(q @ k.mT).chunk(2, 1)
    return torch.cat([first @ v[:, :1], second @ v[:, 1:]], 1)


def talking_by_linear(m, q, k, v):
    return m.talk(softmax(q @ k.mT).permute(0, 2, 3, 1)).permute(0, 3, 1, 2) @ v


def normalised_again(m, q, k, v):
    weights = softmax(q @ k.mT)
    return weights / (1e-9 + weights.sum(-2, keepdim=True)) @ v


def gumbel(m, x):
    """One expert, chosen by the largest of noisy scores: hard numbers, soft gradient (Jang 2017)."""
    soft = softmax((m.gate(x[:, 0]) + torch.tensor([0.1, 0.2, 0.3], dtype=x.dtype)) / 0.7)
    hard = F.one_hot(soft.argmax(-1), 3).to(x.dtype)
    return m.head(sum((hard - soft.detach() + soft)[:, i : i + 1] * e(x[:, 0]) for i, e in enumerate((m.q, m.k, m.v))))


def experts(m, x):
    return m.head(
        (softmax(m.gate(x[:, 0]))[..., None] * torch.stack([m.q(x[:, 0]), m.k(x[:, 0]), m.v(x[:, 0])], 1)).sum(1)
    )


ATTENTION = {
    "as in transformers": weighing(eager),
    "einsum": weighing(lambda m, q, k, v: torch.einsum(
        "bhqk,bhkd->bhqd", softmax(torch.einsum("bhqd,bhkd->bhqk", q, k)), v)),
    "in one batch": weighing(in_one_batch),
    "head by head": weighing(head_by_head),
    "turned round": weighing(lambda m, q, k, v: torch.einsum("bhkq,bhkd->bhqd", softmax(q @ k.mT).mT, v)),
    "talking heads": weighing(lambda m, q, k, v: m.mix(softmax(m.mix(q @ k.mT))) @ v),
    "talking heads, linear": weighing(talking_by_linear),
    "normalised again": weighing(normalised_again),
    "differential": weighing(lambda m, q, k, v: (softmax(q @ k.mT) - 0.3 * softmax(k @ q.mT)) @ v),
    "heads averaged": weighing(lambda m, q, k, v: softmax(q @ k.mT).mean(1, keepdim=True) @ v),
    "three softmaxes": weighing(lambda m, q, k, v: softmax(q @ k.mT) @ softmax(k @ k.mT) @ v),
    "linear attention": weighing(lambda m, q, k, v: softmax(q) @ (softmax(k, -2).mT @ v)),
    "pooled": lambda m, x: m.head((softmax(m.score(x), 1) * x).sum(1)),
    "pooled by a product": lambda m, x: m.head((softmax(m.score(x), 1).mT @ x).squeeze(1)),
    "squeeze and excite": lambda m, x: m.head((x * softmax(m.q(x.mean(1)))[:, None]).mean(1)),
    "mixture of experts": experts,
    "experts by einsum": lambda m, x: m.head(torch.einsum(
        "be,bed->bd", softmax(m.gate(x[:, 0])), torch.stack([m.q(x[:, 0]), m.k(x[:, 0]), m.v(x[:, 0])], 1))),
    "gumbel": gumbel,
}  # fmt: skip
NO_ATTENTION = {
    "soft argmax": lambda m, x: m.head(softmax(m.q(x[:, 0])) @ torch.diag(torch.arange(6.0, dtype=x.dtype))),
    "memory": lambda m, x: m.head((softmax(m.q(x)) @ m.k.weight).mean(1)),
    "memory in one piece": lambda m, x: m.head(F.scaled_dot_product_attention(
        m.q(x), m.k.weight.expand(len(x), 6, 6), m.v.weight.expand(len(x), 6, 6)).mean(1)),
    "a memory that scales": lambda m, x: m.head((softmax(m.q(x[:, 0])) @ m.k.weight) * m.v(x[:, 0])),
    "mixture weights": lambda m, x: m.head(softmax(m.q(x[:, 0]))),
    "in the middle": lambda m, x: m.head(torch.relu(m.o(softmax(m.q(x[:, 0]))))),
    "beside a signal": lambda m, x: m.head(m.q(x[:, 0]) + softmax(m.k(x[:, 0]))),
    "two that multiply": lambda m, x: m.head(softmax(m.q(x[:, 0])) * softmax(m.k(x[:, 0]))),
    "a memory that is attended to": weighing(lambda m, q, k, v: softmax(q @ k.mT) @ (softmax(v) @ m.small.weight)),
}  # fmt: skip


def network(forward) -> Net:
    layers = {name: nn.Linear(WIDTH, WIDTH, bias=False) for name in "qkvo"}
    others = {"mix": nn.Conv2d(HEADS, HEADS, 1, bias=False), "talk": nn.Linear(HEADS, HEADS, bias=False)}
    others |= {"gate": nn.Linear(WIDTH, 3), "score": nn.Linear(WIDTH, 1), "small": nn.Linear(3, 3)}
    return Net(forward, **layers, **others, head=nn.Linear(WIDTH, 2, bias=False))


def tokens() -> torch.Tensor:
    return vectors(2, LENGTH * WIDTH).view(2, LENGTH, WIDTH)


@pytest.mark.parametrize("name", ATTENTION)
def test_weights_of_attention_are_constants(name, monkeypatch):
    model, x = network(ATTENTION[name]), tokens()
    tape = lrp.record(model, x)
    explanation = tape.explain(CP, lrp.Target.logit(1))
    assert_ledger_closes(explanation)
    assert not explanation.ledger.total.softmax.any()
    plain = torch.softmax
    monkeypatch.setattr(torch, "softmax", lambda *args: plain(*args).detach())
    expected = gradient_times_input(model, x, torch.tensor([[0.0, 1.0]], dtype=x.dtype))
    torch.testing.assert_close(explanation.relevance, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", NO_ATTENTION)
def test_other_softmaxes_are_refused_and_have_a_rule_in_attn_lrp(name):
    tape = lrp.record(network(NO_ATTENTION[name]), tokens())
    with pytest.raises(lrp.UnsupportedOp, match=r'^CP-LRP has no rule for the step .*attention="attnlrp" instead\.$'):
        tape.explain(CP, lrp.Target.logit(1))
    explanation = tape.explain(ATTN, lrp.Target.logit(1))
    assert_ledger_closes(explanation)
    assert explanation.relevance.abs().max() > 1e-6


def test_a_refusal_names_the_step_and_leaves_the_tape_as_it_was():
    tape = lrp.record(network(NO_ATTENTION["mixture weights"]), tokens())
    before = tape.explain(ATTN, lrp.Target.logit(1))
    with pytest.raises(lrp.UnsupportedOp, match=r"'softmax#1', whose scores come from 'q'"):
        tape.explain(CP, lrp.Target.logit(1))
    assert torch.equal(tape.explain(ATTN, lrp.Target.logit(1)).relevance, before.relevance)


def test_weights_weigh_values_between_0_and_1_as_any_other():
    """A sigmoid is a gate too, but of two factors the softmax is more of one."""
    tape = lrp.record(network(weighing(lambda m, q, k, v: softmax(q @ k.mT) @ torch.sigmoid(v))), tokens())
    explanation = tape.explain(CP, lrp.Target.logit(1))
    assert not explanation.ledger.total.softmax.any()
    assert_ledger_closes(explanation)


def test_one_minus_a_gate_is_a_gate():
    """The update of a GRU, written by hand: (1 - z) * n + z * h, where both signals take all (Arras 2017)."""

    def forward(m, x, h):
        z = torch.sigmoid(m.update(x))
        return m.head((1 - z) * torch.tanh(m.new(x)) + z * h)

    model = Net(forward, **{name: nn.Linear(WIDTH, WIDTH, bias=False) for name in ("update", "new", "head")})
    x, h = vectors(2, WIDTH), vectors(2, WIDTH, seed=1)
    tape = lrp.record(model, x, h)
    explanation = tape.explain(CP, lrp.Target.logit(1))
    z, n = torch.sigmoid(model.update(x)), torch.tanh(model.new(x))
    of_x, of_h = explanation.parts.values()
    torch.testing.assert_close(of_h, model.head.weight[1] * z * h)
    torch.testing.assert_close(of_x.sum(1), (model.head.weight[1] * (1 - z) * n).sum(1))
