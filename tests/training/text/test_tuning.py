"""What a network for texts sees while it is tuned, what its answers cost, and that it goes on where it stopped."""

import numpy as np
import pytest
import torch

from training.text import tuning
from training.text.lower import Lowered, batches
from training.text.tuning import Recipe


def states(lengths):
    """Texts whose pieces can be told apart: (N pieces, 4), the row of the text, the place, 1 and 0."""
    rows = [[row, place, 1, 0] for row, length in enumerate(lengths) for place in range(length)]
    return Lowered(np.array(rows, np.float16), np.concatenate(([0], np.cumsum(lengths))))


def test_texts_lie_one_behind_the_other():
    data = states([3, 5])
    assert len(data) == 2 and data.lengths.tolist() == [3, 5]
    assert data[1][:, 1].tolist() == [0, 1, 2, 3, 4] and set(data[1][:, 0]) == {1}


def test_batches_hold_every_text_once_and_fit():
    random = np.random.default_rng(0)
    lengths = random.integers(2, 60, 500)
    found = list(batches(lengths, 200, random))
    assert sorted(row for rows in found for row in rows) == list(range(500))
    assert all(len(rows) * lengths[rows].max() <= 200 for rows in found)
    assert max(np.ptp(lengths[rows]) for rows in found) < 20  # of like length, so that there is little padding
    assert [rows.tolist() for rows in found] != [rows.tolist() for rows in batches(lengths, 200, random)]


def test_pieces_are_left_out_up_to_a_share_and_never_the_start():
    one = states([200])[0]
    sizes = [len(tuning.some(one, 0.5, 999, np.random.default_rng(seed))) for seed in range(300)]
    assert min(sizes) > 80 and max(sizes) > 190 and np.mean(sizes) == pytest.approx(150, abs=5)
    for seed in range(50):
        kept = tuning.some(one, 0.9, 999, np.random.default_rng(seed))[:, 1]
        assert kept[0] == 0 and (np.diff(kept) > 0).all()
    assert np.array_equal(tuning.some(one, 0.0, 200, np.random.default_rng(0)), one)


def test_of_a_long_text_only_so_many_pieces_are_read():
    one = states([400])[0]
    kept = [tuning.some(one, 0.0, 100, np.random.default_rng(seed)) for seed in range(100)]
    assert np.mean([len(some) for some in kept]) == pytest.approx(100, abs=5)
    assert max(some[-1, 1] for some in kept) > 390  # from all of it


def test_a_lesson_holds_every_text_with_what_is_wanted_of_it():
    data, wanted = states([4, 9, 2, 7, 30]), np.eye(5, dtype=np.float32)
    seen = {}
    for lesson in tuning.lessons(data, wanted, Recipe(1, tokens=40, left_out=0.0), np.random.default_rng(0)):
        for one, mask, goal in zip(lesson.states, lesson.mask, lesson.wanted, strict=True):
            seen[int(one[0, 0])] = one[mask.bool()]
            assert goal.argmax() == one[0, 0] and not one[~mask.bool()].any()
    assert sorted(seen) == [0, 1, 2, 3, 4]
    assert all(np.array_equal(seen[row], data[row]) for row in seen)


def test_joined_texts_are_wanted_as_their_parts_are_long():
    data, wanted = states([40] * 20), np.eye(20, dtype=np.float32)
    recipe, mixed = Recipe(1, tokens=10_000, left_out=0.0, joined=1.0), 0
    for lesson in tuning.lessons(data, wanted, recipe, np.random.default_rng(0)):
        for one, mask, goal in zip(lesson.states, lesson.mask, lesson.wanted, strict=True):
            pieces = one[mask.bool()][1:, 0]
            shares = torch.bincount(pieces.long(), minlength=20) / len(pieces)
            assert one[0, 1] == 0  # the start of the first text
            torch.testing.assert_close(goal, shares, atol=1e-6, rtol=0)
            mixed += int((goal > 0).sum() == 2)
    assert mixed > 10


def test_what_may_be_either_costs_nothing_where_it_is_either():
    wanted = torch.tensor([[0, 0.5, 0.5], [1.0, 0, 0]])
    sure = torch.tensor([[-20.0, 5, -5], [9, -9, -9]])
    assert tuning.surprise(sure, wanted, any_of=True).item() == pytest.approx(0, abs=1e-6)
    assert tuning.surprise(sure, wanted, any_of=False).item() > 1
    plain = torch.tensor([[1.0, 0, 0], [0, 0, 1.0]])
    assert tuning.surprise(sure, plain, True).item() == pytest.approx(tuning.surprise(sure, plain, False).item())


def test_either_of_two_is_right_where_it_may_be_either():
    found = torch.tensor([[0.0, 99, 0]] * 3)
    assert tuning.right(found, np.array([[0, 0.5, 0.5], [1, 0, 0], [0, 1, 0]])) == pytest.approx(2 / 3)


def test_the_temperature_undoes_a_factor():
    random = torch.Generator().manual_seed(0)
    scores = torch.randn(4000, 3, generator=random)
    labels = torch.multinomial(scores.softmax(1), 1, generator=random)[:, 0]
    wanted = torch.eye(3)[labels]
    assert tuning.temperature(scores * 4, wanted, False) == pytest.approx(4, rel=0.08)
