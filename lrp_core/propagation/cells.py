"""The cells of recurrent layers: one moment of each, and the sums that relevance meets in all moments at once.

Gates are constants and the signals take all (Arras 2017). So two sums are left in each moment: the new state, of what
is kept of the old one and what is fresh; and within what is fresh, the candidate, of what the input gives and what the
hidden state gives. A plain RNN has only the second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .elementwise import gated

State = tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Sums:
    """The operands and sums of all moments, (L, B, H) each."""

    candidate: Tensor
    """the sum inside: z of the candidate and ``of_hidden``"""
    of_hidden: Tensor
    gates: Tensor
    """what the model added when it made the candidate: an LSTM adds its gates in the same sum, (L, B, 4 H)"""
    kept: Tensor | None = None
    fresh: Tensor | None = None
    """the operands of the new state; None where the candidate is all of it"""
    signal: Tensor | None = None
    """what a projection reads: the output before it"""


@dataclass(frozen=True)
class Cell:
    """``z`` has ``parts`` of equal width, of which the last but ``after`` is the candidate; the others are gates."""

    parts: int
    after: int
    moment: Callable[..., State]
    """(z, state, w_hh, b_hh, w_hr): the next state, the hidden state first"""
    sums: Callable[..., Sums]
    """(z, hidden map of the states before, states before, first memory, backwards) of all moments"""
    resets: bool = False
    """whether the hidden state passes a gate before it is added to z"""

    def of_candidate(self, tensor: Tensor, dim: int = -1) -> Tensor:
        """The candidate's part of z, or of what makes z."""
        return tensor.chunk(self.parts, dim)[self.parts - 1 - self.after]

    def with_gates(self, candidate: Tensor) -> Tensor:
        """The whole, with zeros for the gates."""
        width = candidate.shape[-1]
        return F.pad(candidate, ((self.parts - 1 - self.after) * width, self.after * width))


def shifted(states: Tensor, start: Tensor, backwards: bool) -> Tensor:
    """The state before each moment: ``states`` (L, B, H), the first of which follows ``start`` (1, B, H)."""
    return torch.cat([states[1:], start] if backwards else [start, states[:-1]])


def lstm_moment(z: Tensor, state: State, w_hh: Tensor, b_hh: Tensor | None = None, w_hr: Tensor | None = None) -> State:
    """From z = W_ih x + b_ih, (B, 4 H), and the state to the next: hidden state and memory."""
    h, c = state
    i, f, g, o = (z + F.linear(h, w_hh, b_hh)).chunk(4, -1)
    c = gated(c, torch.sigmoid(f)) + gated(torch.tanh(g), torch.sigmoid(i))
    h = gated(torch.tanh(c), torch.sigmoid(o))
    return (h if w_hr is None else F.linear(h, w_hr)), c


def _lstm_sums(z: Tensor, a: Tensor, before: Tensor, memory: Tensor, backwards: bool) -> Sums:
    gates = z + a
    i, f, g, o = gates.chunk(4, -1)
    fresh, forget = torch.tanh(g) * torch.sigmoid(i), torch.sigmoid(f)
    memories = _accumulated(fresh, forget, memory[0], backwards)
    kept = forget * shifted(memories, memory, backwards)
    return Sums(g, a.chunk(4, -1)[2], gates, kept, fresh, torch.tanh(memories) * torch.sigmoid(o))


def _accumulated(fresh: Tensor, forget: Tensor, memory: Tensor, backwards: bool) -> Tensor:
    """The memory after each moment."""
    moments = list(zip(fresh.unbind(0), forget.unbind(0), strict=True))
    memories = []
    for new, part in reversed(moments) if backwards else moments:
        memory = torch.addcmul(new, part, memory)
        memories.append(memory)
    return torch.stack(memories[::-1] if backwards else memories)


def gru_moment(z: Tensor, state: State, w_hh: Tensor, b_hh: Tensor | None = None) -> State:
    """From z = W_ih x + b_ih, (B, 3 H), and the hidden state to the next."""
    (h,) = state
    x_reset, x_update, x_new = z.chunk(3, -1)
    h_reset, h_update, h_new = F.linear(h, w_hh, b_hh).chunk(3, -1)
    update = torch.sigmoid(x_update + h_update)
    new = torch.tanh(x_new + gated(h_new, torch.sigmoid(x_reset + h_reset)))
    return (gated(new, 1 - update) + gated(h, update),)


def _gru_sums(z: Tensor, a: Tensor, before: Tensor, memory: Any, backwards: bool) -> Sums:
    x_reset, x_update, x_new = z.chunk(3, -1)
    h_reset, h_update, h_new = a.chunk(3, -1)
    update = torch.sigmoid(x_update + h_update)
    of_hidden = h_new * torch.sigmoid(x_reset + h_reset)
    candidate = x_new + of_hidden
    return Sums(candidate, of_hidden, candidate, before * update, torch.tanh(candidate) * (1 - update))


def _plain(activation: Callable[[Tensor], Tensor]) -> Cell:
    def moment(z: Tensor, state: State, w_hh: Tensor, b_hh: Tensor | None = None) -> State:
        return (activation(z + F.linear(state[0], w_hh, b_hh)),)

    def sums(z: Tensor, a: Tensor, before: Tensor, memory: Any, backwards: bool) -> Sums:
        candidate = z + a
        return Sums(candidate, a, candidate)

    return Cell(1, 0, moment, sums)


CELLS = {
    "lstm": Cell(4, 1, lstm_moment, _lstm_sums),
    "gru": Cell(3, 0, gru_moment, _gru_sums, resets=True),
    "rnn_tanh": _plain(torch.tanh),
    "rnn_relu": _plain(torch.relu),
}
"""by torch's names of the layers"""
