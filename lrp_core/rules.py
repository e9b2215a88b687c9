"""The rules by which an affine step z = Wx + b shares out its relevance.

Notation of every docstring: c_kj = W_kj x_j is what input j gives to output k; c+ and c- are its positive and negative
parts, p_k = sum_j c+_kj, n_k = sum_j c-_kj and z_k = p_k + n_k + b_k. A rule is a factor f_kj: R_j = sum_k f_kj R_k,
with 0/0 = 0. Rules are values: frozen, hashable, printable, and free of tensors.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


class Rule:
    """Base of all rules. ``str(rule)`` is the call that makes it."""

    def has(self, parameter: str) -> bool:
        """Whether the parameter is one of :meth:`parameters`, e.g. ``Gamma().has("gamma")``."""
        return parameter in self.parameters()

    @classmethod
    def parameters(cls) -> tuple[str, ...]:
        """Names of the parameters that :meth:`Composite.with_` and a sweep change, e.g. ("alpha", "beta")."""
        return tuple(getattr(cls, "__dataclass_fields__", ()))


def _at_least_zero(rule: Rule, name: str) -> None:
    value = getattr(rule, name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{type(rule).__name__}: {name} must be a number, not {type(value).__name__}.")
    if not 0 <= value < math.inf:
        raise ValueError(f"{type(rule).__name__}: {name} must be finite and at least 0, not {value}.")


@dataclass(frozen=True)
class LRP0(Rule):
    """LRP-0: f = c / z (Bach 2015, eq. 56). On ReLU networks it equals gradient x input."""


@dataclass(frozen=True)
class Epsilon(Rule):
    """LRP-epsilon: f = c / (z + epsilon sgn z), with sgn 0 = +1 (Bach 2015, eq. 58).

    ``relative=True`` scales epsilon by the root mean square of that layer's z, row by row, so that one number means
    the same on every layer.
    """

    epsilon: float = 1e-6
    relative: bool = False

    def __post_init__(self) -> None:
        _at_least_zero(self, "epsilon")
        if not isinstance(self.relative, bool):
            raise TypeError(f"Epsilon: relative must be True or False, not {self.relative!r}.")


@dataclass(frozen=True)
class Gamma(Rule):
    """LRP-gamma, generalised to outputs of both signs (Montavon 2019; Andeol 2021).

    f = (c + gamma c+) / (z + gamma (p + b+)) where z >= 0, and (c + gamma c-) / (z + gamma (n + b-)) where z < 0;
    ``epsilon`` is added to the denominator with the sign of z.
    """

    gamma: float = 0.25
    epsilon: float = 0.0

    @classmethod
    def parameters(cls) -> tuple[str, ...]:
        """Gamma alone: its epsilon only keeps a denominator from zero, and stays when that of dense layers moves."""
        return ("gamma",)

    def __post_init__(self) -> None:
        _at_least_zero(self, "gamma")
        _at_least_zero(self, "epsilon")


@dataclass(frozen=True)
class ZPlus(Rule):
    """z+: f = c+ / (p + b+) (Bach 2015; Montavon 2017)."""


@dataclass(frozen=True)
class AlphaBeta(Rule):
    """alpha-beta: f = alpha c+ / (p + b+) - beta c- / (n + b-), alpha - beta = 1 (Bach 2015, eq. 60)."""

    alpha: float = 2.0
    beta: float = 1.0

    def __post_init__(self) -> None:
        _at_least_zero(self, "alpha")
        _at_least_zero(self, "beta")
        if abs(self.alpha - self.beta - 1) > 1e-9:
            raise ValueError(f"AlphaBeta: alpha - beta must be 1, not {self.alpha} - {self.beta}.")


@dataclass(frozen=True)
class WSquare(Rule):
    """w^2: f = W^2 / sum_j W^2, whatever the input (Montavon 2017)."""


@dataclass(frozen=True)
class Flat(Rule):
    """flat: f = 1 / number of inputs that feed k (Lapuschkin 2019)."""


def _bound(value: Any, name: str) -> float | tuple[float, ...]:
    if hasattr(value, "tolist"):  # a tensor or an array: kept as plain numbers, so that the rule stays hashable
        value = value.detach().cpu().flatten().tolist() if hasattr(value, "detach") else value.ravel().tolist()
    numbers = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
    if not numbers or not all(isinstance(n, int | float) and math.isfinite(n) for n in numbers):
        raise ValueError(f"ZBox: {name} must be a finite number, or one per channel.")
    return float(numbers[0]) if len(numbers) == 1 else tuple(map(float, numbers))


@dataclass(frozen=True)
class ZBox(Rule):
    """zB, for inputs in a box low <= x <= high: f = (c - W+ low - W- high) / sum_j of the same (Montavon 2017).

    ``low`` and ``high`` are a number or one per channel, in the units of the input as the model gets it, i.e. in
    normalised space: low = (0 - mean) / std. Zero padding stays zero.
    """

    low: Any = field(default=0.0)
    high: Any = field(default=1.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", _bound(self.low, "low"))
        object.__setattr__(self, "high", _bound(self.high, "high"))
        low, high = (b if isinstance(b, tuple) else (b,) for b in (self.low, self.high))
        if len(low) > 1 and len(high) > 1 and len(low) != len(high):
            raise ValueError(f"ZBox: low has {len(low)} channels and high has {len(high)}; they must agree.")
        channels = max(len(low), len(high))
        pairs = zip(low if len(low) > 1 else low * channels, high if len(high) > 1 else high * channels, strict=True)
        if any(lo > hi for lo, hi in pairs):
            raise ValueError(f"ZBox: low {self.low} must not exceed high {self.high}.")


@dataclass(frozen=True)
class Pass(Rule):
    """Relevance passes unchanged from output to input; both must have the same shape."""


@dataclass(frozen=True)
class Gradient(Rule):
    """Not a rule of LRP: the plain derivative at every step, which makes the map gradient x input."""
