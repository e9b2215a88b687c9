"""Conditional relevance: by LRP-0 it is the chain rule along the ways that pass the chosen channels, and no other."""

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import (
    CHANNELS,
    EVERY_RULE,
    Net,
    RandomNetwork,
    assert_ledger_closes,
    assert_rows_stand_alone,
    random_input,
)
from tests.lrp_core.recording.test_written_norms import llama_model
from tests.lrp_core.text_models import build, tokens

D = torch.float64
LRP0, TOP = lrp.presets.lrp0(), lrp.Target.top()
RULES = [*EVERY_RULE, lrp.presets.attn_lrp(0.1), lrp.presets.cp_lrp(0.1), lrp.presets.gradient_times_input()]


def words(*shape):
    return torch.randn(*shape, dtype=D, generator=torch.Generator().manual_seed(4))


def mapped(tape, composite, through, target=TOP, **options):
    explanation = tape.explain(composite, target, through=through, **options)
    assert_ledger_closes(explanation)
    return explanation


def test_by_hand():
    """z = w . relu(Wx): R_j = w_k W_kj x_j of the one hidden unit k that is alive; the other's 6 is masked."""
    model = Net(
        lambda m, x: m.head(m.hidden(x).relu()), hidden=nn.Linear(2, 3, bias=False), head=nn.Linear(3, 1, bias=False)
    )
    model.hidden.weight.data = torch.tensor([[1.0, 2.0], [-1.0, -1.0], [2.0, 0.0]], dtype=D)
    model.head.weight.data = torch.tensor([[2.0, 5.0, 3.0]], dtype=D)
    tape = lrp.record(model, torch.tensor([[1.0, 1.0]], dtype=D))
    explanation = mapped(tape, LRP0, {"hidden": [0]})
    assert explanation.relevance.tolist() == [[2.0, 4.0]]
    total = explanation.ledger.total
    assert (total.start.item(), total.input.item(), total.masked.item()) == (12.0, 6.0, 6.0)
    row = next(row for row in explanation.ledger if row.step.name == "hidden")
    assert (row.r_out.item(), row.r_in.item(), row.masked.item()) == (12.0, 6.0, 6.0)
    assert not mapped(tape, LRP0, {"hidden": [1]}).relevance.any()
    assert mapped(tape, LRP0, {"hidden": range(3)}).relevance.tolist() == [[8.0, 4.0]]
    assert mapped(tape, LRP0, {"hidden": 2}).relevance.tolist() == [[6.0, 0.0]]
    assert not tape.explain(LRP0, TOP).ledger.total.masked.any()


@pytest.mark.parametrize(
    "blocks", [[b, "relu", "max_pool"] for b in ("grouped", "norm", "relu", "avg_pool")], ids=lambda b: b[0]
)
@pytest.mark.parametrize("composite", RULES, ids=str)
def test_the_maps_of_all_channels_sum_to_the_whole_map(blocks, composite):
    """Where nothing leads around the layer, whatever the rules and for every row."""
    tape = lrp.record(RandomNetwork(blocks), random_input())
    whole = tape.explain(composite, TOP)
    for layer in {step.layer: step for step in tape.steps if step.is_layer}:
        count = 8 if layer == "dense" else 4 if layer == "head" else CHANNELS
        each = [mapped(tape, composite, {layer: [channel]}) for channel in range(count)]
        together = sum(one.relevance for one in each)
        scale = max(1e-6, whole.relevance.abs().max().item())
        torch.testing.assert_close(together, whole.relevance, rtol=1e-9, atol=1e-10 * scale)
        for one in each:
            assert len(one.ledger) >= len([row for row in whole.ledger if row.step.is_layer])
        inputs = sum(one.ledger.total.input for one in each)
        torch.testing.assert_close(inputs, whole.ledger.total.input, rtol=1e-9, atol=1e-9)


def in_a_row(m, x):
    return m.head(m.b(m.a(x).relu()).relu())


def around(m, x):
    """A residual block: half of the relevance goes around."""
    y = m.a(x).relu()
    return m.head((x + m.b(y)).relu() + y)


def twice(m, x):
    """One layer, called in a row, with ways around either call."""
    y = m.a(x).relu() + x
    return m.head(m.a(y).relu() + y + m.b(x))


def side_by_side(m, x):
    """One layer on two halves, and another beside it."""
    return m.head(m.a(x).relu() + m.a(x.flip(1)).relu() * 2 + m.b(x))


def in_place(m, x):
    y = m.a(x)
    y += x
    y.relu_()
    return m.head(y + m.b(y))


FORWARDS = [in_a_row, around, twice, side_by_side, in_place]


