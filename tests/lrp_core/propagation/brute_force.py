"""The published rules, written a second time and as slowly as they read: one dense matrix, one output unit at a time.

Nothing here is shared with ``lrp_core`` but the names of the rules. Every rule splits the relevance of an output unit k
in proportion to numerators: one per input j, one for the bias and one for the stabiliser. Their sum is the denominator,
so one routine serves all rules; alpha-beta is two such splits, weighted alpha and -beta.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

import lrp_core as lrp


@dataclass(frozen=True)
class Affine:
    """z = weight @ x + bias over flattened tensors; ``feeds[k, j]``: x_j is one of the inputs of unit k."""

    weight: np.ndarray
    bias: np.ndarray
    feeds: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.weight @ x + self.bias


@dataclass(frozen=True)
class Split:
    """Relevance of the inputs (J,) and what did not reach them."""

    relevance: np.ndarray
    bias: float
    epsilon: float
    dropped: float


def affine(layer: Callable[[torch.Tensor], torch.Tensor], input_shape: tuple[int, ...]) -> Affine:
    """The dense map of any affine ``layer``, found by feeding it zeros and unit vectors; float64.

    Which inputs feed a unit is the layer's geometry, not its values: the same probing with every weight set to one.
    Zero padding is no unit vector, so it never counts as an input.
    """
    size = int(np.prod(input_shape))
    units = torch.eye(size, dtype=torch.float64).reshape(size, *input_shape)
    with torch.no_grad():
        bias = layer(torch.zeros(1, *input_shape, dtype=torch.float64)).flatten()
        weight = (layer(units).reshape(size, -1) - bias).T
        saved = [parameter.clone() for parameter in layer.parameters()]
        for parameter in layer.parameters():
            parameter.fill_(1.0)
        constant = layer(torch.zeros(1, *input_shape, dtype=torch.float64)).flatten()
        feeds = (layer(units).reshape(size, -1) - constant).T.abs() > 0.5
        for parameter, value in zip(layer.parameters(), saved, strict=True):
            parameter.copy_(value)
    return Affine(weight.numpy(), bias.numpy(), feeds.numpy())


def batch_norm(norm: torch.nn.Module, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Scale and shift (flattened to ``shape``) of a batch norm in eval mode, from its four vectors."""
    scale = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()
    shift = (norm.bias - norm.running_mean * scale).detach()
    per_channel = (-1, *[1] * (len(shape) - 1))
    return (
        scale.reshape(per_channel).expand(shape).flatten().numpy(),
        shift.reshape(per_channel).expand(shape).flatten().numpy(),
    )


def propagate(
    layer: Affine, x: np.ndarray, relevance: np.ndarray, rule: object, bias: str = "absorb", rms: float | None = None
) -> Split:
    """Relevance (K,) of the outputs sent to the inputs (J,) by ``rule``; 0/0 = 0.

    ``rms`` is the root mean square of the layer's z, which only a relative epsilon asks for.
    """
    inputs = np.zeros(len(x))
    to_bias = to_epsilon = 0.0
    for k, r in enumerate(relevance):
        b = 0.0 if bias == "ignore" else layer.bias[k]
        for coefficient, shares, bias_share, stabiliser in _numerators(
            layer.weight[k], layer.feeds[k], b, x, rule, rms
        ):
            denominator = shares.sum() + bias_share + stabiliser
            if denominator == 0.0:
                continue
            if (
                bias == "spread"
            ):  # an output that nothing feeds, in a strided transposed convolution, has nobody to give to
                shares = shares + layer.feeds[k] * bias_share / max(1, layer.feeds[k].sum())
                bias_share = 0.0
            inputs += coefficient * shares / denominator * r
            to_bias += coefficient * bias_share / denominator * r
            to_epsilon += coefficient * stabiliser / denominator * r
    return Split(inputs, to_bias, to_epsilon, relevance.sum() - inputs.sum() - to_bias - to_epsilon)


def _numerators(
    w: np.ndarray, feeds: np.ndarray, b: float, x: np.ndarray, rule: object, rms: float | None
) -> list[tuple[float, np.ndarray, float, float]]:
    """For one unit: (coefficient, numerators of the inputs, of the bias, of the stabiliser) per split of the rule."""
    c = w * x
    z = c.sum() + b
    sign = 1.0 if z >= 0 else -1.0
    match rule:
        case lrp.LRP0():
            return [(1.0, c, b, 0.0)]
        case lrp.Epsilon(epsilon=eps, relative=relative):
            return [(1.0, c, b, eps * (rms if relative else 1.0) * sign)]
        case lrp.Gamma(gamma=g, epsilon=eps):
            same_sign = _positive if z >= 0 else _negative
            return [(1.0, c + g * same_sign(c), b + g * same_sign(b), eps * sign)]
        case lrp.ZPlus():
            return [(1.0, _positive(c), _positive(b), 0.0)]
        case lrp.AlphaBeta(alpha=alpha, beta=beta):
            return [(alpha, _positive(c), _positive(b), 0.0), (-beta, _negative(c), _negative(b), 0.0)]
        case lrp.WSquare():
            return [(1.0, w**2, 0.0, 0.0)]
        case lrp.Flat():
            return [(1.0, feeds.astype(float), 0.0, 0.0)]
        case lrp.ZBox(low=low, high=high):
            return [(1.0, c - _positive(w) * low - _negative(w) * high, 0.0, 0.0)]
    raise TypeError(f"No brute force for {rule!r}.")


def _positive(value):
    return np.maximum(value, 0.0)


def _negative(value):
    return np.minimum(value, 0.0)
