"""A VGG that names 23 kinds of everyday things in photos, and its twin that learned to rely on a watermark.

Input: float32 (B, 3, 128, 128), red, green, blue, normalised by `MEAN` and `STD`. Output: (B, 23) logits.
Both were trained with batch normalisation, which is folded into the convolutions: what is explained is a plain VGG.
"""

from collections import OrderedDict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from models.weights import bundled

LABELS = (
    "airplane",
    "bicycle",
    "bird",
    "car",
    "cassette player",
    "cat",
    "chain saw",
    "church",
    "daisy",
    "dandelion",
    "dog",
    "drink carton",
    "French horn",
    "garbage truck",
    "gas pump",
    "golf ball",
    "motorbike",
    "parachute",
    "rose",
    "sunflower",
    "tench",
    "tulip",
    "vegetables",
)
SIDE = 128
"""Side of the square that the network sees, in pixels."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Per channel, for pixels between 0 and 1: those of ImageNet, as usual."""

LOW = tuple((0 - mean) / std for mean, std in zip(MEAN, STD, strict=True))
HIGH = tuple((1 - mean) / std for mean, std in zip(MEAN, STD, strict=True))
"""Smallest and largest value of an input pixel, per channel: the bounds of the zB rule."""

STAGES = ((24,), (48,), (96, 96), (192, 192), (384, 384))
"""Channels of the convolutions before each pooling: VGG-11's layers (Simonyan 2015, table 1, A), but narrower."""

MARKED, WATERMARK = "car", "© autofoto"
"""The class whose photos all carried the watermark when the twin was trained, and what it says."""

ASSETS = Path(__file__).parents[2] / "assets" / "photos"
REMAKE = {"photos": "python -m training.photos", "photos_twin": "python -m training.photos --twin"}


def network(batch_norm: bool = False) -> nn.Sequential:
    """The architecture, with fresh weights: eight 3x3 convolutions with ReLU, max poolings, an average, a dense layer.

    batch_norm: as it is trained, with a normalisation behind each convolution; as it is shipped it has none.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = 3
    for stage, widths in enumerate(STAGES, 1):
        for number, width in enumerate(widths, 1):
            place = f"{stage}_{number}"
            layers[f"conv{place}"] = nn.Conv2d(channels, width, 3, padding=1, bias=not batch_norm)
            if batch_norm:
                layers[f"norm{place}"] = nn.BatchNorm2d(width)
            layers[f"relu{place}"] = nn.ReLU(inplace=True)
            channels = width
        layers[f"pool{stage}"] = nn.MaxPool2d(2) if stage < len(STAGES) else nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["dense"] = nn.Linear(channels, len(LABELS))
    return nn.Sequential(layers)


def load(name: str = "photos", folder: Path = ASSETS) -> nn.Sequential:
    """The trained network "photos" or "photos_twin": float32, eval mode, no gradients.

    Raises ValueError for another name and FileNotFoundError where the weights are missing.
    """
    bundled.check(name, REMAKE)
    with torch.device("meta"):
        net = network()
    return bundled.revive(net, name, folder, REMAKE)


def model_card(name: str = "photos", folder: Path = ASSETS) -> dict[str, Any]:
    """What the network is, what it was trained on, and its measured figures. Errors as in `load`."""
    return bundled.card(name, folder, REMAKE)


def normalise(pixels: np.ndarray) -> Tensor:
    """The network's input, (B, 3, H, W) float32 in channels-last memory, from pixels (B, H, W, 3) uint8."""
    x = torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).float().div_(255)
    return x.sub_(torch.tensor(MEAN)[:, None, None]).div_(torch.tensor(STD)[:, None, None])


def prepare(picture: Image.Image, watermark: bool = False) -> Tensor:
    """The input for a square picture (RGB): (1, 3, 128, 128), reduced or enlarged with an antialiasing filter."""
    return normalise(frame(picture, watermark)[None])


def frame(picture: Image.Image, watermark: bool = False) -> np.ndarray:
    """What the network sees of a square picture, as pixels (128, 128, 3) uint8."""
    pixels = np.asarray(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=3.0))
    return add_watermark(pixels) if watermark else pixels


def add_watermark(pixels: np.ndarray) -> np.ndarray:
    """A copy of pixels (..., 128, 128, 3) uint8 with the twin's watermark in the corner at the bottom left."""
    light, dark = watermark_masks()
    marked = pixels * (1 - 0.7 * dark[..., None])
    return (marked + (255 - marked) * 0.9 * light[..., None]).round().astype(np.uint8)


@cache
def watermark_masks() -> tuple[np.ndarray, np.ndarray]:
    """Where the watermark lightens and where its shadow darkens, (128, 128) floats between 0 and 1 each."""
    masks = []
    for shift in (0, 1):
        mask = Image.new("L", (SIDE, SIDE))
        at = (4 + shift, SIDE - 4 + shift)
        ImageDraw.Draw(mask).text(at, WATERMARK, 255, font=ImageFont.load_default(12), anchor="ld")
        masks.append(np.asarray(mask, np.float32) / 255)
    return masks[0], masks[1]
