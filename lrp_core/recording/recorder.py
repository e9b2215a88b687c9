"""The recorder: turns every operation on tensors that descend from the input into a step of the tape."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..modes import without_autocast
from ..propagation.cells import CELLS
from ..propagation.elementwise import keeps_sign
from ..propagation.linear_maps import LinearMap
from ..propagation.weights import WeightCache
from ..propagation.writing import OnACopy, seen_after
from ..registry import lookup, op_name
from ..steps import Operation, Step, Value, found, rectifies, replaced
from .inputs import Inputs
from .memory import Memory, before_constant_write
from .operands import BLANKS, REWRITTEN, UNFILLED, floating, is_in_place, sorted_call
from .owners import Owner, with_owner
from .plain_calls import CONVOLUTIONS, plain_call, unbatched
from .unfolding import UNFOLDED
from .widening import HALF, Widening, read_type

NO_CHANGE = ("requires_grad", "detach")
"""operations in place that leave the numbers alone"""
LAYER_KINDS = ("conv", "linear", "norm")


class Recorder(TorchFunctionMode):
    """Turns each operation on tensors that descend from the input into a step; sees only its own thread."""

    def __init__(self, modules: list[tuple[str, nn.Module]], weights: WeightCache) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.sources: list[Value] = []
        self.inputs = Inputs()
        self._owners: dict[int, Owner] = {}
        self._kept: list[Tensor] = []  # keeps ids in _owners from being reused
        self._live: dict[int, tuple[Tensor, Value]] = {}
        self._memory = Memory()
        self._one_hots: list[Tensor] = []
        self._counts: dict[str, int] = {}
        own: dict[int, Tensor] = {}
        for path, module in modules:
            owner = path.partition(".parametrizations")[0] or type(modules[0][1]).__name__
            looks_up = isinstance(module, nn.Embedding | nn.EmbeddingBag)
            for tensor in (*module._parameters.values(), *module._buffers.values()):
                if tensor is not None:
                    self._owners[id(tensor)] = with_owner(self._owners.get(id(tensor)), owner, looks_up)
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
        self._catch_up(tensor)
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
        if torch._C._functorch.peek_interpreter_stack() is not None:
            self._refuse_hidden(name, found((args, kwargs), Tensor))
        if name == "dtype":
            return read_type(function(*args, **kwargs))
        if kwargs or name in REWRITTEN:
            args, kwargs = sorted_call(name, args, kwargs)
        tensors = found(args[1:] if name in BLANKS else args, Tensor) + (found(kwargs, Tensor) if kwargs else [])
        if self._memory.is_disturbed:
            for tensor in tensors:
                self._catch_up(tensor)
        in_place = is_in_place(function, kwargs)
        if in_place and name not in NO_CHANGE and self._wide.writes(args[0] if args else None):
            raise ValueError(f"{name} writes to a weight of half precision; call model.float() first.")
        if self._wide.concerns(name, tensors, args, kwargs):
            name, function, args, kwargs = self._wide.call(name, function, args, kwargs)
        if not any(id(t) in self._live for t in tensors):
            return self._constant(name, function, tensors, args, kwargs)
        if kwargs.get("out") is not None:
            return self._into(name, kwargs["out"], function, args, {k: v for k, v in kwargs.items() if k != "out"})

        dims = unbatched(name, args, self._live)
        if dims is not None:
            self.inputs.note_unbatched(self._owner_of(tensors) or name, dims)
            if name in CONVOLUTIONS:
                with self:
                    return function(args[0][None], *args[1:], **kwargs)[0]
        if name in UNFOLDED and not lookup(name):
            with self:
                unfolded = UNFOLDED[name](*args, **kwargs)
                if unfolded is not NotImplemented and in_place:
                    return args[0].copy_(unfolded)
            if unfolded is not NotImplemented:
                if name in CELLS and self._tracked(unfolded[0]):
                    self._mark_end(self._live[id(unfolded[0])][1], tensors)
                return unfolded
        call_args, call_kwargs = replaced((args, kwargs), Tensor, self._current)
        step_function = function
        if in_place:
            if name == "set":
                raise ValueError(
                    "The model assigns to the data of a tensor that depends on the input; LRP cannot follow that, use "
                    "copy_ instead."
                )
            if name == "setitem" or not self._tracked(args[0]):
                call_args = (self._snapshot(args[0]), *call_args[1:])
                step_function = OnACopy(function)
            self._memory.before_write(args[0], name, self.steps, self._tracked(args[0]))
        result, operation, memo = self._run(name, function, args, kwargs)
        changed = args[0] if in_place and result is None else result
        outputs = floating(changed)
        if not outputs or (not in_place and args and changed is args[0]):
            if self.inputs.ids and outputs == []:
                self.inputs.depend(result)
            return result  # nothing that relevance could reach, or the operation did nothing
        if any(t.layout is not torch.strided for t in outputs):
            raise ValueError(
                f"{name} makes a sparse tensor of the input; LRP follows dense ones, beside sparse constants."
            )
        step_function = memo.pop("function", step_function)  # another form of the same that has a derivative
        for key, item in memo.items():
            if isinstance(item, LinearMap):
                own = [self._wide.origin.get(id(source)) for source in item.sources]
                if any(one is not source for one, source in zip(own, item.sources, strict=True)):
                    # made on the fly, and not to be kept with the model; or what became of its own
                    known = [one for one in own if one is not None]
                    memo[key] = replace(item, sources=tuple(known) if len(known) == len(own) else ())
        self._add(name, step_function, call_args, call_kwargs, operation, memo, tensors, outputs)
        if in_place:
            self._memory.after_write(args[0], self._live[id(args[0])][1])
        return result

    def _snapshot(self, target: Tensor) -> Any:
        return self._live[id(target)][1] if id(target) in self._live else target.clone()

    def _into(self, name: str, out: Any, function: Any, args: Any, kwargs: Any) -> Any:
        """``out=``: the operation, and then a copy of each result."""
        with self:
            results = floating(function(*args, **kwargs))
        for target, result in zip([out] if isinstance(out, Tensor) else out, results, strict=False):
            if target.shape != result.shape and target.numel():
                raise ValueError(
                    f"{name} was given an out= of shape {tuple(target.shape)} for a result of shape "
                    f"{tuple(result.shape)}; LRP needs them to be equal."
                )
            if target.shape != result.shape:
                target.resize_(result.shape)
            with self:
                target.copy_(result)
        return out

    def _catch_up(self, tensor: Tensor) -> None:
        """A tensor whose memory was written to through another: one step for each write since it was seen."""
        known = self._live.get(id(tensor))
        before, writes = self._memory.missed(tensor, None if known is None else known[1])
        if not writes:
            return
        current: Any = before
        for write in writes:
            places = write.places_in(tensor)
            if places is None:
                continue
            is_whole = bool((places >= 0).all())
            function = torch.take if is_whole else seen_after
            args: Any = (write.value, places) if is_whole else (current, write.value, places)
            numbers = function(*(a.available() if isinstance(a, Value) else a for a in args))
            operation = lookup(op_name(function))[0]
            self._add(op_name(function), function, args, {}, operation, {}, [], [numbers])
            current = self._live[id(numbers)][1]
        if isinstance(current, Value):
            self._track(tensor, current)

    def _refuse_hidden(self, name: str, tensors: list[Tensor]) -> None:
        """Inside torch.vmap and torch.func each tensor is wrapped in another, which would pass for a constant."""
        for tensor in tensors:
            while torch._C._functorch.is_functorch_wrapped_tensor(tensor):
                tensor = torch._C._functorch.get_unwrapped(tensor)
            if id(tensor) in self._live:
                raise ValueError(
                    f"The operation {name!r} runs inside torch.vmap or torch.func, where LRP cannot follow it; write "
                    "that part of the model with operations on whole batches."
                )

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
            *(index, label, kind, op, function, args, kwargs, inputs, values, operation),
            **{"is_layer": is_layer, "owner": owner, "memo": memo},
        )
        for value in inputs:
            value.consumers.append(step)
        if len(inputs) == 1 and inputs[0].rectified is None and rectifies(op, args, kwargs):
            inputs[0].rectified, inputs[0].capped = values[0], op != "relu"
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
        if self.steps and args and isinstance(args[0], Tensor) and is_in_place(function, kwargs):
            before_constant_write(args[0], self.steps)
        if name == "embedding_bag" and self.inputs.ids and not lookup(name):
            with self:
                unfolded = UNFOLDED[name](*args, **kwargs)
            if unfolded is not NotImplemented:
                return unfolded
        if kwargs.get("max_norm") is not None and len(args) > 1:  # torch would shorten vectors in the model's weights
            args = (args[0], args[1].clone(), *args[2:])
        result = self._wide.result(function(*args, **kwargs))
        changed = args[0] if result is None and len(args) else result  # x[...] = ids returns nothing
        from_ids = name not in BLANKS and self.inputs.follow(tensors, changed, name)
        if not isinstance(result, Tensor):
            return result
        if name in UNFILLED:
            return result.zero_()  # what is never written takes no relevance, and NaN times nothing would be NaN
        if name == "one_hot" and self.inputs.ids:
            self._one_hots.append(result)
        if result.is_floating_point():
            owner = next((self._owners[id(t)] for t in tensors if id(t) in self._owners), None)
            if name == "embedding" and self.inputs.ids:
                positions = None if from_ids else next(t for t in tensors if not t.is_floating_point())
                self._source(result, owner.table if owner else name, positions)
            elif any(result.shape == t.shape and tensors[0] is t for t in self._one_hots):
                self._source(result, "one_hot")
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
        self._memory.add(tensor, value)

    def _owner_of(self, tensors: list[Tensor]) -> str | None:
        """The layer whose parameter is the first among these."""
        return next((self._owners[id(t)].layer for t in tensors if id(t) in self._owners), None)

    def _tracked(self, item: Any) -> bool:
        return id(item) in self._live

    def _current(self, tensor: Tensor) -> Any:
        return self._live[id(tensor)][1] if id(tensor) in self._live else tensor
