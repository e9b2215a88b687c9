"""Composites: which rule lands on which step, what a preset means, and what an explanation carries."""

from collections import OrderedDict
from itertools import pairwise

import pytest
import torch
from torch import nn

import lrp_core as lrp
from tests.lrp_core.networks import CLASSES, RandomNetwork, assert_ledger_closes, random_input, randomise

TOP = lrp.Target.top()


def network() -> nn.Sequential:
    """Nine affine layers by qualified name (features.conv1 ... head), on (B, 3, 6, 6)."""
    features = [(f"conv{i}", nn.Conv2d(3, 3, 3, padding=1)) for i in range(1, 7)]
    layers = [pair for name, conv in features for pair in ((name, conv), (f"relu{name[-1]}", nn.ReLU()))]
    model = nn.Sequential(
        OrderedDict(
            features=nn.Sequential(OrderedDict(layers)),
            pool=nn.AdaptiveAvgPool2d(2),
            flat=nn.Flatten(),
            dense1=nn.Linear(12, 8),
            relu7=nn.ReLU(),
            dense2=nn.Linear(8, 8),
            relu8=nn.ReLU(),
            head=nn.Linear(8, 4),
        )
    )
    randomise(model)
    return model.double().eval()


AFFINE = [f"features.conv{i}" for i in range(1, 7)] + ["dense1", "dense2", "head"]


@pytest.fixture(scope="module")
def tape() -> lrp.Tape:
    return lrp.record(network(), random_input())


def planned(tape: lrp.Tape, composite: lrp.Composite) -> dict[str, lrp.Rule]:
    plan = {step.name: rule for step, rule in tape.plan(composite)}
    return {name: plan[name] for name in AFFINE}


def test_steps_describe_the_network(tape):
    steps = {step.name: step for step in tape.steps}
    assert [step.index for step in tape.steps] == list(range(len(tape.steps)))
    assert [step.name for step in tape.steps if step.kind in ("conv", "linear")] == AFFINE
    conv, dense = steps["features.conv1"], steps["dense1"]
    assert (conv.kind, conv.op, dense.kind, dense.op) == ("conv", "conv2d", "linear", "linear")
    assert (conv.input_shapes, conv.output_shape) == (((2, 3, 6, 6),), (2, 3, 6, 6))
    assert (dense.input_shapes, dense.output_shape) == (((2, 12),), (2, 8))
    kinds = {step.kind for step in tape.steps}
    assert kinds == {"conv", "linear", "activation", "pool", "shape"}
    assert tape.output.shape == (2, CLASSES)
    assert tape.nbytes > random_input().nbytes


def test_plan_names_a_rule_or_none_for_every_step(tape):
    plan = tape.plan(lrp.presets.epsilon(0.1))
    assert [step for step, _ in plan] == list(tape.steps)
    for step, rule in plan:
        assert (rule is None) or isinstance(rule, lrp.Rule)
        if step.kind in ("conv", "linear"):
            assert rule == lrp.Epsilon(0.1)


def test_first_wins_over_name_wins_over_kind_wins_over_default(tape):
    composite = lrp.Composite(
        lrp.LRP0(),
        by_kind={"conv": lrp.ZPlus()},
        by_name={"features.conv[12]": lrp.Gamma(0.5), "dense*": lrp.Epsilon(0.1)},
        first=lrp.ZBox(-3.0, 3.0),
    )
    assert planned(tape, composite) == {
        "features.conv1": lrp.ZBox(-3.0, 3.0),
        "features.conv2": lrp.Gamma(0.5),
        **{f"features.conv{i}": lrp.ZPlus() for i in range(3, 7)},
        "dense1": lrp.Epsilon(0.1),
        "dense2": lrp.Epsilon(0.1),
        "head": lrp.LRP0(),
    }


def test_of_two_names_that_fit_the_first_counts():
    """Order is meaning, so composites that differ only in the order of by_name are different."""
    model, x = network(), random_input()
    one = lrp.Composite(lrp.LRP0(), by_name={"dense*": lrp.ZPlus(), "dense1": lrp.Flat()})
    other = lrp.Composite(lrp.LRP0(), by_name={"dense1": lrp.Flat(), "dense*": lrp.ZPlus()})
    tape = lrp.record(model, x)
    assert planned(tape, one)["dense1"] == lrp.ZPlus() and planned(tape, other)["dense1"] == lrp.Flat()
    assert one != other
    assert not torch.equal(tape.explain(one, TOP).relevance, tape.explain(other, TOP).relevance)


