"""Composites in common use, by their names in the literature."""

from __future__ import annotations

from typing import Any

from .composite import Composite
from .rules import LRP0, AlphaBeta, Epsilon, Flat, Gamma, Gradient, WSquare, ZBox, ZPlus

__all__ = [
    "alpha_beta",
    "attn_lrp",
    "cp_lrp",
    "epsilon",
    "epsilon_gamma_box",
    "epsilon_plus",
    "epsilon_plus_flat",
    "gamma",
    "gradient_times_input",
    "lrp0",
    "overview",
    "w_square",
    "z_plus",
]


def lrp0() -> Composite:
    """LRP-0 on every layer (Bach 2015)."""
    return Composite(LRP0())


def epsilon(epsilon: float = 1e-6, relative: bool = False) -> Composite:
    """LRP-epsilon on every layer (Bach 2015)."""
    return Composite(Epsilon(epsilon, relative))


def gamma(gamma: float = 0.25) -> Composite:
    """LRP-gamma on every layer (Montavon 2019)."""
    return Composite(Gamma(gamma))


def z_plus() -> Composite:
    """z+ on every layer (Montavon 2017)."""
    return Composite(ZPlus())


def alpha_beta(alpha: float = 2.0, beta: float = 1.0) -> Composite:
    """alpha-beta on every layer (Bach 2015)."""
    return Composite(AlphaBeta(alpha, beta))


def w_square() -> Composite:
    """w^2 on every layer (Montavon 2017)."""
    return Composite(WSquare())


def epsilon_plus(epsilon: float = 1e-6) -> Composite:
    """z+ on convolutions, epsilon on dense layers (Kohlbrenner 2020)."""
    return Composite(Epsilon(epsilon), by_kind={"conv": ZPlus()})


def epsilon_plus_flat(epsilon: float = 1e-6) -> Composite:
    """:func:`epsilon_plus` with the flat rule on the first layer (Kohlbrenner 2020)."""
    return Composite(Epsilon(epsilon), by_kind={"conv": ZPlus()}, first=Flat())


def epsilon_gamma_box(low: Any, high: Any, epsilon: float = 1e-6, gamma: float = 0.25) -> Composite:
    """gamma on convolutions, epsilon on dense layers, zB on the first layer (Montavon 2019).

    ``low`` and ``high``: smallest and largest input value, a number or one per channel, in normalised space.
    """
    return Composite(Epsilon(epsilon), by_kind={"conv": Gamma(gamma)}, first=ZBox(low, high))


def overview(epsilon: float = 1e-6, gamma: float = 0.25, low: Any = None, high: Any = None) -> Composite:
    """Lowest third of the affine steps gamma, middle third epsilon, top third LRP-0 (Montavon 2019).

    With bounds (both or neither) the first layer follows zB.
    """
    if (low is None) != (high is None):
        raise ValueError("overview needs both bounds, low and high, or neither.")
    first = None if low is None else ZBox(low, high)
    return Composite(Epsilon(epsilon), by_depth=(Gamma(gamma), Epsilon(epsilon), LRP0()), first=first)


def attn_lrp(epsilon: float = 1e-6) -> Composite:
    """AttnLRP: epsilon on every layer, products share half each (Achtibat 2024)."""
    return Composite(Epsilon(epsilon), attention="attnlrp")


def cp_lrp(epsilon: float = 1e-6) -> Composite:
    """CP-LRP: epsilon on every layer, gates and attention weights are constants (Ali 2022)."""
    return Composite(Epsilon(epsilon), attention="cp")


def gradient_times_input() -> Composite:
    """Gradient x input: no LRP, the baseline to compare with (Shrikumar 2017)."""
    return Composite(Gradient())
