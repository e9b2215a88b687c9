"""The arguments of an operation, sorted before it is recorded: each in its place, and those that are only looked at.

Torch takes ``torch.add(input=a, other=b)`` for ``torch.add(a, b)``, so the tape does. What an operation only asks for
its shape or its type, as ``p.view_as(x)`` asks x, gives the result none of its numbers, and no relevance goes there: a
blank stands for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from ..steps import Step, found, replaced

_FACTORS = ("input", "other")
NAMES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("add", "sub", "rsub", "mul", "div", "matmul"), _FACTORS),
    **dict.fromkeys(("mm", "bmm"), ("input", "mat2")),
    **dict.fromkeys(("linear", "prelu"), ("input", "weight")),
    "addmm": ("input", "mat1", "mat2"),
    "baddbmm": ("input", "batch1", "batch2"),
    "clamp": ("input", "min", "max"),
    "clamp_max": ("input", "max"),
    "clamp_min": ("input", "min"),
    "masked_fill": ("input", "mask", "value"),
    "pad": ("input", "pad", "mode", "value"),
    "where": ("condition", "input", "other"),
}
"""how torch calls the operands, by the operation; all others have the input first"""

OTHERS = {"expand_as", "reshape_as", "to", "type_as", "view_as"}
"""operations whose second argument is a tensor that is only looked at"""

REWRITTEN = {*OTHERS, "einsum"}

BLANKS = {f"{name}_like" for name in ("zeros", "ones", "empty", "full", "rand", "randn", "randint")}
BLANKS |= {f"new_{name}" for name in ("zeros", "ones", "empty", "full", "tensor", "empty_strided")}
"""operations that only look at their first argument"""

_WRITING = {f"__{name}__" for name in ("iadd", "isub", "imul", "idiv", "itruediv", "ipow", "imatmul", "setitem")}


def sorted_call(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The same call, with its operands in their places and blanks for what is only looked at."""
    if kwargs:
        args, kwargs = _in_places(name, args, kwargs)
    if name in OTHERS and len(args) > 1 and isinstance(args[1], Tensor):
        args = (args[0], _blank(args[1]), *args[2:])
    if name == "einsum" and len(args) == 2 and isinstance(args[1], list | tuple):
        args = (args[0], *args[1])
    return args, kwargs


def _in_places(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    names = NAMES.get(name, ("input",)) if name not in OTHERS else _FACTORS
    kwargs = dict(kwargs)
    if not args and "mat1" in kwargs and name == "mm":
        args = (kwargs.pop("mat1"),)
    for expected in names[len(args) :]:
        if expected not in kwargs:
            break
        args = (*args, kwargs.pop(expected))
    return args, kwargs


def _blank(tensor: Tensor) -> Tensor:
    """Of the same shape and type, with no numbers of its own."""
    return tensor if tensor.layout != torch.strided else tensor.new_empty(1).expand(tensor.shape)


def is_in_place(function: Callable[..., Any], kwargs: dict[str, Any]) -> bool:
    """Whether an operation writes to its first argument."""
    name = getattr(function, "__name__", "")
    return (name.endswith("_") and not name.endswith("__")) or bool(kwargs.get("inplace")) or name in _WRITING


def on_a_copy(function: Callable[..., Any]) -> Callable[..., Any]:
    """An operation that writes to a constant, run again and again: each time on a copy of what the constant was."""

    @wraps(function)
    def run(target: Tensor, *args: Any, **kwargs: Any) -> Any:
        copy = target.clone()
        result = function(copy, *args, **kwargs)
        return copy if result is None else result

    return run


def floating(tree: Any) -> list[Tensor]:
    """The tensors that relevance could reach."""
    return [t for t in found(tree, Tensor) if t.is_floating_point() or t.is_complex()]


def keep_constants(step: Step, pointer: int) -> None:
    """Give a step copies of the constants that lie at this place in memory, which is about to be written to."""

    def kept(tensor: Tensor) -> Tensor:
        same = tensor.layout is torch.strided and tensor.untyped_storage().data_ptr() == pointer
        return tensor.clone() if same else tensor

    step.args, step.kwargs = replaced((step.args, step.kwargs), Tensor, kept)
    for key, item in step.memo.items():
        if is_dataclass(item) and not isinstance(item, type):
            tensors = {f.name: getattr(item, f.name) for f in fields(item)}
            changed = {name: kept(tensor) for name, tensor in tensors.items() if isinstance(tensor, Tensor)}
            step.memo[key] = replace(item, **changed)
