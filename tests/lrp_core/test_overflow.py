"""Relevance that overflows is refused in one sentence, and the tape goes on to answer other questions."""

import pytest
import torch
from torch import nn

import lrp_core as lrp


def chain(depth=40, dtype=torch.float32):
    """Each layer gives [big - big, ...]: outputs of 1e-3 from contributions of 1, so LRP-0 multiplies by a thousand."""
    layer = nn.Linear(2, 2, bias=False)
    layer.weight.requires_grad_(False).copy_(torch.tensor([[1.0, -0.999], [0.999, -1.0]]))
    layers = [nn.Sequential(layer, Turned()) for _ in range(depth)]
    return nn.Sequential(*layers).to(dtype).eval()


class Turned(nn.Module):
    """Brings the outputs back to where the inputs were, and is an activation to relevance."""

    def forward(self, z):
        return torch.nn.functional.hardtanh(z * 1e6, -1.0, 1.0).abs()


def test_lrp0_overflows():
    tape = lrp.record(chain(), torch.ones(1, 2))
    with pytest.raises(ValueError, match=r"^Relevance grows beyond all numbers at \S+: [^.]+\.$"):
        tape.explain(lrp.presets.lrp0(), lrp.Target.logit(0))
    calm = tape.explain(lrp.presets.epsilon(10.0), lrp.Target.logit(0))
    assert calm.relevance.isfinite().all()
    with pytest.raises(ValueError, match="grows beyond all numbers"):
        tape.explain(lrp.presets.lrp0(), lrp.Target.logit(0))


def test_several_targets_and_a_sweep_say_so_too():
    tape = lrp.record(chain(), torch.ones(1, 2))
    for ask in (
        lambda: tape.explain(lrp.presets.lrp0(), [lrp.Target.logit(0), lrp.Target.logit(1)]),
        lambda: tape.sweep(lrp.presets.epsilon(), lrp.Target.logit(0), epsilon=[10.0, 0.0]),
    ):
        with pytest.raises(ValueError, match="grows beyond all numbers"):
            ask()


def test_one_row_of_two_is_enough():
    tape = lrp.record(chain(), torch.tensor([[1.0, 1.0], [1.0, 0.0]]))
    with pytest.raises(ValueError, match="grows beyond all numbers"):
        tape.explain(lrp.presets.lrp0(), lrp.Target.logit(0))


def test_ignored_biases_overflow():
    """Without its bias, an output of 1 is a difference of large contributions."""
    torch.manual_seed(0)
    layers = []
    for _ in range(30):
        layer = nn.Linear(2, 2).requires_grad_(False)
        layer.weight.copy_(torch.tensor([[1.0, -0.99999], [-0.99999, 1.0]]))
        layer.bias.fill_(1.0)
        layers += [layer, nn.ReLU()]
    model = nn.Sequential(*layers).eval()
    tape = lrp.record(model, torch.ones(1, 2))
    ignoring = lrp.Composite(lrp.Epsilon(0.0), bias="ignore")
    with pytest.raises(ValueError, match="bias='ignore'"):
        tape.explain(ignoring, lrp.Target.logit(0))
    assert tape.explain(lrp.presets.lrp0(), lrp.Target.logit(0)).relevance.isfinite().all()


def test_large_numbers_are_no_overflow():
    tape = lrp.record(chain(8, torch.float64), torch.ones(1, 2, dtype=torch.float64))
    assert 1e9 < tape.explain(lrp.presets.lrp0(), lrp.Target.logit(0)).relevance.abs().max() < 1e300
