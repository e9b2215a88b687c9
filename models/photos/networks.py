"""The networks that the page on photos offers: a pretrained one, our own, and torchvision's with ImageNet weights.

Importing this module needs neither torchvision nor weights; asking for one of torchvision's networks imports it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from models.photos import lite, torchvision_nets, vgg
from models.photos.torchvision_nets import CHECKPOINTS
from models.weights import checkpoints as files
from models.weights.checkpoints import Checkpoint, Progress

OURS = {"photos": f"Our VGG ({len(vgg.LABELS)} things)", "photos_twin": "Cheating twin"}
BUNDLED = {"lite0": "1,000 things, pretrained (EfficientNet-Lite0)"} | OURS
NETWORKS = BUNDLED | {name: f"{title} (ImageNet)" for name, title in torchvision_nets.TITLES.items()}
"""Every name that `network` and `load` know, and what it is called on the page. Those that need no download first."""


@dataclass(frozen=True)
class PhotoNetwork:
    """What a network expects of a picture and what its outputs mean.

    side: of the square that it sees, in pixels. share: the part of a picture's shorter side that its usual crop
    covers. low, high: a black and a white pixel as the network gets them, per channel: the bounds of the zB rule.
    filter: by which pictures are brought to that size. also: other words for each class, which people may search for.
    """

    name: str
    title: str
    labels: tuple[str, ...]
    side: int
    share: float
    low: tuple[float, ...]
    high: tuple[float, ...]
    filter: Image.Resampling
    also: tuple[str, ...] = ()

    def frame(self, square: Image.Image, watermark: bool = False) -> np.ndarray:
        """What the network sees of a square picture (RGB), as pixels (side, side, 3) uint8."""
        if self.name in OURS:
            return vgg.frame(square, watermark)
        pixels = np.asarray(square.convert("RGB").resize((self.side, self.side), self.filter))
        return _add_watermark(pixels) if watermark else pixels

    def prepare(self, square: Image.Image, watermark: bool = False) -> Tensor:
        """The input for a square picture (RGB): (1, 3, side, side) float32 in channels-last memory."""
        pixels = torch.from_numpy(self.frame(square, watermark)[None].copy()).permute(0, 3, 1, 2).float().div_(255)
        low, high = (torch.tensor(bound)[:, None, None] for bound in (self.low, self.high))
        return pixels.mul_(high - low).add_(low)


@cache
def network(name: str) -> PhotoNetwork:
    """What the network `name` expects and means. Raises ValueError for a name that is not in `NETWORKS`."""
    _check_name(name)
    title = NETWORKS[name]
    if name == "lite0":
        return PhotoNetwork(
            name, title, lite.labels(), lite.SIDE, lite.SHARE, lite.LOW, lite.HIGH, lite.FILTER, lite.also()
        )
    if name in OURS:
        return PhotoNetwork(name, title, vgg.LABELS, vgg.SIDE, 1.0, vgg.LOW, vgg.HIGH, Image.Resampling.BICUBIC)
    weights = torchvision_nets.weights(name)
    usual = weights.transforms()
    (side,), (shorter,) = usual.crop_size, usual.resize_size
    return PhotoNetwork(
        name,
        title,
        lite.labels(),
        side,
        side / shorter,
        tuple((0 - mean) / std for mean, std in zip(usual.mean, usual.std, strict=True)),
        tuple((1 - mean) / std for mean, std in zip(usual.mean, usual.std, strict=True)),
        Image.Resampling[usual.interpolation.name],
        lite.also(),
    )


def load(name: str, progress: Progress | None = None, checkpoints: Mapping[str, Checkpoint] = CHECKPOINTS) -> nn.Module:
    """The network: float32, eval mode, no gradients, without batch norms, convolutions in channels-last memory.

    progress: called in the caller's thread with 0 to 1 while weights are downloaded.
    Raises ValueError for an unknown name, FileNotFoundError (one sentence, for visitors) where there are no weights.
    """
    _check_name(name)
    if name in BUNDLED:
        return (vgg if name in OURS else lite).load(name).to(memory_format=torch.channels_last)
    return torchvision_nets.load(name, progress, checkpoints=checkpoints)


def fetch(name: str, progress: Progress | None = None, checkpoints: Mapping[str, Checkpoint] = CHECKPOINTS) -> None:
    """Have the network's weights on disk, without loading them. Arguments and errors as of `load`."""
    _check_name(name)
    if name not in BUNDLED:
        torchvision_nets.obtain(name, progress, checkpoints=checkpoints)


def ready(name: str, checkpoints: Mapping[str, Checkpoint] = CHECKPOINTS) -> bool:
    """Whether the network's weights are on disk. Raises ValueError for an unknown name."""
    _check_name(name)
    if name in BUNDLED:
        return (vgg.ASSETS / f"{name}.safetensors").is_file()
    return files.find(checkpoints[name]) is not None


def model_card(name: str) -> dict[str, Any]:
    """What a network that comes with the project is, and its figures.

    Raises ValueError for another name and FileNotFoundError where the card is missing."""
    if name not in BUNDLED:
        raise ValueError(f"There is no card of {name!r}; there are those of {', '.join(BUNDLED)}.")
    return (vgg if name in OURS else lite).model_card(name)


def _check_name(name: str) -> None:
    if name not in NETWORKS:
        raise ValueError(f"There is no photo network {name!r}; the names are {', '.join(NETWORKS)}.")


def _add_watermark(pixels: np.ndarray) -> np.ndarray:
    """The twin's watermark on pixels (side, side, 3) uint8 of any side.

    It is a blend, so what it makes of black and of white tells what it makes of every other pixel.
    """
    black, white = (_watermarked(value, len(pixels)) for value in (0, 255))
    return (black + pixels * ((white - black) / 255)).round().astype(np.uint8)


@cache
def _watermarked(value: int, side: int) -> np.ndarray:
    """The watermark on a plain square of this value: (side, side, 3) floats between 0 and 255."""
    plain = np.full((vgg.SIDE, vgg.SIDE, 3), value, np.uint8)
    marked = Image.fromarray(vgg.add_watermark(plain)).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(marked, np.float32)
