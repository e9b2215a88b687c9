"""EfficientNet-Lite0, pretrained by others on ImageNet: it names a thousand things.

Input: float32 (B, 3, 224, 224), red, green, blue, (pixel - 127) / 128. Output: (B, 1000) logits.
Tan & Le 2019, without squeeze and excitation and with ReLU6 in place of SiLU (the "Lite" edition of 2020). Batch norms
are merged into the convolutions: what is explained are convolutions, ReLU6, sums, an average and a dense layer.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from models.weights import bundled

SIDE, SHARE = 224, 224 / 256
"""Side of the square that the network sees, in pixels, and its part of a picture's shorter side."""

LOW, HIGH = (-127 / 128,) * 3, (1.0,) * 3
"""A black and a white pixel as the network gets them, per channel: the bounds of the zB rule."""

FILTER = Image.Resampling.BICUBIC

STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)  # fmt: skip
"""Of each stage: blocks, side of the depthwise kernels, stride of the first block, expansion, channels."""

STEM, HEAD = 32, 1280

ASSETS = Path(__file__).parents[2] / "assets" / "photos"
REMAKE = {"lite0": "python -m training.imagenet"}


class Convolution(nn.Conv2d):
    """One whose output is as large as its input, divided by the stride and rounded up.

    As in TensorFlow ("SAME"), where an odd number of pixels is missing, the odd one goes to the bottom and the right.
    """

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(channels, out, kernel, stride, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        missing = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[2:]]
        (top, left), (bottom, right) = zip(*((lack // 2, lack - lack // 2) for lack in missing), strict=True)
        if (top, left) == (bottom, right):
            return F.conv2d(x, self.weight, self.bias, stride, (top, left), 1, self.groups)
        return F.conv2d(F.pad(x, (left, right, top, bottom)), self.weight, self.bias, stride, 0, 1, self.groups)


class Block(nn.Module):
    """Widen, look around channel by channel, narrow; and add what came in, where it has the same shape."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.expand = Convolution(channels, wide, 1) if expansion > 1 else None
        self.depthwise = Convolution(wide, wide, kernel, stride, groups=wide)
        self.project = Convolution(wide, out, 1)
        self.adds = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.adds else y


class Lite(nn.Module):
    """The network; see the head of this module."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, STEM, 3, 2)
        blocks, channels = [], STEM
        for count, kernel, stride, expansion, out in STAGES:
            for number in range(count):
                blocks.append(Block(channels, out, kernel, 1 if number else stride, expansion))
                channels = out
        self.blocks = nn.ModuleList(blocks)
        self.head = Convolution(channels, HEAD, 1)
        self.dense = nn.Linear(HEAD, len(labels()))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return self.dense(F.relu6(self.head(x)).mean((2, 3)))


@cache
def names() -> tuple[dict[str, Any], ...]:
    """ImageNet's thousand classes in their order: "name", and "also", other words that people may search for."""
    return tuple(json.loads((ASSETS / "imagenet.json").read_text(encoding="utf-8")))


@cache
def labels() -> tuple[str, ...]:
    """What the classes are called, (1000,)."""
    return tuple(one["name"] for one in names())


@cache
def also() -> tuple[str, ...]:
    """Other words for each class, joined by commas; empty where there are none. (1000,)"""
    return tuple(", ".join(one.get("also", ())) for one in names())


def load(name: str = "lite0", folder: Path = ASSETS) -> Lite:
    """The pretrained network: float32, eval mode, no gradients.

    Raises ValueError for another name and FileNotFoundError where the weights are missing.
    """
    bundled.check(name, REMAKE)
    with torch.device("meta"):
        net = Lite()
    return bundled.revive(net, name, folder, REMAKE)


def model_card(name: str = "lite0", folder: Path = ASSETS) -> dict[str, Any]:
    """What the network is, who trained it on what, and its figures. Errors as in `load`."""
    return bundled.card(name, folder, REMAKE)
