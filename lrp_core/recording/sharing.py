"""What all rows of a batch share, such as the embeddings of positions, made each row's own.

It is looked up once and meets the rows later, by broadcasting. Relevance would flow back to it from every row at once,
and no row would have books of its own. So each row gets its own view of it, (L, E) or (1, L, E) becoming (B, L, E), and
of what is computed from it until it meets the rows. No numbers are copied in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..propagation.linear_maps import Dense
from ..registry import lookup
from ..rows import Rows
from ..steps import Step, Value, found, replaced

ENTRYWISE = ("add", "sub", "rsub", "mul", "div", "gated", "neg", "negative", "positive", "where", "masked_fill")
"""operations that broadcast, and act entry by entry"""
EXPANDING = ("expand", "expand_as", "broadcast_to", "repeat", "tile")
"""operations that may repeat what is shared for every row"""
MEETINGS = (*ENTRYWISE, "matmul", "scaled_dot_product_attention")
"""operations that may take what is shared beside what has rows"""


def rows_mixed(step: Step) -> ValueError:
    """The refusal of a step after which the rows of the batch cannot be told apart."""
    return ValueError(
        f"The step {step.name} mixes or hides the batch axis, so that rows cannot be told apart; explain one row i "
        "of the output with output=lambda o: o[i:i+1], or record one row at a time."
    )


def each_its_own(steps: list[Step], sources: list[Value], count: int) -> tuple[list[Step], list[Value]]:
    """The steps with all that the rows share made each row's own, and the sources that were shared."""
    shared = [source for source in sources if _is_shared(source, count)]
    unknown = any(step.reached and step.operation is None for step in steps)
    if not shared or len(shared) == len(sources) or unknown:
        return steps, []
    sharing = Sharing(count)
    for source in shared:
        sharing.expand(source)
    return [made for step in steps for made in sharing.visit(step)], shared


def _is_shared(source: Value, count: int) -> bool:
    """Whether a source has no axis for the rows: ids that are the same for all, or an input of another length."""
    ids = source.positions
    if ids is None:
        return bool(source.shape) and source.shape[0] % count != 0 and count not in source.shape
    if not ids.dim() or len(ids) % count:
        return True
    blocks = ids.reshape(count, -1)
    return not bool((blocks == blocks[:1]).all())


