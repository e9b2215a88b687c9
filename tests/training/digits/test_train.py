"""The training script, on a handful of drawings in place of MNIST."""

import sys

import numpy as np
import pytest
import torch

from models import digits
from models.digits import drawing
from training.digits import train as training


@pytest.fixture(scope="module")
def few():
    samples = [sample for sample in drawing.samples() if sample.label is not None]
    x = torch.cat([digits.prepare(drawing.rasterize(sample.strokes)) for sample in samples]).repeat(2, 1, 1, 1)
    return training.Digits(x[:128], torch.tensor([sample.label for sample in samples] * 2)[:128])


def weights(net):
    return torch.cat([p.flatten() for p in net.parameters()])


def test_the_same_seed_gives_the_same_weights(few):
    once, twice = (training.train(few, twin=False, epochs=1, checkpoint=None) for _ in range(2))
    assert torch.equal(weights(once), weights(twice))


def test_an_interrupted_run_ends_where_an_unbroken_one_does(few, monkeypatch, tmp_path):
    unbroken = training.train(few, twin=True, epochs=2, checkpoint=None)
    calls = []

    def interrupted(x, random):
        calls.append(x)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return augment(x, random)

    augment = training.augment
    monkeypatch.setattr(training, "augment", interrupted)
    with pytest.raises(KeyboardInterrupt):
        training.train(few, twin=True, epochs=2, checkpoint=tmp_path / "state.pt")
    resumed = training.train(few, twin=True, epochs=2, checkpoint=tmp_path / "state.pt")
    assert len(calls) == 3, "the first pass is not done again"
    assert torch.equal(weights(resumed), weights(unbroken))


@pytest.mark.parametrize(("flags", "name"), [([], "digits"), (["--twin"], "digits_twin")])
def test_the_command_writes_weights_and_card(flags, name, few, monkeypatch, tmp_path, capsys):
    x, y = (few.x[:, 0] * 255).byte().numpy(), few.y.byte().numpy()
    np.savez(tmp_path / "few.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    paths = ["--data", str(tmp_path / "few.npz"), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["digits", *flags, *paths, "--epochs", "1"])
    training.main()
    net, card = digits.load(name, tmp_path / "out"), digits.model_card(name, tmp_path / "out")
    assert net(few.x).shape == (len(few.x), 10)
    assert card["measured"]["test_digits"] == len(few.y)
    assert card.keys() == digits.model_card(name).keys()
    assert card["measured"].keys() == digits.model_card(name)["measured"].keys()
    assert "epoch 1 of 1" in capsys.readouterr().out


def test_no_data_and_no_network_is_one_sentence(monkeypatch, tmp_path):
    def unreachable():
        raise OSError("no network")

    monkeypatch.setattr("models.torchvision_compat.import_torchvision", unreachable)
    with pytest.raises(SystemExit, match=r"^MNIST is not at .* could not be downloaded \(no network\): give --data\.$"):
        training.read_mnist(tmp_path / "mnist.npz")
