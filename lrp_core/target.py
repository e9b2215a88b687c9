"""What is explained: a weight v for every score, so that the relevance put on the scores is R_start = v * z."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import index as as_integer
from types import EllipsisType
from typing import Any

import numpy as np
import torch
from torch import Tensor

Classes = int | tuple[int, ...]


@dataclass(frozen=True)
class Part:
    """A slice that can be hashed, which Python's own cannot before 3.12."""

    start: int | None
    stop: int | None
    step: int | None

    def __repr__(self) -> str:
        return f"slice({self.start}, {self.stop}, {self.step})"


@dataclass(frozen=True)
class Numbers:
    """An array as a value: compared and hashed by its bytes, so that targets hold no tensors."""

    shape: tuple[int, ...]
    dtype: str
    data: bytes = field(repr=False)

    @staticmethod
    def of(array: np.ndarray[Any, Any]) -> Numbers:
        """The numbers of this array."""
        return Numbers(array.shape, array.dtype.name, array.tobytes())

    def on(self, scores: Tensor, what: str) -> Tensor:
        """As a tensor beside the scores: given for every row, or for one and meant for all. ``what``: said if wrong."""
        shape = tuple(scores.shape)
        if self.shape not in (shape, shape[1:]):
            raise ValueError(
                f"The {what} has the shape {self.shape}; it must be that of one row's output, {shape[1:]}, or that of "
                f"the whole output, {shape}."
            )
        array = np.frombuffer(self.data, self.dtype).reshape(self.shape)
        return torch.tensor(array).to(scores.device, scores.dtype).expand(shape).contiguous()


Places = tuple[int | Part | EllipsisType, ...]


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
    """Which function of the scores z is explained: classes of scores (B, C) or (B,), or any entries of any shape.

    The scores are ``tape.scores``: the model's output, or what it is before a final sigmoid, softmax or the like.
    Classes are one for all rows or one per row; scores (B,) are of one class, 0.
    """

    kind: str
    positive: Classes | None = None
    negative: Classes | None = None
    entries: Places | Numbers | None = None
    """for the kinds "at" and "weights": what was named, as values that can be compared"""
    others: Places | Numbers | None = None
    """for the kind "at": what is taken off"""

    @staticmethod
    def top() -> Target:
        """Each row's own highest score."""
        return Target("top")

    @staticmethod
    def logit(c: Any) -> Target:
        """The score z_c."""
        return Target("logit", _classes(c))

    @staticmethod
    def difference(c: Any, d: Any) -> Target:
        """z_c - z_d: why c rather than d."""
        return Target("difference", _classes(c), _classes(d))

    @staticmethod
    def one_vs_rest(c: Any) -> Target:
        """z_c minus the mean of all other scores."""
        return Target("one_vs_rest", _classes(c))

    @staticmethod
    def log_odds(c: Any) -> Target:
        """log(p_c / (1 - p_c)) to first order, p the softmax of z: v_c = 1, v_j = -softmax of the other scores."""
        return Target("log_odds", _classes(c))

    @staticmethod
    def at(index: Any, rather_than: Any = None) -> Target:
        """The sum of chosen scores, of any shape: ``at((5, 3))`` is class 3 of word 5 where scores are (B, T, C).

        ``index`` is meant for one row's scores, without the batch axis: an integer, a tuple of integers and slices, or
        a boolean mask (NumPy, torch or nested lists) of that shape. A mask shaped like all scores (B, ...) chooses for
        each row by itself. The scores at ``rather_than``, given in the same ways, are taken off:
        ``at((5, 3), rather_than=(5, 7))`` is why word 5 is a 3 rather than a 7. Raises ``TypeError`` for anything else,
        and ``ValueError`` for a mask without any True.
        """
        return Target("at", entries=_entries(index), others=None if rather_than is None else _entries(rather_than))

    @staticmethod
    def weights(v: Any) -> Target:
        """The sum of v * z with v given outright, finite: a tensor, an array or nested lists.

        Shaped like one row's scores, and then the same for all rows, or like all scores (B, ...).
        """
        array = _array(v)
        if array is None or array.dtype.kind not in "biuf":
            raise TypeError(f"Target.weights takes a tensor of real numbers, not {_called(v, array)}.")
        array = array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)
        if not np.isfinite(array).all():
            raise ValueError("Target.weights holds NaN or infinite numbers.")
        return Target("weights", entries=Numbers.of(array))

    def on(self, scores: Tensor) -> Tensor:
        """v, shaped like ``scores``. Raises ``ValueError`` for a class or an entry that is not there."""
        if self.kind == "weights":
            assert isinstance(self.entries, Numbers)
            return self.entries.on(scores, "tensor given to Target.weights")
        if self.kind == "at":
            v = _chosen(self.entries, scores)
            return v if self.others is None else v - _chosen(self.others, scores)
        if scores.dim() > 2:
            raise ValueError(
                f"Target.{self.kind} is about classes, but each row's output has the shape {tuple(scores.shape[1:])}; "
                "choose entries of it with Target.at(...) or Target.weights(...)."
            )
        return self._of_classes(scores.reshape(len(scores), -1)).reshape(scores.shape)

    def _of_classes(self, z: Tensor) -> Tensor:
        """v for scores (B, C)."""
        if self.kind == "top":
            return _one_hot(z.argmax(1), z)
        chosen = _one_hot(_rows(self.positive, z), z)
        if self.kind == "logit":
            return chosen
        if self.kind == "difference":
            return chosen - _one_hot(_rows(self.negative, z), z)
        if z.shape[1] < 2:
            raise ValueError(f"{self.kind} compares a class with the others, but the output has only one.")
        others = torch.isfinite(z) & (chosen == 0)  # what the model masks is no class
        if not others.any(1).all():
            raise ValueError(f"{self.kind} compares a class with the others, but the model masks all of them.")
        if self.kind == "one_vs_rest":
            return chosen - others.to(z.dtype) / others.sum(1, keepdim=True)
        return chosen - torch.softmax(z.masked_fill(~others, -torch.inf), 1)


