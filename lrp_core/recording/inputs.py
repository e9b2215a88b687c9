"""What a model is given: which tensors carry relevance, and which inputs are refused, in one sentence each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ..propagation.elementwise import is_mask
from ..steps import found
from .call import is_plain
from .finish import is_finite
from .widening import HALF, read_type


class Inputs:
    """The inputs of one recording, and what became of those that carry no relevance."""

    def __init__(self) -> None:
        self.ids = False
        """whether there are integers, from which embeddings may be looked up"""
        self.cast: str | None = None
        """what to say where the model took integers for numbers"""
        self._given: list[tuple[str, Tensor]] = []
        self._started: list[Tensor] = []
        self._derived: dict[int, tuple[Tensor, str]] = {}
        self._unbatched: str | None = None
        self._left_torch = False
        """whether the model turned integers into Python's, after which any may come from them"""

    def read(self, name: str, tree: Any) -> tuple[Any, list[Tensor]]:
        """One argument as the model will get it, and the tensors in it that carry relevance."""
        started: list[Tensor] = []

        def one(tensor: Tensor) -> Tensor:
            self._given.append((name, tensor))
            if carries_relevance(tensor):
                started.append(fresh(name, tensor))
                return started[-1]
            if not tensor.is_floating_point():
                self.ids = True
                self._derived[id(tensor)] = (tensor, name)
            return tensor

        given = _read(tree, one, name)
        self._started += started
        return given, started

    def check(self) -> None:
        """Refuse a recording without any tensor that relevance could come from."""
        if not self._given:
            raise TypeError("record needs at least one tensor as input of the model.")
        if not self.ids and not self._started:
            name, tensor = self._given[0]
            kind = "a mask" if tensor.layout == torch.strided else "sparse"
            raise TypeError(
                f"Input {name!r} is {kind}, which LRP takes for a constant; pass a dense tensor of numbers."
            )

    def follow(self, tensors: list[Tensor], result: Any, op: str) -> bool:
        """Whether the result of an operation comes from integers of the input; those that do are remembered."""
        name = next((self._derived[id(t)][1] for t in tensors if id(t) in self._derived), None)
        if name is None:
            return self._left_torch
        self._left_torch |= op in ("tolist", "numpy")
        for tensor in found(result, Tensor):
            if not tensor.is_floating_point():
                self._derived[id(tensor)] = (tensor, name)
            elif name and op != "embedding" and self.cast is None:
                dtype = next(given.dtype for key, given in self._given if key == name and not given.is_floating_point())
                self.cast = f"Input {name!r} is {plain_name(dtype)}, which cannot carry relevance; pass it as float."
        return True

    def depend(self, result: Any) -> None:
        """Remember integers that were computed from tracked tensors: each row has its own."""
        for tensor in found(result, Tensor):
            self._derived[id(tensor)] = (tensor, "")

    def note_unbatched(self, layer: str, dims: int) -> None:
        """A layer worked on a single example; it is the caller's doing where an input has no more axes than that."""
        if any(tensor.dim() <= dims for tensor in self._started):
            self._unbatched = self._unbatched or layer

    def check_rows(self, logits: Tensor) -> None:
        """Refuse the output for an input that has no batch axis: what looks like its rows is something else."""
        if self._unbatched is not None and (logits.dim() != 2 or len(logits) != 1):
            raise ValueError(self._without_batch())

    def reason(self, model: nn.Module) -> str | None:
        """Why the model failed, where its input tells."""
        if self._unbatched is not None:
            return self._without_batch()
        weights = [tensor for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point()]
        for name, tensor in self._given:
            devices = {weight.device for weight in weights}
            if devices and tensor.device not in devices:
                device = weights[0].device
                return (
                    f"Input {name!r} is on {tensor.device} and the model on {device}; pass {name}.to({str(device)!r})."
                )
            dtypes = {read_type(weight.dtype) for weight in weights}
            if tensor.is_floating_point() and dtypes and read_type(tensor.dtype) not in dtypes:
                wanted = read_type(weights[0].dtype)
                return (
                    f"Input {name!r} is {plain_name(tensor.dtype)} and the model {plain_name(wanted)}; "
                    f"pass {name}.{'double' if wanted == torch.float64 else 'float'}()."
                )
        return None

    def _without_batch(self) -> str:
        name = next(name for name, tensor in self._given if carries_relevance(tensor))
        return f"Layer {self._unbatched!r} was given an input without a batch axis; add one: {name}[None]."