class Sharing:
    """Walks the steps in the order they ran, with the values that all rows share."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._before: dict[Value, torch.Size] = {}
        """shared values, with the shape that they had for all rows together"""

    def expand(self, value: Value) -> None:
        """Give each row its own view of a shared value."""
        self._before[value] = value.shape
        shape = self._own(value.shape)
        if value.tensor is not None:
            value.tensor = value.tensor.reshape(1, *shape[1:]).expand(shape)
        value.shape, value.rows = shape, Rows(self.count)

    def visit(self, step: Step) -> list[Step]:
        """The step, made to work on each row's own, and what has to be done before it."""
        common = [value for value in dict.fromkeys(step.inputs) if value in self._before]
        if not common:
            return [step]
        if len(common) < len(set(step.inputs)):
            return [*(made for value in common if (made := self._adapted(step, value))), step]
        if not self._meets_here(step):
            for value in step.outputs:
                self.expand(value)
        return [step]

    def _own(self, shape: torch.Size) -> torch.Size:
        return torch.Size((self.count, *(shape[1:] if shape[:1] == (1,) else shape)))

    def _meets_here(self, step: Step) -> bool:
        """Let a step work on shared values; returns whether its output has the rows, by repeating or a constant."""
        before, after = self._before[step.inputs[0]], step.outputs[0].shape
        widened = after[:1] == (self.count,) and (len(before) < len(after) or before[:1] == (1,))
        if step.kind == "shape" and step.op not in ENTRYWISE:
            has_met = widened and step.op in EXPANDING
            self._row_by_row(step, has_met)
            return has_met
        if step.kind in ("activation", "add") or step.op in ENTRYWISE:
            has_met = widened and _broadcasts(step, after)
            if not has_met and not _broadcasts(step, self._own(after)):
                raise rows_mixed(step)
            return has_met
        if step.op in ("layer_norm", "rms_norm") and "deviation" in step.memo:
            deviation = step.memo["deviation"]
            step.memo["deviation"] = replace(deviation, rstd=deviation.rstd.repeat(self.count, 1))
        elif not isinstance(step.map, Dense):
            raise rows_mixed(step)
        return False

    def _row_by_row(self, step: Step, has_met: bool) -> None:
        """An operation that moves numbers, done for each row apart, on what was there for all rows before."""
        if step.op == "pad" or any(t.is_floating_point() for t in found((step.args, step.kwargs), Tensor)):
            raise rows_mixed(step)
        singles = [self._before[value][:1] == (1,) for value in step.inputs]
        joins: list[Callable[..., Tensor]] = [
            torch.cat if has_met or value.shape[:1] == (1,) else torch.stack for value in step.outputs
        ]
        function, args, kwargs, count = step.function, step.args, step.kwargs, self.count

        def run(*own: Tensor) -> Any:
            rows = []
            for row in range(count):
                left = iter([t[row : row + 1] if single else t[row] for t, single in zip(own, singles, strict=True)])
                of_row = replaced((args, kwargs), Value, partial(_next, left))
                made = found(function(*of_row[0], **of_row[1]), Tensor)
                rows.append([t[row : row + 1] for t in made] if has_met else made)
            joined = [join(of_all) for join, of_all in zip(joins, zip(*rows, strict=True), strict=True)]
            return joined[0] if len(joined) == 1 else joined

        step.function, step.args, step.kwargs = run, step.inputs, {}
        step.operation = lookup("permute")[0]

    def _adapted(self, step: Step, value: Value) -> Step | None:
        """Before a step that broadcasts a shared value over the rows: the view of it that has them in their place."""
        if step.kind != "add" and step.op not in MEETINGS:
            raise rows_mixed(step)
        view = self._view(value, step.outputs[0].shape)
        if view is None or (step.op == "matmul" and len(self._before[value]) < 2):
            raise rows_mixed(step)
        assert value.tensor is not None
        seen = Value(view(value.tensor))
        if seen.shape == value.shape:
            return None
        operation = lookup("permute")[0]
        made = Step(-1, f"{step.name} for each row", "shape", "view", view, (value,), {}, (value,), (seen,), operation)
        seen.producer = made
        seen.consumers = [step]
        step.args, step.kwargs = replaced((step.args, step.kwargs), Value, lambda v: seen if v is value else v)
        step.inputs = tuple(seen if v is value else v for v in step.inputs)
        return made

    def _view(self, value: Value, shape: torch.Size) -> Callable[[Tensor], Tensor] | None:
        """How each row's own of a value is seen where it is broadcast to this shape; None where no axis is free."""
        before, rest = self._before[value], value.shape[1:]
        for axis in (axis for axis, size in enumerate(shape) if size == self.count):
            place = axis - (len(shape) - len(before))
            if place >= 0 and before[place] != 1:
                continue
            if place > 0:
                return lambda own: own.reshape(self.count, *before).squeeze(place + 1).movedim(0, place)
            room = len(shape) - axis - 1 - len(rest)
            if room >= 0:
                return lambda own: own.reshape(*[1] * axis, self.count, *[1] * room, *rest)
        return None


def _next(left: Iterator[Tensor], _: Value) -> Tensor:
    return next(left)


def _broadcasts(step: Step, wanted: torch.Size) -> bool:
    """Whether the operands, as they are now, give this shape."""
    operands = [item.shape for item in found((step.args, step.kwargs), (Value, Tensor))]
    try:
        return bool(torch.broadcast_shapes(*operands) == wanted)  # type: ignore[no-untyped-call]
    except RuntimeError:
        return False
