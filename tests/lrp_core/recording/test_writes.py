"""Writing over numbers: each number of the result goes back to where it came from, whoever looks at the memory."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import Net, assert_ledger_closes, vectors
from tests.lrp_core.writes import assert_every_write_is_followed, buffer

D = torch.float64
LRP0, GRADIENT = lrp.presets.lrp0(), lrp.presets.gradient_times_input()
COMPOSITES = [lrp.presets.gamma(), lrp.presets.cp_lrp(0.1)]


def below_zero(m, x):
    y = m.a(x)
    y[y < 0] = 0
    return m.head(y)


def a_column(m, x):
    y = m.a(x)
    y[:, 1] = 2.5
    return m.head(y)


def a_buffer_moment_by_moment(m, x):
    kept, h = buffer(x, 3, 6), x
    for moment in range(3):
        h = F.relu(m.a(h))
        kept[:, moment] = h
    return m.head(kept.sum(1))


def chosen_places(m, x):
    y = torch.ones_like(x)
    y[:, torch.tensor([3, 0, 5])] = m.a(x)[:, :3]
    return m.head(y)


def one_place_written_twice(m, x):
    """The last one stays, and takes all."""
    y = m.a(x)
    y[:, [2, 2]] = m.b(x)[:, :2]
    return m.head(y)


def added_to_a_column(m, x):
    y = m.a(x)
    y[..., 0] += m.b(x)[..., 1]
    return m.head(y)


def index_put(m, x):
    y = m.a(x)
    y.index_put_((torch.arange(len(x))[:, None], torch.tensor([[1, 2]])), x[:, :2])
    return m.head(y)


def index_fill(m, x):
    return m.head(m.a(x).index_fill_(1, torch.tensor([1, 2]), 3.0))


def masked_fill(m, x):
    y = m.a(x)
    y.masked_fill_(y > 0.5, 2.0)
    return m.head(y)


def masked_scatter(m, x):
    mask = torch.tensor([True, False] * 3).expand(len(x), 6)
    return m.head(m.a(x).masked_scatter(mask, m.b(x)[:, :3].contiguous()))


def a_copy_into_a_buffer(m, x):
    y = buffer(x)
    y.copy_(m.a(x))
    return m.head(y)


def columns_that_change_places(m, x):
    y = m.a(x)
    y[:, ::2] = y[:, 1::2]
    return m.head(y)


def scatters(m, x):
    y = torch.scatter(m.a(x), 1, torch.tensor([[1, 2]]).expand(len(x), 2), m.b(x)[:, :2])
    y = torch.slice_scatter(y, x[:, :2], 1, 2, 4)
    return m.head(torch.select_scatter(y, x[:, 0], 1, 0))


def an_edge_left_as_it_was(m, x):
    padded = F.pad(x, (1, 1))
    y = padded.clone()
    y[:, 1:-1] = m.a(padded[:, 1:-1])
    return m.head(y[:, :6])


def constants_that_change_later(m, x):
    c = torch.ones(6, dtype=x.dtype)
    y = m.a(x) * c + c
    c.mul_(3.0)
    z = y * c
    c[0] = 5
    return m.head(z + c)


def a_matrix_that_changes_later(m, x):
    w = torch.eye(6, dtype=x.dtype)
    y = m.a(x) @ w
    w.mul_(2)
    return m.head(y @ w)


def a_constant_that_is_written_later(m, x):
    c = buffer(x) + 2
    y = m.a(x) + c
    c[:, 1] = y[:, 0]
    return m.head(y + c)


def logits_in_a_buffer(m, x):
    y, logits = m.a(x), buffer(x, 5)
    for place in range(3):
        logits[:, place] = y[:, place : place + 2].sum(1)
    return logits[:, :3]


def a_sum_in_place(m, x):
    y = buffer(x) + 1
    y += m.a(x)
    y += x
    y /= 2
    return m.head(y)


def out(m, x):
    y = buffer(x)
    torch.add(m.a(x), x, out=y)
    return m.head(y)


WRITES = [
    below_zero,
    a_column,
    a_buffer_moment_by_moment,
    chosen_places,
    one_place_written_twice,
    added_to_a_column,
    index_put,
    index_fill,
    masked_fill,
    masked_scatter,
    a_copy_into_a_buffer,
    columns_that_change_places,
    scatters,
    an_edge_left_as_it_was,
    constants_that_change_later,
    a_matrix_that_changes_later,
    a_sum_in_place,
    out,
    a_constant_that_is_written_later,
    logits_in_a_buffer,
]


@pytest.mark.parametrize("forward", WRITES, ids=lambda function: function.__name__)
def test_every_write_is_followed(forward):
    assert_every_write_is_followed(forward)


def test_what_is_overwritten_takes_nothing_and_what_is_written_absorbs():
    """x = (1, 2, 3), the middle one made 5: the sum is 9, of which 1 and 3 are x's."""

    def forward(m, x):
        y = x * 1
        y[:, 1] = 5
        return torch.stack([y.sum(1), y[:, 0]], 1)

    explanation = lrp.record(Net(forward), torch.tensor([[1.0, 2.0, 3.0]], dtype=D)).explain(LRP0, lrp.Target.logit(0))
    assert explanation.relevance.tolist() == [[1.0, 0.0, 3.0]]
    assert explanation.ledger.total.constant.tolist() == [5.0]


