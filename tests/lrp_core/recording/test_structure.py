"""Branches, views, constants, odd orders and odd places of batch norm; the oracle is gradient x input."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import (
    CHANNELS,
    SIZE,
    Net,
    assert_ledger_closes,
    assert_lrp0_is_gradient_times_input,
    random_input,
    vectors,
)

LRP0, TOP = lrp.presets.lrp0(), lrp.Target.top()


PIECEWISE_LINEAR = {
    "residual": lambda m, x: m.head(F.relu(x + m.a(F.relu(m.b(x))))),
    "subtraction": lambda m, x: m.head(F.relu(m.a(x) - m.b(x))),
    "scaled branch": lambda m, x: m.head(F.relu(m.a(x) + 0.5 * m.b(x))),
    "negated": lambda m, x: m.head(F.relu(-m.a(x))),
    "same operand twice": lambda m, x: m.head(F.relu(m.a(x) + m.a(x))),
    "operand with itself": lambda m, x: (lambda y: m.head(y + y))(F.relu(m.a(x))),
    "concatenation": lambda m, x: m.wide(torch.cat([F.relu(m.a(x)), x], 1)),
    "concatenation with constants": lambda m, x: m.wide(torch.cat([F.relu(m.a(x)), torch.ones_like(x)], 1)),
    "stack and sum": lambda m, x: m.head(F.relu(torch.stack([m.a(x), m.b(x)], 1).sum(1))),
    "stack and mean": lambda m, x: m.head(F.relu(torch.stack([m.a(x), m.b(x)], 2).mean(2))),
    "split": lambda m, x: m.head(torch.cat(F.relu(m.a(x)).split([2, 4], 1)[::-1], 1)),
    "chunk, one dropped": lambda m, x: m.wide(torch.cat([F.relu(m.a(x)).chunk(2, 1)[0]] * 4, 1)),
    "dead branch": lambda m, x: (m.b(x).relu(), m.head(F.relu(m.a(x))))[1],
    "dead end in the walk": lambda m, x: m.head((lambda y: (m.b(y), y)[1])(F.relu(m.a(x)))),
    "detached constant": lambda m, x: m.head(F.relu(m.a(x)) + torch.arange(6, dtype=x.dtype)),
    "number added": lambda m, x: m.head(F.relu(m.a(x) + 0.3)),
    "number from the left": lambda m, x: m.head(1.0 - F.relu(m.a(x))),
    "divided": lambda m, x: m.head(F.relu(m.a(x)) / 3.0),
    "parameter scaled": lambda m, x: m.head(F.relu(m.a(x)) * m.b.weight[0]),
    "relu of a relu": lambda m, x: m.head(F.relu(F.relu(m.a(x)))),
    "relu beside its input": lambda m, x: (lambda y: m.head(F.relu(y) - y))(m.a(x)),
    "both signs": lambda m, x: (lambda y: m.wide(torch.cat([F.relu(y), F.relu(-y)], 1)))(m.a(x)),
    "relu as output": lambda m, x: m.head(F.relu(m.a(x))).relu_(),
    "logits used twice": lambda m, x: (lambda z: z + z.flip(1))(m.head(F.relu(m.a(x)))),
    "where": lambda m, x: (lambda y: m.head(torch.where(y > 0.1, y, -y)))(m.a(x)),
    "transpose": lambda m, x: m.head(F.relu(m.a(x)).view(-1, 2, 3).transpose(1, 2).reshape(-1, 6)),
    "permute and index": lambda m, x: m.head(F.relu(m.a(x)).unsqueeze(0).permute(1, 2, 0)[..., 0]),
    "expand": lambda m, x: m.head(F.relu(m.a(x)).mean(1, keepdim=True).expand(-1, 6)),
    "padded": lambda m, x: m.wide(F.pad(F.relu(m.a(x)), (2, 4))),
    "padded with a number": lambda m, x: m.wide(F.pad(F.relu(m.a(x)), (2, 4), value=3.0)),
    "largest of each pair": lambda m, x: m.head(torch.amax(m.a(x).view(-1, 3, 2), 2).repeat(1, 2)),
    "largest, with its place": lambda m, x: m.head(m.a(x).view(-1, 2, 3).max(2)[0].repeat(1, 3)),
    "flipped": lambda m, x: m.head(F.relu(m.a(x)).flip(1)),
    "dropout": lambda m, x: m.head(F.dropout(F.relu(m.a(x)), 0.5, m.training)),
    "identity": lambda m, x: m.head(nn.Identity()(F.relu(m.a(x)).contiguous().clone())),
    "functional linear": lambda m, x: F.linear(F.relu(F.linear(x, m.a.weight, m.a.bias)), m.head.weight),
    "matmul with a parameter": lambda m, x: F.relu(x @ m.a.weight.T + m.a.bias) @ m.head.weight.T,
    "addmm": lambda m, x: m.head(F.relu(torch.addmm(m.a.bias, x, m.a.weight.T))),
    "chained": lambda m, x: m.head(F.relu(m.b(m.a(x)))),
    "output of a sum": lambda m, x: m.head(F.relu(m.a(x))) + m.head(x),
}


@pytest.mark.parametrize("name", PIECEWISE_LINEAR)
def test_structure(name):
    """Each of these is piecewise linear, so LRP-0 must be gradient x input and nothing may be refused."""
    model = Net(
        PIECEWISE_LINEAR[name],
        head=nn.Linear(6, 3),
        b=nn.Linear(6, 6),
        a=nn.Linear(6, 6),
        wide=nn.Linear(12, 3),
    )
    assert lrp.record(model, vectors(1)).unsupported() == ()
    for rows in (1, 3):
        assert_lrp0_is_gradient_times_input(model, vectors(rows))


def test_a_batch_axis_that_moves_is_refused_or_right():
    """The ledger counts row by row; where a step hides the rows among another axis it must say so, or count right."""
    model = Net(
        lambda m, x: m.head(F.relu(torch.stack([m.a(x), m.b(x)]).sum(0))),
        a=nn.Linear(6, 6),
        b=nn.Linear(6, 6),
        head=nn.Linear(6, 3),
    )
    assert_lrp0_is_gradient_times_input(model, vectors(1))
    try:
        lrp.record(model, vectors(3))
    except ValueError as refusal:
        assert "batch axis" in str(refusal) and str(refusal).endswith(".")
    else:
        assert_lrp0_is_gradient_times_input(model, vectors(3))


IMAGES = {
    "norm before convolution": lambda m, x: m.conv(m.norm(x)),
    "norm after relu": lambda m, x: m.norm(F.relu(m.conv(x))),
    "norm after sum": lambda m, x: F.relu(m.norm(x + m.conv(x))),
    "norm whose convolution is read elsewhere": lambda m, x: (lambda y: F.relu(m.norm(y)) + y)(m.conv(x)),
    "one norm after two convolutions": lambda m, x: m.norm(m.conv(x)) + m.norm(m.second(x)),
    "two norms after one convolution": lambda m, x: m.other(m.norm(m.conv(x))),
    "two norms that read one convolution": lambda m, x: (lambda y: m.other(y) - m.norm(y))(m.conv(x)),
    "norm after a view": lambda m, x: m.norm(m.conv(x).view(x.shape)),
    "norm alone": lambda m, x: m.norm(x),
    "functional norm": lambda m, x: F.batch_norm(m.conv(x), m.norm.running_mean, m.norm.running_var, training=False),
    "channel shuffle": lambda m, x: m.conv(x).view(-1, 1, 3, 6, 6).transpose(1, 2).reshape(-1, 3, 6, 6),
    "strided pools": lambda m, x: F.interpolate(F.max_pool2d(m.conv(x), 2, ceil_mode=True), scale_factor=2),
    "pool without padding in the mean": lambda m, x: F.avg_pool2d(m.conv(x), 3, 1, 1, count_include_pad=False),
    "dilated max pool": lambda m, x: F.pad(F.max_pool2d(F.relu(m.conv(x)), 2, 1, 0, 2), (1, 1, 1, 1)),
    "reflect padding": lambda m, x: F.conv2d(F.pad(x, (1, 1, 1, 1), "reflect"), m.conv.weight, m.conv.bias),
    "circular padding": lambda m, x: m.circular(x),
    "concatenated channels": lambda m, x: torch.cat([m.conv(x)[:, :1], F.relu(m.second(x))[:, 1:]], 1),
    "adaptive max": lambda m, x: F.adaptive_max_pool2d(m.conv(x), 3).repeat(1, 1, 2, 2),
    "mean over space": lambda m, x: m.conv(x) + m.second(x).mean((2, 3), keepdim=True),
}


@pytest.mark.parametrize("layout", ["contiguous", "channels last", "strided view"])
@pytest.mark.parametrize("name", IMAGES)
def test_image_structure(name, layout):
    """Right where supported, refused where not, in any memory layout; batch norms in odd places above all."""
    model = Net(
        lambda m, x: m.head(IMAGES[name](m, x).flatten(1)),
        norm=nn.BatchNorm2d(CHANNELS),
        other=nn.BatchNorm2d(CHANNELS),
        conv=nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
        second=nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False),
        circular=nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, padding_mode="circular"),
        head=nn.Linear(CHANNELS * SIZE * SIZE, 3),
    )
    x = random_input(batch=3)
    if layout == "channels last":
        x = x.contiguous(memory_format=torch.channels_last)
    elif layout == "strided view":
        x = torch.stack([x, x + 1], -1)[..., 0].transpose(2, 3)
        assert not x.is_contiguous()
    tape = lrp.record(model, x)
    if name in ("reflect padding", "circular padding", "strided pools", "adaptive max") and tape.unsupported():
        with pytest.raises(lrp.UnsupportedOp):
            tape.explain(LRP0, TOP)
        return
    assert tape.unsupported() == ()
    assert_lrp0_is_gradient_times_input(model, x)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_branch_is_refused():
    """Compiled code runs unseen; beside a skip connection it would pass for a constant."""

    class Scripted(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.head = torch.jit.script(nn.Linear(6, 6)), nn.Linear(6, 3)

        def forward(self, x):
            return self.head(self.a(x) + x)

    with pytest.raises((ValueError, TypeError), match=r"\.$"):
        lrp.record(Scripted().double().eval(), vectors()).explain(LRP0, TOP)


def test_a_gate_takes_half_or_nothing():
    """y = a * sigmoid(b): AttnLRP shares half each, CP-LRP gives all to the signal (Achtibat 2024; Ali 2022)."""
    model = Net(
        lambda m, x, y: m.head(x * torch.sigmoid(y)),
        head=nn.Linear(4, 3, bias=False),
    )
    x, y = vectors(2, 4), vectors(2, 4, seed=1)
    score = model(x, y)[:, 1]
    parts = {
        mode: lrp.record(model, x, y).explain(lrp.Composite(lrp.LRP0(), attention=mode), lrp.Target.logit(1)).parts
        for mode in ("attnlrp", "cp")
    }
    for mode, shares in (("attnlrp", (0.5, 0.5)), ("cp", (1.0, 0.0))):
        for part, share in zip(parts[mode].values(), shares, strict=True):
            torch.testing.assert_close(part.sum(1), share * score)


def test_the_constant_takes_its_share():
    """head(x + c) with one weight: of z = w x + w c, the ledger books w c as constant."""
    model = Net(lambda m, x: m.head(x + torch.full_like(x, 3.0)), head=nn.Linear(2, 2, bias=False))
    model.head.weight.fill_(1.0)
    explanation = lrp.record(model, torch.ones(1, 2, dtype=torch.float64)).explain(LRP0, lrp.Target.logit(0))
    assert explanation.relevance.tolist() == [[1.0, 1.0]]
    assert explanation.ledger.total.constant.item() == pytest.approx(6.0)


def test_constants_in_a_concatenation_are_booked():
    model = Net(lambda m, x: m.head(torch.cat([x, torch.full_like(x, 3.0)], 1)), head=nn.Linear(4, 2, bias=False))
    model.head.weight.fill_(1.0)
    explanation = lrp.record(model, torch.ones(1, 2, dtype=torch.float64)).explain(LRP0, lrp.Target.logit(0))
    assert explanation.ledger.total.constant.item() == pytest.approx(6.0)
    assert_ledger_closes(explanation)


def test_first_is_the_first_executed_not_the_first_registered():
    model = Net(
        lambda m, x: m.z_head(F.relu(m.b(F.relu(m.c(x))))), b=nn.Linear(6, 6), z_head=nn.Linear(6, 3), c=nn.Linear(6, 6)
    )
    composite = lrp.Composite(lrp.LRP0(), first=lrp.Flat())
    rules = {step.name: rule for step, rule in lrp.record(model, vectors()).plan(composite)}
    assert (rules["c"], rules["b"], rules["z_head"]) == (lrp.Flat(), lrp.LRP0(), lrp.LRP0())


def test_first_can_be_several_layers():
    """Two branches read the input, one of them through a view: both are first; the third layer is not."""
    model = Net(
        lambda m, x: m.head(F.relu(m.a(x) + m.b(x.flatten(1)))),
        a=nn.Linear(6, 6),
        b=nn.Linear(6, 6),
        head=nn.Linear(6, 3),
    )
    rules = {
        step.name: rule for step, rule in lrp.record(model, vectors()).plan(lrp.Composite(lrp.LRP0(), first=lrp.Flat()))
    }
    assert (rules["a"], rules["b"], rules["head"]) == (lrp.Flat(), lrp.Flat(), lrp.LRP0())
