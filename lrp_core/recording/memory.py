"""Tensors that share memory, while a model writes to it.

An operation in place makes a new value of its tensor. Other tensors may look at the same memory: bases, views, and
buffers that were constants until a part of them was written. Each of these catches up when the model next reads it, by
a step that says which of its numbers came from which write. What earlier steps have seen is copied before it changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from ..steps import Step, Value, can_be_dropped, found, replaced


class Layout(NamedTuple):
    """Where a tensor lies in its storage."""

    size: torch.Size
    stride: tuple[int, ...]
    offset: int
    itemsize: int

    @staticmethod
    def of(tensor: Tensor) -> Layout:
        return Layout(tensor.size(), tensor.stride(), int(tensor.storage_offset()), tensor.element_size())

    def span(self) -> range:
        """From the first place that it can touch to the last."""
        reach = sum((size - 1) * stride for size, stride in zip(self.size, self.stride, strict=True))
        return range(self.offset, self.offset + reach + 1) if self.size.numel() else range(0)

    def may_meet(self, other: Layout) -> bool:
        """Whether two tensors of one storage may share numbers."""
        mine, others = self.span(), other.span()
        return bool(mine) and bool(others) and mine.start < others.stop and others.start < mine.stop

    def read(self, numbers: Tensor) -> Tensor:
        """What a tensor that lies so reads of a storage with these numbers."""
        return numbers.as_strided(self.size, self.stride, self.offset)


class Write(NamedTuple):
    """A tensor that was changed in place, with the value that it has since."""

    layout: Layout
    value: Value

    def places_in(self, tensor: Tensor) -> Tensor | None:
        """For each number of ``tensor`` its place in what was written, -1 where it was not; None: it is untouched."""
        mine, written = Layout.of(tensor), self.layout
        if mine.itemsize != written.itemsize:
            raise ValueError(
                "The model writes to what another tensor reads as numbers of another type; LRP cannot follow it."
            )
        numbers = torch.full((max(mine.span().stop, written.span().stop),), -1, device=tensor.device)
        count = written.size.numel()
        written.read(numbers).copy_(torch.arange(count, device=tensor.device).reshape(written.size))
        places = mine.read(numbers).clone()
        return places if bool((places >= 0).any()) else None


class Memory:
    """Which recorded tensors lie in which storage, and which of them have been written over since they were seen."""

    def __init__(self) -> None:
        self._seen: dict[int, dict[int, tuple[Tensor, Value]]] = {}
        self._behind: dict[int, tuple[Tensor, Value, list[Write]]] = {}
        self._written: dict[int, list[Write]] = {}
        self.is_disturbed = False
        """whether any tensor may have to catch up"""

    def add(self, tensor: Tensor, value: Value) -> None:
        """``tensor`` now holds ``value``."""
        self._behind.pop(id(tensor), None)
        self._seen.setdefault(_storage(tensor), {})[id(tensor)] = (tensor, value)

    def missed(self, tensor: Tensor, value: Value | None) -> tuple[Value | Tensor, list[Write]]:
        """What a tensor was when a step last saw it, and what has been written to its memory since.

        ``value`` is None for a tensor that is not recorded: what was not written there is a constant.
        """
        if id(tensor) in self._behind:
            _, before, writes = self._behind.pop(id(tensor))
            return before, writes
        if value is None and _storage(tensor) in self._written:
            return tensor.clone(), self._written[_storage(tensor)]
        return tensor if value is None else value, []

    def before_write(self, target: Tensor, op: str, steps: list[Step], is_recorded: bool) -> None:
        """Copy what steps have seen of the memory that is about to change, and note who looks at it too.

        The one copy not made is the common one: a ReLU over a sum or a layer's output, which can be computed again.
        """
        storage, layout = _storage(target), Layout.of(target)
        if not is_recorded:
            _keep_constants(steps, storage)
            self._written.setdefault(storage, [])
            self.is_disturbed = True
        apart = {}
        for tensor, value in self._seen.pop(storage, {}).values():
            lies_there = value.tensor is not None and _storage(value.tensor) == storage
            if tensor is not target and not layout.may_meet(Layout.of(tensor)):
                apart[id(tensor)] = (tensor, value)
            elif tensor is target and op == "relu" and lies_there and can_be_dropped(value):
                value.tensor = None
            else:
                if value.tensor is not None and lies_there:
                    value.tensor = value.tensor.clone()
                if tensor is not target:
                    self._behind[id(tensor)] = (tensor, value, [])
                    self.is_disturbed = True
        if apart:
            self._seen[storage] = apart

    def after_write(self, target: Tensor, value: Value) -> None:
        """Tell all who look at the same memory, for when they are read."""
        storage = _storage(target)
        for writes in self._looking_at(storage):
            writes.append(Write(Layout.of(target), value))

    def _looking_at(self, storage: int) -> Iterator[list[Write]]:
        if storage in self._written:
            yield self._written[storage]
        for tensor, _, writes in self._behind.values():
            if _storage(tensor) == storage:
                yield writes


def before_constant_write(target: Tensor, steps: list[Step]) -> None:
    """A constant is about to change: steps that used it keep what they saw."""
    _keep_constants(steps, _storage(target))


def _storage(tensor: Tensor) -> int:
    """Where its numbers lie; a sparse tensor has none of the places that views look at."""
    return tensor.untyped_storage().data_ptr() if tensor.layout == torch.strided else -id(tensor)


def _keep_constants(steps: list[Step], storage: int) -> None:
    def kept(tensor: Tensor) -> Tensor:
        return tensor.clone() if _storage(tensor) == storage else tensor

    for step in steps:
        if any(_storage(t) == storage for t in found((step.args, step.kwargs), Tensor)):
            step.args, step.kwargs = replaced((step.args, step.kwargs), Tensor, kept)
        for key, item in step.memo.items():
            if is_dataclass(item) and not isinstance(item, type):
                before = {field.name: getattr(item, field.name) for field in fields(item)}
                changed = {name: kept(one) for name, one in before.items() if isinstance(one, Tensor)}
                if any(tensor is not before[name] for name, tensor in changed.items()):
                    made_of = {"sources": ()} if "sources" in before else {}  # no longer the model's own weights
                    step.memo[key] = replace(item, **changed, **made_of)
