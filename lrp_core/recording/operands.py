"""The arguments of an operation, sorted before it is recorded: each in its place, and those that are only looked at.

Torch takes ``torch.add(input=a, other=b)`` for ``torch.add(a, b)``, so the tape does. What an operation only asks for
its shape or its type, as ``p.view_as(x)`` asks x, gives the result none of its numbers, and no relevance goes there: a
blank stands for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..steps import found

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

UNFILLED = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}
"""operations whose result holds whatever lay in memory before, NaN as it may be"""

_ATTRIBUTES = ("data", "real", "imag")

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
    name = getattr(function, "__name__", "").partition(".")[0]  # of operators of ATen without what they work on
    if name == "__set__":  # of an attribute
        return function.__self__.__name__ in _ATTRIBUTES  # type: ignore[attr-defined]
    return (name.endswith("_") and not name.endswith("__")) or bool(kwargs.get("inplace")) or name in _WRITING


def floating(tree: Any) -> list[Tensor]:
    """The tensors that relevance could reach."""
    return [t for t in found(tree, Tensor) if t.is_floating_point() or t.is_complex()]
