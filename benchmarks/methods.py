"""What is compared: the presets of `lrp_core`, and baselines that do not ask the network at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lrp_core as lrp
from lrp_core.evaluation import pictures as evaluation

Baseline = Callable[[Tensor], Tensor]
"""Inputs (B, ...) to relevance of the same rows."""


@dataclass(frozen=True)
class Beyond:
    """The map of a picture less that of its blurred copy: what the picture has that the copy has not.

    Both take the same biases, so that most of what biases took is gone from the difference. blur: in parts of the side.
    """

    composite: lrp.Composite
    blur: float = 1 / 16


Methods = Mapping[str, lrp.Composite | Beyond | Baseline]
"""By the name in the table, in its order."""

GAMMAS = (0.1, 0.25, 1.0)


def of_pictures(low: Any, high: Any, seed: int) -> Methods:
    """Every preset that applies to a convolutional network, and the baselines. low, high: the bounds of zB."""
    presets = lrp.presets
    boxes = {f"epsilon-gamma-box {g:g}": presets.epsilon_gamma_box(low, high, gamma=g) for g in GAMMAS}
    return {
        "LRP-0": presets.lrp0(),
        **{f"epsilon {epsilon:g}, relative": presets.epsilon(epsilon, relative=True) for epsilon in (0.01, 0.25)},
        "gamma 0.25": presets.gamma(0.25),
        "z+": presets.z_plus(),
        "alpha2-beta1": presets.alpha_beta(2.0, 1.0),
        "w^2": presets.w_square(),
        "epsilon-plus": presets.epsilon_plus(),
        "epsilon-plus-flat": presets.epsilon_plus_flat(),
        **boxes,
        **{f"{name}, bias ignored": box.with_(bias="ignore") for name, box in boxes.items()},
        **{f"{name}, bias spread": box.with_(bias="spread") for name, box in boxes.items() if name.endswith("0.25")},
        "epsilon-gamma-box 0.25, less a blurred picture's": Beyond(boxes["epsilon-gamma-box 0.25"]),
        "overview": presets.overview(low=low, high=high),
        "gradient x input": presets.gradient_times_input(),
        "edges": edges,
        "centre": centre,
        "random": noise(seed),
    }


def maps(net: nn.Module, x: Tensor, target: lrp.Target, methods: Methods) -> Iterator[tuple[str, Tensor]]:
    """The relevance of each method for the inputs x (B, ...) of the network."""
    tape = lrp.record(net, x)
    for name, method in methods.items():
        if isinstance(method, lrp.Composite):
            yield name, tape.explain(method, target).relevance
        elif isinstance(method, Beyond):
            blurred = lrp.record(net, evaluation.blurred(x, method.blur * x.shape[-1]))
            yield (
                name,
                tape.explain(method.composite, target).relevance - blurred.explain(method.composite, target).relevance,
            )
        else:
            yield name, method(x)


def edges(x: Tensor) -> Tensor:
    """How much neighbouring pixels differ, (B, C, H, W) to (B, H, W): what a heatmap shows that copies the picture."""
    right = F.pad(x, (0, 1, 0, 0), mode="replicate").diff(dim=3)
    down = F.pad(x, (0, 0, 0, 1), mode="replicate").diff(dim=2)
    return (right**2 + down**2).sum(1).sqrt()


def centre(x: Tensor) -> Tensor:
    """A bell in the middle, (B, C, H, W) to (B, H, W): photographers put things there."""
    bells = (torch.exp(-(torch.linspace(-2, 2, side, dtype=x.dtype) ** 2) / 2) for side in x.shape[2:])
    return torch.outer(*bells).expand(len(x), -1, -1)


def noise(seed: int) -> Baseline:
    """Normal numbers for relevance, other ones at every call."""
    generator = torch.Generator().manual_seed(seed)
    return lambda x: torch.randn(x.shape, generator=generator, dtype=x.dtype)
