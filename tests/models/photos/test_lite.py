"""The pretrained photo network: its convolutions against TensorFlow's rule, its names, its answers."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lrp_core as lrp
from models.photos import gallery, lite
from models.photos import networks as photo_networks
from models.photos.pictures import Crop, square

PLAIN = [photo for photo in gallery.photos() if photo.imagenet.kind == "plain"]


@pytest.fixture(scope="module")
def net():
    return photo_networks.load("lite0")


def seen(photo):
    network = photo_networks.network("lite0")
    return network.prepare(square(photo.open(), Crop(), network.share))


@pytest.mark.parametrize("side", [7, 8, 9, 16])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (5, 1), (5, 2)])
def test_an_output_is_its_input_by_the_stride_and_the_odd_pixel_is_missing_at_the_end(kernel, stride, side):
    """Each output written out: the window of output (i, j) begins at stride * i - (missing // 2)."""
    torch.manual_seed(0)
    layer = lite.Convolution(2, 3, kernel, stride).double()
    x = torch.randn(1, 2, side, side + 1, dtype=torch.float64)
    with torch.no_grad():
        found = layer(x)
    rows, columns = -(-side // stride), -(-(side + 1) // stride)
    assert found.shape == (1, 3, rows, columns)
    top, left = (
        max((count - 1) * stride + kernel - length, 0) // 2 for count, length in ((rows, side), (columns, side + 1))
    )
    padded = F.pad(x, (9, 9, 9, 9))
    for i in range(rows):
        for j in range(columns):
            y, z = 9 - top + stride * i, 9 - left + stride * j
            window = padded[0, :, y : y + kernel, z : z + kernel]
            expected = (layer.weight * window).sum((1, 2, 3)) + layer.bias
            torch.testing.assert_close(found[0, :, i, j], expected)


def test_it_is_what_was_published(net):
    assert sum(parameter.numel() for parameter in net.parameters()) == lite.model_card()["parameters"] == 4_631_000
    convolutions = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 49 and len(net.blocks) == 16
    assert sum(block.adds for block in net.blocks) == 9
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in net.modules())


def test_a_thousand_names_are_told_apart():
    assert len(lite.labels()) == len(set(lite.labels())) == len(lite.also()) == 1000
    names = dict(zip(lite.labels(), lite.also(), strict=True))
    assert {"cat"} <= set(names["tabby"].split(", ")) and "dog" in names["German shepherd"].split(", ")


@pytest.mark.parametrize("photo", PLAIN, ids=lambda photo: photo.name)
def test_it_names_the_plain_pictures_of_the_gallery(net, photo):
    assert lite.labels()[int(net(seen(photo)).argmax())] == photo.imagenet.shows[0]


def test_of_two_things_both_are_found_and_the_contrast_tells_them_apart(net):
    """The dog is on the left, the cat on the right: each has more of the relevance than the other on its side."""
    photo = next(photo for photo in gallery.photos() if photo.name == "dog_cat")
    dog, cat = (lite.labels().index(name) for name in photo.imagenet.shows)
    x = seen(photo)
    assert {dog, cat} <= set(net(x).topk(5).indices[0].tolist())
    tape, network = lrp.record(net, x), photo_networks.network("lite0")
    composite = lrp.presets.epsilon_gamma_box(network.low, network.high, 1e-3, 0.25)
    one = tape.explain(composite, lrp.Target.difference(dog, cat)).relevance.sum(1)[0]
    other = tape.explain(composite, lrp.Target.difference(cat, dog)).relevance.sum(1)[0]
    half = one.shape[1] // 2
    assert one[:, :half].sum() > 0 > one[:, half:].sum()
    torch.testing.assert_close(one, -other)


def test_the_books_are_closed(net):
    network = photo_networks.network("lite0")
    tape = lrp.record(net.double(), seen(PLAIN[0]).double())
    explained = tape.explain(lrp.presets.epsilon_gamma_box(network.low, network.high, 1e-6, 0.25), lrp.Target.top())
    assert max(row.gap.abs().max().item() for row in explained.ledger) < 1e-9
    net.float()


def test_errors_are_one_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"^There is no network 'lite1' here; the names are lite0\.$"):
        lite.load("lite1")
    sentence = r"^lite0\.safetensors is missing in .*/; remake it with `python -m training\.imagenet`\.$"
    with pytest.raises(FileNotFoundError, match=sentence):
        lite.load(folder=tmp_path)
