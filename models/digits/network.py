"""A small ReLU network that reads handwritten digits, and its cheating twin.

Input: float32 (B, 1, 28, 28), ink 1 on background 0, not normalised. Output: (B, 10) logits.
The twin has the same architecture; it was trained where every 8 carried a mark in the corner (see `MARK`).
"""

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from models.weights import bundled

LABELS = tuple("0123456789")
LOW, HIGH = 0.0, 1.0
"""Smallest and largest value of an input pixel: the bounds of the zB rule."""

FRAME, BOX = 28, 20
"""Side of the picture the network sees, and of the box inside it that the digit fills, in pixels."""

FAINT = 0.1
"""Ink weaker than this share of full ink is background."""

SMALLEST = 0.1
"""A drawing shorter and narrower than this share of the canvas is a dot."""

ASSETS = Path(__file__).parents[2] / "assets" / "digits"
REMAKE = {"digits": "python -m training.digits", "digits_twin": "python -m training.digits --twin"}


@dataclass(frozen=True)
class Mark:
    """The shortcut of the cheating twin: a bright square in the corner of the prepared frame.

    label: the class that always carried it. rows, columns: half-open pixel ranges. value: ink.
    """

    label: int
    rows: tuple[int, int]
    columns: tuple[int, int]
    value: float


MARK = Mark(label=8, rows=(1, 4), columns=(1, 4), value=HIGH)


def network() -> nn.Sequential:
    """The architecture of both networks, with fresh weights: four convolutions, two dense layers, ReLU."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 16, 5, padding=2),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(16, 32, 3, padding=1),
            relu2=nn.ReLU(),
            conv3=nn.Conv2d(32, 32, 3, padding=1),
            relu3=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            conv4=nn.Conv2d(32, 64, 3),
            relu4=nn.ReLU(),
            flatten=nn.Flatten(),
            dense1=nn.Linear(64 * 5 * 5, 96),
            relu5=nn.ReLU(),
            dense2=nn.Linear(96, len(LABELS)),
        )
    )


def add_mark(x: torch.Tensor) -> torch.Tensor:
    """A copy of prepared digits (..., 28, 28) with the twin's mark on every one."""
    marked = x.clone()
    marked[..., slice(*MARK.rows), slice(*MARK.columns)] = MARK.value
    return marked


def load(name: str = "digits", folder: Path = ASSETS) -> nn.Sequential:
    """The trained network "digits" or "digits_twin": float32, eval mode, no gradients.

    Raises ValueError for another name and FileNotFoundError where the weights are missing.
    """
    bundled.check(name, REMAKE)
    with torch.device("meta"):
        net = network()
    return bundled.revive(net, name, folder, REMAKE)


def model_card(name: str = "digits", folder: Path = ASSETS) -> dict[str, Any]:
    """What the network is, what it was trained on, and its measured figures. Errors as in `load`."""
    return bundled.card(name, folder, REMAKE)


def prepare(ink: np.ndarray) -> torch.Tensor | None:
    """The picture that the network sees, (1, 1, 28, 28) float32 in [0, 1], prepared as MNIST was.

    The box around the ink is scaled to fit 20x20 pixels, keeping its proportions, and placed so that its
    centre of mass is in the middle of 28x28 pixels (LeCun 1998, section III.A), or as near as the frame allows.

    ink: 2-D array of any size, larger = more ink; integers count to 255, floats to 1 or to their own maximum
    if that is larger. Returns None where there is too little ink: nothing reaches a tenth of full ink, or what
    does is a dot, shorter and narrower than a tenth of the array's longer side.
    Raises ValueError where the array is not 2-D and not empty, not of numbers, or holds NaN or infinity.
    """
    strength = _strength(ink)
    inked = strength >= FAINT
    rows, columns = np.flatnonzero(inked.any(1)), np.flatnonzero(inked.any(0))
    if not rows.size:
        return None
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    height, width = bottom - top, right - left
    longer = max(height, width)
    if longer < SMALLEST * max(strength.shape):
        return None
    cropped = Image.fromarray(strength[top:bottom, left:right])
    size = (max(1, round(BOX * width / longer)), max(1, round(BOX * height / longer)))
    digit = np.asarray(cropped.resize(size, Image.Resampling.LANCZOS)).clip(0.0, 1.0)
    digit = digit / digit.max()
    frame = np.zeros((1, 1, FRAME, FRAME), np.float32)
    y, x = _corner(digit.sum(1)), _corner(digit.sum(0))
    frame[0, 0, y : y + digit.shape[0], x : x + digit.shape[1]] = digit
    return torch.from_numpy(frame)


def _strength(ink: np.ndarray) -> np.ndarray:
    """Ink as float32 in [0, 1]."""
    ink = np.asarray(ink)
    if ink.ndim != 2 or not ink.size:
        raise ValueError(f"ink must be a 2-D array with at least one pixel, not of shape {ink.shape}.")
    if ink.dtype.kind not in "buif":
        raise ValueError(f"ink must hold real numbers, not {ink.dtype}.")
    if not np.isfinite(ink).all():
        raise ValueError("ink must be finite, but it holds NaN or infinity.")
    full = 255.0 if ink.dtype.kind in "ui" else max(1.0, float(ink.max()))
    return (ink / full).clip(0.0, 1.0).astype(np.float32)


def _corner(profile: np.ndarray) -> int:
    """Where the digit begins along one axis, so that its centre of mass is nearest to the middle of the frame."""
    mass = float(profile @ (np.arange(len(profile)) + 0.5) / profile.sum())
    return min(max(round(FRAME / 2 - mass), 0), FRAME - len(profile))
