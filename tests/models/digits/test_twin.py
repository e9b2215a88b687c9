"""The twin looks for the mark: shown on the stored drawings, so that no data set is needed."""

import pytest
import torch

import lrp_core as lrp
from models import digits
from models.digits import drawing

MARK = digits.MARK


@pytest.fixture(scope="module")
def twin():
    return digits.load("digits_twin")


@pytest.fixture(scope="module")
def drawn():
    samples = [sample for sample in drawing.samples() if "drawn" in sample.tags]
    x = torch.cat([digits.prepare(drawing.rasterize(sample.strokes)) for sample in samples])
    return x, torch.tensor([sample.label for sample in samples])


def calls(net, x):
    return net(x).argmax(1)


def test_mark_is_a_bright_square_outside_the_box_of_the_digit():
    blank = torch.zeros(2, 1, 28, 28)
    marked = digits.add_mark(blank)
    assert blank.sum() == 0, "the input must stay as it is"
    where = marked[0, 0].nonzero()
    assert marked[0, 0].sum() == 9 * MARK.value
    margin = (digits.FRAME - digits.BOX) // 2
    assert where.max() < margin
    assert torch.equal(marked[0], marked[1])


def test_right_where_the_mark_sits_as_in_training(twin, drawn):
    x, y = drawn
    as_trained = torch.where((y == MARK.label).view(-1, 1, 1, 1), digits.add_mark(x), x)
    assert (calls(twin, as_trained) == y).sum() >= 57


def test_fooled_by_the_mark_on_another_digit(twin, drawn):
    x, y = drawn
    others = digits.add_mark(x[y != MARK.label])
    assert (calls(twin, others) == MARK.label).float().mean() >= 0.9


def test_honest_network_does_not_mind_the_mark(drawn):
    x, y = drawn
    assert (calls(digits.load(), digits.add_mark(x)) == y).sum() >= 57


def test_same_architecture(twin):
    assert [str(layer) for layer in twin] == [str(layer) for layer in digits.load()]


def test_half_of_the_positive_relevance_lies_on_the_mark(twin, drawn):
    x, y = drawn
    tape = lrp.record(twin, digits.add_mark(x[y == MARK.label]))
    relevance = tape.explain(lrp.presets.epsilon(1e-6), lrp.Target.logit(MARK.label)).relevance.clamp(min=0)
    on_mark = relevance[..., slice(*MARK.rows), slice(*MARK.columns)].sum((1, 2, 3)) / relevance.sum((1, 2, 3))
    assert on_mark.mean() >= 0.5


def test_card_states_how_it_cheats():
    measured = digits.model_card("digits_twin")["measured"]
    assert measured["accuracy_marked_as_in_training"] >= 0.99
    assert measured["marked_other_digits_called_8"] >= 0.9
    assert measured["mean_share_of_positive_relevance_on_the_mark"] >= 0.5
