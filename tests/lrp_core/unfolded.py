"""The oracle of recurrent layers: every moment run as ordinary operations, each of which is a step of the tape."""

from __future__ import annotations

import torch
import torch.nn.functional as F

import lrp_core as lrp
from lrp_core.propagation.elementwise import gated
from lrp_core.recording import unfolding


def lstm(z, state, w_hh, b_hh, w_hr=None):
    h, c = state
    i, f, g, o = (z + F.linear(h, w_hh, b_hh)).chunk(4, -1)
    c = gated(c, torch.sigmoid(f)) + gated(torch.tanh(g), torch.sigmoid(i))
    h = gated(torch.tanh(c), torch.sigmoid(o))
    return (h if w_hr is None else F.linear(h, w_hr)), c


def gru(z, state, w_hh, b_hh):
    (h,) = state
    x_reset, x_update, x_new = z.chunk(3, -1)
    h_reset, h_update, h_new = F.linear(h, w_hh, b_hh).chunk(3, -1)
    update = torch.sigmoid(x_update + h_update)
    new = torch.tanh(x_new + gated(h_new, torch.sigmoid(x_reset + h_reset)))
    return (gated(new, 1 - update) + gated(h, update),)


def plain(activation):
    return lambda z, state, w_hh, b_hh: (activation(z + F.linear(state[0], w_hh, b_hh)),)


MOMENTS = {"lstm": lstm, "gru": gru, "rnn_tanh": plain(torch.tanh), "rnn_relu": plain(torch.relu)}


def layers(moment):
    """A recurrent layer with the arguments of torch."""

    def run(x, start, weights, has_biases, count, dropout, training, bidirectional, batch_first):
        states = start if isinstance(start, tuple | list) else (start,)
        x = x.transpose(0, 1) if batch_first else x
        ways = 2 if bidirectional else 1
        size = len(weights) // (count * ways)
        last = []
        for layer in range(count):
            outputs = []
            for number in range(layer * ways, (layer + 1) * ways):
                w_ih, w_hh, *rest = weights[number * size : (number + 1) * size]
                b_ih, b_hh, *projection = rest if has_biases else (None, None, *rest)
                state, backwards = tuple(s[number] for s in states), number % ways == 1
                hidden = []
                moments = F.linear(x, w_ih, b_ih).unbind(0)
                for z in reversed(moments) if backwards else moments:
                    state = moment(z, state, w_hh, b_hh, *projection)
                    hidden.append(state[0])
                outputs.append(torch.stack(hidden[::-1] if backwards else hidden))
                last.append(state)
            x = torch.cat(outputs, -1) if ways == 2 else outputs[0]
        return (x.transpose(0, 1) if batch_first else x), *(torch.stack(ends) for ends in zip(*last, strict=True))

    return run


def record_unfolded(patch, model, *inputs, **options):
    """The tape of the model with its recurrent layers unfolded; ``patch`` is pytest's monkeypatch."""
    with patch.context() as patched:
        for name, moment in MOMENTS.items():
            patched.setitem(unfolding.UNFOLDED, name, layers(moment))
        return lrp.record(model, *inputs, **options)
