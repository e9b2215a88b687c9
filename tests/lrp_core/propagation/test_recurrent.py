"""Recurrent layers, one step each: the numbers of the unfolded graph, moment by moment, under every rule."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import lrp_core as lrp
from tests.lrp_core.networks import EVERY_RULE, Net, assert_ledger_closes
from tests.lrp_core.unfolded import record_unfolded

D = torch.float64
LAYERS = {
    "LSTM": lambda **options: nn.LSTM(4, 3, **options),
    "LSTM with projection": lambda **options: nn.LSTM(4, 5, proj_size=3, **options),
    "GRU": lambda **options: nn.GRU(4, 3, **options),
    "RNN": lambda **options: nn.RNN(4, 3, **options),
    "RNN with ReLU": lambda **options: nn.RNN(4, 3, nonlinearity="relu", **options),
}
MEMORIES = {"LSTM": 3, "LSTM with projection": 5}
TARGET = lrp.Target.logit(1)
RULES = [
    *EVERY_RULE,
    lrp.Composite(lrp.Epsilon(0.1), bias="spread"),
    lrp.Composite(lrp.Epsilon(0.1, relative=True), bias="ignore"),
    lrp.Composite(lrp.Gamma(0.25, epsilon=0.1), bias="spread"),
    lrp.Composite(lrp.AlphaBeta(1.0, 0.0)),
    lrp.Composite(lrp.LRP0(), by_kind={"add": lrp.Epsilon(0.1, relative=True)}),
    lrp.Composite(lrp.Epsilon(0.05), by_name={"layer": lrp.Gamma(0.5)}),
]
ABSORBERS = ("input", "bias", "epsilon", "constant", "dropped")


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=D, generator=torch.Generator().manual_seed(seed))


def last_of(layer: nn.Module) -> Net:
    width = 3 * (2 if layer.bidirectional else 1)
    return Net(lambda m, x: m.head(m.layer(x)[0][:, -1]), layer=layer, head=nn.Linear(width, 2))


def assert_like_unfolded(patch, model, inputs, composites, **options):
    """Relevance of every input, and the books, are those of the unfolded graph."""
    ours, oracle = lrp.record(model, *inputs, **options), record_unfolded(patch, model, *inputs, **options)
    assert len(ours.steps) < len(oracle.steps)
    torch.testing.assert_close(ours.output, oracle.output, rtol=1e-11, atol=1e-12)
    for composite in composites:
        one, other = ours.explain(composite, TARGET), oracle.explain(composite, TARGET)
        for name, expected in other.parts.items():
            scale = max(1e-3, expected.abs().max().item())
            torch.testing.assert_close(one.parts[name], expected, rtol=1e-10, atol=1e-10 * scale)
        for row in (*one.ledger, one.ledger.total):
            assert row.gap.abs().max() <= 1e-10 * one.start.abs().max().clamp(min=1.0)
        if not composite.is_gradient:
            for column in ABSORBERS:
                pair = (getattr(e.ledger.total, column) for e in (one, other))
                torch.testing.assert_close(*pair, rtol=1e-9, atol=1e-9, msg=f"{column} of {composite}")


def test_a_plain_layer_in_fractions():
    """x = 1, 2; h_1 = 1, h_2 = 2 + 1/2 h_1 = 5/2; the logit is 2 h_2 = 5."""
    model = Net(
        lambda m, x: m.head(m.layer(x)[0][:, -1]),
        layer=nn.RNN(1, 1, bias=False, nonlinearity="relu", batch_first=True),
        head=nn.Linear(1, 2, bias=False),
    )
    for parameter, values in zip(model.parameters(), ([[1.0]], [[0.5]], [[0.0], [2.0]]), strict=True):
        parameter.copy_(torch.tensor(values))
    tape = lrp.record(model, torch.tensor([[[1.0], [2.0]]], dtype=D))
    plain = tape.explain(lrp.presets.lrp0(), TARGET)
    torch.testing.assert_close(plain.relevance.flatten(), torch.tensor([1.0, 4.0], dtype=D))
    explanation = tape.explain(lrp.Composite(lrp.LRP0(), by_kind={"add": lrp.Epsilon(0.5)}), TARGET)
    torch.testing.assert_close(explanation.relevance.flatten(), torch.tensor([5 / 6, 10 / 3], dtype=D))
    torch.testing.assert_close(explanation.ledger.total.epsilon, torch.tensor([5 / 6], dtype=D))
    explanation = tape.explain(lrp.Composite(lrp.LRP0(), by_name={"layer#2": lrp.Epsilon(0.5)}), TARGET)
    torch.testing.assert_close(
        explanation.relevance.flatten(), torch.tensor([0.5, 4.0], dtype=D)
    )  # 1 * 0.5 / (0.5 + 0.5)
    torch.testing.assert_close(explanation.ledger.total.epsilon, torch.tensor([0.5], dtype=D))


@pytest.mark.parametrize("name", LAYERS)
def test_every_rule(name, monkeypatch):
    composites = [*RULES, lrp.presets.gradient_times_input()]
    model = last_of(LAYERS[name](batch_first=True, bidirectional=True))
    assert_like_unfolded(monkeypatch, model, [normal(2, 3, 4)], composites)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_all_that_a_layer_returns(name, batch_first, monkeypatch):
    """Two layers, both directions, dropout that is off; all outputs, all last states and memories are read."""

    def forward(m, x):
        outputs, states = m.layer(x if batch_first else x.transpose(0, 1))
        states = states if isinstance(states, tuple) else (states,)
        ends = [state.transpose(0, 1).flatten(1) for state in states]
        return m.head(torch.cat([*ends, outputs.sum(1 if batch_first else 0)], 1))

    layer = LAYERS[name](num_layers=2, bidirectional=True, batch_first=batch_first, bias=batch_first, dropout=0.5)
    model = Net(forward, layer=layer, head=nn.Linear(18 + 4 * MEMORIES.get(name, 0), 2))
    composites = [lrp.presets.epsilon(0.01), lrp.Composite(lrp.Flat())]
    assert_like_unfolded(monkeypatch, model, [normal(2, 2, 4)], composites)


GIVEN = ["both", "hidden", "memory", "none", "both, no input", "hidden, no input", "memory, no input", "both, zeros"]


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("name", LAYERS)
def test_states_at_the_start(name, given, monkeypatch):
    """Tracked or constant each, and the sequence too: constants book what reaches them."""
    width = MEMORIES.get(name, 3)
    if name not in MEMORIES and given.partition(",")[0] in ("hidden", "memory"):
        return

    def forward(m, x, h, c):
        if "memory" in given or "none" in given:
            h = m.h.expand(1, len(x), 3)
        if "hidden" in given or "none" in given:
            c = m.c.expand(1, len(x), width)
        if "no input" in given or "zeros" in given:
            x = m.x.expand(len(x), 3, 4) * ("zeros" not in given)
        outputs, _ = m.layer(x, (h, c) if name in MEMORIES else h)
        return m.head(outputs[:, -1] + outputs[:, 1])

    for bias in (True, False):
        model = Net(forward, layer=LAYERS[name](batch_first=True, bias=bias), head=nn.Linear(3, 2))
        for seed, (buffer, size) in enumerate({"h": 3, "c": width, "x": 4}.items()):
            model.register_buffer(buffer, normal(1, 3 if buffer == "x" else 1, size, seed=seed))
        inputs = [normal(2, 3, 4), normal(1, 2, 3, seed=5), normal(1, 2, width, seed=6)]
        assert_like_unfolded(monkeypatch, model, inputs, [RULES[2], RULES[-1 - bias]])


def test_a_constant_zero_start_is_no_operand(monkeypatch):
    """Without biases nothing is added at the first moment, so nothing is taken: dead units show it."""
    for name in ("RNN", "RNN with ReLU", "GRU"):
        model = last_of(LAYERS[name](batch_first=True, bias=False))
        assert_like_unfolded(monkeypatch, model, [normal(2, 3, 4)], [lrp.Composite(lrp.Flat()), RULES[1]])


def test_what_nobody_can_take_is_dropped(monkeypatch):
    """A state of zeros, made of zeros: flat gives it relevance, and LRP-0 finds no operand to pass it to."""
    model = Net(
        lambda m, x, h: m.head(m.layer(x, h)[0][:, -1]),
        layer=nn.RNN(4, 3, bias=False, batch_first=True),
        head=nn.Linear(3, 2),
    )
    inputs = [torch.zeros(1, 1, 4, dtype=D), torch.zeros(1, 1, 3, dtype=D)]
    composite = lrp.Composite(lrp.Flat(), by_kind={"add": lrp.LRP0()})
    assert_like_unfolded(monkeypatch, model, inputs, [composite])
    total = lrp.record(model, *inputs).explain(composite, TARGET).ledger.total
    assert total.dropped == total.start != 0


def test_weights_that_change_are_seen(monkeypatch):
    """W+ is kept with the model, for the very weights it was made of."""
    model, x = last_of(LAYERS["LSTM"](batch_first=True)), normal(2, 3, 4)
    for _ in range(2):
        assert_like_unfolded(monkeypatch, model, [x], [lrp.presets.gamma(0.5), lrp.presets.z_plus()])
        model.layer.weight_hh_l0.neg_()


def test_networks_around_the_layer(monkeypatch):
    """A tagger's word, attention over the outputs, a decoder called moment by moment, and one layer called twice."""
    rules = [lrp.presets.epsilon(0.01), lrp.presets.attn_lrp(1e-3), lrp.presets.gamma(0.25)]
    x = normal(2, 4, 4)
    tagger = Net(
        lambda m, x: m.head(m.layer(x)[0]),
        layer=nn.LSTM(4, 3, bidirectional=True, batch_first=True),
        head=nn.Linear(6, 2),
    )
    assert_like_unfolded(monkeypatch, tagger, [x], rules, output=lambda o: o[:, 2])

    def attending(m, x):
        outputs, _ = m.layer(x)
        weights = m.score(torch.tanh(outputs)).softmax(1)
        return m.head((weights * outputs).sum(1))

    attention = Net(attending, layer=nn.GRU(4, 3, batch_first=True), score=nn.Linear(3, 1), head=nn.Linear(3, 2))
    assert_like_unfolded(monkeypatch, attention, [x], rules)

    def translating(m, x):
        _, state = m.encoder(x)
        word, words = m.start.expand(len(x), 1, 3), []
        for _ in range(3):
            word, state = m.decoder(word, state)
            words.append(word)
        return m.head(torch.cat(words, 1).flatten(1))

    model = Net(
        translating,
        encoder=nn.GRU(4, 3, batch_first=True),
        decoder=nn.GRU(3, 3, batch_first=True),
        head=nn.Linear(9, 2),
    )
    model.register_buffer("start", normal(1, 1, 3))
    assert_like_unfolded(monkeypatch, model, [x], rules)

    def by_hand(m, x):
        state, outputs = None, []
        for moment in x.split(1, 1):
            output, state = m.layer(moment, state)
            outputs.append(output)
        return m.head(torch.cat(outputs, 1).sum(1))

    model = Net(by_hand, layer=nn.LSTM(4, 3, batch_first=True), head=nn.Linear(3, 2))
    assert_like_unfolded(monkeypatch, model, [x], [*rules, lrp.presets.epsilon(0.1, relative=True)])
    alone = Net(lambda m, x: m.head(m.layer(x)[0][-1])[None], layer=nn.LSTM(4, 3), head=nn.Linear(3, 2))
    assert_like_unfolded(monkeypatch, alone, [x[0]], [*rules, lrp.presets.w_square()])

    remembering = Net(
        lambda m, x: m.head(m.layer(x)[1][1][-1]), layer=nn.LSTM(4, 3, batch_first=True), head=nn.Linear(3, 2)
    )
    assert_like_unfolded(monkeypatch, remembering, [x], rules)

    def twice(m, x):
        _, states = m.layer(x[:, :2])
        return m.head(m.layer(x[:, 2:], states)[0][:, -1])

    model = Net(twice, layer=nn.LSTM(4, 3, batch_first=True), head=nn.Linear(3, 2))
    assert_like_unfolded(monkeypatch, model, [x], rules)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("rows_last", [True, False])
