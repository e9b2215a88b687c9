"""Worked numbers: small enough to check on paper, and every rule must reproduce them to the last digits of fp64."""

from fractions import Fraction as F

import numpy as np
import pytest
import torch
from torch import nn

import lrp_core as lrp
from tests.lrp_core.propagation.brute_force import Affine, propagate

WEIGHT = [[1.0, -1.0, 2.0], [-2.0, 1.0, 0.5]]
BIAS = [0.5, -0.5]

# x, relevance on the two outputs, rule, relevance of the three inputs
VECTOR_A = ([1.0, 2.0, 3.0], [2.0, 1.0])
VECTOR_B = ([1.0, -2.0, 3.0], [2.0, -1.0])
WORKED = [
    pytest.param(VECTOR_A, lrp.LRP0(), [F(-18, 11), F(14, 11), F(81, 22)], id="A-lrp0"),
    pytest.param(VECTOR_A, lrp.Epsilon(0.25), [F(-144, 115), F(104, 115), F(378, 115)], id="A-epsilon"),
    pytest.param(VECTOR_A, lrp.Gamma(0.25), [F(-644, 885), F(140, 177), F(179, 59)], id="A-gamma"),
    pytest.param(VECTOR_A, lrp.ZPlus(), [F(4, 15), F(4, 7), F(71, 35)], id="A-z_plus"),
    pytest.param(VECTOR_A, lrp.AlphaBeta(2.0, 1.0), [F(-4, 15), F(-6, 7), F(142, 35)], id="A-alpha_beta"),
    pytest.param(VECTOR_A, lrp.WSquare(), [F(23, 21), F(11, 21), F(29, 21)], id="A-w_square"),
    pytest.param(VECTOR_A, lrp.Flat(), [F(1), F(1), F(1)], id="A-flat"),
    pytest.param(VECTOR_A, lrp.ZBox(0.0, 4.0), [F(146, 171), F(112, 171), F(85, 57)], id="A-z_box"),
    # z = (19/2, -3): gamma follows the sign of z, and here the second unit is negative.
    pytest.param(
        VECTOR_B,
        lrp.Gamma(0.25),
        # (c + c+/4) / (z + (p + b+)/4) of unit one times 2, (c + c-/4) / (z + (n + b-)/4) of unit two times -1
        [
            2 * F(5, 4) / (F(19, 2) + F(19, 8)) - F(-5, 2) / (F(-3) - F(9, 8)),
            2 * F(5, 2) / (F(19, 2) + F(19, 8)) - F(-5, 2) / (F(-3) - F(9, 8)),
            2 * F(15, 2) / (F(19, 2) + F(19, 8)) - F(3, 2) / (F(-3) - F(9, 8)),
        ],
        id="B-gamma",
    ),
    pytest.param(
        VECTOR_B,
        lrp.AlphaBeta(2.0, 1.0),
        # unit one has positive contributions only: the beta part is 0/0 = 0
        [
            2 * 2 * F(1) / F(19, 2) + F(-2) / F(-9, 2),
            2 * 2 * F(2) / F(19, 2) + F(-2) / F(-9, 2),
            2 * 2 * F(6) / F(19, 2) - 2 * F(3, 2) / F(3, 2),
        ],
        id="B-alpha_beta",
    ),
]


def two_layers(x: torch.Tensor, relevance: torch.Tensor) -> nn.Sequential:
    """The layer of the vectors under a head that hands exactly ``relevance`` to its outputs by LRP-0."""
    layer, head = nn.Linear(3, 2, dtype=torch.float64), nn.Linear(2, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(WEIGHT))
        layer.bias.copy_(torch.tensor(BIAS))
        head.weight.copy_(relevance / layer(x))
    return nn.Sequential(layer, head).eval()


def explain(vector, rule, bias="absorb") -> lrp.Explanation:
    x, relevance = (torch.tensor([values], dtype=torch.float64) for values in vector)
    composite = lrp.Composite(rule, by_name={"1": lrp.LRP0()}, bias=bias)
    return lrp.record(two_layers(x, relevance), x).explain(composite, lrp.Target.logit(0))


@pytest.mark.parametrize(("vector", "rule", "expected"), WORKED)
def test_engine_gives_the_worked_numbers(vector, rule, expected):
    np.testing.assert_allclose(explain(vector, rule).relevance[0], np.array(expected, dtype=float), rtol=1e-13)


