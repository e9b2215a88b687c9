"""Wrong use is refused at once, in one plain sentence that says what was given and what is allowed."""

import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import RandomNetwork, random_input

MODEL = RandomNetwork(["relu_in_place", "max_pool"])


def one_sentence(error: BaseException) -> str:
    message = str(error)
    assert "\n" not in message and message.endswith("."), message
    assert len(re.findall(r"[.!?](?:\s|$)", message.replace("e.g. ", ""))) == 1, message
    assert not re.search(r"0x[0-9a-f]{6}", message), "no addresses of objects"
    return message


def refused(kind, action, *words) -> None:
    with pytest.raises(kind) as caught:
        action()
    assert type(caught.value) in (ValueError, TypeError, lrp.UnsupportedOp)
    message = one_sentence(caught.value).lower()
    for word in words:
        assert word.lower() in message, f"{word!r} not in {message!r}"


@pytest.mark.parametrize(
    ("action", "words"),
    [
        pytest.param(lambda: lrp.record(RandomNetwork(["norm"]).train(), random_input()), ["eval"], id="train mode"),
        pytest.param(lambda: lrp.record(MODEL, random_input() * torch.nan), ["input", "nan"], id="nan"),
        pytest.param(lambda: lrp.record(MODEL, random_input() / 0.0), ["input", "inf"], id="infinity"),
        pytest.param(lambda: lrp.record(MODEL), ["input"], id="no input"),
        pytest.param(lambda: lrp.record(MODEL, random_input().numpy()), ["tensor"], id="array instead of tensor"),
        pytest.param(lambda: lrp.record("model", random_input()), ["module", "str"], id="no model"),
    ],
)
def test_recording_refuses(action, words):
    refused((ValueError, TypeError), action, *words)


def test_one_submodule_in_train_mode_is_enough_to_refuse():
    model = RandomNetwork(["norm", "relu"])
    model.layers[0].train()
    refused(ValueError, lambda: lrp.record(model, random_input()), "eval")
    assert model.layers[0].training


def test_a_model_whose_weights_are_not_finite_is_refused():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2)).eval()
    nn.init.constant_(model[0].weight, torch.nan)
    refused(ValueError, lambda: lrp.record(model, torch.ones(1, 3)), "nan")


@pytest.mark.parametrize(
    "target",
    [
        lambda: lrp.Target.logit(4),
        lambda: lrp.Target.logit(-1),
        lambda: lrp.Target.logit(1.0),
        lambda: lrp.Target.logit(True),
        lambda: lrp.Target.logit("cat"),
        lambda: lrp.Target.logit(None),
        lambda: lrp.Target.logit([0]),
        lambda: lrp.Target.logit([0, 1, 2]),
        lambda: lrp.Target.logit([0, 9]),
        lambda: lrp.Target.logit([]),
        lambda: lrp.Target.logit(torch.tensor([0.5, 1.0])),
        lambda: lrp.Target.logit([[0], [1]]),
        lambda: lrp.Target.difference(0, 4),
        lambda: lrp.Target.one_vs_rest(17),
        lambda: lrp.Target.log_odds(-3),
        lambda: 3,
        lambda: "top",
        lambda: None,
    ],
)
def test_bad_targets_are_refused(target):
    """Four classes, two rows."""
    tape = lrp.record(MODEL, random_input())
    refused((ValueError, TypeError), lambda: tape.explain(lrp.presets.lrp0(), target()))


