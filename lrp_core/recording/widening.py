"""Half precision is computed in float32: tensors are widened on their way into each operation, the model is left alone.

float16 and bfloat16 hold three digits at most, too few for books that close. Their numbers are float32 numbers too, so
the result is that of the same model after ``model.float()``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..propagation.weights import WeightCache
from ..steps import found, replaced
from .owners import Owner

HALF = (torch.float16, torch.bfloat16)
HALF_NAMES = ("half", "bfloat16")
HALF_STRINGS = ("HalfTensor", "BFloat16Tensor")
CASTS = ("to", "type", "float", "double", *HALF_NAMES)
TYPED = (*CASTS, "softmax", "log_softmax")
"""operations that may be given a type by its place among the arguments"""
LOOKUPS = ("embedding", *CASTS)
"""operations that read a part of a weight, or copy it: the result is widened instead"""


class Widening:
    """The tensors of half precision of one recording, as float32; weights once per model, through its cache."""

    def __init__(self, own: dict[int, Tensor], owners: dict[int, Owner], weights: WeightCache) -> None:
        self._owners = owners
        self.origin = own
        """the model's own tensor behind each weight, by the id of the weight or of what it became"""
        self._weights = weights
        self.holds_half = any(tensor.dtype in HALF for tensor in own.values())
        self._wide: dict[int, Tensor] = {}
        self._storages: set[int] = set()

    def concerns(self, name: str, tensors: list[Tensor], args: Any, kwargs: Any) -> bool:
        """Whether half precision takes part in this call, as a tensor or as a type that is asked for."""
        if name in TYPED:
            return _asks_for_half(name, args[1:], kwargs) or any(tensor.dtype in HALF for tensor in tensors)
        if kwargs and kwargs.get("dtype") in HALF:
            return True
        return self.holds_half and any(tensor.dtype in HALF for tensor in tensors)

    def call(self, name: str, function: Any, args: Any, kwargs: Any) -> tuple[str, Any, Any, Any]:
        """The same call in float32: (name, function, args, kwargs)."""
        casts = name in CASTS and len(args) > 0 and isinstance(args[0], Tensor)
        if casts and _asks_for_half(name, args[1:], kwargs):
            # a cast makes a tensor of its own, which may be written to
            return "to", Tensor.to, (self._tensor(args[0]), torch.float32), {"copy": True}
        if name in LOOKUPS:
            return name, function, *replaced((args, kwargs), torch.dtype, read_type)
        args, kwargs = replaced((args, kwargs), torch.dtype, read_type)
        return name, function, *replaced((args, kwargs), Tensor, self._tensor)

    def result(self, result: Any) -> Any:
        """What an operation on constants returned, without half precision."""
        return replaced(result, Tensor, lambda t: t.float() if t.dtype in HALF else t) if _has_half(result) else result

    def writes(self, target: Any) -> bool:
        """Whether an operation in place on this tensor would be lost: it stands for one of half precision."""
        if not isinstance(target, Tensor):
            return False
        return target.dtype in HALF or (bool(self._storages) and target.untyped_storage().data_ptr() in self._storages)

    def _tensor(self, tensor: Tensor) -> Tensor:
        if tensor.dtype not in HALF:
            return tensor
        own = self.origin.get(id(tensor))
        if own is not tensor:
            return tensor.float()
        wide = self._wide.get(id(tensor))
        if wide is None:
            wide = self._wide[id(tensor)] = self._weights.get("float32", (tensor,), tensor.detach().float)
            self.origin[id(wide)] = tensor
            self._owners[id(wide)] = self._owners[id(tensor)]
            self._storages.add(wide.untyped_storage().data_ptr())
        return wide


def read_type(dtype: torch.dtype) -> torch.dtype:
    """The type of a tensor as the model is told it, so that what it makes beside has the type it will meet."""
    return torch.float32 if dtype in HALF else dtype


def _asks_for_half(name: str, args: Any, kwargs: Any) -> bool:
    return name in HALF_NAMES or any(map(_is_half, (*args, *kwargs.values())))


def _is_half(item: Any) -> bool:
    """Whether this is a type of half precision, the name of one, or a tensor to be like."""
    if isinstance(item, str):
        return item.endswith(HALF_STRINGS)
    return (item if type(item) is torch.dtype else getattr(item, "dtype", None)) in HALF


def _has_half(result: Any) -> bool:
    return any(tensor.dtype in HALF for tensor in found(result, Tensor))
