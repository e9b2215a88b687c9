"""How much flowed, grew and was lost: sums by hand, and which maps are doubted."""

import numpy as np
import pytest
import torch
from torch import nn

import lrp_core as lrp
from lrp_core.evaluation import flow as flows

X = torch.tensor([[1.0, 2.0], [3.0, -1.0]], dtype=torch.float64)


@pytest.fixture
def net():
    """z = 2 a - 3 b + 1, and a second score -z."""
    layer = nn.Linear(2, 2).double().requires_grad_(False)
    layer.weight.copy_(torch.tensor([[2.0, -3.0], [-2.0, 3.0]]))
    layer.bias.copy_(torch.tensor([1.0, -1.0]))
    return nn.Sequential(layer).eval()


def explained(net, composite=None, target=None):
    return lrp.record(net, X).explain(composite or lrp.presets.lrp0(), target or lrp.Target.logit(0))


def test_sums_by_hand(net):
    """Row 0: 2 - 6 + 1 = -3; row 1: 6 + 3 + 1 = 10."""
    found = flows.flow(explained(net))
    assert found.started.tolist() == [3, 10]
    assert found.positive.tolist() == [2, 9] and found.negative.tolist() == [6, 0]
    assert found.absorbed.tolist() == [1, 1] and found.damped.tolist() == [0, 0]
    assert found.flowed.tolist() == [6, 10]
    assert found.growth.tolist() == [2, 0.9]
    assert found.lost.tolist() == pytest.approx([1 / 6, 0.1])
    assert found.gap.abs().max() < 1e-12


def test_both_scores_of_a_difference_have_started(net):
    found = flows.flow(explained(net, target=lrp.Target.difference(0, 1)))
    assert found.started.tolist() == [6, 20]


def test_what_is_shown_decides_about_signs(net):
    """Summed over both inputs, row 0 is -4: nothing positive is to be seen."""
    explanation = explained(net)
    shown = explanation.relevance.sum(1, keepdim=True)
    for given in (shown, shown.numpy()):
        found = flows.flow(explanation, given)
        assert found.positive.tolist() == [0, 9] and found.negative.tolist() == [4, 0]


def test_epsilon_that_keeps_nearly_all_is_doubted(net):
    """Row 1: 9 of 10 are not the bias'; with an epsilon of 990 each gets a hundredth, and 9.9 of 10 are kept."""
    weak, strong, stronger = (flows.flow(explained(net, lrp.presets.epsilon(value))) for value in (0.1, 990, 1e6))
    assert flows.doubts(weak) == flows.doubts(strong) == ["", ""] and flows.doubts(stronger) == ["damped", "damped"]
    assert strong.damped[1].item() == pytest.approx(9.9) and strong.left[1].item() == pytest.approx(0.09 / 9.99)


def test_pluses_and_minuses_that_cancel_are_doubted():
    """z = 100 a - 99 b at a = b = 10: 1,000 less 990 for a score of 10."""
    layer = nn.Linear(2, 1, bias=False).double().requires_grad_(False)
    layer.weight.copy_(torch.tensor([[100.0, -99.0]]))
    tape = lrp.record(nn.Sequential(layer).eval(), torch.full((1, 2), 10.0, dtype=torch.float64))
    assert flows.doubts(flows.flow(tape.explain(lrp.presets.lrp0(), lrp.Target.logit(0)))) == ["grown"]
    assert flows.doubts(flows.flow(tape.explain(lrp.presets.z_plus(), lrp.Target.logit(0)))) == [""]


def test_an_undecided_network_is_not_doubted():
    """A score of .01, from 3 for it and 2.99 against it: evidence that nearly cancels, as in a text of two minds."""
    layer = nn.Linear(2, 1, bias=False).double().requires_grad_(False)
    layer.weight.copy_(torch.tensor([[3.0, -2.99]]))
    tape = lrp.record(nn.Sequential(layer).eval(), torch.ones(1, 2, dtype=torch.float64))
    found = flows.flow(tape.explain(lrp.presets.lrp0(), lrp.Target.logit(0)))
    assert flows.doubts(found) == [""] and found.growth.item() == pytest.approx(1.5)


def test_a_score_of_zero_divides_nothing_by_nothing():
    tape = lrp.record(nn.Sequential(nn.Linear(2, 1, bias=False)).eval(), torch.zeros(1, 2))
    found = flows.flow(tape.explain(lrp.presets.lrp0(), lrp.Target.logit(0)))
    for share in (found.growth, found.lost, 1 - found.left, found.gap_share):
        assert share.tolist() == [0]


def test_a_sweep_has_its_axis_in_front(net):
    tape = lrp.record(net, X)
    composites = [lrp.presets.epsilon(value) for value in (0.0, 1.0, 1e6)]
    every = [tape.explain(composite, lrp.Target.logit(0)) for composite in composites]
    found = flows.flow(lrp.Explanation.stacked(every))
    assert found.started.shape == found.positive.shape == (3, 2)
    expected = np.stack([flows.flow(one).negative.numpy() for one in every])
    assert found.negative.numpy() == pytest.approx(expected)
    assert flows.doubts(found) == ["", "", "", "", "damped", "damped"]
