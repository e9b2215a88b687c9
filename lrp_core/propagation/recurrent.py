"""A recurrent layer in one direction as one step: the moments in a loop, everything else for all moments at once.

With the gates constant, relevance T of a state (of an LSTM: of its memory) passes each moment by three factors: what
the old state keeps of it, what the candidate's z takes, and what the hidden state takes through its affine map. Only
the first and the last go on to the moment before; the loop follows these two, and the books are made when it is over.

The hidden map, and an LSTM's projection, follow the step's rule, which counts as one affine step; the sums follow the
composite's rule for additions. Where the states at the start are constants, what reaches them is booked as "constant".
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from ..composite import Composite
from ..message import Message
from ..registry import propagates
from ..rows import Rows, row_sums
from ..rules import Rule
from ..steps import Context, Outcome, Step, Value
from .cells import CELLS, Cell, State, Sums, shifted
from .linear_maps import Dense
from .moments import AffineMoments, Stabilised, affine_moments, epsilon_of_moments

Weights = tuple[Tensor | None, ...]


def recurrence(
    cell: str, weights: Weights, z: Tensor, state: State, backwards: bool, known: State | None = None
) -> tuple[Tensor, ...]:
    """All moments of a layer in one direction: outputs (L, B, H) and, of an LSTM, the last memory (1, B, H).

    ``z`` = W_ih x + b_ih is (L, B, parts * H) and ``state`` the hidden state (and memory) at the start, (1, B, H) each.
    ``weights`` are W_hh, b_hh and, where there is a projection, W_hr: in front, since they name the layer. ``known`` is
    the result where torch has computed it.
    """
    if has_torch_function((z, *state)):
        return handle_torch_function(recurrence, (z, *state), cell, weights, z, state, backwards, known=known)
    moment, outputs = CELLS[cell].moment, []
    state = tuple(s[0] for s in state)
    moments = z.unbind(0)
    for one in reversed(moments) if backwards else moments:
        state = moment(one, state, *weights)
        outputs.append(state[0])
    return torch.stack(outputs[::-1] if backwards else outputs), *(s[None] for s in state[1:])


def _run(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    weights = args[1]
    if any(tracked(w) for w in weights):
        return None
    w_hh, b_hh, *projection = weights
    memo = {"hidden": Dense(w_hh, b_hh, (w_hh,) if b_hh is None else (w_hh, b_hh))}
    if projection:
        memo["projection"] = Dense(projection[0], None, tuple(projection))
    return kwargs.get("known") or function(*args), memo


def rule_of_sums(composite: Composite) -> Rule:
    """The composite's rule for additions, which the sums within a recurrent step follow."""
    return composite.of_sum(("add",), "add")


def _tensor(item: Value | Tensor) -> Tensor:
    return item.available() if isinstance(item, Value) else item


class _Ways(NamedTuple):
    """What a unit of relevance of the state meets in each moment: tensors (L, B, H)."""

    order: range
    """the moments, the last one to run first"""
    keeps: Tensor | None
    """the factor to the state before"""
    at_z: Tensor
    """the factor to the candidate's z, over z"""
    at_hidden: Tensor
    """the factor to the output of the hidden map"""
    sums: tuple[tuple[Stabilised, Tensor | None], ...]
    """each sum, and the factor with which relevance comes to it"""
    hidden: AffineMoments
    projection: AffineMoments | None


def _ways(step: Step, context: Context) -> _Ways:
    name, _, z, state, backwards = step.args
    cell, map_ = CELLS[name], step.memo["hidden"]
    z, *starts = (_tensor(item) for item in (z, *state))
    before = shifted(step.outputs[0].available(), starts[0], backwards)
    a = map_.forward(before, map_.weight, map_.bias)
    sums = cell.sums(z, a, before, starts[-1], backwards)
    order = range(len(z)) if backwards else range(len(z) - 1, -1, -1)

    rule = rule_of_sums(context.composite)
    epsilon = epsilon_of_moments(rule, sums.gates, context.rows)
    inside = Stabilised.of(sums.candidate, _without_idle(epsilon, step, sums, order[-1]))
    keeps, at_z = None, 1 / inside.divisor
    passed: tuple[tuple[Stabilised, Tensor | None], ...] = ((inside, None),)
    if sums.kept is not None and sums.fresh is not None:
        state_after = sums.kept + sums.fresh
        outside = Stabilised.of(state_after, epsilon_of_moments(rule, state_after, context.rows))
        keeps, fresh = sums.kept / outside.divisor, sums.fresh / outside.divisor
        at_z = fresh / inside.divisor
        passed = ((outside, None), (inside, fresh))

    own = _of_candidate(cell, map_, context)
    hidden = affine_moments(step, own, before, cell.of_candidate(a), a, context)
    projection = None
    if "projection" in step.memo and sums.signal is not None:
        map_, x = step.memo["projection"], sums.signal
        y = map_.forward(x, map_.weight)
        projection = affine_moments(step, map_, x, y, y, context)
    return _Ways(order, keeps, at_z, at_z * sums.of_hidden, passed, hidden, projection)


def _of_candidate(cell: Cell, map_: Dense, context: Context) -> Dense:
    """The part of the hidden map that makes the candidate; the gates get no relevance that they could pass on."""
    if cell.parts == 1:
        return map_
    weight = context.weights.get("candidate", map_.sources, lambda: cell.of_candidate(map_.weight, 0).clone())
    bias = None if map_.bias is None else cell.of_candidate(map_.bias, 0)
    return Dense(weight, bias, (weight,) if map_.sources else ())


