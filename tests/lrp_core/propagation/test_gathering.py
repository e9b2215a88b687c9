"""Sums, means and maxima over an index, and numbers written to other places, on numbers worked by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import EVERY_RULE, Net, assert_ledger_closes, assert_rows_stand_alone, vectors

D = torch.float64
TO = torch.tensor([0, 0, 2])
X = torch.tensor([[1.0], [3.0], [-2.0]], dtype=D)
BASE = torch.tensor([[4.0], [5.0], [6.0]], dtype=D)


class Plain(nn.Module):
    """The function alone; its three numbers are summed into one score."""

    def __init__(self, function, weights=(1.0, 1.0, 1.0)):
        super().__init__()
        self.function, self.weights = function, torch.tensor(weights, dtype=D)

    def forward(self, *inputs):
        return (self.function(*inputs).flatten() @ self.weights)[None, None]


def explained(function, *inputs, composite=None, weights=(1.0, 1.0, 1.0)):
    tape = lrp.record(Plain(function, weights).eval(), *inputs)
    assert tape.unsupported() == ()
    explanation = tape.explain(composite or lrp.presets.lrp0(), lrp.Target.logit(0))
    assert_ledger_closes(explanation)
    return explanation


def column(index):
    return index[:, None]


SUMS = {
    "index_add": lambda x: torch.zeros(3, 1, dtype=D).index_add(0, TO, x),
    "index_add_": lambda x: torch.zeros(3, 1, dtype=D).index_add_(0, TO, x),
    "by keywords": lambda x: torch.index_add(input=torch.zeros(3, 1, dtype=D), dim=0, index=TO, source=x),
    "scatter_add": lambda x: torch.zeros(3, 1, dtype=D).scatter_add(0, column(TO), x),
    "scatter_add_": lambda x: x.new_zeros(3, 1).scatter_add_(0, column(TO), x),
    "scatter": lambda x: torch.zeros(3, 1, dtype=D).scatter_(0, column(TO), x, reduce="add"),
    "scatter_reduce": lambda x: torch.zeros(3, 1, dtype=D).scatter_reduce(0, column(TO), x, "sum"),
    "index_put": lambda x: torch.zeros(3, 1, dtype=D).index_put_((TO,), x, accumulate=True),
    "segment_reduce": lambda x: torch.segment_reduce(x, "sum", lengths=torch.tensor([2, 0, 1])),
}


@pytest.mark.parametrize("name", SUMS)
def test_a_sum_over_an_index_is_an_addition(name):
    """1 and 3 meet in 4, -2 stays alone, 0 has nobody: LRP-0 gives each number itself back.

    With epsilon 1 the score 2 becomes 2/3 a unit, then 2/3 * 4/5 for 1 and 3, and 2/3 * 2/3 for -2.
    """
    assert explained(SUMS[name], X).relevance.flatten().tolist() == [1.0, 3.0, -2.0]
    explanation = explained(SUMS[name], X, composite=lrp.presets.epsilon(1.0))
    expected = torch.tensor([8 / 15, 24 / 15, -8 / 9], dtype=D)
    torch.testing.assert_close(explanation.relevance.flatten(), expected)
    assert explanation.ledger.rows[-1].epsilon.item() == pytest.approx(4 / 45)


@pytest.mark.parametrize(
    ("function", "relevance", "constant"),
    [
        pytest.param(lambda x: BASE.index_add(0, TO, x), [1, 3, -2], 15, id="constants absorb"),
        pytest.param(lambda x: BASE.clone().index_add_(0, TO, x), [1, 3, -2], 15, id="constants, in place"),
        pytest.param(lambda x: BASE.index_add(0, TO, x, alpha=-2), [-2, -6, 4], 15, id="with a factor"),
        pytest.param(lambda x: x.index_add(0, TO, x), [2, 6, -4], 0, id="to itself"),
        pytest.param(lambda x: x.index_add(0, TO, BASE), [1, 3, -2], 15, id="constants to a signal"),
        pytest.param(lambda x: x.index_reduce(0, TO, BASE, "mean", include_self=False), [0, 3, 0], 10.5, id="mean"),
        pytest.param(lambda x: BASE.scatter_reduce(0, column(TO), x, "mean"), [1 / 3, 1, -1], 28 / 3, id="of all"),
        pytest.param(lambda x: x.index_reduce(0, TO, x, "mean"), [1 / 3 + 1 / 3, 1 + 3, -2], 0, id="index_reduce"),
        pytest.param(lambda x: torch.segment_reduce(x, "mean", lengths=ONE_TWO), [1, 1.5, -1], 0, id="segments"),
    ],
)  # fmt: skip
def test_what_it_is_added_to_has_its_part(function, relevance, constant):
    explanation = explained(function, X, weights=(1.0,) * (2 if "segment" in str(function.__code__.co_names) else 3))
    torch.testing.assert_close(explanation.relevance.flatten(), torch.tensor(relevance, dtype=D))
    assert explanation.ledger.total.constant.item() == pytest.approx(constant)


ONE_TWO, TWO = torch.tensor([1, 2]), torch.tensor([2, 1])
TIED = torch.tensor([[3.0], [3.0], [-2.0]], dtype=D)


@pytest.mark.parametrize(
    ("function", "relevance", "constant"),
    [
        (lambda x: x.new_zeros(3, 1).scatter_reduce(0, column(TO), x, "amax", include_self=False), [3, 0, -2], 0),
        (lambda x: torch.zeros(3, 1, dtype=D).scatter_reduce_(0, column(TO), x, "amin"), [0, 0, -2], 0),
        (lambda x: BASE.index_reduce(0, TO, x, "amax"), [0, 0, 0], 15),
        (lambda x: BASE.index_reduce(0, TO, x, "amin"), [3, 0, -2], 5),
        (lambda x: x.scatter_reduce(0, column(TO), x, "amax"), [3, 3, -2], 0),
        (lambda x: torch.full((3, 1), 3.0, dtype=D).scatter_reduce(0, column(TO), x, "amax"), [0, 0, 0], 9),
        (lambda x: x.scatter_reduce(0, column(TO), BASE, "amax"), [0, 3, 0], 11),
        (lambda x: torch.segment_reduce(x, "max", lengths=TWO).repeat(2, 1)[:3], [6, 0, -2], 0),
    ],
)  # fmt: skip
def test_the_first_of_the_greatest_takes_all(function, relevance, constant):
    """Of equal numbers what was there before comes first, then the source in order; a constant that wins absorbs."""
    explanation = explained(function, TIED)
    assert explanation.relevance.flatten().tolist() == relevance
    assert explanation.ledger.total.constant.item() == constant


def test_along_the_second_axis_every_line_has_its_own_winner():
    x = torch.tensor([[1.0, 5.0, 2.0, 2.0], [7.0, 1.0, 1.0, 9.0]], dtype=D)
    index = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 0]])
    function = lambda x: x.new_zeros(2, 2).scatter_reduce(1, index, x, "amax", include_self=False)  # noqa: E731
    relevance = explained(function, x, weights=(1.0, 2.0, 3.0, 4.0)).relevance
    assert relevance.tolist() == [[0.0, 5.0, 4.0, 0.0], [28.0, 0.0, 0.0, 27.0]]


@pytest.mark.parametrize(
    ("function", "first", "second", "constant"),
    [
        (lambda x, y: x.index_copy(0, torch.tensor([2, 1]), y[:2]), [1, 0, 0], [10, 20, 0], 0),
        (lambda x, y: x.clone().index_copy_(0, torch.tensor([1, 1]), y[:2]), [1, 0, -2], [0, 20, 0], 0),
        (lambda x, y: x.scatter(0, torch.tensor([[2], [0]]), y), [0, 3, 0], [10, 20, 0], 0),
        (lambda x, y: x.scatter(0, torch.tensor([[2]]), 7.0) + 0 * y, [1, 3, 0], [0, 0, 0], 7),
        (lambda x, y: BASE.scatter(0, torch.tensor([[2]]), y), [0, 0, 0], [10, 0, 0], 9),
    ],
)
def test_written_numbers_keep_their_relevance_and_overwritten_ones_lose_it(function, first, second, constant):
    y = torch.tensor([[10.0], [20.0], [30.0]], dtype=D)
    explanation = explained(function, X, y)
    assert [part.flatten().tolist() for part in explanation.parts.values()] == [first, second]
    assert explanation.ledger.total.constant.item() == constant


@pytest.mark.parametrize(
    ("function", "relevance"),
    [
        (lambda x: torch.zeros(3, 1, dtype=D).scatter_add(0, torch.tensor([[2], [2]]), x), [1, 3, 0]),
        (lambda x: torch.zeros(3, 1, dtype=D).scatter_reduce_(0, torch.tensor([[2], [2]]), x, "amax"), [0, 3, 0]),
        (lambda x: torch.zeros(3, 1, dtype=D).scatter_(0, torch.tensor([[2], [2]]), x, reduce="add"), [1, 3, 0]),
    ],
)
def test_entries_that_no_index_is_for_get_nothing(function, relevance):
    """Torch reads as much of the source as there is index, and has no derivative for that."""
    for composite in (lrp.presets.lrp0(), lrp.presets.gradient_times_input()):
        assert explained(function, X, composite=composite).relevance.flatten().tolist() == relevance


@pytest.mark.parametrize("reduce", ["prod", "multiply"])
def test_a_product_over_an_index_is_refused_by_name(reduce):
    def function(x):
        start, index = torch.ones(3, 1, dtype=D), column(TO)
        return (
            start.scatter_reduce(0, index, x, "prod") if reduce == "prod" else start.scatter(0, index, x, reduce=reduce)
        )

    tape = lrp.record(Plain(function).eval(), X)
    with pytest.raises(lrp.UnsupportedOp, match="scatter"):
        tape.explain(lrp.presets.lrp0(), lrp.Target.logit(0))


@pytest.mark.parametrize("composite", [*EVERY_RULE, lrp.presets.gradient_times_input()], ids=str)
@pytest.mark.parametrize("reduce", ["sum", "mean", "amax"])
def test_rows_that_are_gathered_within_themselves_stand_alone(reduce, composite):
    """Words of each text into three places; rows in front, then in the second axis."""
    index = torch.tensor([0, 2, 2, 0])

    def within(x):
        start = torch.zeros(len(x), 3, 3, dtype=D)
        return start.scatter_reduce(1, index[None, :, None].expand_as(x), x, reduce, include_self=False)

    def across(x):
        return torch.zeros(3, x.shape[1], 3, dtype=D).scatter_reduce_(0, index[:, None, None].expand_as(x), x, reduce)

    def forward(m, x):
        z = F.relu(m.a(x)).view(len(x), 4, 3)
        return m.head((within(z) + across(z.transpose(0, 1)).transpose(0, 1)).flatten(1))

    model = Net(forward, a=nn.Linear(6, 12), head=nn.Linear(9, 3))
    assert_rows_stand_alone(model, composite, vectors(3))


def test_rows_that_meet_are_refused():
    """A sum over the rows of a batch has no books per row; nor has one whose terms cancel out."""
    for alpha in (1, -1):
        model = Net(
            lambda m, x, a=alpha: m.head(x.index_add(0, torch.tensor([1, 0]), x, alpha=a)), head=nn.Linear(6, 3)
        )
        with pytest.raises(ValueError, match="rows"):
            lrp.record(model, vectors(2))


def test_z_plus_below_a_sum_that_can_be_negative():
    """Positive numbers that are subtracted give none: of z = 1 - (-2), with negative inputs, only W < 0 has a part."""
    model = Net(
        lambda m, x: m.head(torch.zeros(1, 2, dtype=D).index_add(1, torch.tensor([0, 1]), F.relu(x), alpha=-1)),
        head=nn.Linear(2, 2, bias=False),
    )
    model.head.weight.copy_(torch.tensor([[1.0, -1.0], [1.0, 1.0]]))
    x = torch.tensor([[1.0, 2.0]], dtype=D)
    relevance = lrp.record(model, x).explain(lrp.presets.z_plus(), lrp.Target.logit(0)).relevance
    torch.testing.assert_close(relevance, torch.tensor([[0.0, 1.0]], dtype=D), rtol=1e-5, atol=1e-5)


def test_z_plus_below_a_maximum_over_negative_constants():
    """What no index reaches keeps its -4, which the weight -1 makes a positive contribution of 4 beside that of 2."""
    start = torch.full((1, 3), -4.0, dtype=D)
    model = Net(
        lambda m, x: m.head(start.scatter_reduce(1, torch.tensor([[0, 1]]), F.relu(x), "amax")),
        head=nn.Linear(3, 2, bias=False),
    )
    model.head.weight.copy_(torch.tensor([[1.0, 0.0, -1.0], [1.0, 1.0, 1.0]]))
    explanation = lrp.record(model, torch.tensor([[2.0, 1.0]], dtype=D)).explain(
        lrp.presets.z_plus(), lrp.Target.logit(0)
    )
    torch.testing.assert_close(explanation.relevance, torch.tensor([[2.0, 0.0]], dtype=D))
    assert explanation.ledger.total.constant.item() == pytest.approx(4.0)
