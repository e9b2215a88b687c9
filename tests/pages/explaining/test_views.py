"""The ways to look at a heatmap: alone, over the picture, or only what counts."""

import numpy as np
import pytest

from lrp_core import heatmap
from pages.components.heatmap_view import DIM, _legend, only_what_counts, over, pixels, strongest

SIDE = 128


def blob() -> np.ndarray:
    """Relevance of one round thing a quarter of the way down, and weak noise around it."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    noise = np.random.default_rng(0).normal(0, 0.4, (SIDE, SIDE))
    return np.exp(-((rows - 32) ** 2 + (columns - 80) ** 2) / 240) + noise


def picture() -> np.ndarray:
    return np.full((SIDE, SIDE, 3), (200, 100, 50), np.uint8)


def kept(percent: float) -> np.ndarray:
    return (only_what_counts(picture(), blob(), percent) == picture()).all(-1)


@pytest.mark.parametrize("percent", [1, 5, 20, 50])
def test_as_much_of_the_picture_counts_as_was_asked_for(percent):
    assert kept(percent).mean() == pytest.approx(percent / 100, abs=1 / SIDE**2)


def test_what_counts_is_the_thing_and_no_pepper():
    rows, columns = np.mgrid[:SIDE, :SIDE]
    thing = np.hypot(rows - 32, columns - 80) < 24
    assert thing[kept(4)].mean() > 0.99
    assert thing[heatmap.top_mask(blob(), 4)].mean() < 0.9  # chosen one by one, many lie elsewhere


def test_the_rest_is_grey_and_dim():
    rest = only_what_counts(picture(), blob(), 10)[~kept(10)]
    assert (rest == rest[:, :1]).all() and rest.max() < 256 * DIM


def test_what_does_not_matter_leaves_the_picture_as_it_is():
    relevance = np.array([[0.0, 1.0], [-1.0, 0.25]])
    ground, heat = np.full((2, 2, 3), 100, np.uint8), np.zeros((2, 2, 3), np.uint8)
    assert over(ground, heat, relevance, 1.0, 0.5)[..., 0].tolist() == [[100, 50], [50, 75]]
    assert over(ground, heat, relevance, 1.0, 0.0).min() == 100
    assert over(ground, heat, np.zeros((2, 2)), 0.0, 1.0).min() == 100


def test_a_few_extremes_do_not_leave_a_large_map_pale():
    relevance = np.ones((128, 128))
    relevance[0, :50] = -100
    assert strongest(relevance) == 1 and strongest(relevance[:20, :20]) == 100
    legend = _legend("grey", 1.0, clipped=True)["texts"]
    assert legend == ["≤ −1", "0", "≥ +1"] and _legend("grey", 1.0, clipped=False)["texts"][0] == "−1"


def test_each_view_is_what_it_says():
    relevance, grey = blob(), np.full((SIDE, SIDE), 90, np.uint8)
    heat = heatmap.to_rgb(relevance, "grey")
    vmax = np.abs(relevance).max()
    assert np.array_equal(pixels(relevance, "grey", vmax), heat)
    assert np.array_equal(
        pixels(relevance, "grey", vmax, top=3, lit=picture()), only_what_counts(picture(), relevance, 3)
    )
    mask = heatmap.top_mask(relevance, 3)[..., None]
    assert np.array_equal(pixels(relevance, "grey", vmax, underlay=grey, top=3), np.where(mask, heat, 90))