@pytest.mark.parametrize(("vector", "rule", "expected"), WORKED)
def test_brute_force_gives_the_worked_numbers(vector, rule, expected):
    layer = Affine(np.array(WEIGHT), np.array(BIAS), np.ones((2, 3), dtype=bool))
    split = propagate(layer, np.array(vector[0]), np.array(vector[1]), rule)
    np.testing.assert_allclose(split.relevance, np.array(expected, dtype=float), rtol=1e-13)


@pytest.mark.parametrize(
    ("rule", "decimals"),
    [
        (lrp.Gamma(0.25), [-0.395534, -0.185008, 1.626794]),
        (lrp.AlphaBeta(2.0, 1.0), [0.865497, 1.286550, 0.526316]),
    ],
    ids=repr,
)
def test_vector_b_in_decimals(rule, decimals):
    np.testing.assert_allclose(explain(VECTOR_B, rule).relevance[0], decimals, atol=5e-7)


def test_ledger_of_vector_a_is_exact():
    """LRP-0: the biases take 2 * (1/2)/(11/2) + 1 * (-1/2)/1 = -7/22; nothing else is missing."""
    total = explain(VECTOR_A, lrp.LRP0()).ledger.total
    assert total.start.item() == pytest.approx(3.0, rel=1e-13)
    assert total.bias.item() == pytest.approx(-7 / 22, rel=1e-13)
    assert total.input.item() == pytest.approx(3 + 7 / 22, rel=1e-13)
    assert [total.epsilon.item(), total.constant.item(), total.dropped.item()] == pytest.approx([0, 0, 0], abs=1e-14)


def test_epsilon_and_bias_are_told_apart():
    """eps = 1/4, denominators 23/4 and 5/4: biases take 2 (1/2)/(23/4) - (1/2)/(5/4), epsilon 2 (1/4)/(23/4) + 1/5."""
    total = explain(VECTOR_A, lrp.Epsilon(0.25)).ledger.total
    assert total.bias.item() == pytest.approx(4 / 23 - 2 / 5, rel=1e-12)
    assert total.epsilon.item() == pytest.approx(2 / 23 + 1 / 5, rel=1e-12)


def test_relative_epsilon_is_scaled_by_the_root_mean_square_of_z():
    """z = (11/2, 1): rms = sqrt((121/4 + 1) / 2); eps relative e equals eps absolute e * rms."""
    rms = ((5.5**2 + 1) / 2) ** 0.5
    relative = explain(VECTOR_A, lrp.Epsilon(0.25, relative=True)).relevance
    absolute = explain(VECTOR_A, lrp.Epsilon(0.25 * rms)).relevance
    torch.testing.assert_close(relative, absolute, rtol=1e-13, atol=0)


def test_bias_ignored_and_spread_by_hand():
    """LRP-0 on vector A. Ignored: z = (5, 3/2). Spread: each of three inputs gets a third of the bias's share."""
    ignored = [2 * F(1, 5) - 2 / F(3, 2), 2 * F(-2, 5) + 2 / F(3, 2), 2 * F(6, 5) + F(3, 2) / F(3, 2)]
    share = (2 * F(1, 2) / F(11, 2) + F(-1, 2)) / 3
    spread = [value + share for value in (F(-18, 11), F(14, 11), F(81, 22))]
    for mode, expected in (("ignore", ignored), ("spread", spread)):
        result = explain(VECTOR_A, lrp.LRP0(), bias=mode)
        np.testing.assert_allclose(result.relevance[0], np.array(expected, dtype=float), rtol=1e-13)
        assert result.relevance.sum().item() == pytest.approx(3.0, rel=1e-13)
        assert result.ledger.total.bias.item() == pytest.approx(0.0, abs=1e-14)


@pytest.mark.parametrize(
    ("target", "start"),
    [
        (lrp.Target.top(), [0.0, 3.0, 0.0]),
        (lrp.Target.logit(0), [1.0, 0.0, 0.0]),
        (lrp.Target.difference(1, 2), [0.0, 3.0, 2.0]),
    ],
    ids=["top", "logit", "difference"],
)
def test_start_is_v_times_z(target, start):
    """Logits (1, 3, -2): a difference of classes starts with z_c on c and -z_d on d."""
    identity = nn.Linear(3, 3, bias=False, dtype=torch.float64).eval()
    with torch.no_grad():
        identity.weight.copy_(torch.eye(3))
    tape = lrp.record(identity, torch.tensor([[1.0, 3.0, -2.0]], dtype=torch.float64))
    assert tape.explain(lrp.presets.lrp0(), target).start.tolist() == [start]
