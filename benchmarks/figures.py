"""What many measurements come to: means with 95 % intervals, the distance to the best method, one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lrp_core.evaluation import pictures as evaluation

DIGITS = 4  # of the figures that are written


def described(values: Mapping[str, Tensor], smallest: bool = False) -> dict[str, Any]:
    """Values (N,) per method to their mean and its 95 % interval, and how far the method is behind the best one.

    All methods saw the same inputs, so the difference to the best one is known better than either: an interval of
    ``behind`` that holds 0 says that the two cannot be told apart.
    """
    sign = -1 if smallest else 1
    best = max(values, key=lambda name: sign * values[name].mean().item())
    return {
        name: _summarised(value) | {"behind": _summarised(sign * (values[best] - value))}
        for name, value in values.items()
    }


def described_draws(draws: Mapping[str, Tensor]) -> dict[str, Any]:
    """:func:`described` for a figure that is no mean of values, such as a ratio: (1 + D,) per method, the figure
    itself and then what a bootstrap's draws make of it, the same draws for all."""
    best = max(draws, key=lambda name: draws[name][0].item())
    return {name: _drawn(value) | {"behind": _drawn(draws[best] - value)} for name, value in draws.items()}


def table(columns: Mapping[str, Mapping[str, Any]]) -> str:
    """One line per method, its means and 95 % intervals; bold where the best method is not told apart from it."""
    methods = next(iter(columns.values()))
    lines = ["| method | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [
        f"| {name} | " + " | ".join(_cell(column[name]) for column in columns.values()) + " |" for name in methods
    ]
    return "\n".join(lines)


def _summarised(values: Tensor) -> dict[str, float]:
    summary = evaluation.summary(values)
    return {key: round(getattr(summary, key), DIGITS) for key in ("mean", "low", "high")}


def _drawn(values: Tensor) -> dict[str, float]:
    low, high = values[1:].quantile(torch.tensor([0.025, 0.975], dtype=values.dtype)).tolist()
    return {"mean": round(values[0].item(), DIGITS), "low": round(low, DIGITS), "high": round(high, DIGITS)}


def _cell(figures: Mapping[str, Any]) -> str:
    text = f"{figures['mean']:.3f}"
    bold = f"**{text}**" if figures["behind"]["low"] <= 0 else text
    return f"{bold} ({figures['low']:.3f} to {figures['high']:.3f})"
