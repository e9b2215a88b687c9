"""The winner takes all: over any axes, between tensors, in an order; constants that win absorb."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import (
    Net,
    assert_ledger_closes,
    assert_lrp0_is_gradient_times_input,
    assert_rows_stand_alone,
    vectors,
)

D, INFINITY = torch.float64, float("inf")
LRP0 = lrp.presets.lrp0()


def whole_numbers(*shape, seed=0):
    """1 to 3, so that there are many ties."""
    return torch.randint(1, 4, shape, generator=torch.Generator().manual_seed(seed)).to(D)


REDUCTIONS = {
    "amax, last": (lambda x: x.amax(-1), (3,), max),
    "amax, middle": (lambda x: torch.amax(x, 2), (2,), max),
    "amax, two axes apart": (lambda x: torch.amax(x, dim=(1, 3), keepdim=True), (1, 3), max),
    "amin, two axes": (lambda x: x.amin((2, 1)), (1, 2), min),
    "max, first of three": (lambda x: x.max(1)[0], (1,), max),
    "max with indices": (lambda x: torch.max(x, dim=2, keepdim=True).values, (2,), max),
    "min": (lambda x: x.min(-1).values, (3,), min),
    "median": (lambda x: x.median(2).values, (2,), lambda group: sorted(group)[(len(group) - 1) // 2]),
    "kthvalue": (lambda x: x.kthvalue(2, -1)[0], (3,), lambda group: sorted(group)[1]),
    "kthvalue, first of all": (lambda x: torch.kthvalue(x, 1, dim=1, keepdim=True)[0], (1,), min),
    "largest size": (lambda x: torch.linalg.vector_norm(x, INFINITY, (1, 3)), (1, 3), max),
}


@pytest.mark.parametrize("name", REDUCTIONS)
def test_one_number_of_each_group_takes_all(name):
    """By loops: of equal ones the first, in the order of the axes that go."""
    function, axes, best = REDUCTIONS[name]
    x = whole_numbers(2, 2, 3, 4)
    model = Net(lambda m, x: function(x).flatten(1))
    tape = lrp.record(model, x)
    kept = [axis for axis in (1, 2, 3) if axis not in axes]
    groups = list(itertools.product(*(range(x.shape[axis]) for axis in kept)))
    for logit, group in enumerate(groups):
        explanation = tape.explain(LRP0, lrp.Target.logit(logit))
        assert_ledger_closes(explanation)
        expected = torch.zeros_like(x)
        for row in range(2):
            places = []
            for inside in itertools.product(*(range(x.shape[axis]) for axis in axes)):
                where = dict(zip((*kept, *axes), (*group, *inside), strict=True))
                places.append((row, where[1], where[2], where[3]))
            value = best([x[place].item() for place in places])
            expected[next(place for place in places if x[place] == value)] = value
        assert torch.equal(explanation.relevance, expected), (name, group)
    assert_rows_stand_alone(model, LRP0, x)


def test_all_numbers_of_one_row():
    model = Net(lambda m, x: torch.stack([x.max(), x.min(), torch.amax(x), x.median()])[None])
    x = torch.tensor([[2.0, 5.0, 5.0, -1.0]], dtype=D)
    tape = lrp.record(model, x)
    expected = [[0, 5, 0, 0], [0, 0, 0, -1], [0, 5, 0, 0], [2, 0, 0, 0]]
    for logit, relevance in enumerate(expected):
        assert tape.explain(LRP0, lrp.Target.logit(logit)).relevance[0].tolist() == relevance


def test_a_maximum_over_the_rows_of_a_batch_is_refused_in_a_sentence():
    for function in (lambda x: x + x.max(), lambda x: x + x.amax(0), lambda x: x.sort(0)[0]):
        with pytest.raises(ValueError, match=r"mixes .* one row at a time\.$"):
            lrp.record(Net(lambda m, x, function=function: function(x)), vectors(3, 4))


PICKS = {
    "topk": (lambda x: x.topk(2, -1).values, [[0, 4, 0, 3], [6, 0, 5, 0]], [0, 1]),
    "the smallest two": (lambda x: torch.topk(x, 2, largest=False)[0], [[1, 0, 2, 0], [0, -1, 0, 2]], [0, 1]),
    "sort": (lambda x: x.sort(descending=True)[0], [[0, 4, 2, 0], [6, 0, 0, 2]], [0, 2]),
    "cummax": (lambda x: x.cummax(1)[0], [[1, 4, 0, 0], [12, 0, 0, 0]], [0, 2]),
    "cummin": (lambda x: torch.cummin(x, -1).values, [[2, 0, 0, 0], [6, -1, 0, 0]], [0, 2]),
}


@pytest.mark.parametrize("name", PICKS)
def test_numbers_in_an_order_keep_their_relevance(name):
    """x = (1, 4, 2, 3) and (6, -1, 5, 2); two of the picked numbers are explained at once."""
    function, expected, logits = PICKS[name]
    x = torch.tensor([[1.0, 4, 2, 3], [6, -1, 5, 2]], dtype=D)
    model = Net(lambda m, x: torch.stack([function(x)[:, logits].sum(1), x[:, 0]], 1))
    explanation = lrp.record(model, x).explain(LRP0, lrp.Target.logit(0))
    assert explanation.relevance.tolist() == expected
    assert_ledger_closes(explanation)
    assert_rows_stand_alone(model, LRP0, x)


C = torch.tensor([2.0, 2.0, -1.0], dtype=D)
BETWEEN = {
    "maximum": (lambda x, y: torch.maximum(x, y), [1, 0, 3], [0, 5, 0], [0, 0, 0]),
    "max of two": (lambda x, y: torch.max(x, y), [1, 0, 3], [0, 5, 0], [0, 0, 0]),
    "second first": (lambda x, y: torch.fmax(y, x), [0, 0, 3], [1, 5, 0], [0, 0, 0]),
    "minimum": (lambda x, y: torch.minimum(x, y), [1, -2, 0], [0, 0, -4], [0, 0, 0]),
    "min of two": (lambda x, y: torch.min(x, other=y), [1, -2, 0], [0, 0, -4], [0, 0, 0]),
    "fmin": (lambda x, y: torch.fmin(x, y), [1, -2, 0], [0, 0, -4], [0, 0, 0]),
    "a constant": (lambda x, y: torch.maximum(x, C) + 0 * y, [0, 0, 3], [0, 0, 0], [2, 2, 0]),
    "constant first": (lambda x, y: torch.minimum(C, x) + 0 * y, [1, -2, 0], [0, 0, 0], [0, 0, -1]),
    "clamp from below": (lambda x, y: torch.clamp(x, min=y), [1, 0, 3], [0, 5, 0], [0, 0, 0]),
    "clamp from above": (lambda x, y: x.clamp_max(y), [1, -2, 0], [0, 0, -4], [0, 0, 0]),
    "clamp in place": (lambda x, y: (x * 1).clamp_(min=y), [1, 0, 3], [0, 5, 0], [0, 0, 0]),
    "clamp a constant": (lambda x, y: torch.clamp(C, max=y, min=x), [1, 0, 0], [0, 0, -4], [0, 2, 0]),
    "one for all": (lambda x, y: torch.maximum(x, y[:, 1:2]), [0, 0, 0], [0, 15, 0], [0, 0, 0]),
}


@pytest.mark.parametrize("name", BETWEEN)
def test_of_two_tensors_the_larger_takes_all(name):
    """x = (1, -2, 3), y = (1, 5, -4), explained entry by entry; of equal ones the first operand."""
    function, to_x, to_y, to_constant = BETWEEN[name]
    x, y = (torch.tensor([numbers], dtype=D) for numbers in ([1.0, -2, 3], [1.0, 5, -4]))
    tape = lrp.record(Net(lambda m, x, y: function(x, y)), x, y)
    sums = [torch.zeros(3, dtype=D) for _ in range(3)]
    for logit in range(3):
        explanation = tape.explain(LRP0, lrp.Target.logit(logit))
        assert_ledger_closes(explanation)
        for total, part in zip(sums, explanation.parts.values(), strict=False):
            total += part[0]
        sums[2][logit] = explanation.ledger.total.constant[0]
    assert [total.tolist() for total in sums] == [to_x, to_y, to_constant]


def test_the_maximum_with_zero_is_a_relu_to_every_rule():
    x = vectors(3)
    for written in (lambda y: torch.maximum(y, torch.zeros_like(y)), lambda y: torch.max(torch.zeros(6, dtype=D), y)):
        ours, plain = (
            Net(lambda m, x, f=f: m.head(f(m.a(x))), a=nn.Linear(6, 6), head=nn.Linear(6, 3)) for f in (written, F.relu)
        )
        for composite in (LRP0, lrp.presets.gamma(), lrp.Composite(lrp.Flat()), lrp.Composite(lrp.ZBox(-1.0, 1.0))):
            results = [lrp.record(m, x).explain(composite, lrp.Target.logit(1)).relevance for m in (ours, plain)]
            torch.testing.assert_close(*results, rtol=1e-12, atol=1e-12)


POOLED = {
    "maxout": lambda m, x: m.a(x).view(-1, 3, 2).max(-1)[0],
    "sequence first": lambda m, x: m.a(x).view(-1, 2, 3).transpose(0, 1).topk(1, 0)[0][0],
    "sorted, then a ReLU": lambda m, x: F.relu(m.a(x).view(-1, 2, 3).sort(1)[0]).flatten(1)[:, 1:4],
    "maximum before the rows": lambda m, x: m.a(x).view(-1, 2, 3).transpose(0, 1).amax(0),
    "unpooled": lambda m, x: F.max_unpool1d(*F.max_pool1d(m.a(x)[:, None], 2, return_indices=True), 2)[:, 0, :3],
    "fractional": lambda m, x: F.fractional_max_pool2d(
        m.a(x).view(-1, 1, 2, 3), 2, output_size=(1, 2), _random_samples=torch.full((len(x), 1, 2), 0.4, dtype=D)
    ).flatten(1)[:, [0, 1, 0]],
    "divided by the largest": lambda m, x: (lambda y: y / y.abs().max(-1, keepdim=True)[0])(m.a(x))[:, :3],
}


@pytest.mark.parametrize("name", POOLED)
def test_in_networks(name):
    model, x = Net(lambda m, x: m.head(POOLED[name](m, x)), a=nn.Linear(6, 6), head=nn.Linear(3, 3)), vectors(3)
    if "divided" not in name:  # whose divisor is a constant to LRP
        assert_lrp0_is_gradient_times_input(model, x)
    for composite in (LRP0, lrp.presets.epsilon(0.1), lrp.presets.z_plus(), lrp.presets.cp_lrp()):
        assert_rows_stand_alone(model, composite, x)


def test_numbers_masked_by_minus_infinity_take_nothing():
    """0 times minus infinity is nothing, and not a number that is none."""
    mask = torch.tensor([False, False, True])

    def forward(m, x):
        y = m.a(x).view(-1, 2, 3).masked_fill(mask, -torch.inf)
        return m.head(y.max(-1)[0] + y.topk(1, -1)[0][..., 0] + torch.maximum(y, y * 0.5).amax(-1))

    model = Net(forward, a=nn.Linear(6, 6), head=nn.Linear(2, 3))
    explanation = lrp.record(model, vectors(2)).explain(LRP0, lrp.Target.logit(1))
    assert explanation.relevance.isfinite().all()
    assert_ledger_closes(explanation)
