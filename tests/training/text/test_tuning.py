"""What a network for texts sees while it learns, and what its answers cost."""

import numpy as np
import pytest
import torch

from models import text
from training.text import tuning as text_tuning


def test_windows_are_parts_of_texts_and_often_their_beginnings():
    line = [text.START, *range(10, 60), text.END]
    found = text_tuning.windows([line] * 400, (8, 20), np.random.default_rng(0))
    joined = str(line[1:-1])[1:-1]
    for one in found:
        assert one[0] == text.START and one[-1] == text.END and str(one[1:-1])[1:-1] in joined
    assert {len(one) for one in found} == set(range(8, 21))
    assert 180 < sum(one[1] == 10 for one in found) < 240
    assert max(one[-2] for one in found) == 59
    assert text_tuning.windows([[0, 10, 11, 2]], (8, 20), np.random.default_rng(0)) == [[0, 10, 11, 2]]


def test_what_may_be_either_costs_nothing_where_it_is_either():
    wanted = torch.tensor([[0, 0.5, 0.5], [1.0, 0, 0]])
    sure = torch.tensor([[-20.0, 5, -5], [9, -9, -9]])
    assert text_tuning.surprise(sure, wanted, any_of=True).item() == pytest.approx(0, abs=1e-6)
    assert text_tuning.surprise(sure, wanted, any_of=False).item() > 1
    plain = torch.tensor([[1.0, 0, 0], [0, 0, 1.0]])
    assert text_tuning.surprise(sure, plain, True).item() == pytest.approx(
        text_tuning.surprise(sure, plain, False).item()
    )
