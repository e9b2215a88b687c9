"""What is explained: a weight v for every logit, so that the relevance put on the output is R_start = v * z."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Classes = int | tuple[int, ...]


def _classes(value: Any) -> Classes:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = tuple(value)
    for one in value if isinstance(value, tuple) else (value,):
        if isinstance(one, bool) or not isinstance(one, int):
            raise TypeError(f"A target class is an integer, or one integer per row, not {one!r}.")
    return value


@dataclass(frozen=True)
class Target:
    """Which function of the logits z, (B, C), is explained. Classes are one for all rows or one per row."""

    kind: str
    positive: Classes | None = None
    negative: Classes | None = None

    @staticmethod
    def top() -> Target:
        """Each row's own highest logit."""
        return Target("top")

    @staticmethod
    def logit(c: Any) -> Target:
        """The logit z_c."""
        return Target("logit", _classes(c))

    @staticmethod
    def difference(c: Any, d: Any) -> Target:
        """z_c - z_d: why c rather than d."""
        return Target("difference", _classes(c), _classes(d))

    @staticmethod
    def one_vs_rest(c: Any) -> Target:
        """z_c minus the mean of all other logits."""
        return Target("one_vs_rest", _classes(c))

    @staticmethod
    def log_odds(c: Any) -> Target:
        """log(p_c / (1 - p_c)) to first order: v_c = 1, v_j = -softmax of the other logits."""
        return Target("log_odds", _classes(c))

    def weights(self, logits: Tensor) -> Tensor:
        """v, shaped like ``logits`` (B, C). Raises ``ValueError`` for a class that is not there."""
        if self.kind == "top":
            return _one_hot(logits.argmax(1), logits)
        chosen = _one_hot(_rows(self.positive, logits), logits)
        if self.kind == "logit":
            return chosen
        if self.kind == "difference":
            return chosen - _one_hot(_rows(self.negative, logits), logits)
        if logits.shape[1] < 2:
            raise ValueError(f"{self.kind} compares a class with the others, but the output has only one.")
        if self.kind == "one_vs_rest":
            return chosen - (1 - chosen) / (logits.shape[1] - 1)
        return chosen - torch.softmax(logits.masked_fill(chosen.bool(), -torch.inf), 1)


def _one_hot(classes: Tensor, logits: Tensor) -> Tensor:
    return torch.zeros_like(logits).scatter_(1, classes[:, None], 1.0)


def _rows(classes: Classes | None, logits: Tensor) -> Tensor:
    rows, count = logits.shape
    every = classes if isinstance(classes, tuple) else (classes,) * rows
    if len(every) != rows:
        raise ValueError(f"The target names {len(every)} classes for {rows} rows; give one, or one per row.")
    for c in every:
        if c is None or not 0 <= c < count:
            raise ValueError(f"Target class {c} is not there; the output has the classes 0 to {count - 1}.")
    return torch.tensor(every, device=logits.device)