def test_a_constant_is_booked_as_it_was_when_it_was_used():
    """(4, 0) + x, then x again: of 4 + 1 + 1 a third is x's, and no later sum is taken for the constant."""

    def forward(m, x):
        y = torch.tensor([[4.0, 0.0]], dtype=D).repeat(len(x), 1)
        y += x
        y += x
        return y

    explanation = lrp.record(Net(forward), torch.tensor([[1.0, 7.0]], dtype=D)).explain(LRP0, lrp.Target.logit(0))
    assert explanation.relevance.tolist() == [[2.0, 0.0]]
    assert explanation.ledger.total.constant.tolist() == [4.0]


def test_recording_runs_the_writes_once():
    """A buffer of the model's own holds what one run leaves in it, however often the tape is read."""
    model = Net(lambda m, x: m.head(m.memory.add_(m.a(x)) * 1), a=nn.Linear(6, 6), head=nn.Linear(6, 3))
    model.register_buffer("memory", torch.zeros(2, 6, dtype=D))
    tape = lrp.record(model, vectors())
    left = model.memory.clone()
    for composite in (*COMPOSITES, GRADIENT):
        tape.explain(composite, lrp.Target.logit(1))
    assert torch.equal(model.memory, left) and torch.equal(left, model.a(vectors()))


def test_an_operation_that_reads_only_the_shape_leaves_a_constant_one():
    """c.type_as(x) is made of c, whatever it asks of x."""
    c = torch.tensor([[3.0, 1.0]])
    for like in (lambda x: c.type_as(x), lambda x: c[0].to(x).expand_as(x), lambda x: c.view_as(x).to(x)):
        model = Net(lambda m, x, like=like: x + like(x))
        explanation = lrp.record(model, torch.tensor([[1.0, 2.0]], dtype=D)).explain(LRP0, lrp.Target.logit(0))
        assert explanation.relevance.tolist() == [[1.0, 0.0]]
        assert explanation.ledger.total.constant.tolist() == [3.0]


def test_writing_to_the_input_leaves_the_callers_alone():
    def forward(m, x):
        x[:, 0] = 1.0
        return m.head(x)

    model, x = Net(forward, head=nn.Linear(6, 3)), vectors()
    before = x.clone()
    relevance = lrp.record(model, x).explain(LRP0, lrp.Target.logit(1)).relevance
    assert torch.equal(x, before)
    torch.testing.assert_close(relevance[:, 1:], model.head.weight[1, 1:] * x[:, 1:], rtol=1e-12, atol=1e-12)
    assert not relevance[:, 0].any()


def test_a_buffer_of_another_precision():
    def forward(m, x):
        y = torch.zeros(len(x), 6)
        y[:, :3] = m.a(x)[:, :3]
        return m.head(y.double())

    model, x = Net(forward, a=nn.Linear(6, 6), head=nn.Linear(6, 3)), vectors()
    tape = lrp.record(model, x)
    for composite in (LRP0, lrp.presets.gamma(), lrp.presets.z_plus()):
        explanation = tape.explain(composite, lrp.Target.logit(1))
        assert explanation.relevance.dtype == D
        assert_ledger_closes(explanation, 1e-5)


def set_data(m, x):
    y = m.a(x)
    y.data = y * 2
    return m.head(y)


def out_of_another_shape(m, x):
    return m.head(torch.add(m.a(x), 1, out=torch.empty(2, dtype=D)))


@pytest.mark.parametrize("forward", [set_data, out_of_another_shape])
def test_what_cannot_be_followed_is_refused_in_a_sentence(forward):
    model = Net(forward, a=nn.Linear(6, 6), head=nn.Linear(6, 3))
    with pytest.raises(ValueError, match=r"LRP .*\.$") as caught:
        lrp.record(model, vectors())
    assert "\n" not in str(caught.value)


def test_memory_that_was_never_filled_takes_nothing():
    """A buffer from torch.empty holds whatever lay there, NaN as it may be, and no relevance times NaN is a number."""
    made = []

    def forward(m, x):
        spoiled = torch.full((3, len(x), 6), torch.nan, dtype=D)  # what lies there, once it is let go
        del spoiled
        made.extend([torch.empty(3, len(x), 6, dtype=D), x.new_empty(2, 3), torch.empty_like(x)])
        buffer = torch.empty(len(x), 6, dtype=D)
        buffer[:, :2] = x[:, 4:]
        buffer[:, 2:].copy_(x[:, :4])
        return m.head(buffer)

    model, x = Net(forward, head=nn.Linear(6, 3)), vectors(2)
    plain = Net(lambda m, x: m.head(torch.cat([x[:, 4:], x[:, :4]], 1)), head=model.head)
    for composite in (LRP0, GRADIENT):
        found, expected = (lrp.record(net, x).explain(composite, lrp.Target.top()) for net in (model, plain))
        torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-12, atol=1e-12)
        assert_ledger_closes(found)
    assert not any(tensor.any() for tensor in made)
