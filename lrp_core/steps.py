"""What a tape is made of: values (one tensor at one moment) and steps (one operation each)."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

from .limits import Budget
from .message import Message
from .rows import Rows

if TYPE_CHECKING:
    from .composite import Composite
    from .propagation.linear_maps import LinearMap
    from .propagation.weights import WeightCache
    from .rules import Rule


ONE_ROW = Rows(1)


class Value:
    """One tensor as it was at one moment: an operation in place makes a new value."""

    __slots__ = (
        *("__weakref__", "_producer", "activated", "capped", "consumers", "dtype", "ends", "gate"),
        *("part", "positions", "rectified", "rows", "shape", "tensor"),
    )

    def __init__(self, tensor: Tensor, part: str | None = None) -> None:
        self.tensor: Tensor | None = tensor
        """None where the tape does not need it: ReLU wrote over it, or a merged batch norm hides it"""
        self.shape = tensor.shape
        self.dtype = tensor.dtype
        self.part = part
        """name of the input or embedding that this is; relevance stops here"""
        self.positions: Tensor | None = None
        """of an embedding: the ids that were looked up, where they do not come from the input, such as positions"""
        self.rows = ONE_ROW
        """where the rows of the batch lie in it; known once recording has ended"""
        self.consumers: list[Step] = []
        """known while recording"""
        self.gate = 0
        """how much of a gate it is, 0 for a plain signal; known once recording has ended"""
        self.rectified: Value | None = None
        """the ReLU of this value, once the model has computed it"""
        self.capped = False
        """whether that ReLU has a ceiling too, as ReLU6 has"""
        self.activated: Value | None = None
        """what another activation made of it, one that keeps signs"""
        self.ends: tuple[str | None, int] | None = None
        """the recurrent layer that returned it, and the axis of time in it"""
        self._producer: weakref.ref[Step] | None = None

    @property
    def producer(self) -> Step | None:
        """The step that made it. A weak reference, so that a tape is freed as soon as it is let go."""
        return None if self._producer is None else self._producer()

    @producer.setter
    def producer(self, step: Step | None) -> None:
        self._producer = None if step is None else weakref.ref(step)

    def available(self) -> Tensor:
        """The tensor, computed again where it was not kept."""
        if self.tensor is not None:
            return self.tensor
        assert self.producer is not None
        return self.producer.output_as(self)


@dataclass(eq=False)
class Step:
    """One recorded operation. ``args`` and ``kwargs`` are the call, with values in place of tracked tensors."""

    index: int
    name: str
    """qualified name of the layer (``features.0``; called again: ``features.0#2``), or operation and count"""
    kind: str
    op: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    operation: Operation | None
    silent: tuple[int, ...] = ()
    """places of the inputs that count as constants whatever the composite: deviations, and gates of their own signal"""
    reached: bool = True
    """whether relevance can come here; what only deviations and gates are made of needs no rule"""
    is_layer: bool = False
    """whether it has parameters, and so a name in the model"""
    owner: str | None = None
    """the module whose parameter it used, if any"""
    memo: dict[Any, Any] = field(default_factory=dict)
    """what the forward pass left for the walk (linear map, winners of a pooling), and what walks share"""
    budget: Budget = field(default_factory=Budget)
    """the tape's, which decides what walks may share"""

    @property
    def layer(self) -> str:
        """The qualified name in the model, whichever call this is."""
        return self.name.partition("#")[0]

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(value.shape) for value in self.inputs)

    @property
    def output_shape(self) -> tuple[int, ...]:
        return tuple(self.outputs[0].shape)

    @property
    def map(self) -> LinearMap | None:
        """The linear map of an affine step, else None."""
        return self.memo.get("map")

    @property
    def is_affine(self) -> bool:
        """Whether a composite counts it among the affine steps: it has a linear map, or repeats one along time."""
        return "map" in self.memo or self.repeats

    @property
    def repeats(self) -> bool:
        """Whether it is a recurrent layer in one direction, which runs all its moments."""
        return "hidden" in self.memo

    def __repr__(self) -> str:
        return f"Step({self.index}, {self.name!r}, {self.kind}, {self.op}, {self.input_shapes} -> {self.output_shape})"

    def again(self, *tensors: Tensor) -> Any:
        """The operation on other tensors in place of its inputs, in their order; nothing is changed in place."""
        left = iter(tensors)
        args, kwargs = replaced((self.args, self.kwargs), Value, lambda _: next(left).clone())
        return self.function(*args, **kwargs)

    def output(self) -> Tensor:
        """The output as it was before any ReLU wrote over it; computed again where it was not kept."""
        value = self.outputs[0]
        if value.tensor is not None:
            return value.tensor
        return self.kept("output", self.run_again)

    def output_as(self, value: Value) -> Tensor:
        """One of several outputs, computed again where it was not kept."""
        if len(self.outputs) == 1:
            return self.output()
        place = next(place for place, output in enumerate(self.outputs) if output is value)
        return self.kept(("output", place), lambda: self.run_again(place))

    def kept(self, key: Any, make: Callable[[], Tensor]) -> Tensor:
        """What no parameter of a rule changes: computed once per tape, if the tape has room for it."""
        if key in self.memo:
            return self.memo[key]
        made = make()
        if self.budget.room(made):
            self.memo[key] = made
        return made

    def run_again(self, place: int = 0) -> Tensor:
        """An output, computed once more from the inputs that the tape kept."""
        if self.map is not None:
            return self.map.forward(self.inputs[0].available(), self.map.weight, self.map.bias)
        result = self.again(*(value.available() for value in self.inputs))
        return result if isinstance(result, Tensor) else [r for r in result if r.is_floating_point()][place]