def network(forward, seed=0):
    torch.manual_seed(seed)
    return Net(forward, a=nn.Linear(4, 4), b=nn.Linear(4, 4), head=nn.Linear(4, 3))


def by_the_chain_rule(forward, model, x, conditions, c=1):
    """x * dz_c/dx along all ways that pass, of each layer, a call, and of each call only the chosen channels.

    A way that passes no call of a layer is found by closing all its channels; inclusion and exclusion leave the rest.
    """
    total = torch.zeros_like(x)
    for closed in product([False, True], repeat=len(conditions)):
        handles = []
        for (name, channels), is_closed in zip(conditions.items(), closed, strict=True):
            mask = torch.zeros(4, dtype=D)
            if not is_closed:
                mask[channels] = 1.0

            def cut(module, _, output, mask=mask):
                output = output.clone()
                output.register_hook(mask.mul)
                return output

            handles.append(getattr(model, name).register_forward_hook(cut))
        leaf = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(model(leaf)[:, c].sum(), leaf)
        for handle in handles:
            handle.remove()
        total += (-1) ** sum(closed) * gradient * x
    return total


CONDITIONS = [{"a": [0]}, {"a": [1, 3]}, {"b": [2]}, {"a": [0, 2], "b": [1, 2]}, {"b": [0, 1, 2, 3], "a": [3]}]


