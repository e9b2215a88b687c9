"""Reading the pretrained photo network: merged batch norms against batch norms, and which answers count as right."""

import pytest
import torch
from torch import nn

from models.photos import LABELS, lite
from training import imagenet


@pytest.fixture(scope="module")
def normed():
    """The network as the wheel has it, with a batch norm behind each convolution: fresh weights, odd moments."""
    torch.manual_seed(0)
    net = lite.Lite()
    for place in imagenet.layers():
        convolution = net.get_submodule(place)
        convolution.register_parameter("bias", None)
        norm = nn.BatchNorm2d(convolution.out_channels, eps=1e-3)
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            nn.init.uniform_(tensor, 0.3, 1.5)
        net.set_submodule(place, nn.Sequential(convolution, norm))
    return net.eval().requires_grad_(False)


@pytest.fixture
def state(normed):
    """Its weights by the wheel's names."""
    found = {"_fc.weight": normed.dense.weight, "_fc.bias": normed.dense.bias}
    for ours, (convolution, norm) in imagenet.layers().items():
        found[f"{convolution}.weight"] = normed.get_submodule(ours)[0].weight
        found |= {f"{norm}.{key}": value for key, value in normed.get_submodule(ours)[1].state_dict().items()}
    return found


def test_merged_batch_norms_change_nothing(normed, state):
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    expected, found = normed(x), imagenet.folded(state)(x)
    assert expected.std() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


def test_every_layer_of_the_wheel_is_used_once(state):
    assert len(imagenet.layers()) == 49
    assert len(state) == 2 + 49 * 6


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda state: state.pop("_bn0.bias"), "_bn0.bias"),
        (lambda state: state.update({"_se_reduce.weight": torch.zeros(1)}), "it has no _se_reduce.weight"),
        (lambda state: state.update({"_fc.bias": torch.zeros(10)}), "size mismatch for bias"),
    ],
    ids=["a part is missing", "a part too many", "another size"],
)
def test_weights_of_another_network_are_refused_in_one_sentence(state, spoil, sentence):
    spoil(state)
    with pytest.raises(SystemExit, match=f"^These weights are not EfficientNet-Lite0's: .*{sentence}"):
        imagenet.folded(state)


def test_what_is_right_for_a_photo_of_ours():
    names = lite.labels()
    assert {names[row] for row in imagenet.right("cat")} == {
        "tabby", "tiger cat", "Persian cat", "Siamese cat", "Egyptian cat",
    }  # fmt: skip
    assert names.index("German shepherd") in imagenet.right("dog") and len(imagenet.right("dog")) > 110
    assert {names[row] for row in imagenet.right("motorbike")} == {"moped", "motor scooter"}
    assert imagenet.right("tulip") == set()
    assert set(imagenet.KNOWN) | set(imagenet.KINDS) <= set(LABELS)
    assert all(imagenet.right(label) for label in (*imagenet.KNOWN, *imagenet.KINDS))
