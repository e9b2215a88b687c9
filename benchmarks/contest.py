"""What is measured: three networks, the rows of the table, and how one measurement of one contender looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models import digits
from models.digits import drawing
from models.torchvision_compat import import_torchvision

FORWARD = "forward (F)"
GRADIENT = "forward + input gradient"
EPSILON = "epsilon, first"
EPSILON_PLUS = "epsilon-plus, first"
BOX = "epsilon-gamma-box, first"
ALPHA_BETA = "alpha2-beta1, first"
GAMMA_MOVED = "gamma moved"
TARGET_MOVED = "target moved"
EPSILON_MOVED = "dense epsilon moved"
FAMILY = "rule family switched"
SWEEP = "sweep of 16 gammas"
FIRST_LAYER = "only the first layer's rule"
ROWS = (FORWARD, GRADIENT, EPSILON, EPSILON_PLUS, BOX, ALPHA_BETA, GAMMA_MOVED, TARGET_MOVED, EPSILON_MOVED)
ROWS += (FAMILY, SWEEP, FIRST_LAYER)

FULL_RUNS = {
    **dict.fromkeys((GAMMA_MOVED, TARGET_MOVED, EPSILON_MOVED, FIRST_LAYER), (BOX, 1)),
    FAMILY: (EPSILON_PLUS, 1),
    SWEEP: (BOX, 16),
}
"""Rows for which a contender without a tape has to run anew: which of its runs, and how many."""

IMAGENET_MEAN, IMAGENET_STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


@dataclass(frozen=True)
class Network:
    """A model, one input of batch 1, the bounds of that input per channel, and how many classes there are.

    ``yardstick``: the row whose time is counted in; ``peers``: whether zennit and captum are measured too.
    """

    name: str
    model: nn.Module
    x: Tensor
    low: Tensor
    high: Tensor
    classes: int
    yardstick: str = GRADIENT
    peers: bool = True


@dataclass(frozen=True)
class Job:
    """One contender in one row: `run` is timed, `prepare` before each run is not."""

    run: Callable[[], object]
    prepare: Callable[[], object] = lambda: None


Makers = dict[str, Callable[[], Job]]
"""Row to a function that sets the contender up for it."""


def load_digits() -> Network:
    """The digits network on one of its sample drawings."""
    x = digits.prepare(drawing.rasterize(drawing.samples()[0].strokes))
    if x is None:
        raise ValueError("The first sample drawing has too little ink.")
    return Network("digits CNN", digits.load(), x, torch.tensor([digits.LOW]), torch.tensor([digits.HIGH]), 10)


def load_vgg16() -> Network:
    """VGG-16 with random weights: every method costs what it costs with trained ones."""
    torch.manual_seed(0)
    model = import_torchvision().models.vgg16(weights=None).eval().requires_grad_(False)
    low, high = (0 - IMAGENET_MEAN) / IMAGENET_STD, (1 - IMAGENET_MEAN) / IMAGENET_STD
    x = low[:, None, None] + (high - low)[:, None, None] * torch.rand(1, 3, 224, 224)
    return Network("VGG-16, 224", model, x, low, high, 1000)


def load_mobilenet() -> Network:
    """MobileNetV2 with random weights: ReLU6, convolutions by channel and of single places, as in EfficientNet-Lite.

    Counted in plain forward passes, as the aims for such networks are; captum cannot run it.
    """
    torch.manual_seed(0)
    model = import_torchvision().models.mobilenet_v2(weights=None).eval().requires_grad_(False)
    low, high = (0 - IMAGENET_MEAN) / IMAGENET_STD, (1 - IMAGENET_MEAN) / IMAGENET_STD
    x = low[:, None, None] + (high - low)[:, None, None] * torch.rand(1, 3, 224, 224)
    return Network("MobileNetV2, 224", model, x, low, high, 1000, FORWARD, peers=False)


NETWORKS = {"digits": load_digits, "vgg16": load_vgg16, "mobilenet": load_mobilenet}
