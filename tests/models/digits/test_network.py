import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models import digits
from models.digits import drawing

MNIST = Path(__file__).parents[4] / "shared" / "data" / "mnist" / "mnist.npz"


def pictures(samples):
    return torch.cat([digits.prepare(drawing.rasterize(sample.strokes)) for sample in samples])


def tagged(tag):
    return [sample for sample in drawing.samples() if tag in sample.tags]


def drawing_of(sample_name, zoom=1.0, right=0.0, down=0.0):
    sample = next(sample for sample in drawing.samples() if sample.name == sample_name)
    return tuple(
        drawing.Stroke(tuple((x * zoom + right, y * zoom + down) for x, y in stroke.points), stroke.width * zoom)
        for stroke in sample.strokes
    )


@pytest.fixture(scope="module")
def net():
    return digits.load()


def test_logits_for_each_row(net):
    logits = net(torch.rand(3, 1, 28, 28))
    assert logits.shape == (3, len(digits.LABELS))
    assert logits.dtype == torch.float32


def test_ready_to_be_explained(net):
    assert not net.training
    assert all(p.dtype == torch.float32 and p.device.type == "cpu" and not p.requires_grad for p in net.parameters())


@pytest.mark.parametrize("name", ["digits", "digits_twin"])
def test_weights_stay_under_a_megabyte(name):
    size = (digits.ASSETS / f"{name}.safetensors").stat().st_size
    assert size <= 1_000_000
    assert size == digits.model_card(name)["file_bytes"]


def test_loading_twice_gives_the_same_network(net):
    again = digits.load()
    assert again is not net
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))


def test_loading_leaves_the_random_state_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    digits.load()
    assert torch.equal(torch.rand(1), expected)


def test_unknown_name_is_refused():
    with pytest.raises(ValueError, match=r"'letters'.*digits, digits_twin"):
        digits.load("letters")


@pytest.mark.parametrize("read", [digits.load, digits.model_card])
def test_missing_files_name_the_file_and_the_command(read, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"digits_twin\.\w+ is missing.*python -m training\.digits --twin"):
        read("digits_twin", tmp_path)


@pytest.mark.parametrize("name", ["digits", "digits_twin"])
def test_card_says_what_a_reader_needs(name):
    card = digits.model_card(name)
    assert card["name"] == name
    assert {"title", "task", "training", "held_out", "measured", "limits", "licence", "remade_by"} <= card.keys()
    assert json.dumps(card)


def test_reads_the_drawn_digits(net):
    drawn = tagged("drawn")
    assert [sum(sample.label == digit for sample in drawn) for digit in range(10)] == [6] * 10
    right = net(pictures(drawn)).argmax(1) == torch.tensor([sample.label for sample in drawn])
    wrong = [sample.name for sample, hit in zip(drawn, right, strict=True) if not hit]
    assert len(wrong) <= 3, wrong


def test_reads_the_examples_of_the_page(net):
    examples = tagged("sample")
    assert net(pictures(examples)).argmax(1).tolist() == [sample.label for sample in examples] == list(range(10))


def test_torn_between_the_two_readings_of_an_ambiguous_drawing(net):
    ambiguous = tagged("ambiguous")
    top = net(pictures(ambiguous)).topk(2).indices.sort(1).values.tolist()
    both = sum(tuple(pair) == sample.digits for pair, sample in zip(top, ambiguous, strict=True))
    assert both >= len(ambiguous) - 1


@pytest.mark.skipif(not MNIST.is_file(), reason="MNIST is not beside the project")
def test_reads_mnists_test_digits(net):
    with np.load(MNIST) as data:
        x, y = torch.from_numpy(data["x_test"])[:, None] / 255, torch.from_numpy(data["y_test"].astype(np.int64))
    with torch.inference_mode():
        right = torch.cat([net(part).argmax(1) for part in x.split(1000)]) == y
    accuracy = right.float().mean().item()
    assert accuracy >= 0.994
    assert accuracy == pytest.approx(digits.model_card()["measured"]["accuracy"], abs=2e-4)


