"""The check that tests of writes share: every network here is piecewise linear, whatever is written where."""

from __future__ import annotations

import torch
from torch import nn

import lrp_core as lrp
from tests.lrp_core.networks import Net, assert_ledger_closes, assert_rows_stand_alone, vectors


def buffer(x, *shape):
    return torch.zeros(len(x), *(shape or (6,)), dtype=x.dtype)


def slopes_times_input(model, x, step=1e-6):
    """x * dz_1/dx by differences; networks that write to views autograd may refuse."""
    result = torch.zeros_like(x)
    for place in range(x[0].numel()):
        moved = torch.zeros_like(x)
        moved[:, place] = step
        result[:, place] = (model(x + moved) - model(x - moved))[:, 1] / (2 * step) * x[:, place]
    return result


def assert_every_write_is_followed(forward):
    """LRP-0 is gradient x input, the books close, and rows stand alone."""
    model, x = Net(forward, a=nn.Linear(6, 6), b=nn.Linear(6, 6), head=nn.Linear(6, 3)), vectors()
    tape = lrp.record(model, x)
    torch.testing.assert_close(tape.output, model(x), rtol=1e-12, atol=1e-12)
    expected = slopes_times_input(model, x)
    composites = [lrp.presets.lrp0(), lrp.presets.gradient_times_input()]
    if forward.__name__ == "one_place_written_twice":  # of which the derivative of autograd is wrong
        composites.pop()
    for composite in composites:
        explanation = tape.explain(composite, lrp.Target.logit(1))
        torch.testing.assert_close(explanation.relevance, expected, rtol=1e-6, atol=1e-7)
        assert_ledger_closes(explanation)
    for composite in (lrp.presets.gamma(), lrp.presets.cp_lrp(0.1)):
        assert_rows_stand_alone(model, composite, x)
