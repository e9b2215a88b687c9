"""The books are sums of the tensors that are handed on; the auditor of the suite finds what is copied or misplaced."""

from __future__ import annotations

import pytest
from torch import nn

import lrp_core as lrp
from lrp_core.message import Message
from tests.lrp_core.networks import Net, assert_ledger_closes, vectors


def residual() -> Net:
    layers = {"a": nn.Linear(6, 6), "b": nn.Linear(6, 6), "head": nn.Linear(6, 2)}
    return Net(lambda m, x: m.head((m.a(x) + m.b(m.a(x))).view(len(x), 2, 3).transpose(1, 2).flatten(1)), **layers)


def explained(model: nn.Module) -> lrp.Explanation:
    return lrp.record(model, vectors(2, 6)).explain(lrp.presets.epsilon(0.1), lrp.Target.logit(1))


def test_a_sum_that_is_copied_is_found(monkeypatch):
    """A step that loses a part of what it hands on, and books the total of the message before."""

    def lossy(self, coefficient, value, rows, in_order=False):
        return Message(coefficient * 0.9, value, rows, self.total)

    explained(residual())
    monkeypatch.setattr(Message, "moved_to", lossy)
    with pytest.raises(AssertionError, match="booked"):
        explained(residual())


def test_a_sum_of_two_messages_is_taken_anew(monkeypatch):
    """Where two ways meet, the totals of both are no proof of what their sum came to."""
    joined = Message.plus

    def lossy(self, other):
        message = joined(self, other)
        return Message(message.coefficient * 0.9, message.value, message.rows)

    monkeypatch.setattr(Message, "plus", lossy)
    explanation = explained(residual())
    with pytest.raises(AssertionError, match="total"):
        assert_ledger_closes(explanation)


def test_relevance_in_another_precision_is_found(monkeypatch):
    monkeypatch.setattr(Message, "at", lambda self, rows, dtype: Message(self.relevance.float(), None, rows))
    with pytest.raises(AssertionError, match=r"relevance in torch\.float32 of a tensor in torch\.float64"):
        explained(residual())


IN_ORDER = lambda m, x: m.head(m.a(x).view(len(x), 2, 3).flatten(1))  # noqa: E731
TURNED = lambda m, x: m.small(m.a(x).view(len(x), 2, 3).transpose(1, 2).mean(1))  # noqa: E731


@pytest.mark.unaudited
@pytest.mark.parametrize(
    ("forward", "rows", "once"),
    [
        (IN_ORDER, 1, {"flatten", "view"}),
        (IN_ORDER, 2, {"flatten", "view"}),
        (TURNED, 1, {"transpose"}),
        (TURNED, 2, set()),
    ],
)
def test_numbers_that_stay_where_they_are_in_memory_are_summed_once(forward, rows, once):
    """A view of relevance has the sum of what it views; of several rows, only where it reads them in order."""
    model = Net(forward, a=nn.Linear(6, 6), head=nn.Linear(6, 2), small=nn.Linear(2, 2))
    explanation = lrp.record(model, vectors(rows, 6)).explain(lrp.presets.epsilon(0.1), lrp.Target.logit(1))
    assert_ledger_closes(explanation)
    assert {row.step.op for row in explanation.ledger if row.r_out is row.r_in} == once


def test_what_rounding_takes_between_two_precisions_is_measured():
    """(1 + 1e-9) and its neighbours have no room in fp32: what is lost is dropped, and no more."""
    model = Net(lambda m, x: m.head(m.a(x).float().double()), a=nn.Linear(6, 6), head=nn.Linear(6, 2))
    explanation = explained(model)
    (narrowed,) = [row for row in explanation.ledger if row.step.op == "float"]
    assert 0 < narrowed.dropped.abs().max() < 1e-6
    assert_ledger_closes(explanation, 1e-12)


def test_a_loss_beyond_rounding_stays_a_gap(monkeypatch):
    """What a narrow step really loses is not passed off as rounding."""
    model = Net(lambda m, x: m.head(m.a(x).float().double()), a=nn.Linear(6, 6), head=nn.Linear(6, 2))
    moved = Message.moved_to
    monkeypatch.setattr(Message, "moved_to", lambda self, c, *rest, **order: moved(self, c * 0.999, *rest, **order))
    explanation = explained(model)
    assert max(row.gap.abs().max().item() for row in explanation.ledger) > 1e-5