@pytest.mark.parametrize(
    ("composite", "first", "convolution", "dense"),
    [
        (lrp.presets.lrp0(), lrp.LRP0(), lrp.LRP0(), lrp.LRP0()),
        (lrp.presets.epsilon(0.1), lrp.Epsilon(0.1), lrp.Epsilon(0.1), lrp.Epsilon(0.1)),
        (lrp.presets.gamma(0.3), lrp.Gamma(0.3), lrp.Gamma(0.3), lrp.Gamma(0.3)),
        (lrp.presets.z_plus(), lrp.ZPlus(), lrp.ZPlus(), lrp.ZPlus()),
        (lrp.presets.alpha_beta(3.0, 2.0), lrp.AlphaBeta(3.0, 2.0), lrp.AlphaBeta(3.0, 2.0), lrp.AlphaBeta(3.0, 2.0)),
        (lrp.presets.epsilon_plus(0.1), lrp.ZPlus(), lrp.ZPlus(), lrp.Epsilon(0.1)),
        (lrp.presets.epsilon_plus_flat(0.1), lrp.Flat(), lrp.ZPlus(), lrp.Epsilon(0.1)),
        (
            lrp.presets.epsilon_gamma_box(-3.0, 3.0, 0.1, 0.3),
            lrp.ZBox(-3.0, 3.0),
            lrp.Gamma(0.3),
            lrp.Epsilon(0.1),
        ),
    ],
    ids=["lrp0", "epsilon", "gamma", "z_plus", "alpha_beta", "epsilon_plus", "epsilon_plus_flat", "epsilon_gamma_box"],
)
def test_presets_mean_what_the_literature_says(tape, composite, first, convolution, dense):
    rules = planned(tape, composite)
    assert rules["features.conv1"] == first
    assert all(rules[f"features.conv{i}"] == convolution for i in range(2, 7))
    assert rules["dense1"] == rules["dense2"] == rules["head"] == dense


def test_overview_is_gamma_epsilon_lrp0_from_the_input_up(tape):
    """Montavon 2019: nine affine layers, three each; zB first where bounds are given."""
    rules = list(planned(tape, lrp.presets.overview(0.1, 0.3)).values())
    assert rules == [lrp.Gamma(0.3)] * 3 + [lrp.Epsilon(0.1)] * 3 + [lrp.LRP0()] * 3
    bounded = list(planned(tape, lrp.presets.overview(0.1, 0.3, low=-3.0, high=3.0)).values())
    assert bounded == [lrp.ZBox(-3.0, 3.0), *rules[1:]]


@pytest.mark.parametrize(("layers", "expected"), [(1, 1), (2, 2), (4, 3), (5, 3)])
def test_overview_of_shallow_networks(layers, expected):
    """Thirds of few layers: the order is kept, and no layer is without a rule."""
    model = nn.Sequential(*[nn.Linear(4, 4) for _ in range(layers)]).eval()
    plan = lrp.record(model, torch.ones(1, 4)).plan(lrp.presets.overview(0.1, 0.3))
    order = [lrp.Gamma(0.3), lrp.Epsilon(0.1), lrp.LRP0()]
    places = [order.index(rule) for _, rule in plan]
    assert places == sorted(places) and len(places) == layers and len(set(places)) == expected


def test_with_changes_every_rule_that_has_the_parameter():
    composite = lrp.presets.epsilon_gamma_box(0.0, 1.0, 0.1, 0.25)
    moved = composite.with_(gamma=0.4, epsilon=0.2)
    assert moved.by_kind["conv"].gamma == 0.4 and moved.default == lrp.Epsilon(0.2)
    assert moved.first == composite.first
    assert composite == lrp.presets.epsilon_gamma_box(0.0, 1.0, 0.1, 0.25), "the original is unchanged"
    assert composite.with_() == composite and composite.with_(gamma=0.25) == composite


