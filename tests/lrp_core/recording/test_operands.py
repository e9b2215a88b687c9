"""Which operand of an operation is its signal, which is only looked at, and which is a constant that absorbs."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import Net, assert_ledger_closes, assert_rows_stand_alone

D = torch.float64
X = torch.tensor([[1.0, 2.0, 3.0]], dtype=D)
P = torch.tensor([10.0, 20.0, 30.0], dtype=D)
MASK = torch.tensor([1, 0, 1])
SAME, SUM, PRODUCT = [1.0, 2.0, 3.0], ([1.0, 2.0, 3.0], 60.0), [10.0, 40.0, 90.0]


def constant() -> torch.Tensor:
    return P[None].clone()


def view_taken_before(x):
    c = constant()
    view = c[:, :]
    c.add_(x)
    return view * 2


def constant_changed_after_use(x):
    c = constant()
    y = x * c
    c.zero_()
    return y


def constant_overwritten_after_use(x):
    c = constant()
    y = x * c
    return y + 0 * c.add_(x)


def weight_changed_after_use(x):
    weight = torch.diag(P)
    y = F.linear(x, weight)
    weight.zero_()
    return y


def buffer_written_with_a_constant(x):
    buffer = x * 2
    y = buffer * 1.5
    return torch.add(P[None], P[None], out=buffer) + y


# (function, relevance of X where the sum of the result is explained, what constants take)
LOOKED_AT = {
    "to": (lambda x: x * MASK.to(x), [1.0, 0.0, 3.0]),
    "type_as": (lambda x: x * MASK.type_as(x), [1.0, 0.0, 3.0]),
    "view_as": (lambda x: x + P.view_as(x), *SUM),
    "reshape_as": (lambda x: x + P.reshape_as(x), *SUM),
    "expand_as": (lambda x: x * P.expand_as(x), PRODUCT),
    "expand_as of the signal": (lambda x: x[:, :1].expand_as(P[None] * x[:, 1:2]), [3.0, 0.0, 0.0]),
    "to of the signal": (lambda x: x.float().to(x), SAME),
    "view_as of the signal": (lambda x: x.view(3).view_as(x + 1), SAME),
    "new_tensor": (lambda x: x * x.new_tensor([10.0, 20.0, 30.0]), PRODUCT),
    "full_like": (lambda x: x + torch.full_like(x, 20.0), *SUM),
    "zeros_like": (lambda x: torch.zeros_like(x).add_(x), SAME),
}
NUMBERS = {
    "where": (lambda x: torch.where(x > 1.5, x, 0.5), [0.0, 2.0, 3.0], 0.5),
    "where, number first": (lambda x: torch.where(x > 1.5, 0.5, x), [1.0, 0.0, 0.0], 1.0),
    "where, by name": (lambda x: torch.where(condition=x > 1.5, input=x, other=constant()), [0.0, 2.0, 3.0], 10.0),
    "where of a tensor": (lambda x: x.where(x > 1.5, torch.tensor(0.5, dtype=D)), [0.0, 2.0, 3.0], 0.5),
    "where of a tensor, by name": (lambda x: x.where(x > 1.5, other=0.5), [0.0, 2.0, 3.0], 0.5),
    "masked_fill": (lambda x: x.masked_fill(x > 1.5, 0.5), [1.0, 0.0, 0.0], 1.0),
    "masked_fill by name": (lambda x: x.masked_fill(mask=x > 1.5, value=0.5), [1.0, 0.0, 0.0], 1.0),
    "masked_fill, tensor": (lambda x: x.masked_fill(x > 1.5, torch.tensor(0.5, dtype=D)), [1.0, 0.0, 0.0], 1.0),
    "masked_fill, signal": (lambda x: x.masked_fill(x > 1.5, x.sum()), [3.0, 4.0, 6.0]),
    "masked_fill of a constant": (lambda x: constant().masked_fill(x > 1.5, x.sum()), [2.0, 4.0, 6.0], 10.0),
    "where, whole number": (lambda x: torch.where(x > 1.5, x, torch.tensor(2)), [0.0, 2.0, 3.0], 2.0),
    "masked_fill, whole number": (lambda x: x.masked_fill(x > 1.5, torch.tensor(2)), [1.0, 0.0, 0.0], 4.0),
    "cat of whole numbers": (lambda x: torch.cat([x, MASK.expand(len(x), 3)], 1), SAME, 2.0),
    "stack of truths": (lambda x: torch.stack([x, x.gt(1.5)]).sum(0), SAME, 2.0),
    "minus bytes": (lambda x: x - 2 * MASK.to(torch.uint8), SAME, -4.0),
    "pad": (lambda x: F.pad(x, (0, 1), value=4.0), SAME, 4.0),
    "pad in places": (lambda x: F.pad(x, (0, 1), "constant", 4.0), SAME, 4.0),
    "pad with zeros": (lambda x: F.pad(x, (0, 1)), SAME),
    "pad by reflection": (lambda x: F.pad(x, (1, 0), "reflect"), [1.0, 4.0, 3.0]),
    "stack": (lambda x: torch.stack([x, constant()]).sum(0), *SUM),
    "cat with nothing": (lambda x: torch.cat([x[:, 3:], x], 1), SAME),
}
BOUNDS = {
    "clamp of a constant": (lambda x: torch.clamp(torch.full_like(x, 2.5), min=x), [0.0, 0.0, 3.0], 5.0),
    "clamp by a signal": (lambda x: torch.clamp(x, min=x.flip(1)), [0.0, 2.0, 6.0]),
    "clamp_max by a signal": (lambda x: torch.clamp_max(x, x.flip(1)), [2.0, 2.0, 0.0]),
    "clamp between signals": (lambda x: torch.clamp(x, x.flip(1) - 1, x[:, 1:2]), [0.0, 4.0, 3.0], -1.0),
    "clamp by constants": (lambda x: torch.clamp(x, min=P - 18), [1.0, 2.0, 0.0], 12.0),
    "clamp by a number": (lambda x: torch.clamp(x, min=1.5), [1.5, 2.0, 3.0]),
}
WRITTEN = {
    "add_": (lambda x: constant().add_(x), *SUM),
    "sub_": (lambda x: constant().sub_(x), [-1.0, -2.0, -3.0], 60.0),
    "mul_": (lambda x: constant().mul_(x), PRODUCT),
    "+=": (lambda x: torch.Tensor.__iadd__(constant(), x), *SUM),
    "out": (lambda x: torch.add(x, P, out=torch.empty(1, 3, dtype=D)), *SUM),
    "out, of another precision": (lambda x: torch.mul(x, P, out=torch.empty(1, 3)).double(), PRODUCT),
    "out, of no size": (lambda x: torch.mul(x, P, out=torch.empty(0, dtype=D)), PRODUCT),
    "out of two": (lambda x: torch.max(x, 1, True, out=(torch.empty(1, 1, dtype=D), torch.empty(1, 1).long()))[0],
                   [0.0, 0.0, 3.0]),
    "out, over a signal": (buffer_written_with_a_constant, [3.0, 6.0, 9.0], 120.0),
    "constant changed later": (constant_changed_after_use, PRODUCT),
    "constant overwritten later": (constant_overwritten_after_use, PRODUCT),
    "weight changed later": (weight_changed_after_use, PRODUCT),
    "view of it taken before": (view_taken_before, [2.0, 4.0, 6.0], 120.0),
}  # fmt: skip
NAMED = {
    "add": (lambda x: torch.add(input=x, other=P), *SUM),
    "add, turned round": (lambda x: torch.add(other=x, input=P), *SUM),
    "add, alpha": (lambda x: torch.add(input=P, other=x, alpha=2), [2.0, 4.0, 6.0], 60.0),
    "sub": (lambda x: torch.sub(other=x, input=P), [-1.0, -2.0, -3.0], 60.0),
    "mul": (lambda x: torch.mul(other=x, input=P), PRODUCT),
    "mul of two": (lambda x: torch.mul(other=x, input=x.flip(1)), [3.0, 4.0, 3.0]),
    "div": (lambda x: torch.div(input=x, other=P), [0.1, 0.1, 0.1]),
    "matmul": (lambda x: torch.matmul(input=x, other=torch.diag(P)), PRODUCT),
    "linear": (lambda x: F.linear(weight=torch.diag(P), input=x), PRODUCT),
    "gather": (lambda x: torch.gather(input=x, dim=1, index=torch.tensor([[0, 0, 1]])), [2.0, 2.0, 0.0]),
    "stack": (lambda x: torch.stack(tensors=[x, x]).sum(dim=0), [2.0, 4.0, 6.0]),
    "flatten": (lambda x: torch.flatten(input=x, start_dim=1), SAME),
    "einsum of a list": (lambda x: torch.einsum("bi,i->bi", [x, P]), PRODUCT),
    "relu": (lambda x: F.relu(input=x), SAME),
}
PRECISIONS = {
    "two meet in a sum": (lambda x: x + x.float(), [2.0, 4.0, 6.0]),
    "two meet in a product": (lambda x: x * x.float().flip(1), [3.0, 4.0, 3.0]),
    "constant in half": (lambda x: x * P.half(), PRODUCT),
    "there and back": (lambda x: x.float().double(), SAME),
    "matrix after": (lambda x: x.float().double() @ torch.diag(P), PRODUCT),
    "matrix before": (lambda x: (x.float() @ torch.diag(P).float()).double(), PRODUCT),
    "concatenated": (lambda x: torch.cat([x.float(), x], 1), [2.0, 4.0, 6.0]),
}
CASES = {
    f"{kind}: {name}": case
    for kind, cases in (
        ("looked at", LOOKED_AT), ("number", NUMBERS), ("bound", BOUNDS), ("written", WRITTEN), ("named", NAMED),
        ("precision", PRECISIONS),
    )
    for name, case in cases.items()
}  # fmt: skip


def summed(function) -> nn.Module:
    """The sum of what the function gives, as the one logit."""
    return Net(lambda m, x: function(x).double().sum(1, keepdim=True))


@pytest.mark.parametrize("name", CASES)
def test_every_operand_gets_what_it_gives(name):
    function, relevance, *taken = CASES[name]
    tape = lrp.record(summed(function), X)
    explanation = tape.explain(lrp.presets.lrp0(), lrp.Target.logit(0))
    torch.testing.assert_close(explanation.relevance, torch.tensor([relevance], dtype=D), rtol=1e-12, atol=1e-12)
    assert explanation.ledger.total.constant.item() == pytest.approx(sum(taken), abs=1e-12)
    assert_ledger_closes(explanation)
    again = tape.explain(lrp.presets.lrp0(), lrp.Target.difference(0, 0)).ledger.total  # nothing was written over
    assert again.start.item() == 0
    torch.testing.assert_close(tape.output, summed(function)(X))


OF_ONE_ROW = {
    *(f"looked at: {name}" for name in ("view_as", "reshape_as", "view_as of the signal")),
    *("number: masked_fill, signal", "number: masked_fill of a constant", "number: stack", "named: gather"),
    *("number: where, by name", "bound: clamp of a constant"),
    *(name for name in CASES if name.startswith("written")),
}


@pytest.mark.parametrize("name", sorted(set(CASES) - OF_ONE_ROW))
def test_two_rows_each_by_itself(name):
    """Also where a number or a slice of nothing is among the operands."""
    function = CASES[name][0]
    model = Net(lambda m, x: m.head(function(x).double().sum(1, keepdim=True)), head=nn.Linear(1, 2))
    assert_rows_stand_alone(model, lrp.presets.lrp0(), torch.cat([X, X.flip(1) * 0.5]))


def test_what_only_looks_is_a_constant_from_there_on():
    """No step comes of it, and a network that only looks does not depend on its input."""
    tape = lrp.record(summed(lambda x: x + P.view_as(x) * MASK.to(x)), X)
    assert [step.op for step in tape.steps] == ["add", "sum"]
    with pytest.raises(ValueError, match="does not depend on the input"):
        lrp.record(summed(lambda x: P.expand_as(x) * 2), X)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: F.prelu(x, x.sum(1)), "'prelu'"),
        (lambda x: F.prelu(P[None], x.sum(1)), "'prelu'"),
        (lambda x: x.float().view(torch.bfloat16).double(), "'view'"),
        (lambda x: (torch.eye(3, dtype=D).to_sparse() * x).to_dense(), "mul makes a sparse tensor"),
        (lambda x: x * torch.full_like(x, x.sum()), "'full_like'"),
    ],
    ids=["slope", "slope of a constant", "other bits", "sparse", "filled by a signal"],
)  # fmt: skip
def test_what_cannot_be_followed_is_refused(function, message):
    with pytest.raises((ValueError, lrp.UnsupportedOp), match=rf"{message}.*\.$"):
        lrp.record(summed(function), X).explain(lrp.presets.lrp0(), lrp.Target.logit(0))
