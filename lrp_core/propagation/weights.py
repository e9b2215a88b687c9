"""Weights derived from a model's own (W+, W-, merged batch norms), made once per model and shared by its visitors."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .. import limits


@dataclass(frozen=True, eq=False)
class _Entry:
    sources: tuple[Tensor, ...]
    states: tuple[Any, ...]
    result: Tensor


def _state(source: Tensor) -> tuple[Any, ...]:
    """What changes when a weight is written to, replaced or converted."""
    return 0 if source.is_inference() else source._version, source.data_ptr(), source.dtype


class WeightCache:
    """Derived tensors by name and sources; an entry is made again once a source has been written to."""

    def __init__(self) -> None:
        self._entries: dict[tuple[Any, ...], _Entry] = {}
        self._lock = threading.Lock()
        self._bytes = 0

    def get(self, name: str, sources: tuple[Tensor, ...], make: Callable[[], Tensor], seen: Any = None) -> Tensor:
        """The tensor called ``name`` derived from ``sources``: kept from before, or made now.

        ``seen``: what else of the sources must be as it was, for those who cannot rely on torch's counting of writes.
        """
        if not sources:  # a weight made on the fly: nothing tells it from the next one
            return make()
        key = (name, *map(id, sources))
        states = (*map(_state, sources), seen)
        entry = self._entries.get(key)
        if entry is not None and entry.states == states:
            return entry.result
        result = make()
        with self._lock:
            self._drop(key)
            while self._entries and self._bytes + result.nbytes > limits.WEIGHTS_PER_MODEL:
                self._drop(next(iter(self._entries)))
            if result.nbytes <= limits.WEIGHTS_PER_MODEL:  # holding the sources keeps their ids from being reused
                self._entries[key] = _Entry(sources, states, result)
                self._bytes += result.nbytes
        return result

    def _drop(self, key: tuple[Any, ...]) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.result.nbytes

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._bytes


_CACHES: weakref.WeakKeyDictionary[nn.Module, WeightCache] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def cache_of(model: nn.Module) -> WeightCache:
    """The cache of this model; it goes when the model goes, and leaves no trace on it."""
    with _LOCK:
        return _CACHES.setdefault(model, WeightCache())


def positive(weight: Tensor) -> Tensor:
    """W+ = max(W, 0)."""
    return of_entries(weight, lambda w: w.clamp(min=0))


def negative(weight: Tensor) -> Tensor:
    """W- = min(W, 0)."""
    return of_entries(weight, lambda w: w.clamp(max=0))


def of_entries(weight: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """The weight with a function of each entry in its place; of a sparse one (COO, coalesced), of each stored one."""
    if weight.layout != torch.sparse_coo:
        return function(weight)
    return torch.sparse_coo_tensor(
        weight.indices(), function(weight.values()), weight.shape, is_coalesced=True, check_invariants=False
    )