def test_a_target_out_of_range_names_the_range():
    tape = lrp.record(MODEL, random_input())
    refused(ValueError, lambda: tape.explain(lrp.presets.lrp0(), lrp.Target.logit(4)), "4", "0", "3")


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda: lrp.Epsilon(-0.1), ["epsilon", "-0.1"]),
        (lambda: lrp.Epsilon(float("nan")), ["epsilon"]),
        (lambda: lrp.Epsilon("big"), ["epsilon"]),
        (lambda: lrp.Gamma(-1.0), ["gamma", "-1"]),
        (lambda: lrp.Gamma(float("inf")), ["gamma"]),
        (lambda: lrp.Gamma(0.1, epsilon=-1.0), ["epsilon"]),
        (lambda: lrp.Gamma(torch.tensor([0.1, 0.2])), ["gamma"]),
        (lambda: lrp.AlphaBeta(1.0, 1.0), ["alpha", "beta"]),
        (lambda: lrp.AlphaBeta(0.0, -1.0), ["beta"]),
        (lambda: lrp.ZBox(1.0, 0.0), ["low", "high"]),
        (lambda: lrp.ZBox([0.0, 2.0], [1.0, 1.0]), ["low", "high"]),
        (lambda: lrp.ZBox([0.0, 0.0], [1.0, 1.0, 1.0]), ["low", "high"]),
        (lambda: lrp.ZBox(float("nan"), 1.0), ["low"]),
        (lambda: lrp.ZBox(0.0, float("inf")), ["high"]),
        (lambda: lrp.ZBox("a", "b"), ["low"]),
        (lambda: lrp.ZBox(None, 1.0), ["low"]),
        (lambda: lrp.Composite("epsilon"), []),
        (lambda: lrp.Composite(lrp.Epsilon), []),
        (lambda: lrp.Composite(lrp.Epsilon(), by_kind={"convolution": lrp.ZPlus()}), ["convolution", "conv"]),
        (lambda: lrp.Composite(lrp.Epsilon(), by_name={"head": 3}), []),
        (lambda: lrp.Composite(lrp.Epsilon(), first="box"), []),
        (lambda: lrp.Composite(lrp.Epsilon(), bias="drop"), ["absorb", "ignore", "spread"]),
        (lambda: lrp.Composite(lrp.Epsilon(), attention="none"), ["attnlrp", "cp"]),
        (lambda: lrp.presets.epsilon().with_(gama=0.4), ["gama"]),
        (lambda: lrp.presets.gamma().with_(gamma=-0.4), ["gamma"]),
        (lambda: lrp.presets.epsilon(-1.0), ["epsilon"]),
        (lambda: lrp.presets.epsilon_gamma_box(1.0, 0.0), ["low", "high"]),
    ],
)
def test_wrong_rules_and_composites_are_refused(action, words):
    refused((ValueError, TypeError), action, *words)


def test_what_does_not_fit_the_network_is_refused():
    tape = lrp.record(MODEL, random_input())
    top = lrp.Target.top()
    box = lrp.Composite(lrp.LRP0(), first=lrp.ZBox([0.0, 0.0], [1.0, 1.0]))
    refused((ValueError, TypeError), lambda: tape.explain("epsilon", top), "composite")
    refused((ValueError, TypeError), lambda: tape.explain(lrp.Epsilon(), top), "composite")
    refused(ValueError, lambda: tape.explain(box, top), "2", "3")
    nobody = lrp.Composite(lrp.LRP0(), by_name={"no.such.*": lrp.ZPlus()})
    refused(ValueError, lambda: tape.explain(nobody, top), "no.such")
    refused(
        ValueError, lambda: tape.explain(lrp.Composite(lrp.LRP0(), by_name={"no.such.*": lrp.ZPlus()}), top), "no.such"
    )
    refused(ValueError, lambda: tape.explain(lrp.Composite(lrp.LRP0(), by_name={"head": lrp.Pass()}), top), "head")


def test_sweeps_are_refused_where_they_make_no_sense():
    tape = lrp.record(MODEL, random_input())
    top, gamma = lrp.Target.top(), lrp.presets.gamma()
    refused((ValueError, TypeError), lambda: tape.sweep(gamma, top))
    refused((ValueError, TypeError), lambda: tape.sweep(gamma, top, gamma=[]))
    refused((ValueError, TypeError), lambda: tape.sweep(gamma, top, gamma=[0.1, -0.1]), "gamma")
    refused((ValueError, TypeError), lambda: tape.sweep(gamma, top, gamma=[0.1], epsilon=[0.1]))
    refused((ValueError, TypeError), lambda: tape.sweep(lrp.presets.lrp0(), top, gamma=[0.1]), "gamma")


