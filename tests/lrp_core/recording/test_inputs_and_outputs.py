"""Several inputs, outputs chosen by the caller, gradient modes, and who owns the tensors."""

from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import (
    EVERY_RULE,
    Net,
    RandomNetwork,
    assert_ledger_closes,
    random_input,
    randomise,
    vectors,
)

LRP0, TOP = lrp.presets.lrp0(), lrp.Target.top()


def test_two_inputs_are_two_parts():
    model = Net(
        lambda m, x, y: m.head(F.relu(m.a(x) + m.b(y))), a=nn.Linear(6, 5), b=nn.Linear(4, 5), head=nn.Linear(5, 3)
    )
    x, y = vectors(2, 6), vectors(2, 4, seed=1)
    explanation = lrp.record(model, x, y).explain(LRP0, lrp.Target.logit(1))
    first, second = explanation.parts.values()
    assert first.shape == x.shape and second.shape == y.shape
    inputs = [x.clone().requires_grad_(), y.clone().requires_grad_()]
    gradients = torch.autograd.grad(model(*inputs)[:, 1].sum(), inputs)
    for part, given, gradient in zip((first, second), (x, y), gradients, strict=True):
        torch.testing.assert_close(part, given * gradient, rtol=1e-10, atol=1e-12)
    assert_ledger_closes(explanation)


def test_inputs_by_keyword():
    model = Net(
        lambda m, x, *, y, scale=1.0: m.head(F.relu(m.a(x) + m.b(y) * scale)),
        a=nn.Linear(6, 5),
        b=nn.Linear(6, 5),
        head=nn.Linear(5, 3),
    )
    explanation = lrp.record(model, vectors(), y=vectors(seed=1), scale=2.0).explain(LRP0, TOP)
    assert len(explanation.parts) == 2 and "y" in explanation.parts
    assert_ledger_closes(explanation)


def test_the_same_tensor_given_twice():
    model = Net(
        lambda m, x, y: m.head(F.relu(m.a(x) + m.b(y))), a=nn.Linear(6, 5), b=nn.Linear(6, 5), head=nn.Linear(5, 3)
    )
    x = vectors()
    explanation = lrp.record(model, x, x).explain(LRP0, TOP)
    assert_ledger_closes(explanation)


def test_token_ids_hand_their_relevance_to_the_embeddings():
    """Relevance stops at what was looked up: words and positions are parts, each its value times its gradient."""

    def forward(m, ids):
        x = m.word(ids) + m.position(torch.arange(ids.shape[1]))
        return m.head(F.relu(m.dense(x)).mean(1))

    layers = {"word": nn.Embedding(20, 4), "position": nn.Embedding(5, 4), "dense": nn.Linear(4, 6)}
    model, ids = Net(forward, **layers, head=nn.Linear(6, 3)), torch.tensor([[3, 1, 4, 1, 5]])
    explanation = lrp.record(model, ids).explain(LRP0, lrp.Target.logit(2))
    assert set(explanation.parts) == {"word", "position"}
    values = [model.word(ids).requires_grad_(), model.position(torch.arange(5)).requires_grad_()]
    score = model.head(F.relu(model.dense(values[0] + values[1])).mean(1))[0, 2]
    for name, value, gradient in zip(("word", "position"), values, torch.autograd.grad(score, values), strict=True):
        expected = (value * gradient).detach()
        torch.testing.assert_close(explanation.parts[name].reshape(expected.shape), expected, rtol=1e-9, atol=1e-12)
    assert_ledger_closes(explanation)


def test_relevance_can_stop_at_a_layer():
    """``relevance_at``: the relevance at that layer's output is what the next layer hands down."""
    model, composite = RandomNetwork(["relu_in_place", "relu_in_place", "relu_in_place"]), lrp.presets.gamma(0.25)
    whole = lrp.record(model, random_input()).explain(composite, TOP, layers=True)
    stopped = lrp.record(model, random_input(), relevance_at="layers.1").explain(composite, TOP)
    assert list(stopped.parts) == ["layers.1"]
    torch.testing.assert_close(stopped.relevance, whole.layers["layers.2"])
    assert_ledger_closes(stopped)
    with pytest.raises(ValueError, match=r"layers\.9.*\.$"):
        lrp.record(model, random_input(), relevance_at="layers.9")


