"""Pictures of relevance: exact colours, symmetry, and what a colour-blind visitor still sees."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from lrp_core import heatmap

WHITE, RED, BLUE = [255, 255, 255], [138, 5, 13], [2, 68, 145]
RNG = np.random.default_rng(0)


def oklab(srgb: np.ndarray, seen_by: np.ndarray | None = None) -> np.ndarray:
    """OKLab (Ottosson 2020) of sRGB colours (n, 3) uint8, after an eye that mixes the linear channels by `seen_by`."""
    c = srgb / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4).T
    if seen_by is not None:
        linear = np.clip(seen_by @ linear, 0, 1)
    cone = np.cbrt(np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.63]]) @ linear)
    return (np.array([[0.2105, 0.7936, -0.0041], [1.978, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]]) @ cone).T


# Machado, Oliveira & Fernandes 2009, severity 1.
EYES = {
    "normal": np.eye(3),
    "protanopia": np.array([[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.052]]),
    "deuteranopia": np.array([[0.3673, 0.8606, -0.228], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]]),
}


def test_exact_pixels():
    picture = heatmap.to_rgb(np.array([[2.0, 0.0, -2.0]]))
    assert picture.dtype == np.uint8
    assert picture.tolist() == [[RED, WHITE, BLUE]]


def test_entry_of_the_table_is_the_documented_one():
    table = heatmap.colour_table()
    values = np.array([[1.0, 0.5, 1 / 254, 0.9 / 254, 0.0, -0.9 / 254, -1 / 254, -0.5, -1.0]])
    entries = [255, 192, 129, 128, 128, 127, 126, 63, 0]
    assert np.array_equal(heatmap.to_rgb(values, vmax=1.0)[0], table[entries])


def test_vmax_scales_and_clips():
    weak = heatmap.to_rgb(np.array([[1.0, -1.0]]), vmax=4.0)
    assert np.array_equal(weak, heatmap.to_rgb(np.array([[0.25, -0.25]]), vmax=1.0))
    assert heatmap.to_rgb(np.array([[9.0, -9.0]]), vmax=4.0).tolist() == [[RED, BLUE]]


@pytest.mark.parametrize("colours", heatmap.COLOURS)
def test_tables_are_symmetric(colours):
    table = heatmap.colour_table(colours)
    assert table.shape == (256, 3) and table.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 0
    assert np.array_equal(table[127], table[128])
    assert len(set(table[128].tolist())) == 1, "zero must have no colour of its own"
    lightness = oklab(table)[:, 0]
    steps = np.abs(lightness - lightness[128])
    assert np.allclose(steps, steps[::-1], atol=0.01), "+r and -r must stand out equally"
    assert (np.diff(steps[128:]) >= 0).all(), "more relevance must never stand out less"


@pytest.mark.parametrize("colours", heatmap.COLOURS)
def test_negated_relevance_is_the_mirrored_table(colours):
    relevance, table = np.linspace(0, 1, 128)[None], heatmap.colour_table(colours)
    assert np.array_equal(heatmap.to_rgb(relevance, colours)[0], table[128:])
    assert np.array_equal(heatmap.to_rgb(-relevance, colours)[0], table[127::-1])


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("colours", heatmap.COLOURS)
def test_sign_can_be_told(colours, eye):
    """In OKLab 0.02 is about the smallest difference that people notice; the grey pair tells signs by lightness."""
    seen = oklab(heatmap.colour_table(colours), EYES[eye])
    apart = np.linalg.norm(seen[128:] - seen[127::-1], axis=1)
    assert (apart[13:] > 0.04).all(), "at a tenth of the scale"
    assert (apart[64:] > 0.16).all(), "at half of the scale and beyond"


def test_all_zeros_are_white():
    zeros = np.zeros((3, 4))
    assert (heatmap.to_rgb(zeros) == 255).all()
    assert heatmap.scale(zeros, 99) == heatmap.Scaling(0.0, 100.0, 0.0)
    assert "no pixel" in heatmap.alt_text(zeros, "digit 3", "LRP-0")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("draw", [heatmap.to_rgb, heatmap.scale, lambda r: heatmap.top_mask(r, 10)])
def test_broken_numbers_are_refused(draw, bad):
    with pytest.raises(ValueError, match=r"^1 of 4 relevance values are NaN or infinite; a heatmap needs numbers$"):
        draw(np.array([[0.0, 1.0], [bad, 2.0]]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: heatmap.colour_table("jet"),
            "no colour table is called 'jet'; there are red-white-blue, colour-blind",
        ),
        (lambda: heatmap.to_rgb(np.ones((3, 2, 2))), r"shape \(H, W\), not \(3, 2, 2\); see channel_sum"),
        (lambda: heatmap.to_rgb(np.ones((2, 2)), vmax=-1), "zero or above, not -1"),
        (lambda: heatmap.to_rgb(np.ones((2, 2)), vmax=float("nan")), "zero or above, not nan"),
        (lambda: heatmap.to_rgb(np.ones((0, 2))), "at least one value"),
        (lambda: heatmap.channel_sum(np.ones((2, 2))), r"shape \(C, H, W\), not \(2, 2\)"),
        (lambda: heatmap.scale(np.ones((2, 2)), 0), "above 0 and at most 100, not 0"),
        (lambda: heatmap.top_mask(np.ones((2, 2)), 101), "from 0 to 100, not 101"),
        (lambda: heatmap.overlay(np.zeros((2, 2, 3)), np.zeros((2, 3))), "differ in size"),
        (lambda: heatmap.overlay(np.zeros((2, 2, 3)), np.zeros((2, 2)), 1.5), "from 0 to 1, not 1.5"),
        (lambda: heatmap.png_bytes(np.zeros((2, 2, 3), np.uint8), 0), "1 or above, not 0"),
        (lambda: heatmap.contact_sheet([], []), "0 maps, 0 captions"),
        (lambda: heatmap.contact_sheet([np.ones((2, 2)), np.ones((2, 3))], ["a", "b"]), "must have one size"),
    ],
)
def test_wrong_use_is_told_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_channel_sum_keeps_the_total():
    relevance = RNG.normal(size=(2, 3, 4, 5))
    summed = heatmap.channel_sum(relevance)
    assert summed.shape == (2, 4, 5)
    assert np.allclose(summed[1, 2, 3], relevance[1, :, 2, 3].sum())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_tensors_are_drawn_like_arrays(dtype):
    relevance = torch.tensor([[1.0, -0.5], [0.25, 0.0]], dtype=dtype, requires_grad=True)
    assert np.array_equal(heatmap.to_rgb(relevance), heatmap.to_rgb(relevance.detach().double().numpy()))


def test_clipping_is_stated():
    relevance = np.concatenate([np.linspace(-1, 1, 99), [50.0]]).reshape(10, 10)
    scaling = heatmap.scale(relevance, 99)
    assert scaling.percentile == 99 and scaling.clipped_share == 0.01 and 1 <= scaling.vmax < 2
    assert str(scaling).endswith("; 1.0% of the values lie beyond")
    assert heatmap.scale(relevance) == heatmap.Scaling(50.0, 100.0, 0.0)
    assert str(heatmap.scale(relevance)) == "colours span -50 to +50"


def test_a_percentile_that_holds_only_zeros_falls_back_to_the_largest_and_says_so():
    relevance = np.zeros((10, 10))
    relevance[0, 0] = -3
    assert heatmap.scale(relevance, 90) == heatmap.Scaling(3.0, 100.0, 0.0)


def test_overlay_mixes_exactly():
    heat = np.full((1, 2, 3), 200, np.uint8)
    image = np.array([[0, 100]], np.uint8)
    assert heatmap.overlay(heat, image, 0.25).tolist() == [[[50] * 3, [125] * 3]]
    assert np.array_equal(heatmap.overlay(heat, image, 1.0), heat)
    assert np.array_equal(heatmap.overlay(heat, np.stack([image] * 3, -1), 0.0)[..., 0], image)


def test_top_mask_takes_exactly_the_share():
    relevance = np.array([[5.0, -9.0, 1.0], [1.0, 4.0, 0.0], [0.0, 0.0, 1.0]])
    assert heatmap.top_mask(relevance, 100 / 3).tolist() == [[True, False, True], [False, True, False], [False] * 3]
    assert heatmap.top_mask(relevance, 0).sum() == 0
    assert heatmap.top_mask(relevance, 0.01).sum() == 1
    assert heatmap.top_mask(relevance, 100).all()


def test_png_is_lossless_and_enlarged_by_whole_pixels():
    picture = heatmap.to_rgb(RNG.normal(size=(5, 4)))
    decoded = np.asarray(Image.open(io.BytesIO(heatmap.png_bytes(picture, zoom=3))))
    assert np.array_equal(decoded, np.kron(picture, np.ones((3, 3, 1), np.uint8)))
    head, _, body = heatmap.data_uri(picture, zoom=3).partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(body) == heatmap.png_bytes(picture, zoom=3)


def test_contact_sheet_shares_one_scale():
    strong, weak = np.full((6, 6), 4.0), np.full((6, 6), 1.0)
    sheet = heatmap.contact_sheet([strong, weak, -strong], ["a", "b", "c"], columns=2, zoom=10)
    colours = {tuple(colour) for colour in sheet.reshape(-1, 3).tolist()}
    quarter = tuple(heatmap.to_rgb(weak, vmax=4.0)[0, 0].tolist())
    assert {tuple(RED), tuple(BLUE), quarter} <= colours
    assert sheet.shape == (2 * (60 + 18 + 8) + 8, 2 * (60 + 8) + 8, 3)


def test_captions_are_written_and_cut_to_the_width_of_their_map():
    maps = [np.zeros((10, 10))] * 2
    plain, written, long = (
        heatmap.contact_sheet(maps, [caption, ""], columns=2, zoom=4) for caption in ("", "gamma", "gamma" * 40)
    )
    assert (written != plain).any()
    assert (long != plain).any()
    right = 8 + 40 + 8  # the second map starts here: nothing of the first caption reaches it
    assert np.array_equal(long[:, right:], plain[:, right:])


def test_alt_text_says_class_rule_sums_and_where():
    relevance = np.array([[0.0, 3.0, 0.0], [0.0, 0.0, -1.0]])
    assert heatmap.alt_text(relevance, "digit 3", "epsilon rule") == (
        "Heatmap for digit 3, epsilon rule: +3 for it, -1 against it, "
        "strongest +3 in row 1 from the top, column 2 from the left."
    )
