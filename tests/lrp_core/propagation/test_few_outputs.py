"""Heads that relevance starts at few outputs of: the same map and books as with all outputs, and far less work."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from lrp_core.propagation import few_outputs
from tests.lrp_core.networks import EVERY_RULE, Net, assert_ledger_closes, assert_rows_stand_alone
from tests.lrp_core.propagation import brute_force

D = torch.float64
COLUMNS = ("input", "bias", "epsilon", "softmax", "constant", "dropped")


def numbers(*shape):
    return torch.randn(*shape, dtype=D, generator=torch.Generator().manual_seed(5))


def plain(m, x):
    return m.head(m.body(x))


def rectified(m, x):
    return m.head(m.body(x)).relu()


def squashed(m, x):
    return torch.tanh(m.head(m.body(x)) / 3) * 3


def at_the_last_word(m, x):
    return m.head(m.body(x))[:, -1]


def words_first(m, x):
    """(L, B, K) inside."""
    return m.head(m.body(x.transpose(0, 1))).transpose(0, 1)


def through_experts(m, x):
    """Tokens in any order: the books name the row of each."""
    words = m.body(x).flatten(0, 1)
    order = torch.tensor([7, 0, 3, 1, 2, 6, 4, 5])
    back = torch.empty_like(m.head(words))
    back = back.index_copy(0, order, m.head(words[order]))
    return back.reshape(*x.shape[:2], -1)


FORWARDS = [plain, rectified, squashed, at_the_last_word, words_first, through_experts]


def network(forward):
    return Net(forward, body=nn.Linear(6, 5), head=nn.Linear(5, 40))


def targets(tape):
    shape = tape.scores.shape[1:]
    if len(shape) == 1:
        return [lrp.Target.top(), lrp.Target.difference(3, 39), lrp.Target.log_odds(2)]
    two = torch.zeros(shape, dtype=D)
    two[1, 7], two[1, 3] = 1.0, -1.0
    return [lrp.Target.at((1, 7)), lrp.Target.weights(two), lrp.Target.at((slice(None), 5))]


@pytest.mark.parametrize("forward", FORWARDS, ids=lambda f: f.__name__)
def test_few_outputs_give_what_all_of_them_give(forward, monkeypatch):
    model, x = network(forward), numbers(2, 4, 6) if forward is not rectified else numbers(2, 6)
    whole = lrp.record(model, x)
    assert not any("head" in step.memo for step in whole.steps), "small heads are left alone"
    monkeypatch.setattr(few_outputs, "LARGE", 1)
    picked = []
    monkeypatch.setattr(few_outputs, "AT_MOST", 0.6)
    part_of = few_outputs._part_of
    monkeypatch.setattr(few_outputs, "_part_of", lambda *args: picked.append(1) or part_of(*args))
    thin = lrp.record(model, x)
    for composite in EVERY_RULE:
        for target in targets(whole):
            one, other = (tape.explain(composite, target) for tape in (whole, thin))
            torch.testing.assert_close(other.relevance, one.relevance, rtol=1e-10, atol=1e-12)
            assert_ledger_closes(other)
            for column in COLUMNS:
                ours, theirs = (getattr(e.ledger.total, column) for e in (other, one))
                torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10)
    assert len(picked) >= len(EVERY_RULE), "some targets leave most outputs out"


@pytest.mark.parametrize("bias", ["absorb", "ignore", "spread"])
@pytest.mark.parametrize(
    "rule", [lrp.Epsilon(0.3), lrp.Gamma(0.25), lrp.ZPlus(), lrp.AlphaBeta(), lrp.Epsilon(0.3, True)]
)
def test_a_contrast_of_two_words_is_the_double_loop(rule, bias, monkeypatch):
    monkeypatch.setattr(few_outputs, "LARGE", 1)
    model = Net(lambda m, x: m.head(x), head=nn.Linear(5, 40))
    x = numbers(1, 5)
    tape = lrp.record(model, x)
    explanation = tape.explain(lrp.Composite(rule, bias=bias), lrp.Target.difference(31, 4))
    layer, z = brute_force.affine(model.head, (5,)), tape.scores[0].numpy()
    v = np.zeros(40)
    v[31], v[4] = 1.0, -1.0
    split = brute_force.propagate(layer, x[0].numpy(), v * z, rule, bias, rms=np.sqrt(np.mean(z**2)))
    np.testing.assert_allclose(explanation.relevance[0].numpy(), split.relevance, rtol=1e-10, atol=1e-12)
    for column in ("bias", "epsilon", "dropped"):
        assert getattr(explanation.ledger.total, column).item() == pytest.approx(getattr(split, column), abs=1e-10)


def test_rows_of_a_batch_keep_their_own_books(monkeypatch):
    monkeypatch.setattr(few_outputs, "LARGE", 1)
    for forward in (at_the_last_word,):
        for composite in EVERY_RULE:
            assert_rows_stand_alone(network(forward), composite, numbers(3, 4, 6))


def test_of_a_large_head_only_the_rows_of_the_target_are_read():
    """Whatever the rule: nothing as long as the vocabulary is computed with W."""
    model = Net(lambda m, x: m.head(F.relu(m.body(x))), body=nn.Linear(6, 64), head=nn.Linear(64, 2048, bias=False))
    model.float()
    tape = lrp.record(model, torch.rand(1, 6))
    assert any("head" in step.memo for step in tape.steps)
    for composite in EVERY_RULE:
        tape.explain(composite, lrp.Target.difference(5, 6))
    head = next(step for step in tape.steps if step.name == "head")
    assert not any(isinstance(item, torch.Tensor) and item.numel() >= 2048 for item in head.memo.values())
    assert not any(key[0] in ("positive", "walls") and entry.result.numel() >= 64 * 2048
                   for key, entry in tape._weights._entries.items())  # fmt: skip


def test_no_relevance_at_all_stays_none():
    model = Net(lambda m, x: m.head(x), head=nn.Linear(64, 2048)).float()
    tape = lrp.record(model, torch.rand(2, 64))
    explanation = tape.explain(lrp.presets.gamma(), lrp.Target.weights(torch.zeros(2048)))
    assert not explanation.relevance.any() and not explanation.ledger.total.input.any()
