"""The balance line: its numbers add up on the screen, and it says when and why much is missing."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrp_core.evaluation import flow
from lrp_core.ledger import ABSORBERS as LEDGER_ABSORBERS
from pages.explaining.balance import ABSORBERS, DOUBTS, balance
from pages.settings.wording import literal

AMOUNT = st.floats(-50, 50, allow_nan=False)


def test_every_absorber_of_the_ledger_has_its_words():
    assert set(ABSORBERS) == set(LEDGER_ABSORBERS)


def test_the_line_of_the_design():
    line = balance("Score", 8.41, 8.33, {"bias": 0.08, "epsilon": 0.0})
    assert line.text == "Score 8.41 = 8.33 on the input + 0.08 taken by biases"
    assert not line.amber and not line.reason


def test_what_biases_gave_is_subtracted():
    line = balance("Score", 2.0, 2.05, {"bias": -0.05})
    assert line.text == "Score 2.00 = 2.05 on the input − 0.05 taken by biases"


def test_a_negative_score():
    assert balance("Score", -3.0, -2.9, {"bias": -0.1}).text.startswith("Score −3.00 = −2.90 on the input − 0.10")


@pytest.mark.parametrize("doubt", DOUBTS)
def test_amber_where_the_map_would_mislead(doubt):
    line = balance("Score", 10.0, 9.0, {"bias": 1.0}, lost=0.1, doubt=doubt)
    assert line.amber and line.reason == DOUBTS[doubt]


def test_no_alarm_where_biases_took_nearly_all():
    line = balance("Score", 10.0, 0.1, {"bias": 9.8, "epsilon": 0.1}, lost=0.99)
    assert not line.amber
    assert "where the evidence lies" in line.reason and ABSORBERS["epsilon"][1] not in line.reason


def test_the_reason_names_the_largest_loss():
    line = balance("Score", 10.0, 4.0, {"bias": 1.0, "softmax": -5.0}, lost=0.6)
    assert not line.amber and line.reason == ABSORBERS["softmax"][1]
    assert not balance("Score", 10.0, 6.0, {"softmax": 4.0}, lost=0.4).reason


def test_every_doubt_of_the_core_has_its_words():
    """Each limit nearly reached and just passed, alone, and what was counted to find it."""
    at = {"started": 10.0, "positive": 9.0, "negative": 1.0, "absorbed": 2.0, "damped": 2.0, "gap": 0.0}
    limits = {
        "gap": ("gap", 0.09, 0.11),
        "grown": ("positive", 39.9, 40.1),
        "lost": ("absorbed", 19.9, 20.1),
        "damped": ("damped", 8.9e4, 9.1e4),
    }
    for doubt, (counted, below, above) in limits.items():
        for value, expected in ((below, ""), (above, doubt)):
            found = flow.Flow(**{name: torch.tensor([number]) for name, number in (at | {counted: value}).items()})
            assert flow.doubts(found) == [expected]
    assert set(limits) == set(DOUBTS)


def test_a_score_of_zero():
    assert balance("Score", 0.0, 0.0, {"bias": 0.0}).text == "Score 0.0000 = 0.0000 on the input"


@given(st.dictionaries(st.sampled_from(LEDGER_ABSORBERS), AMOUNT), AMOUNT)
def test_the_numbers_on_the_screen_add_up(absorbed, arrived):
    line = balance("Score", arrived + sum(absorbed.values()), arrived, absorbed)
    numbers = [float(n.replace("−", "-").replace(" ", "")) for n in re.findall(r"[−+]? ?\d+\.\d+", line.text)]
    assert numbers[0] == pytest.approx(sum(numbers[1:]), abs=1e-9)


def test_the_name_of_a_class_is_no_markup():
    assert literal("comp.sys_a*b [x](y) <i>") == r"comp\.sys\_a\*b \[x\]\(y\) \<i\>"
    assert literal("Fußball 5") == "Fußball 5"