def test_rows_stand_alone_with_each_rule(name, rows_last):
    """Sequence first, with two sentences to each row of the output: a relative epsilon is that of the row."""

    def forward(m, x):
        moments = x.permute(1, 2, 0, 3) if rows_last else x.transpose(0, 1)
        hidden = m.layer(moments.flatten(1, 2))[0][-1].unflatten(0, moments.shape[1:3])
        return m.head((hidden.transpose(0, 1) if rows_last else hidden).flatten(1))

    model = Net(forward, layer=LAYERS[name](), head=nn.Linear(6, 2))
    x = normal(2, 3, 2, 4)
    for composite in (RULES[2], RULES[5], replace(RULES[2], bias="spread")):
        together = lrp.record(model, x).explain(composite, TARGET)
        assert_ledger_closes(together)
        for row in range(2):
            alone = lrp.record(model, x[row : row + 1]).explain(composite, TARGET)
            torch.testing.assert_close(together.relevance[row], alone.relevance[0], rtol=1e-9, atol=1e-11)
            for column in ABSORBERS:
                pair = (getattr(e.ledger.total, column) for e in (together, alone))
                torch.testing.assert_close(*(sums[place] for sums, place in zip(pair, (row, 0), strict=True)))


def test_float32_keeps_its_books():
    for layer in LAYERS.values():
        model = last_of(layer(batch_first=True, num_layers=2)).float()
        tape = lrp.record(model, normal(2, 12, 4).float())
        for composite in (lrp.presets.epsilon(1e-3), lrp.presets.gamma(0.25), lrp.presets.alpha_beta(2.0, 1.0)):
            explanation = tape.explain(composite, TARGET)
            assert explanation.relevance.dtype == torch.float32
            assert_ledger_closes(explanation, 1e-4)


def test_pass_needs_one_shape():
    """A plain layer as wide as its input can pass relevance on; an LSTM's four parts cannot, and it is told so."""
    square = Net(lambda m, x: m.layer(x)[0][:, -1], layer=nn.RNN(4, 4, batch_first=True))
    assert_ledger_closes(lrp.record(square, normal(2, 3, 4)).explain(lrp.Composite(lrp.Pass()), TARGET))
    tape = lrp.record(last_of(nn.LSTM(4, 3, batch_first=True)), normal(2, 3, 4))
    composite = lrp.Composite(lrp.LRP0(), by_name={"layer#2": lrp.Pass()})
    with pytest.raises(ValueError, match=r"Pass needs .* layer layer#2 maps 3 numbers .* to 12\.$"):
        tape.explain(composite, TARGET)
