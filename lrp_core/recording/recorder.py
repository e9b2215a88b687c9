"""Recording: one forward pass, without autograd, watched from outside. The model is not touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..modes import plain_arithmetic
from ..propagation.cells import CELLS
from ..propagation.elementwise import is_mask, keeps_sign
from ..propagation.linear_maps import LinearMap
from ..propagation.weights import cache_of
from ..registry import lookup, op_name
from ..steps import Operation, Step, Value, can_be_dropped, found, replaced
from ..tape import Tape
from .call import check_input, chosen, modules_of, named_arguments
from .finish import finish
from .operands import BLANKS, REWRITTEN, floating, is_in_place, keep_constants, on_a_copy, sorted_call
from .unfolding import UNFOLDED

LAYER_KINDS = ("conv", "linear", "norm")


def record(
    model: nn.Module,
    *args: Any,
    relevance_at: str | None = None,
    output: str | int | Callable[[Any], Tensor] | None = None,
    **kwargs: Any,
) -> Tape:
    """Run ``model(*args, **kwargs)`` once and keep what LRP needs of it.

    Every floating-point tensor among the arguments (also inside lists and dicts) is an input that relevance can reach;
    for integer inputs it stops at the embeddings looked up from them. ``relevance_at`` names a layer at whose output
    relevance stops instead. ``output`` picks the tensor to explain from what the model returns, the batch axis in front
    and any shape behind: a key, an index or a function; a tensor, and an object or dict with ``logits``, need none.
    Where it ends in a read-out such as a sigmoid or a softmax, the scores before that are explained (``Tape.scores``).

    Raises ``ValueError`` or ``TypeError``, in one sentence, for a model in train mode, half precision, NaN or infinite
    input, and an output that has no batch axis or does not depend on the input.
    """
    modules = modules_of(model)
    with plain_arithmetic():
        inputs = dict(named_arguments(model, args, kwargs))
        recorder = Recorder(modules)
        inputs = {name: recorder.input(name, tree) for name, tree in inputs.items()}
        if not recorder.sources and not recorder.reads_ids:
            raise TypeError("record needs at least one tensor as input of the model.")
        positional = [inputs.pop(name) for name in list(inputs)[: len(args)]]
        with recorder:
            logits = chosen(model(*positional, **inputs), output)
        return finish(
            recorder.steps, recorder.sources, recorder.value_of(logits), logits, cache_of(model), relevance_at
        )


class Recorder(TorchFunctionMode):
    """Turns each operation on tensors that descend from the input into a step; sees only its own thread."""

    def __init__(self, modules: list[tuple[str, nn.Module]]) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.sources: list[Value] = []
        self.reads_ids = False
        self._owners: dict[int, str] = {}
        self._own: set[int] = set()
        self._kept: list[Tensor] = []  # keeps ids in _owners from being reused
        self._live: dict[int, tuple[Tensor, Value]] = {}
        self._stale: dict[int, Tensor] = {}
        self._storages: dict[int, list[tuple[Tensor, Value]]] = {}
        self._overtaken: set[int] = set()
        self._read: dict[int, list[Step]] = {}
        self._counts: dict[str, int] = {}
        for path, module in modules:
            owner = path.partition(".parametrizations")[0] or type(modules[0][1]).__name__
            for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
                self._owners.setdefault(id(tensor), owner)
                self._own.add(id(tensor))

    def input(self, name: str, tree: Any) -> Any:
        """Start tracking the tensors of one argument; returns the argument to hand to the model."""
        tensors = list(found(tree, Tensor))
        self.reads_ids |= any(not t.is_floating_point() for t in tensors)

        def track(tensor: Tensor) -> Tensor:
            if not tensor.is_floating_point():
                return tensor
            if (tensor == -torch.inf).any() and is_mask(tensor):
                return tensor
            check_input(name, tensor)
            seen = tensor.detach().clone()  # the caller, or a layer in place, may write to it
            self._source(seen, name if len(tensors) == 1 else f"{name}[{len(self.sources)}]")
            return seen

        return replaced(tree, Tensor, track)

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
        if id(tensor) not in self._live:
            raise ValueError("The model's output does not depend on the input by any recorded operation.")
        return self._live[id(tensor)][1]

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = op_name(function)
        kwargs = kwargs or {}
        if kwargs or name in REWRITTEN:
            args, kwargs = sorted_call(name, args, kwargs)
            if kwargs.get("out") is not None:
                return self._written(name, function, args, **kwargs)
        tensors = found(args[1:] if name in BLANKS else args, Tensor) + (found(kwargs, Tensor) if kwargs else [])
        if (self._stale or self._overtaken) and any(map(self._is_stale, tensors)):
            raise ValueError(
                f"{name} reads a view of a tensor that was changed in place; LRP cannot follow such a view."
            )
        is_constant = not any(id(t) in self._live for t in tensors)
        if is_constant and not self._read:
            return self._constant(name, function, tensors, args, kwargs)
        target = args[0] if is_in_place(function, kwargs) and args and isinstance(args[0], Tensor) else None
        if target is not None:
            self._keep_constants(target)
        if is_constant:
            return self._constant(name, function, tensors, args, kwargs)

        if name in UNFOLDED and not lookup(name):
            with self:
                unfolded = UNFOLDED[name](*args, **kwargs)
            if unfolded is not NotImplemented:
                if name in CELLS and self._tracked(unfolded[0]):
                    self._mark_end(self._live[id(unfolded[0])][1], tensors)
                return unfolded
        call_args, call_kwargs = replaced((args, kwargs), Tensor, self._current)
        call = function
        if target is not None and id(target) not in self._live:
            call_args, call = (target.clone(), *call_args[1:]), on_a_copy(function)
        views = self._protect(target, name) if target is not None else []
        result, operation, memo = self._run(name, function, args, kwargs)
        changed = target if target is not None and result is None else result
        outputs = floating(changed)
        if not outputs or (target is None and args and changed is args[0]):
            return result  # nothing that relevance could reach, or the operation did nothing
        if any(t.layout is not torch.strided for t in outputs):
            raise ValueError(
                f"{name} makes a sparse tensor of the input; LRP follows dense ones, beside sparse constants."
            )
        if target is not None and call is not function:
            self._overtaken.add(target.untyped_storage().data_ptr())
        self._stale |= {id(view): view for view, before in views if not torch.equal(view, before)}
        for key, item in memo.items():
            if isinstance(item, LinearMap) and not all(id(source) in self._own for source in item.sources):
                memo[key] = replace(item, sources=())  # made on the fly: not to be kept with the model
        self._add(name, call, call_args, call_kwargs, operation, memo, tensors, outputs)
        return result

    def _written(self, name: str, function: Any, args: Any, out: Any, **kwargs: Any) -> Any:
        """An operation that writes its results to tensors that are there: they stand for the results from then on."""
        with self:
            results = function(*args, **kwargs)
        for target, result in zip([out] if isinstance(out, Tensor) else out, floating(results), strict=False):
            with self:
                result = result.to(target.dtype)
            self._keep_constants(target)
            views = self._protect(target, name)
            if target.shape != result.shape:
                target.resize_(result.shape)
            target.copy_(result)
            self._stale |= {id(view): view for view, before in views if not torch.equal(view, before)}
            self._live.pop(id(target), None)
            if id(result) in self._live:
                self._track(target, self._live[id(result)][1])
                self._overtaken.add(target.untyped_storage().data_ptr())
        return out

    def _is_stale(self, tensor: Tensor) -> bool:
        """Whether it shows what has been written to another tensor, of which the tape knows nothing here."""
        if id(tensor) in self._stale:
            return True
        if not self._overtaken or id(tensor) in self._live or not tensor.numel() or tensor.layout is not torch.strided:
            return False
        return tensor.untyped_storage().data_ptr() in self._overtaken

    def _keep_constants(self, target: Tensor) -> None:
        """Before a tensor is written to: steps that read its numbers as constants keep them as they were."""
        pointer = target.untyped_storage().data_ptr()
        for step in self._read.pop(pointer, []):
            keep_constants(step, pointer)

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
        for tensor in tensors:
            if type(tensor) is Tensor and id(tensor) not in self._live and tensor.layout is torch.strided:
                self._read.setdefault(tensor.untyped_storage().data_ptr(), []).append(step)
        self.steps.append(step)

    def _mark_end(self, value: Value, tensors: list[Tensor]) -> None:
        """Remember that a recurrent layer returned this; what it does last puts the batch in front, if anything."""
        swapped = value.producer is not None and value.producer.op == "transpose"
        value.ends = self._owner_of(tensors), 1 if swapped else 0

    def _constant(self, name: str, function: Any, tensors: list[Tensor], args: Any, kwargs: Any) -> Any:
        """An operation on constants: remember whose parameter it read; with token ids, an embedding is a source."""
        result = function(*args, **kwargs)
        if isinstance(result, Tensor) and result.is_floating_point():
            owner = self._owner_of(tensors)
            if name == "embedding" and self.reads_ids:
                self._source(result, owner or name)
            elif owner is not None:
                self._owners.setdefault(id(result), owner)
                self._kept.append(result)
        return result

    def _source(self, tensor: Tensor, name: str) -> None:
        count = self._counts[name] = self._counts.get(name, 0) + 1
        value = Value(tensor, part=name if count == 1 else f"{name}#{count}")
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
