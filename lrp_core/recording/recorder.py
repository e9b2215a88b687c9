"""Recording: one forward pass, without autograd, watched from outside. The model is not touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..modes import plain_arithmetic, uncompiled, without_autocast
from ..propagation.cells import CELLS
from ..propagation.elementwise import keeps_sign
from ..propagation.linear_maps import LinearMap
from ..propagation.weights import WeightCache, cache_of
from ..registry import lookup, op_name
from ..steps import Operation, Step, Value, can_be_dropped, found, replaced
from ..tape import Tape
from .call import chosen, modules_of, named_arguments, original
from .finish import finish
from .inputs import Inputs
from .plain_calls import CONVOLUTIONS, plain_call, unbatched
from .unfolding import UNFOLDED
from .widening import HALF, Widening, read_type

MAKES_CONSTANTS = {"zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like"} | {
    f"new_{name}" for name in ("zeros", "ones", "empty", "full", "tensor")
}
NO_CHANGE = ("requires_grad", "detach")
"""operations in place that leave the numbers alone"""
LAYER_KINDS = ("conv", "linear", "norm")


def record(
    model: nn.Module,
    *args: Any,
    relevance_at: str | None = None,
    output: str | int | Callable[[Any], Tensor] | None = None,
    **kwargs: Any,
) -> Tape:
    """Run ``model(*args, **kwargs)`` once and keep what LRP needs of it.

    Every floating-point tensor among the arguments (also inside lists, tuples, mappings and dataclasses) is an input
    that relevance can reach; for integer inputs it stops at the embeddings looked up from them. Masks that are added to
    scores, with entries of minus infinity, and sparse matrices are constants. ``relevance_at`` names a layer at whose
    output relevance stops instead. ``output`` picks the tensor to explain from what the model returns, the batch axis
    in front and any shape behind: a key, an index or a function; a tensor, and an object or dict with ``logits``, need
    none. Where it ends in a read-out such as a sigmoid or a softmax, the scores before that are explained
    (``Tape.scores``).

    Half precision is computed in float32, and what ``torch.compile`` made runs as it was written. Raises ``ValueError``
    or ``TypeError``, in one sentence, for a model in train mode, NaN or infinite input, integer input that the model
    takes for numbers, and an output that has no batch axis or does not depend on the input.
    """
    model = original(model)
    modules = modules_of(model)
    weights = cache_of(model)
    with plain_arithmetic(), uncompiled():
        recorder = Recorder(modules, weights)
        positional = [recorder.input(name, tree) for name, tree in named_arguments(model, args)]
        named = {name: recorder.input(name, tree) for name, tree in kwargs.items()}
        recorder.inputs.check()
        try:
            with recorder:
                logits = chosen(model(*positional, **named), output)
        except (RuntimeError, IndexError, ValueError) as error:
            reason = recorder.inputs.reason(model)
            if reason is None:
                raise
            raise ValueError(reason) from error
        value = recorder.value_of(logits)
        return finish(recorder.steps, recorder.sources, value, logits, weights, relevance_at)


class Recorder(TorchFunctionMode):
    """Turns each operation on tensors that descend from the input into a step; sees only its own thread."""

    def __init__(self, modules: list[tuple[str, nn.Module]], weights: WeightCache) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.sources: list[Value] = []
        self.inputs = Inputs()
        self._owners: dict[int, str] = {}
        self._kept: list[Tensor] = []  # keeps ids in _owners from being reused
        self._live: dict[int, tuple[Tensor, Value]] = {}
        self._stale: dict[int, Tensor] = {}
        self._storages: dict[int, list[tuple[Tensor, Value]]] = {}
        self._counts: dict[str, int] = {}
        own: dict[int, Tensor] = {}
        for path, module in modules:
            owner = path.partition(".parametrizations")[0] or type(modules[0][1]).__name__
            for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
                self._owners.setdefault(id(tensor), owner)
                own[id(tensor)] = tensor
        self._wide = Widening(own, self._owners, weights)

    def input(self, name: str, tree: Any) -> Any:
        """Start tracking the tensors of one argument; returns the argument to hand to the model."""
        given, started = self.inputs.read(name, tree)
        self._wide.holds_half |= any(tensor.dtype in HALF for tensor in found(given, Tensor))
        for place, tensor in enumerate(started):
            self._source(tensor, name if len(started) == 1 else f"{name}[{place}]")
        return given

    def value_of(self, tensor: Any) -> Value:
        """The tracked value of the model's output."""
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"The model returned {type(tensor).__name__}; choose its logits with record(..., output=...)."
            )
        if not tensor.is_floating_point():
            raise ValueError(
                f"The model's output is {tensor.dtype}; LRP explains scores, so choose those that it is made from with "
                "record(..., output=...)."
            )
        if id(tensor) in self._live:
            self.inputs.check_rows(tensor)
            return self._live[id(tensor)][1]
        raise ValueError(
            (None if self.sources else self.inputs.cast)
            or "The model's output does not depend on the input by any recorded operation."
        )

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        without_autocast()
        function, args, kwargs = plain_call(function, args, kwargs)
        name = op_name(function)
        tensors = found(args, Tensor) + (found(kwargs, Tensor) if kwargs else [])
        if self._stale and any(id(t) in self._stale for t in tensors):
            raise ValueError(
                f"{name} reads a view of a tensor that was changed in place; LRP cannot follow such a view."
            )
        if name == "dtype":
            return read_type(function(*args, **kwargs))
        in_place = _is_in_place(function, kwargs)
        if in_place and name not in NO_CHANGE and self._wide.writes(args[0] if args else None):
            raise ValueError(f"{name} writes to a weight of half precision; call model.float() first.")
        if self._wide.concerns(name, tensors, args, kwargs):
            name, function, args, kwargs = self._wide.call(name, function, args, kwargs)
        if name in MAKES_CONSTANTS or not any(id(t) in self._live for t in tensors):
            return self._constant(name, function, tensors, args, kwargs)

        dims = unbatched(name, args, self._live)
        if dims is not None:
            owner = next((self._owners[id(t)] for t in tensors if id(t) in self._owners), name)
            self.inputs.note_unbatched(owner, dims)
            if name in CONVOLUTIONS:
                with self:
                    return function(args[0][None], *args[1:], **kwargs)[0]
        if name in UNFOLDED and not lookup(name):
            with self:
                unfolded = UNFOLDED[name](*args, **kwargs)
            if unfolded is not NotImplemented:
                if name in CELLS and self._tracked(unfolded[0]):
                    self._mark_end(self._live[id(unfolded[0])][1], tensors)
                return unfolded
        call_args, call_kwargs = replaced((args, kwargs), Tensor, self._current)
        views = self._protect(args[0], name) if in_place and isinstance(args[0], Tensor) else []
        result, operation, memo = self._run(name, function, args, kwargs)
        changed = args[0] if in_place and result is None else result
        outputs = [t for t in found(changed, Tensor) if t.is_floating_point() or t.is_complex()]
        if not outputs or (changed is args[0] and not in_place):
            if self.inputs.ids and outputs == []:
                self.inputs.depend(result)
            return result  # nothing that relevance could reach, or the operation did nothing
        self._stale |= {id(view): view for view, before in views if not torch.equal(view, before)}
        for key, item in memo.items():
            if isinstance(item, LinearMap):
                own = [self._wide.origin.get(id(source)) for source in item.sources]
                if any(one is not source for one, source in zip(own, item.sources, strict=True)):
                    # made on the fly, and not to be kept with the model; or what became of its own
                    known = [one for one in own if one is not None]
                    memo[key] = replace(item, sources=tuple(known) if len(known) == len(own) else ())
        self._add(name, function, call_args, call_kwargs, operation, memo, tensors, outputs)
        return result

    def _run(self, name: str, function: Any, args: Any, kwargs: Any) -> tuple[Any, Operation | None, dict[str, Any]]:
        """The result, the operation that will pass relevance back (None: unsupported), and what it will need."""
        for operation in lookup(name):
            if operation.run is None:
                return function(*args, **kwargs), operation, {}
            ran = operation.run(function, args, kwargs, self._tracked)
            if ran is not None:
                return ran[0], operation, ran[1]
        return function(*args, **kwargs), None, {}

    def _add(
        self, op: str, function: Any, args: Any, kwargs: Any, operation: Any, memo: Any, tensors: Any, outputs: Any
    ) -> None:
        kind = operation.kind if operation else "unsupported"
        owner = self._owner_of(tensors)
        is_layer = owner is not None and kind in LAYER_KINDS
        name = owner if is_layer and owner else op
        count = self._counts[name] = self._counts.get(name, 0) + 1
        inputs = tuple(found((args, kwargs), Value))
        values = tuple(Value(t) for t in outputs)
        label = name if is_layer and count == 1 else f"{name}#{count}"
        index = len(self.steps)
        step = Step(
            index, label, kind, op, function, args, kwargs, inputs, values, operation, is_layer=is_layer, memo=memo
        )
        for value in inputs:
            value.consumers.append(step)
        if op == "relu" and inputs[0].rectified is None:
            inputs[0].rectified = values[0]
        elif kind == "activation" and keeps_sign(op, args, kwargs):
            inputs[0].activated = values[0]
        for tensor, value in zip(outputs, values, strict=True):
            value.producer = step
            self._track(tensor, value)
        self.steps.append(step)

    def _mark_end(self, value: Value, tensors: list[Tensor]) -> None:
        """Remember that a recurrent layer returned this; what it does last puts the batch in front, if anything."""
        swapped = value.producer is not None and value.producer.op == "transpose"
        value.ends = self._owner_of(tensors), 1 if swapped else 0

    def _constant(self, name: str, function: Any, tensors: list[Tensor], args: Any, kwargs: Any) -> Any:
        """An operation on constants: remember whose parameter it read; with token ids, an embedding is a source."""
        result = self._wide.result(function(*args, **kwargs))
        changed = args[0] if result is None and len(args) else result  # x[...] = ids returns nothing
        from_ids = name not in MAKES_CONSTANTS and self.inputs.follow(tensors, changed, name)
        if isinstance(result, Tensor) and result.is_floating_point():
            owner = self._owner_of(tensors)
            if name == "embedding" and self.inputs.ids:
                positions = None if from_ids else next(t for t in tensors if not t.is_floating_point())
                self._source(result, owner or name, positions)
            elif owner is not None:
                self._owners.setdefault(id(result), owner)
                self._kept.append(result)
        return result

    def _source(self, tensor: Tensor, name: str, positions: Tensor | None = None) -> None:
        count = self._counts[name] = self._counts.get(name, 0) + 1
        value = Value(tensor, part=name if count == 1 else f"{name}#{count}")
        value.positions = positions
        self.sources.append(value)
        self._track(tensor, value)

    def _track(self, tensor: Tensor, value: Value) -> None:
        self._live[id(tensor)] = (tensor, value)
        self._stale.pop(id(tensor), None)
        self._storages.setdefault(tensor.untyped_storage().data_ptr(), []).append((tensor, value))

    def _owner_of(self, tensors: list[Tensor]) -> str | None:
        """The layer whose parameter is the first among these."""
        return next((self._owners[id(t)] for t in tensors if id(t) in self._owners), None)

    def _tracked(self, item: Any) -> bool:
        return id(item) in self._live

    def _current(self, tensor: Tensor) -> Any:
        return self._live[id(tensor)][1] if id(tensor) in self._live else tensor

    def _protect(self, target: Tensor, op: str) -> list[tuple[Tensor, Tensor]]:
        """Copy what the tape has seen of a storage that is about to be written; returns other views of it, with copies.

        The one copy not made is the common one: a ReLU over a sum or a layer's output, which can be computed again.
        """
        views = []
        pointer = target.untyped_storage().data_ptr()
        for tensor, value in self._storages.pop(pointer, []):
            if value.tensor is None or value.tensor.untyped_storage().data_ptr() != pointer:
                continue
            if tensor is target and op == "relu" and can_be_dropped(value):
                value.tensor = None
                continue
            value.tensor = value.tensor.clone()
            if tensor is not target:
                views.append((tensor, value.tensor))
        return views


def _is_in_place(function: Any, kwargs: Mapping[str, Any]) -> bool:
    name = getattr(function, "__name__", "").partition(".")[0]  # of operators of ATen without what they work on
    marked = name.endswith("_") and not name.endswith("__")
    return marked or bool(kwargs.get("inplace")) or name in ("__setitem__", "__iadd__", "__isub__", "__imul__")
