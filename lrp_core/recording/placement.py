"""Where each recorded tensor has the rows of the batch, so that the ledger can keep every row's own books.

Rows start in front, and most operations leave them where they are. Operations that move numbers are asked: row numbers
take the place of the data. An operation that mixes rows has no books per row, and is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ..propagation.linear_maps import Dense, Diagonal
from ..propagation.sparse_products import SparseProduct
from ..rows import Rows
from ..steps import Step, Value, found
from . import any_order
from .disguise import is_constant, without_constant
from .probing import rows_in_outputs
from .sharing import each_its_own, rows_mixed

REDUCTIONS = ("mean", "sum")
IN_PLACE_KINDS = ("activation", "add")
ENTRYWISE = ("mul", "div", "neg", "negative", "positive", "gated")
TRAILING = {"linear": 1, "addmm": 1, "scaled_dot_product_attention": 2, "matmul": 2, "rmatmul": 2, "bmm": 2}
TRAILING |= {"baddbmm": 2, "mm": 2}
"""operations that work along their last axes, and how many these are"""


def place_rows(steps: list[Step], sources: list[Value], output: Value, count: int) -> None:
    """Set ``rows`` of every value; raises ``ValueError`` where a step mixes the rows of a batch."""
    rows = Rows(count)
    for value in {value: None for step in steps for value in (*step.inputs, *step.outputs)}:
        value.rows = rows
    if count == 1:
        return
    steps[:], in_front = each_its_own(steps, sources, count)
    refusal: ValueError | None = None
    for outers in dict.fromkeys(
        tuple(1 if s in in_front else _outer_along_time(s, count) or guess(s.shape, count) for s in sources)
        for guess in GUESSES
    ):
        try:
            return _follow(steps, sources, output, outers, count)
        except ValueError as error:
            refusal = refusal or error
    raise refusal or AssertionError


def _follow(steps: list[Step], sources: list[Value], output: Value, outers: tuple[int, ...], count: int) -> None:
    """From where the rows lie in the sources to where they lie everywhere else."""
    for source, outer in zip(sources, outers, strict=True):
        source.rows = Rows(count, outer)
    place = 0
    while place < len(steps):
        step = steps[place]
        place += 1
        if not step.reached or step.operation is None:
            continue
        try:
            rows_after = _rows_after(step, count)
        except ValueError:
            fewer = without_constant(steps, step, output) if is_constant(step) else None
            if fewer is None:
                raise
            steps[:], place = fewer, place - 1
            continue
        for value, rows in zip(step.outputs, rows_after, strict=True):
            value.rows = rows
    if output.rows != Rows(count):
        raise ValueError(
            "The model's output does not have the batch axis in front; bring it there with output=lambda o: ..., or "
            "record one row at a time."
        )


def _in_front(shape: torch.Size, count: int) -> int:
    """Rows in front where they can be: several entries of the first axis may belong to each."""
    return 1 if not shape or shape[0] % count == 0 else _where_they_fit(shape, count)


def _where_they_fit(shape: torch.Size, count: int) -> int:
    """The first axis that has as many entries as there are rows, as where the sequence comes first: (L, B, E)."""
    axis = next((axis for axis, size in enumerate(shape) if size == count), 0)
    return math.prod(shape[:axis])


def _outer_along_time(source: Value, count: int) -> int | None:
    """Rows at the second axis, of the states that a recurrent layer starts from, (layers, B, H),

    of a sequence that it reads as it is, and of what it returns, (L, B, H), unless that has the batch in front.
    """
    readers = [reader for taken in source.consumers for value in taken.outputs for reader in value.consumers]
    second = source.ends[1] == 0 if source.ends else any(reader.repeats for reader in readers)
    return source.shape[0] if second and len(source.shape) == 3 and source.shape[1] % count == 0 else None


def _second(shape: torch.Size, count: int) -> int:
    """The second axis, where the sequence comes first and is as long as there are rows."""
    return shape[0] if len(shape) > 1 and shape[1] == count else _in_front(shape, count)


GUESSES = (_in_front, _where_they_fit, _second)
"""where the rows may lie in an input; the first that holds to the output is right"""


def _probed(step: Step, count: int) -> list[Rows]:
    """By trying the operation, of which no more is known."""
    seen = rows_in_outputs(step) if all(_fits(value, count) for value in step.inputs) else None
    if seen is None or len(seen) != len(step.outputs):
        raise rows_mixed(step)
    places = []
    for rows, alone in seen:
        number = torch.arange(count, device=rows.device)
        fits = (
            o for o in _possible(rows.shape, count) if bool(((rows == _laid_out(number, rows.shape, o)) | alone).all())
        )
        outer = next(fits, None)
        if outer is None:
            raise rows_mixed(step)
        places.append(Rows(count, outer))
    return places


def _fits(value: Value, count: int) -> bool:
    return value.shape.numel() % (count * value.rows.outer) == 0


def _outers_after(step: Step, count: int) -> list[int]:
    if step.kind == "shape":
        return _moved(step, count)
    if step.kind in IN_PLACE_KINDS or step.op in ENTRYWISE or "entrywise" in step.memo:
        return [_entrywise(step, count)]
    if step.op == "recurrence":
        return _along_time(step)
    value = step.inputs[0]
    axis, _ = _axis_of(value, step)
    outer = value.rows.outer
    if step.op == "einsum":
        return [_contracted(step, axis)]
    if step.op in REDUCTIONS or "reduced" in step.memo:
        gone = step.memo["reduced"] if "reduced" in step.memo else _reduced_axes(step)
        if axis in gone:
            raise rows_mixed(step)
        return [outer // math.prod(value.shape[a] for a in gone if a < axis)] * len(step.outputs)
    if step.kind == "pool" and "axis" in step.memo and step.memo["axis"] < axis:
        worked = step.memo["axis"]
        return [outer // value.shape[worked] * result.shape[worked] for result in step.outputs]
    alike = all(other.rows.outer == outer for other in step.inputs)
    prefix = [v.shape[: axis + 1] for v in (value, *step.outputs)]
    if _works_along(step, axis) or not alike or any(shape != prefix[0] for shape in prefix):
        raise rows_mixed(step)
    return [outer] * len(step.outputs)


def _along_time(step: Step) -> list[int]:
    """Moments lie before the rows, in the sequence as in the states at its start."""
    places = {_axis_of(value, step) for value in step.inputs}
    axis, before = next(iter(places))
    if len(places) > 1 or axis != 1:
        raise rows_mixed(step)
    return [value.shape[0] * before for value in step.outputs]


def _works_along(step: Step, axis: int) -> bool:
    """Whether an operation mixes what lies along this axis of its first input."""
    dims = len(step.inputs[0].shape)
    if "axis" in step.memo:
        return bool(axis == step.memo["axis"] % dims)
    if isinstance(step.map, Diagonal):
        return False
    if "deviation" in step.memo and step.op in ("layer_norm", "rms_norm"):
        shape = step.kwargs.get("normalized_shape", step.args[1] if len(step.args) > 1 else ())
        return axis >= dims - len(shape)
    if isinstance(step.map, Dense) or (isinstance(step.map, SparseProduct) and not step.map.on_the_left):
        return axis == dims - 1
    return axis >= dims - TRAILING[step.op] if step.op in TRAILING else axis > 0


def _axis_of(value: Value, step: Step) -> tuple[int, int]:
    """The axis that holds the rows, and how many blocks of them lie before each in that axis."""
    before = 1
    for axis, size in enumerate(value.shape):
        if before <= value.rows.outer < before * size and size % value.rows.count == 0:
            return axis, value.rows.outer // before
        before *= size
    raise rows_mixed(step)


def _entrywise(step: Step, count: int) -> int:
    """Entry by entry, with broadcasting: axes count from the right; what all rows share is given to each of them."""
    shape = step.outputs[0].shape
    places = {value: _seen_from(value, shape, step) for value in step.inputs}
    wanted = {place for place in places.values() if place is not None}
    if any(place == 1 and value.shape == shape for value, place in places.items()):
        wanted = {1}
    if len(wanted) != 1:
        raise rows_mixed(step)
    outer = wanted.pop()
    for value, place in places.items():
        if place != outer:
            if outer != 1:
                raise rows_mixed(step)
            _give_to_each_row(value, step, count)
    return outer


def _seen_from(value: Value, shape: torch.Size, step: Step) -> int | None:
    """``outer`` of the result if it has its rows where this operand has them; None where it cannot."""
    try:
        axis, before = _axis_of(value, step)
    except ValueError:
        return None
    from_right = len(value.shape) - axis
    if shape[-from_right] != value.shape[axis]:
        return None
    return math.prod(shape[: len(shape) - from_right]) * before


def _give_to_each_row(value: Value, step: Step, count: int) -> None:
    """What all rows share, such as positions (1, L, E), becomes (B, L, E): each row has its own part."""
    dims = len(step.outputs[0].shape)
    alone = tuple(value.shape[1:] if len(value.shape) == dims else value.shape)
    in_sums = all(reader.kind == "add" and len(reader.outputs[0].shape) == dims for reader in value.consumers)
    if value.part is None or value.tensor is None or not in_sums or (len(value.shape) == dims and value.shape[0] != 1):
        raise rows_mixed(step)
    value.tensor = value.tensor.reshape(*[1] * (dims - len(alone)), *alone)
    value.tensor = value.tensor.expand(count, *value.tensor.shape[1:])
    value.shape, value.rows = value.tensor.shape, Rows(count)


def _contracted(step: Step, axis: int) -> int:
    """The letter of the rows in an einsum, and where it stands in the result."""
    left, arrow, right = step.args[0].replace(" ", "").partition("->")
    terms = left.split(",")
    if not arrow or "." in left:
        raise rows_mixed(step)
    operands = [term for term, operand in zip(terms, step.args[1:], strict=True) if isinstance(operand, Value)]
    letter = operands[0][axis]
    if letter not in right or any(letter not in operand for operand in operands):
        raise rows_mixed(step)
    _, before = _axis_of(step.inputs[0], step)
    return math.prod(step.outputs[0].shape[: right.index(letter)]) * before


def _reduced_axes(step: Step) -> set[int]:
    dims = len(step.inputs[0].shape)
    axes = step.kwargs.get("dim", step.args[1] if len(step.args) > 1 else None)
    if axes is None:
        return set(range(dims))
    return {a % dims for a in ((axes,) if isinstance(axes, int) else axes)}


def _moved(step: Step, count: int) -> list[int]:
    """Row numbers take the place of the data; what changes with them is not a constant, and tells where its row is."""
    number = torch.arange(1.0, count + 1, device=step.outputs[0].available().device)
    if not all(_fits(value, count) for value in step.inputs):
        raise rows_mixed(step)
    marks = [_laid_out(number, v.shape, v.rows.outer).to(v.available().dtype) for v in step.inputs]
    once, twice = (found(step.again(*(m * times for m in marks)), Tensor) for times in (1, 2))
    outers = []
    for first, second in zip(once, twice, strict=True):
        constant = first == second
        fits = (
            outer
            for outer in _possible(first.shape, count)
            if bool(((first == _laid_out(number, first.shape, outer)) | constant).all())
        )
        outer = next(fits, None)
        if outer is None:
            raise rows_mixed(step)
        outers.append(outer)
    return outers


def _laid_out(number: Tensor, shape: torch.Size, outer: int) -> Tensor:
    rest = shape.numel() // (outer * len(number))
    return number.reshape(1, -1, 1).expand(outer, -1, rest).reshape(shape)


def _possible(shape: torch.Size, count: int) -> Iterator[int]:
    before = 1
    for size in shape if shape.numel() else ():
        if size % count == 0:
            blocks = size // count
            yield from (before * part for part in range(1, blocks + 1) if blocks % part == 0)
        before *= size


def _rows_after(step: Step, count: int) -> list[Rows]:
    """Side by side where they lie so, else in any order."""
    if "gathers" in step.memo:
        return _known(step, any_order.gathered(step, count, _possible))
    scattered = any(value.rows.owners is not None for value in step.inputs)
    if "mixes" in step.memo:
        axis, before = (0, 1) if scattered else _axis_of(step.inputs[0], step)
        return _known(step, any_order.beside(step.memo["mixes"], step, axis, before))
    if step.op in ("real", "imag"):
        return [step.inputs[0].rows]
    if scattered and step.kind != "shape":
        entrywise = step.kind in IN_PLACE_KINDS or step.op in ("mul", "div")
        works_along = 0 in _reduced_axes(step) if step.op in REDUCTIONS else not entrywise and _works_along(step, 0)
        return _known(step, any_order.kept(step, works_along or step.op == "einsum", entrywise))
    if not scattered:
        try:
            return [Rows(count, outer) for outer in _outers_after(step, count)]
        except ValueError:
            if step.kind != "shape":
                return _probed(step, count)
            if is_constant(step):
                raise
    return any_order.moved(step, count, _possible) or _probed(step, count)


def _known(step: Step, rows: Rows | None) -> list[Rows]:
    if rows is None:
        raise rows_mixed(step)
    return [rows] * len(step.outputs)