def _without_idle(epsilon: Tensor | float, step: Step, sums: Sums, first: int) -> Tensor | float:
    """A constant operand of nothing but zeros makes no sum: no epsilon there, nor in a sum of constants only."""
    name, _, z, state, _ = step.args
    depends, starts_known = isinstance(z, Value), isinstance(state[0], Value)
    if depends and starts_known:
        return epsilon
    cell = CELLS[name]
    idle = sums.candidate.new_zeros(*sums.candidate.shape[:2], 1, dtype=torch.bool)
    if not depends:
        idle = (cell.of_candidate(z) == 0).all(-1, keepdim=True)
    if not starts_known and not depends:
        idle[first] = True
    elif not starts_known and not cell.resets:
        idle[first] = (sums.of_hidden[first] == 0).all(-1, keepdim=True)
    return idle.logical_not().to(sums.candidate.dtype) * epsilon


class _Walked(NamedTuple):
    """The relevance that came by."""

    state: Tensor
    """of the state (of an LSTM: its memory) after each moment, (L, B, H)"""
    projected: Tensor | None
    """of the output of the projection in each moment"""
    hidden: Tensor | None
    """of the hidden state at the start through the hidden map, (B, H); None where it is a constant"""
    kept: Tensor | None
    """of what is kept of the state at the start, (B, H)"""


def _back(ways: _Ways, of_outputs: Tensor, of_memory: Tensor | None, starts_known: bool) -> _Walked:
    """From the last moment that has any relevance to the first."""
    arriving, nothing = of_outputs.unbind(0), torch.zeros_like(ways.at_z[0])
    states = [nothing] * len(arriving)
    projected = [torch.zeros_like(arriving[0])] * len(arriving)
    keeps, at_hidden = None if ways.keeps is None else ways.keeps.unbind(0), ways.at_hidden.unbind(0)
    hidden, kept = None, None if of_memory is None else of_memory[0]
    last = ways.order[-1]
    for t in _live(ways.order, of_outputs) if of_memory is None else ways.order:
        r = arriving[t] if hidden is None else arriving[t] + hidden
        if ways.projection is not None:
            projected[t] = r
            r = ways.projection.back(t, r)
        r = r if kept is None else r + kept
        states[t] = r
        kept = None if keeps is None else r * keeps[t]
        hidden = ways.hidden.back(t, r * at_hidden[t]) if t != last or starts_known else None
    return _Walked(torch.stack(states), None if ways.projection is None else torch.stack(projected), hidden, kept)


def _live(order: range, relevance: Tensor) -> range:
    """The moments from the first on that has relevance."""
    live = relevance.flatten(1).any(1)[list(order)].nonzero()
    return order[int(live[0]) :] if len(live) else order[:0]


@propagates(recurrence, kind="linear", run=_run)
def propagate(step: Step, arrived: Message | tuple[Message | None, ...], context: Context) -> Outcome:
    """Relevance of the outputs (and of an LSTM's last memory) to the moments' z and to the states at the start."""
    first, *others = arrived if isinstance(arrived, tuple) else (arrived,)
    outputs = step.outputs[0].available()
    moment = context._replace(rows=_rows_of_moment(context.rows, len(outputs)))
    ways = _ways(step, moment)
    of_outputs = torch.zeros_like(outputs) if first is None else first.relevance
    of_memory = others[0].relevance if others and others[0] is not None else None
    walked = _back(ways, of_outputs, of_memory, isinstance(step.args[3][0], Value))
    return _settle(step, context, moment.rows, ways, walked)


def _rows_of_moment(rows: Rows, moments: int) -> Rows:
    return rows if rows.count == 1 else Rows(rows.count, rows.outer // moments)


def _settle(step: Step, context: Context, rows: Rows, ways: _Ways, walked: _Walked) -> Outcome:
    """Relevance of the inputs, and the books of all moments."""
    name, _, z, state, _ = step.args
    cell, first = CELLS[name], ways.order[-1]
    given: list[tuple[Value | Tensor, Tensor | None]] = []
    if len(state) > 1:
        given = [(state[0], walked.hidden), (state[1], walked.kept)]
    else:
        parts = [part for part in (walked.hidden, walked.kept) if part is not None]
        given = [(state[0], sum(parts[1:], parts[0]) if parts else None)]

    at_hidden = walked.state * ways.at_hidden
    constant: Tensor | float = 0.0
    if not isinstance(state[0], Value):  # the hidden map of the first moment is a constant as a whole
        constant = row_sums(at_hidden[first], rows)
        at_hidden[first] = 0.0
    books = [s.books(walked.state if f is None else walked.state * f, context.rows) for s, f in ways.sums]
    books.append(ways.hidden.books(at_hidden, context.rows))
    if ways.projection is not None and walked.projected is not None:
        books.append(ways.projection.books(walked.projected, context.rows))

    messages: list[Message] = []
    at_z = walked.state * ways.at_z
    if isinstance(z, Value):
        messages.append(context.message(cell.with_gates(at_z), z.available()))
    else:
        constant = constant + row_sums(at_z, context.rows, cell.of_candidate(z))
    for item, relevance in given:
        if isinstance(item, Value):
            arrived = torch.zeros_like(item.available()) if relevance is None else relevance[None]
            messages.append(Message(arrived, None, rows))
        elif relevance is not None:
            constant = constant + row_sums(relevance, rows)
    bias, epsilon, dropped = (sum(column) for column in zip(*books, strict=True))
    return Outcome(tuple(messages), bias=bias, epsilon=epsilon, constant=constant, dropped=dropped)
