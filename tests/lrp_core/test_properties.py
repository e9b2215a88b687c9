"""What must hold on any network: conservation, the oracles of LRP-0, and a retune that equals a fresh start."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import lrp_core as lrp
from tests.lrp_core.networks import (
    BLOCKS,
    CLASSES,
    RandomNetwork,
    assert_ledger_closes,
    gradient_times_input,
    random_input,
)

COMPOSITES = {
    "lrp0": lrp.presets.lrp0(),
    "epsilon": lrp.presets.epsilon(0.1),
    "relative": lrp.Composite(lrp.Epsilon(0.1, relative=True)),
    "gamma": lrp.presets.gamma(0.25),
    "z_plus": lrp.presets.z_plus(),
    "alpha_beta": lrp.presets.alpha_beta(2.0, 1.0),
    "epsilon_plus": lrp.presets.epsilon_plus(0.1),
    "epsilon_plus_flat": lrp.presets.epsilon_plus_flat(0.1),
    "epsilon_gamma_box": lrp.presets.epsilon_gamma_box(-3.0, 3.0, 0.1, 0.25),
    "overview": lrp.presets.overview(0.1, 0.25),
    "w_square": lrp.Composite(lrp.WSquare()),
    "flat": lrp.Composite(lrp.Flat(), bias="spread"),
}

lean = settings(max_examples=25, deadline=None, derandomize=True)
networks = st.builds(
    RandomNetwork,
    st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=4),
    seed=st.integers(0, 10_000),
    bias=st.booleans(),
)
seeds = st.integers(0, 10_000)
composites = st.sampled_from(list(COMPOSITES.values()))


def close(actual: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-9) -> None:
    scale = max(1.0, expected.abs().max().item())
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance * scale)


@lean
@given(networks, seeds, st.sampled_from(sorted(set(COMPOSITES) - {"overview"})), st.sampled_from(["ignore", "spread"]))
def test_ledger_closes_at_every_step_in_every_bias_mode(model, seed, name, bias):
    explanation = lrp.record(model, random_input(seed)).explain(replace(COMPOSITES[name], bias=bias), lrp.Target.top())
    assert_ledger_closes(explanation)
    assert explanation.ledger.total.bias.abs().max() <= 1e-12, "nothing is left to the biases"


@lean
@given(networks, seeds, composites)
def test_ledger_closes_at_every_step(model, seed, composite):
    assert_ledger_closes(lrp.record(model, random_input(seed)).explain(composite, lrp.Target.top()))


@lean
@given(networks, seeds, st.sampled_from(["epsilon", "gamma", "z_plus", "epsilon_plus", "epsilon_gamma_box"]))
def test_ledger_closes_in_single_precision(model, seed, name):
    explanation = lrp.record(model.float(), random_input(seed).float()).explain(COMPOSITES[name], lrp.Target.top())
    assert explanation.relevance.dtype == torch.float32
    assert explanation.ledger.total.start.dtype == torch.float64
    assert_ledger_closes(explanation, 1e-4)


STABLE = ["epsilon", "relative", "gamma", "z_plus", "alpha_beta", "epsilon_plus", "epsilon_gamma_box"]


@lean
@given(networks, seeds, st.sampled_from(STABLE), st.sampled_from(["absorb", "ignore", "spread"]))
def test_single_precision_is_close_to_double(model, seed, name, bias):
    """Shortcuts taken in float32 (n = z - p) must not show; LRP-0 and small epsilons are ill-conditioned themselves."""
    x, composite, target = random_input(seed).float(), replace(COMPOSITES[name], bias=bias), lrp.Target.logit(1)
    single = lrp.record(deepcopy(model).float(), x).explain(composite, target).relevance
    double = lrp.record(deepcopy(model).float().double(), x.double()).explain(composite, target).relevance
    scale = double.abs().max().clamp(min=1e-6).item()
    torch.testing.assert_close(single.double(), double, rtol=0, atol=1e-3 * scale)


@lean
@given(networks, seeds, composites)
def test_a_tape_without_room_gives_the_same_answers(model, seed, composite):
    """The byte cap decides what is computed again, never what comes out."""
    x, target = random_input(seed), lrp.Target.logit(0)
    roomy, cramped = lrp.record(model, x), lrp.record(model, x)
    cramped.limit = 0
    before = cramped.nbytes
    for one in (composite, COMPOSITES["alpha_beta"], composite):
        close(cramped.explain(one, target).relevance, roomy.explain(one, target).relevance)
    assert cramped.nbytes <= before


@lean
@given(networks, seeds)
def test_lrp0_is_gradient_times_input(model, seed):
    x = random_input(seed)
    tape = lrp.record(model, x)
    v = torch.zeros_like(tape.output)
    v[:, 1] = 1.0
    expected = gradient_times_input(model, x, v)
    close(tape.explain(lrp.presets.lrp0(), lrp.Target.logit(1)).relevance, expected)
    close(tape.explain(lrp.presets.gradient_times_input(), lrp.Target.logit(1)).relevance, expected)


@lean
@given(networks, seeds, st.sampled_from(["absorb", "ignore", "spread"]))
def test_rules_that_are_limits_of_others(model, seed, bias):
    tape = lrp.record(model, random_input(seed))

    def relevance(rule):
        return tape.explain(lrp.Composite(rule, bias=bias), lrp.Target.logit(0)).relevance

    lrp0 = relevance(lrp.LRP0())
    close(relevance(lrp.Gamma(0.0)), lrp0)
    close(relevance(lrp.Epsilon(0.0)), lrp0)
    close(relevance(lrp.AlphaBeta(1.0, 0.0)), relevance(lrp.ZPlus()))
    close(relevance(lrp.Gamma(0.5, epsilon=0.0)), relevance(lrp.Gamma(0.5)))


@lean
@given(networks, seeds)
def test_a_vanishing_epsilon_is_lrp0(model, seed):
    """Relevance goes by z/(z + eps), so the distance to LRP-0 falls with eps: here down to 1e-6 of the scale."""
    tape = lrp.record(model, random_input(seed))
    target = lrp.Target.logit(0)
    expected = tape.explain(lrp.presets.lrp0(), target).relevance
    close(tape.explain(lrp.presets.epsilon(1e-14), target).relevance, expected, 1e-6)


@lean
@given(networks, seeds, composites)
def test_a_row_of_a_batch_is_that_row_alone(model, seed, composite):
    x = random_input(seed, batch=3)
    classes = [2, 0, 3]
    batch = lrp.record(model, x).explain(composite, lrp.Target.logit(classes))
    for row, target in enumerate(classes):
        alone = lrp.record(model, x[row : row + 1]).explain(composite, lrp.Target.logit(target))
        close(batch.relevance[row : row + 1], alone.relevance)
        close(batch.ledger.total.bias[row : row + 1], alone.ledger.total.bias)


@lean
@given(networks, seeds, composites)
def test_relevance_is_linear_in_the_start(model, seed, composite):
    tape = lrp.record(model, random_input(seed))

    def relevance(target):
        return tape.explain(composite, target).relevance

    difference = relevance(lrp.Target.difference(1, 2))
    close(difference, relevance(lrp.Target.logit(1)) - relevance(lrp.Target.logit(2)))


@lean
@given(networks, seeds, st.sampled_from(["gamma", "epsilon"]))
def test_sweep_is_the_loop(model, seed, parameter):
    x, values = random_input(seed), [0.0, 0.01, 0.1, 1.0]
    composite = lrp.presets.epsilon_gamma_box(-3.0, 3.0, 0.1, 0.25)
    swept = lrp.record(model, x).sweep(composite, lrp.Target.top(), **{parameter: values})
    assert swept.relevance.shape == (len(values), *x.shape)
    for index, value in enumerate(values):
        single = lrp.record(model, x).explain(composite.with_(**{parameter: value}), lrp.Target.top())
        close(swept.relevance[index], single.relevance)
        close(swept.ledger.total.bias[index], single.ledger.total.bias)
        close(swept.ledger.total.input[index], single.ledger.total.input)


@lean
@given(networks, seeds, st.permutations(sorted(COMPOSITES)), seeds)
def test_retune_equals_a_fresh_tape_bit_for_bit(model, seed, names, target):
    """Whatever was asked before, caches and restarts never show in the answer."""
    x = random_input(seed)
    used = lrp.record(model, x)
    for step, name in enumerate(names[:5]):
        wanted = lrp.Target.logit((target + step // 2) % CLASSES)
        again = used.explain(COMPOSITES[name], wanted, layers=True)
        fresh = lrp.record(model, x).explain(COMPOSITES[name], wanted, layers=True)
        assert torch.equal(again.relevance, fresh.relevance)
        assert list(again.layers) == list(fresh.layers)
        assert all(torch.equal(again.layers[layer], fresh.layers[layer]) for layer in fresh.layers)
        assert torch.equal(again.ledger.total.bias, fresh.ledger.total.bias)


@lean
@given(networks, seeds)
def test_a_slider_equals_a_fresh_tape_bit_for_bit(model, seed):
    x = random_input(seed)
    used = lrp.record(model, x)
    for gamma in (0.1, 0.2, 0.1):
        for epsilon in (0.0, 0.5):
            composite = COMPOSITES["epsilon_gamma_box"].with_(gamma=gamma, epsilon=epsilon)
            fresh = lrp.record(model, x).explain(composite, lrp.Target.top())
            assert torch.equal(used.explain(composite, lrp.Target.top()).relevance, fresh.relevance)


def test_epsilon_moves_relevance_to_the_ledger():
    """A larger epsilon absorbs more: on one layer with z > 0, start * eps / (z + eps) exactly."""
    layer = nn.Linear(4, 1, bias=False, dtype=torch.float64).eval()
    nn.init.constant_(layer.weight, 0.5)
    tape = lrp.record(layer, torch.ones(1, 4, dtype=torch.float64))
    for epsilon in (0.0, 0.5, 2.0):
        total = tape.explain(lrp.presets.epsilon(epsilon), lrp.Target.logit(0)).ledger.total
        assert total.epsilon.item() == pytest.approx(2.0 * epsilon / (2.0 + epsilon), rel=1e-12, abs=1e-12)
