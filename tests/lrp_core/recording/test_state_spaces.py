"""Mamba by MambaLRP (Jafari 2024): gradient x input of a network whose parameters of the state space are detached."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import EVERY_RULE, Net, assert_ledger_closes, assert_rows_stand_alone, vectors

D = torch.float64
WIDTH, STATE, LENGTH = 4, 3, 5


def mamba(m, x, held=lambda t: t, half=lambda t: t, signal=lambda t: F.silu(t)):
    """A block of Mamba, as transformers writes it; ``held`` and its like are for the oracle."""
    u, gate = m.in_proj(x.view(-1, LENGTH, WIDTH)).chunk(2, -1)
    u = signal(m.conv(u.transpose(1, 2))[..., :LENGTH])
    dt, b, c = m.x_proj(u.transpose(1, 2)).split([2, STATE, STATE], -1)
    dt = held(F.softplus(m.dt_proj(dt).transpose(1, 2)))
    b, c = held(b), held(c)
    decay = torch.exp(-torch.exp(m.log_a.weight)[None, :, None, :] * dt[:, :, :, None])
    taken_in = (dt[:, :, :, None] * b[:, None, :, :]) * u[:, :, :, None]
    state, seen = torch.zeros(len(u), WIDTH, STATE, dtype=x.dtype), []
    for moment in range(LENGTH):
        state = decay[:, :, moment] * state + taken_in[:, :, moment]
        seen.append((state @ c[:, moment, :, None])[..., 0])
    y = torch.stack(seen, -1) + u * m.skip.weight[0][None, :, None]
    y = half(y * signal(gate.transpose(1, 2)))
    return m.head(m.out_proj(y.transpose(1, 2)).mean(1))


def network():
    return Net(
        mamba,
        in_proj=nn.Linear(WIDTH, 2 * WIDTH, bias=False),
        conv=nn.Conv1d(WIDTH, WIDTH, 3, padding=2, groups=WIDTH),
        x_proj=nn.Linear(WIDTH, 2 + 2 * STATE, bias=False),
        dt_proj=nn.Linear(2, WIDTH),
        log_a=nn.Linear(STATE, WIDTH, bias=False),
        skip=nn.Linear(WIDTH, 1, bias=False),
        out_proj=nn.Linear(WIDTH, WIDTH, bias=False),
        head=nn.Linear(WIDTH, 3),
    )


def test_it_is_mamba_lrp():
    """Parameters detached, SiLU as x times a detached gate, and half the gradient through a product of two signals."""
    model, x = network(), vectors(2, LENGTH * WIDTH)
    tape = lrp.record(model, x)
    assert tape.unsupported() == ()
    explanation = tape.explain(lrp.presets.lrp0(), lrp.Target.logit(1))
    leaf = x.clone().requires_grad_()
    score = mamba(
        model,
        leaf,
        held=torch.Tensor.detach,
        half=lambda y: 0.5 * y + 0.5 * y.detach(),
        signal=lambda t: t * torch.sigmoid(t).detach(),
    )
    (gradient,) = torch.autograd.grad(score[:, 1].sum(), leaf)
    torch.testing.assert_close(explanation.relevance, gradient * x)
    assert_ledger_closes(explanation)
    absorbed = explanation.ledger.total.bias
    torch.testing.assert_close(explanation.ledger.total.input + absorbed, explanation.start.sum(1))


@pytest.mark.parametrize("composite", [*EVERY_RULE[:5], lrp.presets.cp_lrp(1e-3)], ids=str)
def test_rows_stand_alone(composite):
    assert_rows_stand_alone(network(), composite, vectors(2, LENGTH * WIDTH))


def test_the_baseline_goes_through_every_parameter():
    model, x = network(), vectors(2, LENGTH * WIDTH)
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)
    explanation = lrp.record(model, x).explain(lrp.presets.gradient_times_input(), lrp.Target.logit(1))
    torch.testing.assert_close(explanation.relevance, gradient * x)


def test_a_decay_without_a_step_size_is_refused_by_name():
    """RWKV and its like weigh the past by exponentials of keys; no rule is known here."""
    model = Net(lambda m, x: m.head(torch.exp(m.a(x)) * x), a=nn.Linear(6, 6), head=nn.Linear(6, 3))
    with pytest.raises(lrp.UnsupportedOp, match="exp"):
        lrp.record(model, vectors(1)).explain(lrp.presets.lrp0(), lrp.Target.logit(0))
