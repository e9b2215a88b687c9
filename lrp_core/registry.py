"""The table from operations to their propagation functions, and the decorator that adds to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F

from .composite import KINDS

if TYPE_CHECKING:
    from .steps import Context, Outcome, Step

    Propagate = Callable[[Step, Any, Context], Any]
    Run = Callable[
        [Callable[..., Any], tuple[Any, ...], dict[str, Any], Callable[[Any], bool]], tuple[Any, dict[str, Any]] | None
    ]

PLAIN_NAMES = {
    "concat": "cat",
    "concatenate": "cat",
    "divide": "div",
    "iadd": "add",
    "idiv": "div",
    "imul": "mul",
    "isub": "sub",
    "itruediv": "div",
    "multiply": "mul",
    "radd": "add",
    "rmul": "mul",
    "rtruediv": "rdiv",
    "subtract": "sub",
    "true_divide": "div",
    "truediv": "div",
}

# The pooling functions are closures that all carry the name "fn".
_CLOSURES = {
    function: name for name, function in vars(F).items() if getattr(function, "__name__", "") == "fn" and "_" in name
}


@dataclass(frozen=True)
class Operation:
    """How one operation is run while recording and how relevance passes back through it.

    ``run(function, args, kwargs, tracked)`` gives the result and what the walk will need, or None where this form of
    the operation has no rule; ``tracked`` tells whether a tensor depends on the input.
    """

    kind: str
    propagate: Propagate
    run: Run | None = None


_OPERATIONS: dict[str, Operation] = {}


def op_name(function: Callable[..., Any]) -> str:
    """One name for all forms of an operation: ``torch.relu``, ``F.relu``, ``Tensor.relu_`` are all "relu"."""
    name = str(_CLOSURES.get(function) or getattr(function, "__name__", type(function).__name__))
    if name == "__get__":  # an attribute such as x.T
        name = str(getattr(function.__self__, "__name__", name))  # type: ignore[attr-defined]
    name = name.strip("_").removesuffix("_with_indices")
    return PLAIN_NAMES.get(name, name)


def lookup(name: str) -> Operation | None:
    """The operation registered under this name, or None."""
    return _OPERATIONS.get(name)


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
            _OPERATIONS[name] = Operation(kind, propagate, run)
        return propagate

    return register


def outcome_of(result: Any, step: Step, arrived: Any, context: Context) -> Outcome:
    """What a propagation function returned, as an Outcome: plain tensors get their loss booked as dropped."""
    from .steps import Outcome

    if isinstance(result, Outcome):
        return result
    tensors = result if isinstance(result, tuple | list) else (result,)
    if len(tensors) != len(step.inputs):
        raise ValueError(
            f"The propagation function of {step.op} returned {len(tensors)} tensors for {len(step.inputs)} inputs."
        )
    messages = tuple(None if tensor is None else context.message(tensor) for tensor in tensors)
    passed = sum((message.total for message in messages if message is not None), 0.0)
    return Outcome(messages, dropped=arrived - passed)