def test_the_epsilon_inside_a_gamma_stays():
    """It only keeps a denominator from zero; the slider for epsilon is that of the dense layers."""
    inside = lrp.Gamma(0.25, epsilon=1e-9)
    composite = lrp.Composite(lrp.Epsilon(0.1), by_kind={"conv": inside}, by_depth=(inside, lrp.Epsilon(0.2)))
    moved = composite.with_(gamma=0.5, epsilon=0.3)
    assert moved.by_kind["conv"] == lrp.Gamma(0.5, epsilon=1e-9)
    assert moved.by_depth == (lrp.Gamma(0.5, epsilon=1e-9), lrp.Epsilon(0.3)) and moved.default == lrp.Epsilon(0.3)
    assert not lrp.presets.gamma().has("epsilon") and lrp.presets.gamma().has("gamma")
    assert lrp.presets.gamma().with_(epsilon=0.3) == lrp.presets.gamma()
    tape = lrp.record(nn.Linear(2, 2).eval(), torch.ones(1, 2))
    with pytest.raises(ValueError, match="depends on epsilon"):
        tape.sweep(lrp.presets.gamma(), lrp.Target.top(), epsilon=[0.1, 0.2])


def test_rules_and_composites_are_values():
    for make in (lrp.LRP0, lrp.Epsilon, lrp.Gamma, lrp.ZPlus, lrp.AlphaBeta, lrp.WSquare, lrp.Flat, lrp.Pass):
        assert make() == make() and hash(make()) == hash(make()) and eval(repr(make()), vars(lrp)) == make()
    assert lrp.Gamma(0.1) != lrp.Gamma(0.2) and lrp.Gamma(0.1) != lrp.Epsilon(0.1)
    assert repr(lrp.Gamma(0.1)) == "Gamma(gamma=0.1, epsilon=0.0)"
    assert lrp.ZBox([0.0, 0.0], [1.0, 1.0]) == lrp.ZBox(torch.zeros(2), torch.ones(2))
    assert hash(lrp.ZBox(torch.zeros(2), torch.ones(2))) == hash(lrp.ZBox((0.0, 0.0), (1.0, 1.0)))
    box = lrp.presets.epsilon_gamma_box([0.0], torch.ones(3), 0.1, 0.25)
    assert len({box, lrp.presets.epsilon_gamma_box([0.0], torch.ones(3), 0.1, 0.25), lrp.presets.lrp0()}) == 2
    assert eval(repr(box), vars(lrp)) == box
    with pytest.raises(AttributeError):
        lrp.Gamma().gamma = 2.0
    with pytest.raises(TypeError):
        lrp.presets.epsilon_plus().by_kind["conv"] = lrp.LRP0()


def test_a_composite_is_not_changed_through_the_dict_it_was_made_from():
    names = {"head": lrp.ZPlus()}
    composite = lrp.Composite(lrp.LRP0(), by_name=names)
    names["head"] = lrp.Flat()
    assert composite.by_name["head"] == lrp.ZPlus()


@pytest.mark.parametrize("bounds", [(-3.0, 3.0), ([-3.0] * 3, [3.0] * 3), (torch.full((3,), -3.0), 3.0), (-3, [3])])
def test_box_bounds_as_number_list_or_tensor(tape, bounds):
    expected = tape.explain(lrp.presets.epsilon_gamma_box(-3.0, 3.0, 0.1, 0.25), TOP).relevance
    assert torch.equal(tape.explain(lrp.presets.epsilon_gamma_box(*bounds, 0.1, 0.25), TOP).relevance, expected)


def test_pass_on_a_layer_of_equal_shape(tape):
    """Relevance goes through conv3 unchanged."""
    layers = tape.explain(
        lrp.Composite(lrp.Epsilon(0.1), by_name={"features.conv3": lrp.Pass()}), TOP, layers=True
    ).layers
    assert torch.equal(layers["features.conv3"], layers["features.conv4"])


def test_layers_hold_the_relevance_at_each_layers_input(tape):
    """Execution order; the sums are the ledger's r_in, and the first layer's input is the network's."""
    explanation = tape.explain(lrp.presets.epsilon_plus(0.1), TOP, layers=True)
    named = [name for name in explanation.layers if name in AFFINE]
    assert named == AFFINE
    assert torch.equal(explanation.layers["features.conv1"], explanation.relevance)
    rows = {row.step.name: row for row in explanation.ledger.rows}
    shapes = {step.name: step.input_shapes[0] for step in tape.steps}
    for name in AFFINE:
        relevance = explanation.layers[name]
        assert tuple(relevance.shape) == shapes[name]
        torch.testing.assert_close(relevance.flatten(1).sum(1), rows[name].r_in, rtol=1e-10, atol=1e-10)


def test_layers_are_kept_only_when_asked(tape):
    assert not tape.explain(lrp.presets.epsilon_plus(0.1), TOP).layers