def _entries(index: Any) -> Places | Numbers:
    """What ``Target.at`` was given, as a value that can be compared."""
    places = _places(index)
    if places is not None:
        return places
    mask = _array(index)
    if mask is None or mask.dtype != np.bool_:
        allowed = "an integer, a tuple of integers and slices, or a boolean mask"
        raise TypeError(f"Target.at takes {allowed}, not {_called(index, mask)}.")
    if not mask.any():
        raise ValueError("The mask given to Target.at chooses nothing.")
    return Numbers.of(mask)


def _places(index: Any) -> Places | None:
    """An index made of integers, slices and "..." as values that can be compared, or None where it is anything else."""
    places: list[Any] = []
    for one in index if isinstance(index, tuple) else (index,):
        if isinstance(one, bool | np.bool_) or getattr(one, "dtype", None) == torch.bool or getattr(one, "ndim", 0):
            return None
        if one is Ellipsis:
            places.append(one)
            continue
        try:
            if isinstance(one, slice):
                ends = [None if end is None else as_integer(end) for end in (one.start, one.stop, one.step)]
                places.append(Part(*ends))
            else:
                places.append(as_integer(one))
        except TypeError:
            return None
    return tuple(places)


def _array(value: Any) -> np.ndarray[Any, Any] | None:
    """A tensor, an array or nested lists as an array of its own; None where they are none."""
    try:
        if isinstance(value, Tensor):
            value = value.detach().cpu().resolve_neg()
            return np.asarray((value.float() if value.dtype == torch.bfloat16 else value).numpy())
        return np.asarray(value)
    except (RuntimeError, TypeError, ValueError):
        return None


def _called(value: Any, array: np.ndarray[Any, Any] | None) -> str:
    """How a sentence names what was given."""
    name = type(value).__name__
    return name if array is None or not array.ndim else f"{name} of {array.dtype.name}"


def _chosen(entries: Any, scores: Tensor) -> Tensor:
    """1 where an entry is chosen, else 0."""
    shape = tuple(scores.shape[1:])
    if isinstance(entries, Numbers):
        v = entries.on(scores, "mask given to Target.at")
        missing = (~v.flatten(1).any(1)).nonzero() if scores.dim() > 1 else (v == 0).nonzero()
        if len(missing):
            raise ValueError(f"The mask given to Target.at chooses nothing in row {int(missing[0])}.")
        return v
    written = f"Target.at({entries[0] if len(entries) == 1 else entries})"
    row = np.zeros(shape or (1,), dtype=bool)  # scores (B,) have one in each row, 0
    try:
        row[tuple(slice(p.start, p.stop, p.step) if isinstance(p, Part) else p for p in entries)] = True
    except (IndexError, ValueError):
        raise ValueError(f"{written} is not there: each row's output has the shape {shape}.") from None
    if not row.any():
        raise ValueError(f"{written} chooses nothing: each row's output has the shape {shape}.")
    return torch.from_numpy(row).to(scores.device, scores.dtype).reshape(shape).expand(scores.shape).contiguous()


def _one_hot(classes: Tensor, z: Tensor) -> Tensor:
    return torch.zeros_like(z).scatter_(1, classes[:, None], 1.0)


def _rows(classes: Classes | None, z: Tensor) -> Tensor:
    rows, count = z.shape
    every = classes if isinstance(classes, tuple) else (classes,) * rows
    if len(every) != rows:
        raise ValueError(f"The target names {len(every)} classes for {rows} rows; give one, or one per row.")
    for c in every:
        if c is None or not 0 <= c < count:
            raise ValueError(f"Target class {c} is not there; the output has the classes 0 to {count - 1}.")
    return torch.tensor(every, device=z.device)
