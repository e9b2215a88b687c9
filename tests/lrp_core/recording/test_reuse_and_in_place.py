"""Reused modules, shared weights and work in place: each step counts the value it saw, or the network is refused."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import EVERY_RULE, Net, assert_lrp0_is_gradient_times_input, vectors

LRP0, TOP = lrp.presets.lrp0(), lrp.Target.top()


def test_a_reused_layer_is_two_steps():
    """x -> A -> relu -> A again. Engines that keep state on the module mix the two calls up and still conserve."""
    model = Net(lambda m, x: m.head(F.relu(m.a(F.relu(m.a(x))))), a=nn.Linear(6, 6), head=nn.Linear(6, 3))
    twin = Net(
        lambda m, x: m.head(F.relu(m.second(F.relu(m.first(x))))),
        first=nn.Linear(6, 6),
        second=nn.Linear(6, 6),
        head=nn.Linear(6, 3),
    )
    for layer in (twin.first, twin.second):
        layer.load_state_dict(model.a.state_dict())
    twin.head.load_state_dict(model.head.state_dict())
    x = vectors()
    assert_lrp0_is_gradient_times_input(model, x)
    for composite in EVERY_RULE:
        reused, unrolled = (lrp.record(net, x).explain(composite, TOP) for net in (model, twin))
        assert torch.equal(reused.relevance, unrolled.relevance)
    named = lrp.Composite(lrp.LRP0(), by_name={"a": lrp.ZPlus()})
    unnamed = lrp.Composite(lrp.LRP0(), by_name={"first": lrp.ZPlus(), "second": lrp.ZPlus()})
    both = lrp.record(model, x).explain(named, TOP).relevance
    assert torch.equal(both, lrp.record(twin, x).explain(unnamed, TOP).relevance), "a name means every call of it"
    layers = lrp.record(model, x).explain(LRP0, TOP, layers=True).layers
    assert len(layers) == 3, "each call of the reused layer keeps its own relevance"


def test_shared_weights_of_different_layers():
    model = Net(lambda m, x: m.b(F.relu(m.a(x))), a=nn.Linear(6, 6), b=nn.Linear(6, 6))
    model.b.weight = model.a.weight
    assert_lrp0_is_gradient_times_input(model, vectors())


@pytest.mark.parametrize(
    "activate",
    [
        F.relu,
        torch.relu,
        torch.relu_,
        lambda x: x.relu(),
        lambda x: x.relu_(),
        lambda x: F.relu(x, inplace=True),
        lambda x: F.relu_(x),
        lambda x: x.clamp(min=0),
        lambda x: x.clamp_(min=0),
        lambda x: torch.clamp_min(x, 0),
        lambda x: torch.maximum(x, torch.zeros_like(x)),
        lambda x: F.leaky_relu(x, 0.0),
    ],
)
def test_every_spelling_of_relu(activate):
    """The same network however its ReLU is written: either supported and equal, or refused."""
    model = Net(lambda m, x: m.b(activate(m.a(x))), a=nn.Linear(6, 5), b=nn.Linear(5, 3))
    tape = lrp.record(model, vectors())
    if tape.unsupported():
        with pytest.raises(lrp.UnsupportedOp):
            tape.explain(LRP0, TOP)
    else:
        assert_lrp0_is_gradient_times_input(model, vectors())


def residual_in_place(m, x):
    y = m.a(x)
    y += F.relu(m.b(y))
    return m.head(y.relu_())


def in_place_on_a_view(m, x):
    y = m.a(x)
    y[:, :3].relu_()
    return m.head(y)


def in_place_seen_through_a_view(m, x):
    y = m.a(x)
    view = y.view(-1, 2, 3)
    y.relu_()
    return m.head(view.flatten(1))


def write_into_a_slice(m, x):
    y = torch.zeros(x.shape[0], 6, dtype=x.dtype)
    y[:, :3] = m.a(x)[:, :3]
    return m.head(y)


def input_changed_in_place_after_use(m, x):
    y = m.a(x)
    z = m.b(y)
    y.mul_(0.0)
    return m.head(F.relu(z) + y)


@pytest.mark.parametrize(
    "forward",
    [
        residual_in_place,
        in_place_on_a_view,
        in_place_seen_through_a_view,
        write_into_a_slice,
        input_changed_in_place_after_use,
    ],
)
def test_work_in_place_is_right_or_refused(forward):
    """Never silently wrong: the value each step saw counts, not what a later step wrote over it."""
    model = Net(forward, a=nn.Linear(6, 6), b=nn.Linear(6, 6), head=nn.Linear(6, 3))
    try:
        tape = lrp.record(model, vectors())
        tape.explain(LRP0, TOP)
    except (ValueError, lrp.UnsupportedOp) as refusal:
        assert forward is not residual_in_place and "\n" not in str(refusal) and str(refusal).endswith(".")
        return
    torch.testing.assert_close(tape.output, model(vectors()), rtol=1e-12, atol=0)
    assert_lrp0_is_gradient_times_input(model, vectors())
