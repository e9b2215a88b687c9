"""The blocks of a network, such as the layers of a transformer, and the one tensor that each of them reads.

No hook tells when a module is called; the tape knows whose parameters each step used. What a block reads is then the
last tensor through which all goes that its steps descend from: their nearest common dominator (Cooper 2001). Of a
residual block that is the stream, whose relevance is the sum over both branches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from torch import nn

from .steps import Step, Value


def block_names(modules: list[tuple[str, nn.Module]]) -> frozenset[str]:
    """The modules that may be blocks: made of layers, and in a list or one of several siblings of a kind."""
    kinds = {path: type(module) for path, module in modules}
    counts = Counter((path.rpartition(".")[0], kind) for path, kind in kinds.items())

    def is_one(path: str, kind: type) -> bool:
        parent = path.rpartition(".")[0]
        if kind is nn.Sequential:  # a part of a network written down, not a block, unless somebody listed them
            return kinds.get(parent) is nn.ModuleList
        return counts[parent, kind] > 1 or kinds.get(parent) in (nn.ModuleList, nn.Sequential)

    made_of_layers = {
        path.rpartition(".")[0] for path, module in modules if next(module.parameters(), None) is not None
    }
    return frozenset(path for path, kind in kinds.items() if path in made_of_layers - {""} and is_one(path, kind))


def inputs_of_blocks(steps: tuple[Step, ...], names: frozenset[str]) -> Mapping[str, tuple[Step, Value]]:
    """For every block with one input: its first step and that input; called again, it is ``name#2``.

    In the order they ran, an outer block before the inner ones. A block of a single layer says no more than the layer.
    """
    owned: dict[str, list[Step]] = {}
    for step in steps:
        path = step.owner or ""
        while path:
            if path in names:
                owned.setdefault(path, []).append(step)
            path = path.rpartition(".")[0]
    graph = _Graph(steps)
    found: dict[str, tuple[Step, Value]] = {}
    for name, mine in owned.items():
        for number, call in enumerate(_calls(mine), 1):
            value = graph.input_of(call, name) if len(call) > 1 else None
            if value is not None:
                found[name if number == 1 else f"{name}#{number}"] = call[0], value
    return dict(sorted(found.items(), key=lambda item: (item[1][0].index, len(item[0]))))


def _calls(steps: list[Step]) -> list[list[Step]]:
    """The steps of each call of a block; none where its layers were not called equally often."""
    counts = Counter(step.layer for step in steps if step.is_layer)
    if set(counts.values()) <= {1}:
        return [steps]
    if len(set(counts.values())) > 1:
        return []
    calls: dict[str, list[Step]] = {}
    for step in steps:
        if step.is_layer:
            calls.setdefault(step.name.partition("#")[2], []).append(step)
    return list(calls.values())


class _Graph:
    """Which value lies on every way from the inputs to another, and who reads it."""

    def __init__(self, steps: tuple[Step, ...]) -> None:
        self._above: dict[Value, tuple[int, Value | None]] = {}
        """of each value its depth and its immediate dominator, None where several inputs come together"""
        self._readers: dict[Value, list[Step]] = {}
        for step in steps:
            before = _read_by(step)
            for value in before:
                self._readers.setdefault(value, []).append(step)
            dominator = self._common(before)
            depth = 1 if dominator is None else self._place(dominator)[0] + 1
            self._above |= dict.fromkeys(step.outputs, (depth, dominator))

    def input_of(self, call: list[Step], name: str) -> Value | None:
        """What all steps of a call descend from, with no layer of another module between.

        Where the block's result meets another, as the stream that was led around it, that belongs to it if it can.
        """
        for steps in ([*call, *self._meetings_behind(call)], call):
            value = self._common([value for step in steps for value in _read_by(step)])
            if value is not None and self._is_close(value, steps, set(call)):
                return value
        return None

    def _meetings_behind(self, call: list[Step]) -> list[Step]:
        meetings: list[Step] = []
        open_values = [value for step in call for value in step.outputs]
        while open_values:
            for step in self._readers.get(open_values.pop(), ()):
                if step.owner is None and len(step.inputs) == 1:
                    open_values.extend(step.outputs)
                elif step.kind in ("add", "product") and step not in meetings:
                    meetings.append(step)
        return meetings

    def _is_close(self, value: Value, steps: list[Step], own: set[Step]) -> bool:
        """Whether no layer of another module or call lies between the value and these; tables of positions may."""
        seen = {value}
        open_values = [v for step in steps for v in _read_by(step)]
        while open_values:
            one = open_values.pop()
            if one in seen:
                continue
            seen.add(one)
            step = one.producer
            if step is None or (step.is_layer and step not in own):
                return False
            open_values.extend(_read_by(step))
        return True

    def _place(self, value: Value) -> tuple[int, Value | None]:
        return self._above.get(value, (1, None))

    def _common(self, values: Iterable[Value]) -> Value | None:
        """The nearest value on every way to all of these."""
        one, *others = values
        found: Value | None = one
        for other in others:
            second: Value | None = other
            while found is not second:
                if found is None or second is None:
                    return None
                if self._place(found)[0] >= self._place(second)[0]:
                    found = self._place(found)[1]
                else:
                    second = self._place(second)[1]
        return found


def _read_by(step: Step) -> list[Value]:
    """What relevance passes on to: not deviations, and gates of their own signal."""
    return [value for place, value in enumerate(step.inputs) if place not in step.silent] or list(step.inputs)
