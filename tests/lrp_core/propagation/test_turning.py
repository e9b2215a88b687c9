"""A turn by the position is linear: relevance passes as through any linear map, and nothing is lost."""

import torch
from torch.overrides import handle_torch_function, has_torch_function_unary

import lrp_core as lrp


def rotary(x, cos, sin):
    """As a model would write it."""
    if has_torch_function_unary(x):
        return handle_torch_function(rotary, (x,), x, cos, sin)
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat((-second, first), -1) * sin


class Turned(torch.nn.Module):
    def forward(self, x):
        cos, sin = torch.full((2,), 0.6, dtype=x.dtype), torch.full((2,), 0.8, dtype=x.dtype)
        return rotary(x, cos, sin)


def test_exact_numbers():
    """x = (1, 2), z = (.6 - 1.6, .8 + 1.2) = (-1, 2): relevance z_2 = 2 is shared as .8 of x_1 and 1.2 of x_2."""
    tape = lrp.record(Turned().eval(), torch.tensor([[1.0, 2.0]], dtype=torch.float64))
    assert [step.op for step in tape.steps] == ["rotary"] and not tape.unsupported()
    explanation = tape.explain(lrp.presets.lrp0(), lrp.Target.logit(1))
    expected = torch.tensor([[0.8, 1.2]], dtype=torch.float64)
    torch.testing.assert_close(explanation.relevance, expected)
    for composite in (lrp.presets.gamma(0.5), lrp.presets.cp_lrp(0.1), lrp.presets.gradient_times_input()):
        torch.testing.assert_close(tape.explain(composite, lrp.Target.logit(1)).relevance, expected)


def test_a_row_of_a_batch_is_that_row_alone():
    x = torch.randn(3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    together = lrp.record(Turned().eval(), x).explain(lrp.presets.lrp0(), lrp.Target.top()).relevance
    alone = [
        lrp.record(Turned().eval(), row[None]).explain(lrp.presets.lrp0(), lrp.Target.top()).relevance for row in x
    ]
    torch.testing.assert_close(together, torch.cat(alone))
