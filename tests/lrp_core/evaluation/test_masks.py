"""Relevance beside masks: hand-worked numbers, and loops over pixels."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lrp_core.evaluation import masks as mask_evaluation
from lrp_core.evaluation.masks import POOLINGS, mass_accuracy, pooled, rank_accuracy

lean = settings(max_examples=40, deadline=None, derandomize=True)
MASK = torch.tensor([[[True, False], [True, False]]])


def test_the_poolings_of_a_pixel():
    pixel = torch.tensor([3.0, -5.0, 1.0])[None, :, None, None]
    assert {name: pooled(pixel, name).item() for name in POOLINGS} == {"sum,pos": 0, "l2-norm-sq": 35, "max-norm": 5}
    assert pooled(-pixel).item() == 1
    assert torch.equal(pooled(-pixel[:, 0]), pooled(-pixel[:, :1])), "a map is a picture of one channel"


def test_mass_is_the_share_inside():
    pixels = torch.tensor([[[3.0, 1], [0, 0]], [[0, 0], [0, 2]], [[0, 0], [0, 0]]])
    assert mass_accuracy(pixels, MASK.expand(3, -1, -1)).tolist() == [0.75, 0, 0]


def test_rank_counts_as_many_pixels_as_the_mask_has():
    pixels = torch.tensor([[[3.0, 2], [1, 0]], [[3.0, 0], [2, 1]], [[0, 9], [0, 9]]])
    assert rank_accuracy(pixels, MASK.expand(3, -1, -1)).tolist() == [0.5, 1, 0]


def test_masks_of_different_size_are_measured_each_by_its_own():
    pixels = torch.tensor([[3.0, 2, 1, 0]]).repeat(2, 1)[:, None]
    masks = torch.tensor([[[False, True, False, False]], [[True, True, False, True]]])
    assert rank_accuracy(pixels, masks).tolist() == [0, pytest.approx(2 / 3)]


@lean
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(2, 5))
def test_both_equal_the_loop(seed, count, side):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 6, (count, side, side), generator=generator).double()  # few values: there are ties
    masks = torch.rand(count, side, side, generator=generator) < 0.4
    masks[:, 0, 0] = True
    mass, rank = mass_accuracy(pixels, masks), rank_accuracy(pixels, masks)
    for row in range(count):
        values, inside = pixels[row].flatten().tolist(), masks[row].flatten().tolist()
        total = sum(values)
        share = sum(value for value, one in zip(values, inside, strict=True) if one) / total if total else 0
        assert mass[row].item() == pytest.approx(share)
        most = sorted(range(side * side), key=lambda place: (-values[place], place))[: sum(inside)]
        assert rank[row].item() == pytest.approx(sum(inside[place] for place in most) / sum(inside))


def test_relevance_all_over_the_picture_is_chance():
    masks = torch.zeros(1, 4, 4, dtype=torch.bool)
    masks[0, 1:3, 1:3] = True
    assert mass_accuracy(torch.ones(1, 4, 4), masks).item() == 0.25


@pytest.mark.parametrize(
    ("pixels", "masks", "message"),
    [
        (torch.ones(1, 2, 2), torch.zeros(1, 2, 2, dtype=torch.bool), "A mask is empty"),
        (torch.ones(1, 2, 2), torch.ones(1, 2, 2), "must both be"),
        (torch.ones(2, 2), MASK, "must both be"),
        (-torch.ones(1, 2, 2), MASK, "must not be negative"),
        (torch.full((1, 2, 2), torch.nan), MASK, "NaN or infinite"),
    ],
)
def test_what_cannot_be_measured_is_refused(pixels, masks, message):
    for measure in (mass_accuracy, rank_accuracy):
        with pytest.raises(ValueError, match=message):
            measure(pixels, masks)


def test_unknown_poolings_and_shapes_are_refused():
    with pytest.raises(ValueError, match=r"no pooling 'mean'; the choice is sum,pos"):
        mask_evaluation.pooled(torch.ones(1, 3, 2, 2), "mean")
    with pytest.raises(ValueError, match=r"must be \(B, C, H, W\)"):
        mask_evaluation.pooled(torch.ones(2, 2))
