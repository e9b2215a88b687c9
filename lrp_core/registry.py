"""The table from operations to their propagation functions, and the decorator that adds to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from .composite import KINDS
from .steps import Operation, Propagate, Run

PLAIN_NAMES = {
    "absolute": "abs",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctanh": "atanh",
    "clip": "clamp",
    "concat": "cat",
    "concatenate": "cat",
    "divide": "div",
    "iadd": "add",
    "idiv": "div",
    "imul": "mul",
    "isub": "sub",
    "itruediv": "div",
    "ger": "outer",
    "ipow": "pow",
    "multiply": "mul",
    "radd": "add",
    "rmul": "mul",
    "rtruediv": "rdiv",
    "expit": "sigmoid",
    "sparse_mm": "mm",
    "subtract": "sub",
    "true_divide": "div",
    "truediv": "div",
}

# The pooling functions are closures that all carry the name "fn".
_CLOSURES = {
    function: name for name, function in vars(F).items() if getattr(function, "__name__", "") == "fn" and "_" in name
}


_OPERATIONS: dict[str, tuple[Operation, ...]] = {}


def op_name(function: Callable[..., Any]) -> str:
    """One name for all forms of an operation: ``torch.relu``, ``F.relu``, ``Tensor.relu_`` are all "relu"."""
    name = str(_CLOSURES.get(function) or getattr(function, "__name__", type(function).__name__))
    if name == "__get__":  # an attribute such as x.T
        name = str(getattr(function.__self__, "__name__", name))  # type: ignore[attr-defined]
    if isinstance(function, torch._ops.OpOverload):  # what torch.export writes: "add.Tensor"
        name = name.partition(".")[0]
    name = name.strip("_").removesuffix("_with_indices").removeprefix("special_")
    return PLAIN_NAMES.get(name, name)


def lookup(name: str) -> tuple[Operation, ...]:
    """The operations registered under this name, the latest first; the first whose ``run`` accepts the call counts."""
    return _OPERATIONS.get(name, ())


def propagates(
    *functions: Callable[..., Any] | str, kind: str = "activation", run: Run | None = None
) -> Callable[[Propagate], Propagate]:
    """Register how relevance passes back through these torch functions (or names such as "getitem").

    The decorated function gets ``(step, message, context)``. ``message.relevance`` is the relevance at the output (for
    several outputs, a tuple of messages or None), ``step.inputs[i].tensor`` and ``step.outputs[0].tensor`` the recorded
    tensors. It returns the relevance of the inputs, a tensor or one per tracked input; what is then missing is booked
    as "dropped". ``kind`` is one of the kinds that a composite knows.

    >>> @lrp.propagates(torch.sinc, kind="activation")
    ... def sinc(step, message, context):
    ...     return message.relevance
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}.")

    def register(propagate: Propagate) -> Propagate:
        for function in functions:
            name = function if isinstance(function, str) else op_name(function)
            _OPERATIONS[name] = (Operation(kind, propagate, run), *lookup(name))
        return propagate

    return register