def test_consecutive_ledger_rows_hand_over(tape):
    """In a chain what a step passes on is what the step below it receives."""
    rows = sorted(tape.explain(lrp.presets.epsilon_plus(0.1), TOP).ledger.rows, key=lambda row: row.step.index)
    for lower, upper in pairwise(rows):
        torch.testing.assert_close(upper.r_in, lower.r_out, rtol=1e-10, atol=1e-12)


def test_start_and_total(tape):
    explanation = tape.explain(lrp.presets.gamma(0.25), lrp.Target.logit([1, 2]))
    assert torch.equal(explanation.start[0].nonzero().flatten(), torch.tensor([1]))
    assert explanation.start[0, 1] == tape.output[0, 1] and explanation.start[1, 2] == tape.output[1, 2]
    assert explanation.start.shape == tape.output.shape
    (part,) = explanation.parts.values()
    assert torch.equal(part, explanation.relevance)
    total = explanation.ledger.total
    for value in (total.start, total.input, total.bias, total.epsilon, total.softmax, total.constant, total.dropped):
        assert value.shape == (2,) and value.dtype == torch.float64
    assert_ledger_closes(explanation)


@pytest.mark.parametrize("top", [1, [0, 3]])
def test_targets(tape, top):
    """v: one class against the mean of the rest; against the softmax of the rest (the gradient of log p/(1-p))."""
    z = tape.output
    classes = torch.tensor(top if isinstance(top, list) else [top, top])
    chosen = torch.nn.functional.one_hot(classes, CLASSES).to(z.dtype)
    starts = {
        target: tape.explain(lrp.presets.lrp0(), make(top)).start
        for target, make in (
            ("logit", lrp.Target.logit),
            ("rest", lrp.Target.one_vs_rest),
            ("odds", lrp.Target.log_odds),
        )
    }
    assert torch.equal(starts["logit"], chosen * z)
    torch.testing.assert_close(starts["rest"], (chosen - (1 - chosen) / (CLASSES - 1)) * z)
    logits = z.clone().requires_grad_()
    p = torch.softmax(logits, 1).gather(1, classes[:, None])
    (v,) = torch.autograd.grad((p.log() - (1 - p).log()).sum(), logits)
    torch.testing.assert_close(starts["odds"], v * z)
    assert torch.equal(
        tape.explain(lrp.presets.lrp0(), TOP).start, torch.nn.functional.one_hot(z.argmax(1), CLASSES) * z
    )


def test_classes_as_list_tuple_or_tensor(tape):
    expected = tape.explain(lrp.presets.lrp0(), lrp.Target.logit([1, 2])).relevance
    for classes in ((1, 2), torch.tensor([1, 2])):
        assert torch.equal(tape.explain(lrp.presets.lrp0(), lrp.Target.logit(classes)).relevance, expected)
    assert hash(lrp.Target.logit([1, 2])) == hash(lrp.Target.logit((1, 2)))


def test_restart_below_the_changed_layer_changes_nothing_else(tape):
    """Only lower rules move: the relevance above is the same, below it equals a fresh tape's."""
    used = lrp.record(network(), random_input())
    for rule in (lrp.Gamma(0.1), lrp.Gamma(0.9), lrp.ZPlus(), lrp.Flat(), lrp.Gamma(0.1)):
        composite = lrp.Composite(lrp.Epsilon(0.1), by_name={"features.conv2": rule})
        again = used.explain(composite, TOP, layers=True)
        fresh = lrp.record(network(), random_input()).explain(composite, TOP, layers=True)
        assert list(again.layers) == list(fresh.layers)
        assert all(torch.equal(again.layers[name], fresh.layers[name]) for name in fresh.layers)
        assert len(again.ledger.rows) == len(fresh.ledger.rows)
        assert_ledger_closes(again)


def test_bias_modes_change_the_restart_key():
    """The bias mode is part of what a cached walk was asked for."""
    used = lrp.record(RandomNetwork(["relu_in_place"]), random_input())
    results = [
        used.explain(lrp.Composite(lrp.LRP0(), bias=mode), TOP).relevance for mode in ("absorb", "ignore", "spread")
    ]
    assert not torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])


def test_a_sweep_is_an_explanation_with_an_axis_in_front(tape):
    swept = tape.sweep(lrp.presets.epsilon_plus(), TOP, epsilon=torch.tensor([0.0, 0.1, 1.0]).tolist())
    assert swept.relevance.shape == (3, 2, 3, 6, 6)
    assert swept.ledger.total.epsilon.shape == (3, 2)
    assert (swept.ledger.total.epsilon[0] == 0).all()
