import hashlib
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import lrp_core as lrp
from models import photos
from models.photos import lite, pictures
from models.photos import networks as photo_networks
from models.photos.networks import BUNDLED, NETWORKS, OURS
from models.photos.torchvision_nets import CHECKPOINTS, weights
from models.torchvision_compat import import_torchvision
from models.weights.checkpoints import Checkpoint

ROOT = Path(__file__).resolve().parents[3]
BLACK, WHITE = (Image.new("RGB", (300, 300), colour) for colour in ("black", "white"))


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    """Neither this machine's cache nor its settings play a part."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("LRP_ALLOW_DOWNLOADS", raising=False)


@pytest.fixture
def catalogue(tmp_path) -> dict[str, Checkpoint]:
    """One in which SqueezeNet has random weights, which lie in torch's cache."""
    path = tmp_path / "torch" / "hub" / "checkpoints" / "random.pth"
    path.parent.mkdir(parents=True)
    torch.save(import_torchvision().models.squeezenet1_1().state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return CHECKPOINTS | {"squeezenet1_1": Checkpoint(path.as_uri(), path.name, digest[:8], 5)}


def picture(width: int, height: int) -> Image.Image:
    """As in photos, the finer the structure, the fainter."""
    dice = np.random.default_rng(4)
    pixels = np.full((height, width, 3), 128.0)
    for grid in (4, 8, 16, 32, 64, 128):
        coarse = Image.fromarray(dice.integers(0, 256, (grid, grid, 3), np.uint8)).resize(
            (width, height), Image.BICUBIC
        )
        pixels += (np.asarray(coarse) - 128.0) * 4 / grid
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def test_bundled_networks_come_first():
    assert list(NETWORKS)[:3] == ["lite0", "photos", "photos_twin"]
    assert set(BUNDLED) == set(photos.REMAKE) | set(lite.REMAKE)
    assert set(OURS) == set(photos.REMAKE)
    assert NETWORKS["vgg16"] == "VGG-16 (ImageNet)"
    assert set(NETWORKS) == set(BUNDLED) | set(CHECKPOINTS)
    assert len(set(NETWORKS.values())) == len(NETWORKS)


def test_torchvision_waits_until_it_is_asked_for():
    code = """
import sys
from models.photos import networks as photo_networks
for name in photo_networks.NETWORKS:
    photo_networks.ready(name)
photo_networks.network("lite0")
print("torchvision" in sys.modules)
photo_networks.network("vgg16")
print("torchvision" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["False", "True"]


@pytest.mark.parametrize("name", NETWORKS)
def test_what_a_network_says_of_itself(name):
    network = photo_networks.network(name)
    assert (network.name, network.title) == (name, NETWORKS[name])
    assert (len(network.labels), network.side) == ((23, 128) if name in OURS else (1000, 224))
    assert network.share == (1.0 if name in OURS else 224 / 256)
    assert len(network.also) == (0 if name in OURS else 1000)
    assert isinstance(network.labels, tuple)
    assert len(network.low) == len(network.high) == 3
    with pytest.raises(FrozenInstanceError):
        network.side = 1


@pytest.mark.parametrize("name", ["lite0", "photos", "vgg16"])
def test_bounds_are_what_black_and_white_become(name):
    network = photo_networks.network(name)
    for plain, bound in ((BLACK, network.low), (WHITE, network.high)):
        x = network.prepare(plain)
        assert x.shape == (1, 3, network.side, network.side)
        assert x.dtype == torch.float32
        assert x.is_contiguous(memory_format=torch.channels_last)
        assert torch.allclose(x, torch.tensor(bound)[:, None, None].expand_as(x), atol=1e-6)


@pytest.mark.parametrize("watermark", [False, True])
@pytest.mark.parametrize("name", ["lite0", "photos", "vgg16"])
def test_the_frame_is_what_the_network_gets(name, watermark):
    network = photo_networks.network(name)
    square = picture(300, 300)
    pixels = network.frame(square, watermark)
    assert pixels.shape == (network.side, network.side, 3)
    assert pixels.dtype == np.uint8
    low, high = (torch.tensor(bound)[:, None, None] for bound in (network.low, network.high))
    back = (network.prepare(square, watermark) - low) / (high - low) * 255
    assert (back[0].permute(1, 2, 0) - torch.from_numpy(pixels.copy())).abs().max() < 1e-3


@pytest.mark.parametrize("watermark", [False, True])
@pytest.mark.parametrize("name", list(OURS))
def test_our_own_networks_see_what_they_were_trained_on(name, watermark):
    network, square = photo_networks.network(name), picture(300, 300)
    assert np.array_equal(network.frame(square, watermark), photos.frame(square, watermark))
    assert torch.allclose(network.prepare(square, watermark), photos.prepare(square, watermark), atol=1e-6)


@pytest.mark.parametrize("name", ["vgg16", "mobilenet_v3_large"])
@pytest.mark.parametrize("size", [(500, 375), (333, 640), (200, 180), (256, 256)])
def test_the_usual_crop_is_prepared_as_the_weights_ask(name, size):
    """Torchvision reduces before it crops, we crop before we reduce: the grids differ by part of a pixel."""
    network, photo = photo_networks.network(name), picture(*size)
    expected = weights(name).transforms()(photo)
    found = network.prepare(pictures.square(photo, pictures.Crop(), network.share))[0]
    assert (found - expected).abs().mean() < 0.03


@pytest.mark.parametrize("side", [256, 512])
def test_where_the_grids_agree_so_do_the_pixels(side):
    """But at the border, where torchvision's filter sees beyond the crop."""
    network, photo = photo_networks.network("vgg16"), picture(side, side)
    border = side // 16
    cropped = photo.crop((border, border, side - border, side - border))
    expected = weights("vgg16").transforms()(photo)
    assert torch.allclose(network.prepare(cropped)[0, :, 1:-1, 1:-1], expected[:, 1:-1, 1:-1], atol=1e-6)


def test_the_watermark_on_a_larger_frame():
    network, grey = photo_networks.network("vgg16"), Image.new("RGB", (224, 224), (90, 120, 150))
    marked, plain = network.frame(grey, True), network.frame(grey)
    assert np.array_equal(plain, np.asarray(grey))
    small = photos.frame(grey, True)
    expected = np.asarray(Image.fromarray(small).resize((224, 224), Image.BILINEAR))
    assert np.abs(marked.astype(int) - expected).max() <= 2
    assert (marked != plain).any()


def test_grey_pictures_are_taken_too():
    network = photo_networks.network("vgg16")
    assert network.frame(picture(300, 300).convert("L")).shape == (224, 224, 3)


def test_a_network_from_a_checkpoint(catalogue):
    assert photo_networks.ready("squeezenet1_1", catalogue)
    net = photo_networks.load("squeezenet1_1", checkpoints=catalogue)
    network = photo_networks.network("squeezenet1_1")
    tape = lrp.record(net, network.prepare(picture(300, 300)))
    assert tape.output.shape == (1, len(network.labels))
    explained = tape.explain(lrp.presets.epsilon_gamma_box(network.low, network.high, 1e-6, 0.25), lrp.Target.top())
    assert explained.relevance.shape == (1, 3, 224, 224)


def test_missing_weights(tmp_path, catalogue):
    missing = catalogue | {"vgg16": replace(CHECKPOINTS["vgg16"], file="vgg16-nowhere.pth")}
    assert not photo_networks.ready("vgg16", missing)
    with pytest.raises(
        FileNotFoundError, match=r"vgg16-nowhere\.pth.*run `python -m models\.photos\.torchvision_nets vgg16`"
    ):
        photo_networks.load("vgg16", checkpoints=missing)


def test_weights_can_be_fetched_without_loading_them(catalogue, monkeypatch):
    photo_networks.fetch("squeezenet1_1", checkpoints=catalogue)
    photo_networks.fetch("photos")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth"):
        photo_networks.fetch("vgg16", checkpoints={"vgg16": replace(CHECKPOINTS["vgg16"], file="nowhere.pth")})
    monkeypatch.setenv("LRP_ALLOW_DOWNLOADS", "1")
    gone = replace(CHECKPOINTS["vgg16"], file="nowhere.pth", url="file:///nowhere/nowhere.pth")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth could not be downloaded"):
        photo_networks.fetch("vgg16", checkpoints={"vgg16": gone})


@pytest.mark.parametrize(
    "ask", [photo_networks.network, photo_networks.load, photo_networks.ready, photo_networks.fetch]
)
def test_unknown_name_is_refused(ask):
    with pytest.raises(ValueError, match=r"'vit_b_7'.*lite0, photos, photos_twin, vgg11"):
        ask("vit_b_7")


@pytest.mark.parametrize("name", list(BUNDLED))
def test_bundled_networks_load(name):
    assert photo_networks.ready(name)
    net = photo_networks.load(name)
    assert not any(p.requires_grad for p in net.parameters())
    assert not any(module.training for module in net.modules())
    convs = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    assert all(conv.weight.is_contiguous(memory_format=torch.channels_last) for conv in convs)
    network = photo_networks.network(name)
    assert net(network.prepare(picture(200, 200))).shape == (1, len(network.labels))


@pytest.mark.parametrize("name", list(BUNDLED))
def test_bundled_networks_have_a_card(name):
    card = photo_networks.model_card(name)
    assert card["name"] == name and card["file_bytes"] == (photos.ASSETS / f"{name}.safetensors").stat().st_size
    with pytest.raises(ValueError, match="no card of 'vgg16'; there are those of lite0, photos, photos_twin"):
        photo_networks.model_card("vgg16")