@pytest.mark.parametrize(
    ("wrap", "output"),
    [
        (lambda z: z, None),
        (lambda z: SimpleNamespace(logits=z, hidden=z[:, :1]), None),
        (lambda z: {"logits": z, "other": z[:, :1]}, "logits"),
        (lambda z: [z[:, :1], z], 1),
        (lambda z: (z, z[:, :1]), 0),
        (lambda z: {"a": [z]}, lambda out: out["a"][0]),
    ],
    ids=["tensor", "object", "key", "index", "tuple", "callable"],
)
def test_the_output_is_chosen_by_the_caller(wrap, output):
    plain = Net(lambda m, x: m.head(F.relu(m.a(x))), a=nn.Linear(6, 5), head=nn.Linear(5, 3))
    wrapped = Net(lambda m, x: wrap(m.head(F.relu(m.a(x)))), a=nn.Linear(6, 5), head=nn.Linear(5, 3))
    options = {} if output is None else {"output": output}
    tape = lrp.record(wrapped, vectors(), **options)
    assert tape.output.shape == (2, 3)
    expected = lrp.record(plain, vectors()).explain(LRP0, TOP).relevance
    assert torch.equal(tape.explain(LRP0, TOP).relevance, expected)


@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: {"one": m.head(x), "two": m.head(x)},
        lambda m, x: m.head(x).sum(),
        lambda m, x: m.head(x).unsqueeze(1),
        lambda m, x: torch.ones(2, 3, dtype=x.dtype),
        lambda m, x: m.head(x).argmax(1),
        lambda m, x: "text",
        lambda m, x: None,
    ],
    ids=["two outputs", "scalar", "three axes", "constant", "integers", "text", "nothing"],
)
def test_outputs_that_have_no_class_are_refused(forward):
    """Scores that depend on the input, of which the target is one, or one plain sentence."""
    model = Net(forward, head=nn.Linear(6, 3))
    with pytest.raises((ValueError, TypeError)) as caught:
        lrp.record(model, vectors()).explain(LRP0, TOP)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


SEQUENCE = vectors(3, 40).view(3, 5, 8)


@pytest.mark.parametrize(
    ("forward", "x", "words"),
    [
        (lambda m, x: m.head(x).sum(), SEQUENCE, ["one number", "reshape(1)"]),
        (lambda m, x: m.head(x)[0, 0].sum(), SEQUENCE[:1], ["one number", "batch axis"]),
        (lambda m, x: m.head(x.mean(1)).squeeze(0), SEQUENCE[:1], ["(3,)", "3 rows", "out[None]"]),
        (lambda m, x: m.head(x), SEQUENCE[0, 0], ["(3,)", "3 rows", "out[None]"]),
        (lambda m, x: m.head(x).view(-1, 3), SEQUENCE, ["(15, 3)", "15 rows"]),
        (lambda m, x: m.head(x)[:, :, :0], SEQUENCE, ["(3, 5, 0)", "empty"]),
        (lambda m, x: m.head(x)[:0], SEQUENCE, ["(0, 5, 3)", "empty"]),
        (lambda m, x: m.head(x).argmax(2), SEQUENCE, ["int64", "output=..."]),
        (lambda m, x: m.head(x).sigmoid() > 0.5, SEQUENCE, ["bool", "output=..."]),
        (lambda m, x: m.head(x.flip(0).roll(1, 0) + x), SEQUENCE, ["rows"]),
    ],
)
def test_an_output_that_cannot_be_read_is_named(forward, x, words):
    with pytest.raises(ValueError) as caught:
        lrp.record(Net(forward, head=nn.Linear(8, 3)), x)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".") and all(word in message for word in words), message


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: m.head(x.transpose(0, 1)).mean((0, 2)),
        lambda m, x: m.head(x.transpose(0, 1)).transpose(0, 1),
        lambda m, x: m.head(x).permute(2, 1, 0)[..., None].permute(2, 0, 3, 1),
        lambda m, x: m.head(x).transpose(0, 1).reshape(5, -1).view(5, -1, 3).movedim(1, 0).reshape(len(x), 5, 3, 1, 1),
    ],
    ids=["(B,)", "(B, T, C)", "(B, C, H, W)", "five axes"],
)
def test_rows_are_followed_to_outputs_of_every_shape(forward, rows):
    """Each row's relevance, start and books are those of that row recorded alone, wherever the model carries it."""
    model, x = Net(forward, head=nn.Linear(8, 3)), SEQUENCE[:rows]
    tape, target = lrp.record(model, x), lrp.Target.at(...)
    for composite in (lrp.presets.epsilon(0.1), lrp.Composite(lrp.Epsilon(0.1, relative=True))):
        explanation = tape.explain(composite, target)
        assert explanation.start.shape == tape.output.shape and len(tape.output) == rows
        assert_ledger_closes(explanation)
        for row in range(rows):
            alone = lrp.record(model, x[row : row + 1]).explain(composite, target)
            torch.testing.assert_close(explanation.relevance[row : row + 1], alone.relevance, rtol=1e-10, atol=1e-13)
            torch.testing.assert_close(explanation.ledger.total.start[row], alone.ledger.total.start[0])
            torch.testing.assert_close(explanation.ledger.total.epsilon[row], alone.ledger.total.epsilon[0])


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_recorded_and_explained_under_any_gradient_mode(context):
    model, x = RandomNetwork(["relu_in_place", "residual_in_place"]), random_input()
    expected = lrp.record(model, x).explain(LRP0, TOP).relevance
    with context():
        relevance = lrp.record(model, random_input()).explain(LRP0, TOP).relevance
    assert torch.equal(relevance, expected)
    assert not relevance.requires_grad
    assert not relevance.clone().is_inference()


