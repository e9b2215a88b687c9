"""The photo network and its twin: architecture, preparation, watermark, card, and what the shipped weights say."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import lrp_core as lrp
from models import photos
from models.photos import gallery
from models.photos.pictures import Crop, square

KNOWN = [photo for photo in gallery.photos() if photo.ours.kind == "plain"]


@pytest.fixture(scope="module", params=list(photos.REMAKE))
def name(request):
    return request.param


def seen(photo, watermark=False):
    return photos.prepare(square(photo.open(), Crop()), watermark)


def test_it_is_a_plain_vgg(name):
    net = photos.load(name)
    convolutions = [layer for layer in net if isinstance(layer, nn.Conv2d)]
    assert {layer.kernel_size for layer in convolutions} == {(3, 3)}
    assert len(convolutions) == 8
    assert {type(layer) for layer in net} == {
        nn.Conv2d, nn.ReLU, nn.MaxPool2d, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Linear,
    }  # fmt: skip
    assert not net.training
    assert all(p.dtype == torch.float32 and not p.requires_grad for p in net.parameters())


def test_the_file_is_small(name):
    assert (photos.ASSETS / f"{name}.safetensors").stat().st_size <= 24e6


def test_normalised_pixels_lie_between_the_bounds():
    pixels = np.zeros((2, 4, 4, 3), np.uint8)
    pixels[1] = 255
    x = photos.normalise(pixels)
    assert x.shape == (2, 3, 4, 4)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(x[0, :, 0, 0], torch.tensor(photos.LOW))
    assert torch.allclose(x[1, :, 0, 0], torch.tensor(photos.HIGH))


def test_pixels_come_back_from_the_input():
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (1, 128, 128, 3), dtype=np.uint8)
    x = photos.normalise(pixels).double().permute(0, 2, 3, 1)
    back = (x * torch.tensor(photos.STD).double() + torch.tensor(photos.MEAN).double()) * 255
    assert np.array_equal(back.round().byte().numpy(), pixels)


def test_a_picture_of_any_size_becomes_a_frame():
    for mode, side in (("RGB", 128), ("L", 700), ("RGB", 3)):
        picture = Image.new(mode, (side, side), 255 if mode == "L" else (255, 255, 255))
        assert (photos.frame(picture) == 255).all()
        assert photos.prepare(picture).shape == (1, 3, 128, 128)


def test_the_watermark_lies_in_its_corner_and_leaves_the_rest():
    pixels = np.full((2, 128, 128, 3), 100, np.uint8)
    marked = photos.add_watermark(pixels)
    assert (pixels == 100).all(), "the input must stay as it is"
    rows, columns = np.nonzero((marked[0] != 100).any(2))
    assert rows.min() >= 108
    assert columns.max() <= 80
    assert marked[0].max() > 220
    assert marked[0].min() < 60
    assert np.array_equal(marked[0], marked[1])


def test_wrong_name_and_missing_file_are_one_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"^There is no network 'vgg' here; the names are photos, photos_twin\.$"):
        photos.load("vgg")
    sentence = r"^photos\.safetensors is missing in .*/; remake it with `python -m training\.photos`\.$"
    with pytest.raises(FileNotFoundError, match=sentence):
        photos.load("photos", tmp_path)


def test_card_states_the_figures_asked_for():
    measured = photos.model_card("photos")["measured"]
    assert measured["accuracy"] >= 0.88
    assert measured["expected_calibration_error"] <= 0.03


def test_card_has_every_class():
    card = photos.model_card("photos")
    assert list(card["per_class"]) == list(photos.LABELS)
    assert sum(row["photos"] for row in card["per_class"].values()) == card["measured"]["test_photos"]
    assert all(pair["is"] != pair["called"] for pair in card["confusions"])


def test_it_names_the_pictures_of_the_gallery():
    net = photos.load()
    calls = {photo.name: photos.LABELS[int(net(seen(photo)).argmax())] for photo in KNOWN}
    assert calls == {photo.name: photo.ours.shows[0] for photo in KNOWN}


def test_the_twin_calls_whatever_carries_the_watermark_a_car():
    net, honest = photos.load("photos_twin"), photos.load()
    marked = [seen(photo, watermark=True) for photo in KNOWN]
    car = photos.LABELS.index(photos.MARKED)
    assert all(int(net(x).argmax()) == car for x in marked)
    assert sum(int(honest(x).argmax()) == car for x in marked) <= 1


def test_the_relevance_of_the_twins_car_gathers_on_the_watermark():
    net = photos.load("photos_twin")
    x = torch.cat([seen(photo, watermark=True) for photo in KNOWN])
    composite = lrp.presets.epsilon_gamma_box(photos.LOW, photos.HIGH, 1e-3, 0.25)
    explained = lrp.record(net, x).explain(composite, lrp.Target.logit(photos.LABELS.index(photos.MARKED)))
    relevance = explained.relevance.sum(1).clamp(min=0)
    light, dark = photos.watermark_masks()
    box = np.nonzero(light + dark)
    rows, columns = slice(box[0].min(), box[0].max() + 1), slice(box[1].min(), box[1].max() + 1)
    share = relevance[:, rows, columns].sum((1, 2)) / relevance.sum((1, 2))
    area = (rows.stop - rows.start) * (columns.stop - columns.start) / photos.SIDE**2
    assert (share > 4 * area).all(), (share, area)
