"""Rotary positions written out by a model: one step, with the map and the books of the six that it stands for."""

import pytest
import torch
from torch import nn

import lrp_core as lrp
from lrp_core.recording import finish
from tests.lrp_core.networks import EVERY_RULE, Net, assert_ledger_closes, assert_rows_stand_alone, gradient_times_input
from tests.lrp_core.recording.test_written_norms import llama_model

D = torch.float64
COMPOSITES = [*EVERY_RULE, lrp.presets.attn_lrp(0.1), lrp.presets.cp_lrp(0.1), lrp.presets.gradient_times_input()]


def numbers(*shape):
    return torch.randn(*shape, dtype=D, generator=torch.Generator().manual_seed(7))


COS, SIN = numbers(3, 6), numbers(3, 6)


def half(x):
    return torch.cat((-x[..., 3:], x[..., : x.shape[-1] // 2]), dim=-1)


def by_chunks(x):
    first, second = x.chunk(2, dim=-1)
    return torch.cat([-second, first], -1)


def llama(x):
    return x * COS + half(x) * SIN


def turned_first(x):
    return SIN[None] * by_chunks(x) + COS * x


def of_a_part(x):
    """As GPT-NeoX does: the rest stays as it is."""
    return torch.cat([llama(x[..., :6]), x[..., 6:]], -1)


WRITTEN = [llama, turned_first, of_a_part]


def network(written):
    size = 8 if written is of_a_part else 6
    return Net(lambda m, x: m.head(written(m.body(x)).relu()).sum(1), body=nn.Linear(5, size), head=nn.Linear(size, 4))


@pytest.mark.parametrize("written", WRITTEN, ids=lambda f: f.__name__)
def test_it_is_what_its_parts_are(written, monkeypatch):
    x = numbers(2, 3, 5)
    one = lrp.record(network(written), x)
    assert [step.op for step in one.steps].count("rotary") == 1
    assert not {"neg", "mul", "add"} & {step.op for step in one.steps}
    monkeypatch.setattr(finish, "find_written_rotary", lambda steps: None)
    other = lrp.record(network(written), x)
    assert {"neg", "mul", "add"} <= {step.op for step in other.steps}
    for composite in COMPOSITES:
        ours, theirs = (tape.explain(composite, lrp.Target.logit(1)) for tape in (one, other))
        torch.testing.assert_close(ours.relevance, theirs.relevance, rtol=1e-10, atol=1e-12)
        assert_ledger_closes(ours)
        for column in ("input", "bias", "epsilon", "dropped"):
            mine, its = (getattr(e.ledger.total, column) for e in (ours, theirs))
            torch.testing.assert_close(mine, its, rtol=1e-9, atol=1e-10)
    v = torch.zeros(2, 4, dtype=D)
    v[:, 1] = 1.0
    torch.testing.assert_close(
        one.explain(lrp.presets.lrp0(), lrp.Target.logit(1)).relevance, gradient_times_input(network(written), x, v)
    )


@pytest.mark.parametrize("written", WRITTEN, ids=lambda f: f.__name__)
def test_rows_stand_alone(written):
    assert_rows_stand_alone(network(written), lrp.presets.attn_lrp(0.1), numbers(3, 3, 5))


def other_sign(x):
    return x * COS + torch.cat((x[..., 3:], -x[..., :3]), -1) * SIN


def other_half(x):
    return x * COS + torch.cat((-x[..., :3], x[..., 3:]), -1) * SIN


def other_place(x):
    return x * COS + half(x + 1) * SIN


def uneven(x):
    return x * COS + torch.cat((-x[..., 2:], x[..., :2]), -1) * SIN


def along_words(x):
    return x[:, :2] * COS[:2] + torch.cat((-x[:, 1:2], x[:, :1]), 1) * SIN[:2]


@pytest.mark.parametrize("other", [other_sign, other_half, other_place, uneven, along_words], ids=lambda f: f.__name__)
def test_what_only_looks_like_one_is_none(other):
    tape = lrp.record(network(other), numbers(2, 3, 5))
    assert not any(step.op == "rotary" for step in tape.steps)


def test_a_language_model_turns_queries_and_keys():
    ids = torch.arange(3, 10)[None]
    tape = lrp.record(llama_model(), input_ids=ids, use_cache=False, output=lambda o: o.logits[:, -1])
    assert [step.op for step in tape.steps].count("rotary") == 4
    assert_ledger_closes(tape.explain(lrp.presets.attn_lrp(1e-6), lrp.Target.top()))
    assert not any(step.op == "cat" for step in tape.steps)
