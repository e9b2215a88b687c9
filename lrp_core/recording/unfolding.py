"""Functions that torch offers in one piece, run as the ordinary operations that they are made of: each is a step.

Attention of :class:`torch.nn.MultiheadAttention` and ``normalize`` run torch's own code. Recurrent layers are written
out here: their gates are constants to every composite and the signals take all (Arras 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..propagation.elementwise import gated

Weights = Sequence[Tensor | None]
State = tuple[Tensor, ...]


def _in_the_open(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same code, which does not ask whether somebody watches: what it calls is seen instead of itself."""
    assert isinstance(function, FunctionType)
    questions = [name for name in function.__globals__ if name.startswith("has_torch_function")]
    names = {**function.__globals__, **dict.fromkeys(questions, lambda *_: False)}
    copy = FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def lstm_cell(x: Tensor, state: State, w_ih: Tensor, w_hh: Tensor, *biases: Tensor | None) -> State:
    """One moment of an LSTM: hidden state and memory, (B, H) each."""
    b_ih, b_hh = biases or (None, None)
    return _lstm_step(F.linear(x, w_ih, b_ih), state, w_hh, b_hh)


def _lstm_step(z: Tensor, state: State, w_hh: Tensor, b_hh: Tensor | None, w_hr: Tensor | None = None) -> State:
    h, c = state
    i, f, g, o = (z + F.linear(h, w_hh, b_hh)).chunk(4, -1)
    c = gated(c, torch.sigmoid(f)) + gated(torch.tanh(g), torch.sigmoid(i))
    h = gated(torch.tanh(c), torch.sigmoid(o))
    return (h if w_hr is None else F.linear(h, w_hr)), c


def gru_cell(x: Tensor, h: Tensor, w_ih: Tensor, w_hh: Tensor, *biases: Tensor | None) -> Tensor:
    """One moment of a GRU: the hidden state, (B, H)."""
    b_ih, b_hh = biases or (None, None)
    return _gru_step(F.linear(x, w_ih, b_ih), (h,), w_hh, b_hh)[0]


def _gru_step(z: Tensor, state: State, w_hh: Tensor, b_hh: Tensor | None) -> State:
    (h,) = state
    x_reset, x_update, x_new = z.chunk(3, -1)
    h_reset, h_update, h_new = F.linear(h, w_hh, b_hh).chunk(3, -1)
    update = torch.sigmoid(x_update + h_update)
    new = torch.tanh(x_new + gated(h_new, torch.sigmoid(x_reset + h_reset)))
    return (gated(new, 1 - update) + gated(h, update),)


def _plain_cell(activation: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    def cell(x: Tensor, h: Tensor, w_ih: Tensor, w_hh: Tensor, *biases: Tensor | None) -> Tensor:
        b_ih, b_hh = biases or (None, None)
        return activation(F.linear(x, w_ih, b_ih) + F.linear(h, w_hh, b_hh))

    return cell


def _plain_step(activation: Callable[[Tensor], Tensor]) -> Callable[..., State]:
    def step(z: Tensor, state: State, w_hh: Tensor, b_hh: Tensor | None) -> State:
        return (activation(z + F.linear(state[0], w_hh, b_hh)),)

    return step


def _layers(step: Callable[..., State]) -> Callable[..., Any]:
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
        if not isinstance(biases, bool):  # the form for packed sequences, whose arguments stand elsewhere
            return NotImplemented
        states = start if isinstance(start, tuple | list) else (start,)
        x = x.transpose(0, 1) if batch_first else x
        directions = 2 if bidirectional else 1
        size = len(weights) // (layers * directions)
        last: list[State] = []
        for layer in range(layers):
            ways = []
            for way in range(directions):
                number = layer * directions + way
                own = weights[number * size : (number + 1) * size]
                outputs, state = _along(step, x, tuple(s[number] for s in states), own, biases, way == 1)
                ways.append(outputs)
                last.append(state)
            x = torch.cat(ways, -1) if directions == 2 else ways[0]
        output = x.transpose(0, 1) if batch_first else x
        return output, *(torch.stack(ends) for ends in zip(*last, strict=True))

    return run


def _along(
    step: Callable[..., State], x: Tensor, state: State, weights: Weights, has_biases: bool, backwards: bool
) -> tuple[Tensor, State]:
    """One layer in one direction: outputs (L, B, H) and the last state."""
    w_ih, w_hh, *rest = weights
    b_ih, b_hh, *projection = rest if has_biases else (None, None, *rest)
    assert w_ih is not None
    moments = F.linear(x, w_ih, b_ih).unbind(0)
    outputs = []
    for z in reversed(moments) if backwards else moments:
        state = step(z, state, w_hh, b_hh, *projection)
        outputs.append(state[0])
    return torch.stack(outputs[::-1] if backwards else outputs), state


UNFOLDED: dict[str, Callable[..., Any]] = {
    "multi_head_attention_forward": _in_the_open(F.multi_head_attention_forward),
    "normalize": _in_the_open(F.normalize),
    "lstm": _layers(_lstm_step),
    "gru": _layers(_gru_step),
    "rnn_tanh": _layers(_plain_step(torch.tanh)),
    "rnn_relu": _layers(_plain_step(torch.relu)),
    "lstm_cell": lstm_cell,
    "gru_cell": gru_cell,
    "rnn_tanh_cell": _plain_cell(torch.tanh),
    "rnn_relu_cell": _plain_cell(torch.relu),
}
"""by the names of torch; each returns what the function returns, or NotImplemented"""
