"""Functions that torch offers in one piece, run as the ordinary operations that they are made of: each is a step.

Attention of :class:`torch.nn.MultiheadAttention` and ``normalize`` run torch's own code. A recurrent layer becomes, for
each layer and direction, one affine step on the input of all moments and one step along time (``recurrent.py``). A
single cell is written out: its gates are constants to every composite and the signals take all (Arras 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..propagation.cells import CELLS, State
from ..propagation.recurrent import recurrence
from .formulas import FORMULAS
from .rewriting import REWRITTEN

Weights = Sequence[Tensor | None]


def _in_the_open(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same code, which does not ask whether somebody watches: what it calls is seen instead of itself."""
    assert isinstance(function, FunctionType)
    questions = [name for name in function.__globals__ if name.startswith("has_torch_function")]
    names = {**function.__globals__, **dict.fromkeys(questions, lambda *_: False)}
    copy = FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def _cell(name: str) -> Callable[..., Any]:
    """A single moment: hidden state (B, H), and the memory of an LSTM."""
    moment = CELLS[name].moment

    def run(x: Tensor, state: Any, w_ih: Tensor, w_hh: Tensor, *biases: Tensor | None) -> Any:
        b_ih, b_hh = biases or (None, None)
        states = tuple(state) if isinstance(state, tuple | list) else (state,)
        after = moment(F.linear(x, w_ih, b_ih), states, w_hh, b_hh)
        return after if isinstance(state, tuple | list) else after[0]

    return run


def _layers(name: str, native: Callable[..., Any]) -> Callable[..., Any]:
    """A recurrent layer of torch, with its many arguments; packed sequences are left to torch, and have no rule."""

    def run(
        x: Tensor,
        start: Any,
        weights: Any,
        biases: Any,
        layers: int,
        dropout: float,
        training: bool,
        bidirectional: bool,
        batch_first: bool,
    ) -> Any:
        if not isinstance(biases, bool) or (training and dropout):
            return NotImplemented  # packed sequences, whose arguments stand elsewhere; and what is never twice the same
        states = start if isinstance(start, tuple | list) else (start,)
        x = x.transpose(0, 1) if batch_first else x
        directions = 2 if bidirectional else 1
        size = len(weights) // (layers * directions)
        hidden: list[Tensor] = []
        memory: list[Tensor] = []
        time = 0
        for layer in range(layers):
            ways = []
            for way in range(directions):
                number = layer * directions + way
                own = weights[number * size : (number + 1) * size]
                outputs, *last = _along(name, native, x, tuple(s[number, None] for s in states), own, biases, way == 1)
                ways.append(outputs)
                memory += last
            x = torch.cat(ways, -1) if directions == 2 else ways[0]
            if batch_first and layer == layers - 1:
                x, time = x.transpose(0, 1), 1
            hidden += _ends(x, time, directions)
        return (x, torch.stack(hidden), torch.cat(memory)) if memory else (x, torch.stack(hidden))

    return run


def _ends(outputs: Tensor, time: int, directions: int) -> list[Tensor]:
    """The last hidden state of each direction, (B, H), read from what the layer returns."""
    if directions == 1:
        return [outputs.select(time, -1)]
    forwards, backwards = (outputs.select(time, moment).chunk(2, -1) for moment in (-1, 0))
    return [forwards[0], backwards[1]]


def _along(
    name: str,
    native: Callable[..., Any],
    x: Tensor,
    state: State,
    weights: Weights,
    has_biases: bool,
    backwards: bool,
) -> tuple[Tensor, ...]:
    """One layer in one direction: outputs (L, B, H) and the last memory of an LSTM (1, B, H)."""
    w_ih, w_hh, *rest = weights
    b_ih, b_hh, *projection = rest if has_biases else (None, None, *rest)
    assert w_ih is not None
    z = F.linear(x, w_ih, b_ih)
    with torch._C.DisableTorchFunction():  # torch's own code is many times faster than ours; nobody need watch it
        start = state if len(state) > 1 else state[0]
        ordered = x.flip(0) if backwards else x
        outputs, *last = native(ordered, start, list(weights), has_biases, 1, 0.0, False, False, False)
        known = (outputs.flip(0) if backwards else outputs, *last[1:])
    return recurrence(name, (w_hh, b_hh, *projection), z, state, backwards, known=known)


UNFOLDED: dict[str, Callable[..., Any]] = {
    **REWRITTEN,
    "multi_head_attention_forward": _in_the_open(F.multi_head_attention_forward),
    "normalize": _in_the_open(F.normalize),
    "lstm": _layers("lstm", torch.lstm),
    "gru": _layers("gru", torch.gru),
    "rnn_tanh": _layers("rnn_tanh", torch.rnn_tanh),
    "rnn_relu": _layers("rnn_relu", torch.rnn_relu),
    "lstm_cell": _cell("lstm"),
    "gru_cell": _cell("gru"),
    "rnn_tanh_cell": _cell("rnn_tanh"),
    "rnn_relu_cell": _cell("rnn_relu"),
    **FORMULAS,
}
"""by the names of torch; each returns what the function returns, or NotImplemented"""
