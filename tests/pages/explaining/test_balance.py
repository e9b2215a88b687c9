"""The balance line: its numbers add up on the screen, and it says when and why much is missing."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrp_core.ledger import ABSORBERS as LEDGER_ABSORBERS
from pages.explaining.balance import ABSORBERS, balance
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


@pytest.mark.parametrize(("lost", "amber"), [(0.5, False), (0.51, True), (-0.51, True)])
def test_amber_above_five_per_cent(lost, amber):
    assert balance("Score", 10.0, 10 - lost, {"bias": lost}).amber is amber


def test_losses_that_cancel_are_losses_all_the_same():
    line = balance("Score", 10.0, 10.0, {"bias": 1.0, "epsilon": -1.0})
    assert line.amber and line.reason.startswith("20 % of the score")


def test_the_reason_names_the_largest_loss():
    line = balance("Score", 10.0, 4.0, {"bias": 1.0, "epsilon": 5.0})
    assert ABSORBERS["epsilon"][1] in line.reason and ABSORBERS["bias"][1] not in line.reason


def test_a_score_of_zero():
    assert balance("Score", 0.0, 0.0, {"bias": 0.0}).text == "Score 0.0000 = 0.0000 on the input"
    assert balance("Score", 0.0, -1.0, {"bias": 1.0}).reason.startswith("Part of the score")


@given(st.dictionaries(st.sampled_from(LEDGER_ABSORBERS), AMOUNT), AMOUNT)
def test_the_numbers_on_the_screen_add_up(absorbed, arrived):
    line = balance("Score", arrived + sum(absorbed.values()), arrived, absorbed)
    numbers = [float(n.replace("−", "-").replace(" ", "")) for n in re.findall(r"[−+]? ?\d+\.\d+", line.text)]
    assert numbers[0] == pytest.approx(sum(numbers[1:]), abs=1e-9)


def test_the_name_of_a_class_is_no_markup():
    assert literal("comp.sys_a*b [x](y) <i>") == r"comp\.sys\_a\*b \[x\]\(y\) \<i\>"
    assert literal("Fußball 5") == "Fußball 5"