class Context(NamedTuple):
    """What a propagation function may need beside its step and the relevance that arrives."""

    rule: Rule | None
    composite: Composite
    weights: WeightCache
    rows: Rows
    """where the rows of the batch lie in the step's output"""

    def message(self, coefficient: Tensor, value: Tensor | None = None) -> Message:
        """Relevance ``coefficient * value``, or plain relevance without a value."""
        return Message(coefficient, value, self.rows)


class Outcome(NamedTuple):
    """What a step passes to each of its inputs (None: nothing) and what it kept, (B,) in float64 or 0.

    What it kept comes in the order of the ledger's columns.
    """

    messages: tuple[Message | None, ...]
    bias: Tensor | float = 0.0
    epsilon: Tensor | float = 0.0
    softmax: Tensor | float = 0.0
    constant: Tensor | float = 0.0
    dropped: Tensor | float | None = 0.0
    """None: whatever is missing elsewhere"""


Propagate = Callable[[Step, Any, Context], Any]
Run = Callable[
    [Callable[..., Any], tuple[Any, ...], dict[str, Any], Callable[[Any], bool]], tuple[Any, dict[str, Any]] | None
]


@dataclass(frozen=True)
class Operation:
    """How one operation is run while recording and how relevance passes back through it.

    ``run(function, args, kwargs, tracked)`` gives the result and what the walk will need, or None where this form of
    the operation has no rule; ``tracked`` tells whether a tensor depends on the input.
    """

    kind: str
    propagate: Propagate
    run: Run | None = None


def rectifies(op: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether an operation is a ReLU, be it one with a ceiling: it cuts off at 0, and passes what is just above."""
    if op not in ("hardtanh", "clamp"):
        return op in ("relu", "relu6")
    names = ("min_val", "max_val") if op == "hardtanh" else ("min", "max")
    given = {**kwargs, **dict(zip(names, args[1:], strict=False))}
    low, high = (given.get(name) for name in names)
    return isinstance(low, int | float) and low == 0 and (high is None or (isinstance(high, int | float) and high > 0))


def is_nonnegative(value: Value) -> bool:
    """Whether a value is known to have no negative entry: a ReLU, pooled or reshaped."""
    step = value.producer
    if step is None:
        return False
    pools = step.kind == "pool" and len(step.inputs) == 1 and not {"gathers", "mixes"} & step.memo.keys()
    return rectifies(step.op, step.args, step.kwargs) or (pools and is_nonnegative(step.inputs[0]))


def can_be_dropped(value: Value) -> bool:
    """Whether a value that only ReLU reads need not be kept: it can be computed again from its producer."""
    return (
        value.producer is not None
        and (value.producer.map is not None or value.producer.kind == "add")
        and all(step.op == "relu" for step in value.consumers)
    )


SEQUENCES = (list, tuple)
NESTED = (list, tuple, dict)
PLAIN = frozenset((int, float, bool, str, type(None)))
"""types of most arguments: sizes, strides, names; in them there is nothing to look for but themselves"""


def found(tree: Any, kind: type | tuple[type, ...]) -> list[Any]:
    """Everything of this type in nested lists, tuples and dicts, in order."""
    if isinstance(tree, kind):
        return [tree]
    items = tree if isinstance(tree, SEQUENCES) else tree.values() if isinstance(tree, dict) else ()
    hits: list[Any] = []
    passed_by = PLAIN if kind is Tensor or kind is Value else ()
    for item in items:
        if type(item) in passed_by:
            continue
        if isinstance(item, kind):
            hits.append(item)
        elif isinstance(item, NESTED):
            hits += found(item, kind)
    return hits


def replaced(tree: Any, kind: type | tuple[type, ...], new: Callable[[Any], Any]) -> Any:
    """The same nested lists, tuples and dicts with everything of this type replaced."""
    if isinstance(tree, kind):
        return new(tree)
    if isinstance(tree, dict):
        return {key: replaced(item, kind, new) for key, item in tree.items()} if tree else {}
    if not isinstance(tree, SEQUENCES):
        return tree
    passed_by = PLAIN if kind is Tensor or kind is Value else ()
    items = [
        item if type(item) in passed_by
        else new(item) if isinstance(item, kind)
        else replaced(item, kind, new) if isinstance(item, NESTED)
        else item
        for item in tree
    ]  # fmt: skip
    return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