def test_preparation_fills_the_box_and_centres_the_mass():
    for sample in drawing.samples():
        x = digits.prepare(drawing.rasterize(sample.strokes))
        assert x.shape == (1, 1, 28, 28) and x.dtype == torch.float32
        assert x.min() == 0 and x.max() == 1
        picture = x[0, 0].double()
        rows, columns = picture.sum(1).nonzero(), picture.sum(0).nonzero()
        assert max(rows.max() - rows.min(), columns.max() - columns.min()) + 1 in (19, 20)
        place = torch.arange(28).double() + 0.5
        for profile, span in ((picture.sum(1), rows), (picture.sum(0), columns)):
            off = (profile @ place / profile.sum()).item() - 14
            assert abs(off) <= 0.51 or span.min() == 0 or span.max() == 27, sample.name


def test_preparation_ignores_the_place_of_the_drawing():
    moved = (drawing_of("5-small-thick", right=dx, down=dy) for dx, dy in ((0, 0), (-140, -120), (20, 7)))
    first, *others = (digits.prepare(drawing.rasterize(strokes)) for strokes in moved)
    assert all(torch.equal(first, other) for other in others)


def test_preparation_ignores_the_size_of_the_drawing():
    whole = digits.prepare(drawing.rasterize(drawing_of("sample-3")))
    half = digits.prepare(drawing.rasterize(drawing_of("sample-3", zoom=0.5)))
    larger_canvas = digits.prepare(drawing.rasterize(drawing_of("sample-3"), size=560))
    assert (whole - half).abs().mean() < 0.01
    assert (whole - larger_canvas).abs().mean() < 0.01


def test_preparation_reads_bytes_floats_and_faint_ink_alike():
    ink = drawing.rasterize(drawing_of("sample-2"))
    expected = digits.prepare(ink)
    share = ink / 255
    for same in (ink.astype(np.int64), share, share.astype(np.float32), ink.astype(np.float64), share * 1e300):
        assert torch.allclose(digits.prepare(same), expected, atol=1e-6)
    assert (digits.prepare(ink // 2) - expected).abs().mean() < 0.01


def test_ink_is_not_changed():
    ink = drawing.rasterize(drawing_of("sample-2"))
    before = ink.copy()
    digits.prepare(ink)
    assert np.array_equal(ink, before)


def test_too_little_ink_is_none():
    dot = drawing.rasterize((drawing.Stroke(((100.0, 100.0), (101.0, 101.0)), 18.0),))
    one_pixel = np.zeros((280, 280), np.uint8)
    one_pixel[5, 5] = 255
    blank, tiny, faint, negative = np.zeros((280, 280)), np.zeros((1, 1), np.uint8), np.full((9, 9), 0.05), -np.eye(9)
    for ink in (blank, tiny, faint, negative, dot, one_pixel):
        assert digits.prepare(ink) is None


def test_ink_at_the_borders_and_everywhere_is_prepared():
    frame = np.zeros((280, 280), np.uint8)
    frame[[0, -1]] = frame[:, [0, -1]] = 255
    hair = np.zeros((3000, 3), np.uint8)
    hair[:, 1] = 255
    for ink in (frame, np.full((280, 280), 255, np.uint8), np.ones((1, 1)), np.ones((1, 500)), hair, np.eye(2000)):
        x = digits.prepare(ink)
        assert x.shape == (1, 1, 28, 28) and x.isfinite().all() and x.max() == 1


@pytest.mark.parametrize(
    ("ink", "sentence"),
    [
        (np.zeros((28, 28, 3)), "2-D"),
        (np.zeros(28), "2-D"),
        (np.zeros((0, 28)), "at least one pixel"),
        (np.full((28, 28), np.nan), "NaN"),
        (np.array([[0.0, np.inf]]), "infinity"),
        (np.array([["a"]]), "numbers"),
        (np.ones((2, 2), complex), "numbers"),
        (None, "2-D"),
    ],
)
def test_bad_ink_is_refused_in_one_sentence(ink, sentence):
    with pytest.raises(ValueError, match=sentence) as refusal:
        digits.prepare(ink)
    assert str(refusal.value).count(". ") == 0