class Unknown(nn.Module):
    """A network with one operation that has no propagation rule, inside the layer ``strange``."""

    class Strange(nn.Module):
        def __init__(self, function):
            super().__init__()
            self.function = function

        def forward(self, x):
            return self.function(x)

    def __init__(self, function):
        super().__init__()
        self.dense, self.strange, self.head = nn.Linear(6, 6), self.Strange(function), nn.Linear(6, 2)

    def forward(self, x):
        return self.head(self.strange(F.relu(self.dense(x))))


@pytest.mark.parametrize(
    ("function", "name"),
    [
        pytest.param(lambda x: torch.fft.fft(x).angle(), "angle", id="angle"),
        pytest.param(lambda x: torch.logcumsumexp(x, 1), "logcumsumexp", id="logcumsumexp"),
        pytest.param(lambda x: torch.cumprod(x, 1), "cumprod", id="cumprod"),
        pytest.param(lambda x: x.cos(), "cos", id="cos"),
        pytest.param(lambda x: (x + 1) ** -2, "pow", id="pow"),
        pytest.param(lambda x: torch.quantile(x, 0.3, 1, True) + x, "quantile", id="quantile"),
        pytest.param(lambda x: (x + 1).log(), "log", id="log"),
        pytest.param(lambda x: torch.special.erfc(x), "erfc", id="erfc"),
    ],
)
def test_an_operation_without_a_rule_is_refused_before_anything_is_shown(function, name):
    tape = lrp.record(Unknown(function).eval(), torch.rand(2, 6))
    (step, *_) = tape.unsupported()
    assert step.name.startswith("strange") or name in step.op
    with pytest.raises(lrp.UnsupportedOp) as caught:
        tape.explain(lrp.presets.epsilon(), lrp.Target.top())
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".")
    assert step.op in message and "dense" in message, "the operation and the layer before it"
    hint = re.search(r"(lrp_core\.propagates\(.*?\))", message)[1].replace("kind=...", 'kind="activation"')
    assert callable(eval(hint, {"torch": torch, "lrp_core": lrp})), "the way out that it names must exist"
    with pytest.raises(lrp.UnsupportedOp):
        tape.sweep(lrp.presets.epsilon(), lrp.Target.top(), epsilon=[0.1])


def test_supported_networks_list_nothing_unsupported():
    assert lrp.record(MODEL, random_input()).unsupported() == ()


def test_a_user_registers_a_rule():
    """sinc passes relevance unchanged, as told, even where the ReLU below is off: sinc(0) = 1."""
    model = Unknown(torch.sinc).double().eval()
    x = torch.rand(2, 6, dtype=torch.float64)
    if lrp.record(model, x).unsupported():  # the table is shared by the whole process

        @lrp.propagates(torch.sinc, kind="activation")
        def sinc(step, message, context):
            assert step.inputs[0].tensor.shape == step.outputs[0].tensor.shape == (2, 6)
            return message.relevance

    tape = lrp.record(model, x)
    assert tape.unsupported() == ()
    explanation = tape.explain(lrp.presets.lrp0(), lrp.Target.logit(0), layers=True)
    head = model.head.weight[0] * torch.sinc(model.dense(x).relu())
    expected = (head / model.dense(x)) @ model.dense.weight * x
    torch.testing.assert_close(explanation.relevance, expected.detach(), rtol=1e-10, atol=1e-12)


def test_a_batch_norm_that_mixes_rows_is_refused():
    """Without running statistics it normalises by the batch, even in eval mode: no affine map of one row."""
    model = nn.Sequential(
        nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2, track_running_stats=False), nn.Flatten(), nn.Linear(8, 2)
    )
    x = torch.rand(3, 2, 2, 2)
    with pytest.raises((ValueError, TypeError)):
        lrp.record(model.eval(), x).explain(lrp.presets.lrp0(), lrp.Target.top())