def test_autocast_does_not_reach_the_walk():
    """Half precision would cost three digits, and nobody asked the engine for it."""
    model, x = RandomNetwork(["relu_in_place", "norm"]).float(), random_input().float()
    expected = lrp.record(model, x).explain(lrp.presets.gamma(0.25), TOP).relevance
    with torch.autocast("cpu"):
        relevance = lrp.record(model, x).explain(lrp.presets.gamma(0.25), TOP).relevance
    assert torch.equal(relevance, expected)


def test_inputs_and_weights_that_require_grad():
    model, x = RandomNetwork(["relu_in_place", "norm"]).requires_grad_(True), random_input().requires_grad_(True)
    explanation = lrp.record(model, x).explain(LRP0, TOP)
    assert not explanation.relevance.requires_grad and x.grad is None and x.requires_grad
    assert not any(parameter.grad is not None for parameter in model.parameters())


def test_results_can_be_used_in_autograd():
    """The relevance a caller gets is a plain tensor: it may be changed in place and enter a loss."""
    explanation = lrp.record(RandomNetwork(["relu_in_place"]), random_input()).explain(LRP0, TOP)
    weight = torch.ones_like(explanation.relevance, requires_grad=True)
    (weight * explanation.relevance).sum().backward()
    assert torch.equal(weight.grad, explanation.relevance)


@pytest.mark.parametrize("composite", [lrp.presets.gamma(0.2), lrp.Composite(lrp.Flat())], ids=str)
def test_results_belong_to_the_caller(composite):
    """Writing into a result must not change the next answer of the tape."""
    tape = lrp.record(RandomNetwork(["relu_in_place", "norm"]), random_input())
    first = tape.explain(composite, TOP, layers=True)
    kept = first.relevance.clone()
    for tensor in (first.relevance, first.start, *first.layers.values(), *first.parts.values()):
        tensor.zero_()
    again = tape.explain(composite, TOP, layers=True)
    assert torch.equal(again.relevance, kept)
    assert all(tensor.any() for tensor in (again.start, *again.layers.values()))


@pytest.mark.parametrize("composite", EVERY_RULE, ids=str)
def test_weights_made_on_the_fly_are_each_their_own(composite):
    """Two weight-normed layers and a merged batch norm: computed weights must not be mixed up, nor kept when stale."""
    layers = {"a": nn.Linear(6, 5), "b": nn.Linear(5, 5), "norm": nn.BatchNorm1d(5), "head": nn.Linear(5, 3)}
    model = Net(lambda m, x: m.head(F.relu(m.norm(m.b(F.relu(m.a(x)))))), **layers)
    for scale in (1.0, -2.0):
        model.a.weight.mul_(scale)
        model.b.weight.mul_(scale)
        normed = deepcopy(model)
        nn.utils.parametrizations.weight_norm(normed.a)
        nn.utils.parametrizations.weight_norm(normed.b)
        tape = lrp.record(normed.eval(), vectors())
        assert tape.unsupported() == ()
        expected = lrp.record(model, vectors()).explain(composite, TOP).relevance
        torch.testing.assert_close(tape.explain(composite, TOP).relevance, expected, rtol=1e-9, atol=1e-11)
        with torch.no_grad():
            for layer in (normed.a, normed.b):
                layer.parametrizations.weight.original0.mul_(2.0)
            model.a.weight.mul_(2.0)
            model.b.weight.mul_(2.0)
        expected = lrp.record(model, vectors()).explain(composite, TOP).relevance
        again = lrp.record(normed, vectors()).explain(composite, TOP).relevance
        torch.testing.assert_close(again, expected, rtol=1e-9, atol=1e-11)


def test_dropout_in_eval_mode_changes_nothing():
    with_, without = (
        nn.Sequential(nn.Linear(6, 5), nn.ReLU(inplace=True), *extra, nn.Linear(5, 3)).double().eval()
        for extra in ([nn.Dropout(0.5), nn.Dropout1d(0.5)], [])
    )
    for network in (with_, without):
        randomise(network)
    first, second = (lrp.record(net, vectors()).explain(LRP0, TOP).relevance for net in (with_, without))
    assert torch.equal(first, second)


def test_a_tape_outlives_changes_of_its_input():
    """The caller may write into the tensor that was recorded; the tape has its own."""
    model, x = RandomNetwork(["relu_in_place"]), random_input()
    tape = lrp.record(model, x)
    expected = lrp.record(model, random_input()).explain(lrp.presets.gamma(0.25), TOP).relevance
    x.zero_()
    assert torch.equal(tape.explain(lrp.presets.gamma(0.25), TOP).relevance, expected)