@settings(max_examples=60, deadline=None)
@given(forward=st.sampled_from(FORWARDS), conditions=st.sampled_from(CONDITIONS), seed=st.integers(0, 50))
def test_by_lrp0_it_is_the_chain_rule(forward, conditions, seed):
    """Ways around, layers that are called again, layers side by side, writes in place; several conditions at once."""
    model = network(forward, seed)
    x = torch.randn(2, 4, dtype=D, generator=torch.Generator().manual_seed(seed))
    explanation = mapped(lrp.record(model, x), LRP0, conditions, lrp.Target.logit(1))
    expected = by_the_chain_rule(forward, model, x, conditions)
    torch.testing.assert_close(explanation.relevance, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("forward", FORWARDS, ids=lambda f: f.__name__)
def test_the_channels_of_a_layer_that_others_lead_around(forward):
    """They sum to what passes the layer; what leads around is masked, and is not in any map."""
    tape = lrp.record(network(forward), words(2, 4))
    calls = sum(step.layer == "a" for step in tape.steps)
    for composite in RULES:
        all_of_it = mapped(tape, composite, {"a": [0, 1, 2, 3]}).relevance
        if calls == 1 or forward is side_by_side:
            together = sum(mapped(tape, composite, {"a": [channel]}).relevance for channel in range(4))
            torch.testing.assert_close(together, all_of_it, rtol=1e-9, atol=1e-11)
        assert_rows_stand_alone(network(forward), composite, words(2, 4))


def test_one_call_of_a_layer_by_its_number():
    tape, every = lrp.record(network(side_by_side), words(2, 4)), [0, 1, 2, 3]
    both, second = (mapped(tape, LRP0, {name: every}).relevance for name in ("a", "a#2"))
    assert second.any() and not torch.allclose(second, both)
    torch.testing.assert_close(mapped(tape, LRP0, {"a": every, "a#2": every}).relevance, second)


def test_layers_side_by_side_leave_nothing():
    tape = lrp.record(network(side_by_side), words(1, 4))
    explanation = mapped(tape, LRP0, {"a": [0, 1], "b": [2]})
    assert not explanation.relevance.any()
    torch.testing.assert_close(
        explanation.ledger.total.masked + explanation.ledger.total.bias, explanation.ledger.total.start
    )


@pytest.mark.parametrize(
    ("name", "attention"), [("bert", "eager"), ("bert", "sdpa"), ("gpt2", "eager"), ("llama", "sdpa")]
)
def test_heads_of_an_attention(name, attention):
    """All heads of a layer together are what passes the attention; nothing goes to the other heads."""
    tape = lrp.record(build(name, attention), **tokens(6, 4))
    module = {"bert": "bert.encoder.layer.1.attention.self", "gpt2": "transformer.h.1.attn",
              "llama": "model.layers.1.self_attn"}[name]  # fmt: skip
    heads = 2 if name in ("bert", "gpt2") else 4
    closes = 1e-10 if name != "llama" else 1e-5  # norms in fp32
    for composite in (lrp.presets.attn_lrp(1e-6), lrp.presets.cp_lrp(1e-6)):
        each = [tape.explain(composite, TOP, through={module: [head]}, layers=True) for head in range(heads)]
        whole = tape.explain(composite, TOP, through={module: list(range(heads))}, layers=True)
        for one in (*each, whole):
            assert_ledger_closes(one, closes)
            assert one.relevance.abs().max() > 0
        together = sum(one.relevance for one in each)
        torch.testing.assert_close(together, whole.relevance, rtol=1e3 * closes, atol=closes)
        value = next((n for n in whole.layers if n.endswith(".o_proj") or n.endswith("output.dense")), None)
        assert value is None or whole.layers[value].shape[0] == 2
    weights = [
        tape.explain(lrp.presets.attn_lrp(), TOP, through={module: [head]}, layers=True).attention
        for head in range(heads)
    ]
    if name == "bert":
        for head, found in enumerate(weights):
            of_module = found[module]
            others = [other for other in range(heads) if other != head]
            if attention == "eager":
                assert not of_module[:, others].any() and of_module[:, head].any()


def test_features_of_norms_and_of_every_dense_layer_of_a_language_model():
    ids = torch.arange(3, 10)[None]
    tape = lrp.record(llama_model(), input_ids=ids, use_cache=False, output=lambda o: o.logits[:, -1])
    composite = lrp.presets.attn_lrp(1e-6)
    for layer, count in (("model.norm", 16), ("model.layers.0.mlp.up_proj", 24), ("lm_head", 40)):
        whole = tape.explain(composite, TOP, through={layer: range(count)}).relevance
        together = sum(tape.explain(composite, TOP, through={layer: [channel]}).relevance for channel in range(count))
        torch.testing.assert_close(together, whole, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(
        tape.explain(composite, TOP, through={"model.norm": range(16)}).relevance,
        tape.explain(composite, TOP).relevance,
    )


def test_layers_and_streams_of_what_passes():
    """Below the condition they are those of the conditional map; many targets each have their own."""
    tape = lrp.record(network(around), words(2, 4))
    targets = [lrp.Target.logit(0), lrp.Target.logit(2)]
    every = tape.explain(LRP0, targets, through={"b": [1]}, layers=True)
    for target, one in zip(targets, every, strict=True):
        assert_ledger_closes(one)
        torch.testing.assert_close(one.layers["a"], mapped(tape, LRP0, {"b": [1]}, target).relevance)
        torch.testing.assert_close(one.layers["head"], tape.explain(LRP0, target, layers=True).layers["head"])
    before = tape.explain(LRP0, TOP).relevance
    mapped(tape, LRP0, {"b": [0]})
    assert torch.equal(tape.explain(LRP0, TOP).relevance, before), "the walk that is kept is the whole one"


def test_wrong_use_gets_one_sentence():
    tape = lrp.record(network(around), words(2, 4))

    def refused(error, match, through):
        with pytest.raises(error, match=match) as caught:
            tape.explain(LRP0, TOP, through=through)
        assert "\n" not in str(caught.value)

    for nothing in ({}, {"a": []}):
        refused(ValueError, r"^through", nothing)
    refused(TypeError, r"^through names layers and their channels, such as .* it is no list\.$", ["a"])
    refused(ValueError, r"^through: there is no layer 'aa' whose channels can be chosen; the nearest are", {"aa": [1]})
    refused(ValueError, r"there is no layer 3 whose", {3: [1]})
    refused(ValueError, r"^through: there is no layer 'relu#1'", {"relu#1": [1]})
    refused(ValueError, r"^through: 'a' has the channels 0 to 3, not 4\.$", {"a": [4]})
    refused(ValueError, r"^through: 'a' has the channels 0 to 3, not -1\.$", {"a": [-1]})
    for channel in (1.0, "1", True, None):
        refused(TypeError, r"^through: a channel of 'a' is an integer, not", {"a": [channel]})
    refused(TypeError, r"^through: a channel of 'a' is an integer, not", {"a": "12"})
    torch.testing.assert_close(
        tape.explain(LRP0, TOP, through={"a": torch.tensor([1, 1])}).relevance,
        tape.explain(LRP0, TOP, through={"a": 1}).relevance,
    )


def test_convolutions_in_every_form_and_mixed_precision():
    def forward(m, x):
        y = F.relu(m.bn(m.conv(x)))
        return m.head(F.relu(m.up(y)).mean((2, 3)).to(x.dtype))

    model = Net(forward, conv=nn.Conv2d(3, 4, 3, padding=1), bn=nn.BatchNorm2d(4), up=nn.ConvTranspose2d(4, 2, 2, 2),
                head=nn.Linear(2, 3))  # fmt: skip
    tape = lrp.record(model, words(2, 3, 4, 4))
    for composite in RULES:
        whole = tape.explain(composite, TOP).relevance
        for layer, count in (("conv", 4), ("up", 2)):
            together = sum(mapped(tape, composite, {layer: [channel]}).relevance for channel in range(count))
            torch.testing.assert_close(together, whole, rtol=1e-8, atol=1e-10)
