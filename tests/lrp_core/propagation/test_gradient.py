"""The baseline, gradient x input, against autograd on any graph: also through what LRP takes for a constant."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import Net, assert_ledger_closes, vectors

BASELINE = lrp.presets.gradient_times_input()
SIZE = 6
CONSTANT = torch.tensor([0.5, -1.0, 2.0, 0.0, 1.5, -0.25], dtype=torch.float64)


def relu_in_place(m, x, y):
    z = m.a(x)
    z += y
    return z.relu_()


def hard_choice(m, x, y):
    """Straight through: the numbers of one, the gradient of another."""
    soft = torch.softmax(x, 1)
    return (soft == soft.amax(1, keepdim=True)).to(x) - soft.detach() + soft + y


STEPS = {
    "dense": lambda m, x, y: m.a(x),
    "dense, relu": lambda m, x, y: F.relu(m.b(x)),
    "relu in place": relu_in_place,
    "relu, read twice": lambda m, x, y: F.relu(x) + torch.tanh(F.relu(x)) + y,
    "add": lambda m, x, y: torch.add(x, y, alpha=-2),
    "constant minus": lambda m, x, y: CONSTANT - x,
    "constant written to": lambda m, x, y: CONSTANT.expand(len(x), SIZE).clone().mul_(x).add_(y),
    "two signals": lambda m, x, y: x * y,
    "square": lambda m, x, y: x * x,
    "gate": lambda m, x, y: x * torch.sigmoid(y),
    "gate of its own": lambda m, x, y: x * torch.sigmoid(1.702 * x),
    "deviation": lambda m, x, y: x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1),
    "deviation of another": lambda m, x, y: x * torch.rsqrt(y.pow(2).mean(1, keepdim=True) + 1),
    "largest": lambda m, x, y: x / (1 + x.abs().amax(1, keepdim=True)),
    "relu below": lambda m, x, y: x / (1 + F.relu(m.a(y))),
    "norm": lambda m, x, y: m.norm(x),
    "unit length": lambda m, x, y: F.normalize(x + CONSTANT, dim=1),
    "softmax": lambda m, x, y: torch.softmax(x, 1) * y,
    "masked softmax": lambda m, x, y: torch.softmax(m.a(x).masked_fill(CONSTANT < 0, -torch.inf).to(y), 1) + y,
    "log softmax": lambda m, x, y: F.log_softmax(x, 1),
    "pooled": lambda m, x, y: F.max_pool1d(x[:, None], 3, 1, 1)[:, 0] + F.avg_pool1d(y[:, None], 3, 1, 1)[:, 0],
    "moved": lambda m, x, y: torch.cat([x[:, 2:].flip(1), y[:, :2]], 1),
    "chosen": lambda m, x, y: torch.where(x > y, x, 0.5),
    "filled": lambda m, x, y: x.masked_fill(CONSTANT > 1, 3.0) + y,
    "clamped": lambda m, x, y: torch.clamp(x, min=y, max=torch.full_like(x, 2.0)),
    "detached": lambda m, x, y: x * y.detach(),
    "hard choice": hard_choice,
    "matrix": lambda m, x, y: (x[:, :, None] @ y[:, None, :]).mean(2),
    "narrower": lambda m, x, y: (x.float() * 3).double() + y,
}


def graph(names: list[str], places: list[int]):
    """Each step reads two of the values before it; all of them are read at the end."""

    def forward(m, x):
        values = [x, m.a(x)]
        for name, place in zip(names, places, strict=True):
            values.append(STEPS[name](m, values[-1], values[place % len(values)]))
        return m.head(torch.stack(values[-3:]).sum(0))

    layers = {"a": nn.Linear(SIZE, SIZE), "b": nn.Linear(SIZE, SIZE), "norm": nn.LayerNorm(SIZE)}
    return Net(forward, **layers, head=nn.Linear(SIZE, 2))


def assert_baseline_is_autograd(model: nn.Module, x: torch.Tensor) -> None:
    tape = lrp.record(model, x)
    if tape.unsupported():
        pytest.fail(f"{tape.unsupported()}")
    explanation = tape.explain(BASELINE, lrp.Target.logit(1))
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)
    expected = (gradient * leaf).detach()
    rounding = 1e-9 if all(value.dtype == x.dtype for step in tape.steps for value in step.outputs) else 1e-4
    scale = max(1.0, expected.abs().max().item())
    torch.testing.assert_close(explanation.relevance, expected, rtol=rounding, atol=rounding * scale)
    assert_ledger_closes(explanation, rounding)


@pytest.mark.parametrize("name", STEPS)
def test_each_step_alone(name):
    assert_baseline_is_autograd(graph([name], [0]), vectors(2, SIZE))
    assert_baseline_is_autograd(graph([name, "relu below"], [1, 2]), vectors(2, SIZE, seed=1))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from(sorted(STEPS)), min_size=2, max_size=7),
    st.lists(st.integers(0, 9), min_size=7),
    st.integers(0, 99),
)
def test_any_graph(names, places, seed):
    assert_baseline_is_autograd(graph(names, places[: len(names)]), vectors(2, SIZE, seed=seed))


def test_two_ways_out_of_a_sum_that_only_relu_reads():
    """The sum itself is not kept, so that each way carries a ReLU of its own."""
    model = Net(
        lambda m, x: m.head(F.relu(y := m.a(x)) + torch.tanh(F.relu(y))), a=nn.Linear(6, 6), head=nn.Linear(6, 2)
    )
    assert_baseline_is_autograd(model, vectors(2, SIZE))


def test_a_constant_that_is_written_to_is_the_same_at_every_walk():
    model = Net(lambda m, x: m.head(CONSTANT.expand(len(x), SIZE).clone().mul_(x)), head=nn.Linear(6, 2))
    tape = lrp.record(model, vectors(2, SIZE))
    first, second = (tape.explain(BASELINE, lrp.Target.logit(c)).relevance for c in (0, 0))
    other = tape.explain(BASELINE, lrp.Target.logit(1)).relevance
    assert torch.equal(first, second)
    torch.testing.assert_close(other, model.head.weight[1] * CONSTANT * vectors(2, SIZE))


def test_the_largest_takes_what_the_quotient_owes_it():
    """x / max |x|, x = (1, -1, 3), summed: 1/3 and -1/3, and of the largest 1/3 - 3/9, times 3."""
    model = Net(lambda m, x: m.head(x / x.abs().amax(1, keepdim=True)), head=nn.Linear(3, 1, bias=False))
    model.head.weight.fill_(1.0)
    x = torch.tensor([[1.0, -1.0, 3.0]], dtype=torch.float64)
    relevance = lrp.record(model, x).explain(BASELINE, lrp.Target.logit(0)).relevance
    torch.testing.assert_close(relevance, torch.tensor([[1 / 3, -1 / 3, 0.0]], dtype=torch.float64))
    assert_baseline_is_autograd(graph(["largest"], [0]), torch.ones(2, SIZE, dtype=torch.float64))  # all are largest
