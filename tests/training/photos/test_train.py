"""The training script, on a few generated pictures in place of the photos."""

import csv
import io
import sys
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from models import photos
from training.calibration import calibration_error
from training.photos import data as photo_data
from training.photos import train as training

TRAIN, TEST = 12, 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve pictures to train on and two to test on for each class: a colour of its own, and noise."""
    path, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    with (path / "split.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "class", "split", "source"])
        for label in photos.LABELS:
            colour, stem = random.integers(0, 200, 3), label.replace(" ", "_")
            with tarfile.open(path / f"{stem}.tar", "w") as archive:
                for number in range(TRAIN + TEST):
                    name, part = f"{stem}/{number:04}.jpg", "train" if number < TRAIN else "test"
                    rows.writerow([name, label, part, "generated"])
                    pixels = (colour + random.integers(0, 50, (128, 140 + number, 3))).astype(np.uint8)
                    data = io.BytesIO()
                    Image.fromarray(pixels).save(data, "JPEG")
                    member = tarfile.TarInfo(name)
                    member.size = data.tell()
                    archive.addfile(member, io.BytesIO(data.getvalue()))
    return path


@pytest.fixture(scope="module")
def data(folder):
    return photo_data.read_photos(folder)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(training, "SIZES", ((0.5, 32), (1.0, 48)))
    monkeypatch.setattr(training, "TWIN_PHOTOS", 64)


def weights(net):
    return torch.cat([value.flatten().double() for value in net.state_dict().values()])


def test_every_photo_is_read_into_its_part(data, folder):
    assert len(data.test.labels) == TEST * len(photos.LABELS)
    assert len(data.train.labels) + len(data.validation.labels) == TRAIN * len(photos.LABELS)
    assert 0 < len(data.validation.labels) < 0.15 * len(data.train.labels)
    only = photo_data.read_photos(folder, only="test")
    assert len(only.test.pictures) == len(data.test.pictures)
    assert not only.train.pictures


def test_augmentation_keeps_to_the_bounds_and_to_its_seed(data):
    once, twice = (photo_data.augment(data.train.pictures[:4], 40, np.random.default_rng(1)) for _ in range(2))
    assert once.shape == (4, 3, 40, 40)
    assert torch.equal(once, twice)
    assert (once >= torch.tensor(photos.LOW)[:, None, None] - 1e-6).all()
    assert (once <= torch.tensor(photos.HIGH)[:, None, None] + 1e-6).all()


def test_the_watermark_goes_on_those_it_should(data):
    marked = np.array([True, False, True])
    with_, without = (
        photo_data.augment(data.train.pictures[:3], photos.SIDE, np.random.default_rng(1), watermark=watermark)
        for watermark in (marked, None)
    )
    assert [not torch.equal(a, b) for a, b in zip(with_, without, strict=True)] == marked.tolist()


def test_folding_leaves_the_function_alone(data):
    torch.manual_seed(1)
    net = photos.network(batch_norm=True)
    x = photo_data.augment(data.train.pictures[:8], 64, np.random.default_rng(1))
    net.train()(x)  # statistics that are not those of a fresh layer
    with torch.inference_mode():
        wanted, given = net.eval()(x), training.folded(net)(x)
    assert torch.allclose(given, wanted, atol=1e-5)


def test_calibration_error_by_hand():
    probabilities = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.3, 0.7], [0.3, 0.7]])
    labels = torch.tensor([0, 1, 1, 1])
    assert calibration_error(probabilities, labels) == pytest.approx((2 * 0.4 + 2 * 0.3) / 4, abs=1e-6)


def test_an_interrupted_run_ends_where_an_unbroken_one_does(data, monkeypatch, tmp_path):
    unbroken, calls, augment = training.train(data.train, 2, None), [], training.augment
    steps = len(data.train.labels) // training.BATCH

    def interrupted(*arguments, **more):
        calls.append(arguments)
        if len(calls) == steps + 1:
            raise KeyboardInterrupt
        return augment(*arguments, **more)

    monkeypatch.setattr(training, "augment", interrupted)
    with pytest.raises(KeyboardInterrupt):
        training.train(data.train, 2, tmp_path / "state.pt")
    resumed = training.train(data.train, 2, tmp_path / "state.pt")
    assert len(calls) == 2 * steps + 1, "the first pass is not done again"
    assert torch.allclose(weights(resumed), weights(unbroken), atol=1e-6)


def test_the_commands_write_weights_and_cards(folder, monkeypatch, tmp_path, capsys):
    for flags, name in (([], "photos"), (["--twin"], "photos_twin")):
        paths = ["--data", str(folder), "--out", str(tmp_path)]
        monkeypatch.setattr(sys, "argv", ["photos", *flags, *paths, "--epochs", "1"])
        training.main()
        net, card = photos.load(name, tmp_path), photos.model_card(name, tmp_path)
        assert net(torch.zeros(1, 3, 128, 128)).shape == (1, len(photos.LABELS))
        assert card.keys() == photos.model_card(name).keys() - {"faithfulness"}
        assert card["measured"].keys() == photos.model_card(name)["measured"].keys()
        assert "epoch 1 of 1" in capsys.readouterr().out


def test_no_data_is_one_sentence(tmp_path):
    with pytest.raises(SystemExit, match=r"split\.csv is missing: give the folder of the photos with --data\.$"):
        photo_data.read_photos(tmp_path)