def _read(tree: Any, new: Callable[[Tensor], Any], name: str) -> Any:
    """The same lists, tuples, mappings and dataclasses with ``new(tensor)`` for every tensor in them."""
    if isinstance(tree, Tensor):
        _check_kind(name, tree)
        return new(tree)
    if isinstance(tree, PackedSequence):
        raise TypeError(f"Input {name!r} is a packed sequence; pass the padded tensor instead.")
    if isinstance(tree, np.ndarray) and tree.dtype.kind == "f":
        raise TypeError(f"Input {name!r} is a NumPy array; pass it as a tensor: torch.from_numpy({name}).")
    if isinstance(tree, Mapping):
        return _filled(tree, {key: _read(item, new, name) for key, item in tree.items()})
    if isinstance(tree, list | tuple):
        items = [_read(item, new, name) for item in tree]
        if all(item is before for item, before in zip(items, tree, strict=True)):
            return tree
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    if is_dataclass(tree) and not isinstance(tree, type):
        found = {field.name: getattr(tree, field.name) for field in fields(tree) if hasattr(tree, field.name)}
        made = copy.copy(tree)
        for key, item in found.items():
            if (changed := _read(item, new, name)) is not item:
                object.__setattr__(made, key, changed)
        return made
    return tree


def _filled(tree: Mapping[Any, Any], items: dict[Any, Any]) -> Any:
    """A mapping of the same kind with these items; the same one where they are its own."""
    if all(items[key] is tree[key] for key in items):
        return tree
    if type(tree) is dict or not hasattr(tree, "__setitem__"):
        return items
    made = copy.copy(tree)  # a BatchEncoding, or the output of a model, keeps what else it knows
    for key, item in items.items():
        made[key] = item
    return made


def carries_relevance(tensor: Tensor) -> bool:
    """Whether relevance can reach this input: not ids, not a mask that is added to scores, and not a sparse matrix."""
    if not tensor.is_floating_point() or tensor.layout != torch.strided:
        return False
    if not tensor.numel() or not tensor.min() <= torch.finfo(tensor.dtype).min / 2:
        return True
    return not is_mask(tensor)


def fresh(name: str, tensor: Tensor) -> Tensor:
    """A copy to record with, for the caller, or a layer in place, may write to it; half precision is widened."""
    if not is_finite(tensor):
        raise ValueError(f"Input {name!r} holds NaN or infinite values.")
    own = tensor.detach().as_subclass(Tensor)
    return own.float() if tensor.dtype in HALF else own.clone()


def plain_name(dtype: torch.dtype) -> str:
    """The name of a type as a user writes it: ``uint8``."""
    return str(dtype).removeprefix("torch.")


def _check_kind(name: str, tensor: Tensor) -> None:
    shape = tuple(tensor.shape) if not tensor.is_nested else ()
    if tensor.is_nested:
        raise TypeError(
            f"Input {name!r} is a nested tensor; pass it padded: torch.nested.to_padded_tensor({name}, 0.0)."
        )
    if tensor.is_meta or not is_plain(tensor):
        kind = "on the meta device" if tensor.is_meta else f"a {type(tensor).__name__}"
        raise TypeError(f"Input {name!r} is {kind}; pass a plain tensor with numbers.")
    if tensor.is_quantized:
        raise TypeError(f"Input {name!r} is quantised; pass {name}.dequantize().")
    if tensor.is_complex():
        raise ValueError(
            f"Input {name!r} is {plain_name(tensor.dtype)}; LRP works in float32 or float64: pass the real and the "
            "imaginary part as real numbers."
        )
    if tensor.is_floating_point() and tensor.dtype not in (torch.float32, torch.float64, *HALF):
        raise ValueError(f"Input {name!r} is {plain_name(tensor.dtype)}; LRP works in float32 or float64.")
    if shape and not shape[0]:
        raise ValueError(f"Input {name!r} has no rows: its shape is {shape}.")
