"""LSTM and GRU, in one piece or cell by cell: the gates are constants and the signals take all (Arras 2017)."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
import torch
from torch import nn

import lrp_core as lrp
from tests.lrp_core.networks import Net, assert_ledger_closes, assert_rows_stand_alone, gradient_times_input, vectors

D = torch.float64
LAYERS = {
    "LSTM": lambda **options: nn.LSTM(4, 3, **options),
    "LSTM with projection": lambda **options: nn.LSTM(4, 5, proj_size=3, **options),
    "GRU": lambda **options: nn.GRU(4, 3, **options),
    "RNN": lambda **options: nn.RNN(4, 3, **options),
    "RNN with ReLU": lambda **options: nn.RNN(4, 3, nonlinearity="relu", **options),
}


def sequences() -> torch.Tensor:
    return vectors(2, 16).view(2, 4, 4)


def network(layer: nn.Module) -> Net:
    batch_first = layer.batch_first
    width = 3 * (2 if layer.bidirectional else 1)

    def forward(m, x):
        z, _ = m.layer(x if batch_first else x.transpose(0, 1))
        return m.head(z[:, -1] if batch_first else z[-1])

    return Net(forward, layer=layer, head=nn.Linear(width, 2))


def stabilised(z: float, epsilon: float) -> float:
    return z + epsilon * (1 if z >= 0 else -1)


def lstm_by_loops(m, x, epsilon):
    """Arras 2017, moment by moment, unit by unit: x (T, J) of one row; relevance of every input for logit 1."""
    w_ih, w_hh = m.layer.weight_ih_l0, m.layer.weight_hh_l0
    b_ih, b_hh = m.layer.bias_ih_l0, m.layer.bias_hh_l0
    size = w_hh.shape[1]
    h, c = [torch.zeros(size, dtype=D)], [torch.zeros(size, dtype=D)]
    gates = []
    for moment in x:
        z = w_ih @ moment + b_ih + (w_hh @ h[-1] + b_hh)
        i, f, g, o = z[:size].sigmoid(), z[size : 2 * size].sigmoid(), z[2 * size : 3 * size], z[3 * size :].sigmoid()
        c.append(f * c[-1] + i * g.tanh())
        h.append(o * c[-1].tanh())
        gates.append((i, f, g))
    logit = m.head(h[-1])[1]
    of_h = torch.stack([m.head.weight[1, k] * h[-1][k] / stabilised(logit, epsilon) * logit for k in range(size)])
    of_c, of_x = torch.zeros(size, dtype=D), torch.zeros_like(x)
    for t in reversed(range(len(x))):
        i, f, g = gates[t]
        of_c = of_c + of_h
        of_h, before = torch.zeros(size, dtype=D), torch.zeros(size, dtype=D)
        for k in range(size):
            share = of_c[k] / stabilised(c[t + 1][k], epsilon)
            before[k] = f[k] * c[t][k] * share
            of_g = i[k] * g[k].tanh() * share
            unit = 2 * size + k
            from_x, from_h = w_ih[unit] @ x[t] + b_ih[unit], w_hh[unit] @ h[t] + b_hh[unit]
            share = of_g / stabilised(g[k], epsilon)
            for j in range(x.shape[1]):
                of_x[t, j] += w_ih[unit, j] * x[t, j] / stabilised(from_x, epsilon) * (from_x * share)
            for j in range(size):
                of_h[j] += w_hh[unit, j] * h[t][j] / stabilised(from_h, epsilon) * (from_h * share)
        of_c = before
    return of_x


@pytest.mark.parametrize("attention", ["attnlrp", "cp"])
@pytest.mark.parametrize("epsilon", [0.0, 0.01])
def test_lstm_by_loops(epsilon, attention):
    """Whatever the composite says of attention: a recurrent gate takes nothing."""
    model, x = network(nn.LSTM(4, 3, batch_first=True)), sequences()
    explanation = lrp.record(model, x).explain(
        lrp.Composite(lrp.Epsilon(epsilon), attention=attention), lrp.Target.logit(1)
    )
    for row in range(2):
        expected = lstm_by_loops(model, x[row], epsilon)
        torch.testing.assert_close(explanation.relevance[row], expected, rtol=1e-8, atol=1e-11)
    assert_ledger_closes(explanation)


def gru_by_modified_gradients(m, x):
    """LRP-0 is input times gradient once gates are detached and tanh is a fixed slope; x (B, T, J)."""
    x = x.clone().requires_grad_()
    h = torch.zeros(len(x), 3, dtype=D)
    for moment in x.unbind(1):
        given = (moment @ m.layer.weight_ih_l0.T + m.layer.bias_ih_l0).chunk(3, 1)
        kept = (h @ m.layer.weight_hh_l0.T + m.layer.bias_hh_l0).chunk(3, 1)
        reset, update = ((a + b).sigmoid().detach() for a, b in zip(given[:2], kept[:2], strict=True))
        z = given[2] + reset * kept[2]
        h = (1 - update) * z * (z.tanh() / z).detach() + update * h
    return (x * torch.autograd.grad(m.head(h)[:, 1].sum(), x)[0]).detach()


@pytest.mark.parametrize("attention", ["attnlrp", "cp"])
def test_gru_by_modified_gradients(attention):
    model, x = network(nn.GRU(4, 3, batch_first=True)), sequences()
    composite = lrp.Composite(lrp.LRP0(), attention=attention)
    explanation = lrp.record(model, x).explain(composite, lrp.Target.logit(1))
    torch.testing.assert_close(explanation.relevance, gru_by_modified_gradients(model, x), rtol=1e-9, atol=1e-12)
    assert_ledger_closes(explanation)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_recurrent_layers(name, batch_first):
    """Two layers, both directions: what torch computes, supported, closing, and each row on its own."""
    model, x = network(LAYERS[name](num_layers=2, bidirectional=True, batch_first=batch_first)), sequences()
    tape = lrp.record(model, x)
    assert tape.unsupported() == ()
    torch.testing.assert_close(tape.output, model(x), rtol=1e-10, atol=1e-12)
    assert_rows_stand_alone(model, lrp.presets.epsilon(1e-3), x)
    baseline = tape.explain(lrp.presets.gradient_times_input(), lrp.Target.logit(1))
    assert_ledger_closes(baseline)
    v = torch.tensor([[0.0, 1.0]], dtype=D).expand(2, 2)
    torch.testing.assert_close(baseline.relevance, gradient_times_input(model, x, v), rtol=1e-9, atol=1e-12)


CELLS = {
    "LSTM": (nn.LSTM, nn.LSTMCell, lambda cell, x, state: (lambda h, c: (h, (h, c)))(*cell(x, state))),
    "GRU": (nn.GRU, nn.GRUCell, lambda cell, x, state: (lambda h: (h, h))(cell(x, state))),
    "RNN": (nn.RNN, nn.RNNCell, lambda cell, x, state: (lambda h: (h, h))(cell(x, state))),
}


@pytest.mark.parametrize("name", CELLS)
def test_cells_in_a_loop_are_the_layer(name):
    layer, cell, step = CELLS[name]

    def forward(m, x):
        zero = torch.zeros(len(x), 3, dtype=x.dtype)
        state = (zero, zero) if name == "LSTM" else zero
        for t in range(x.shape[1]):
            h, state = step(m.cell, x[:, t], state)
        return m.head(h)

    whole = network(layer(4, 3, batch_first=True))
    loop = Net(forward, cell=cell(4, 3), head=nn.Linear(3, 2))
    for parameter in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(loop.cell, parameter).copy_(getattr(whole.layer, f"{parameter}_l0"))
    loop.head.load_state_dict(whole.head.state_dict())
    tapes = [lrp.record(model, sequences()) for model in (whole, loop)]
    first, second = (tape.explain(lrp.presets.epsilon(0.01), lrp.Target.logit(1)) for tape in tapes)
    torch.testing.assert_close(first.relevance, second.relevance, rtol=1e-9, atol=1e-12)
    assert_ledger_closes(second)
    assert "cell" in {step.layer for step in tapes[1].steps}


def test_a_packed_sequence_is_refused():
    model = Net(
        lambda m, x: m.head(m.layer(nn.utils.rnn.pack_padded_sequence(x, [4, 2], batch_first=True))[1][0][-1]),
        layer=nn.LSTM(4, 3, batch_first=True),
        head=nn.Linear(3, 2),
    )
    with pytest.raises((ValueError, TypeError), match=r"\.$"):
        lrp.record(model, sequences()).explain(lrp.presets.epsilon(), lrp.Target.top())


def test_a_long_layer_has_no_more_steps_than_a_short_one():
    """For each layer and direction one affine step, of all moments, and one along time, which counts as another."""
    model = network(nn.LSTM(4, 3, num_layers=2, bidirectional=True, batch_first=True))
    short, long = (lrp.record(model, torch.randn(1, length, 4, dtype=D)) for length in (2, 200))
    assert [step.name for step in short.steps] == [step.name for step in long.steps]
    named = [step for step in long.steps if step.layer == "layer"]
    assert [step.op for step in named] == ["linear", "recurrence"] * 4
    assert {step.kind for step in named} == {"linear"}
    numbers = 200 * 8 * (4 + 3 * 12 + 3 * 3)  # the sequence, and for each direction z and what the layers return
    assert long.nbytes < numbers + 4 * 8 * 200 * 3 * 4
    explanation = long.explain(lrp.presets.epsilon(0.1), lrp.Target.logit(1), layers=True)
    assert_ledger_closes(explanation)
    assert [tuple(explanation.layers[step.name].shape) for step in named[:2]] == [(200, 1, 4), (200, 1, 12)]


def test_what_a_composite_says_of_a_layer():
    """Each of its steps counts as one by depth; names fit both; the first layer is the one that reads the input."""
    tape = lrp.record(network(nn.GRU(4, 3, batch_first=True)), sequences())
    rules = {step.name: rule for step, rule in tape.plan(lrp.presets.overview(0.1, 0.2, -3.0, 3.0)) if rule}
    assert rules == {"layer": lrp.ZBox(-3.0, 3.0), "layer#2": lrp.Epsilon(0.1), "head": lrp.LRP0()}
    composite = lrp.Composite(lrp.LRP0(), by_name={"layer#2": lrp.Gamma(0.1), "layer": lrp.ZPlus()})
    rules = {step.name: rule for step, rule in tape.plan(composite) if rule}
    assert rules == {"layer": lrp.ZPlus(), "layer#2": lrp.Gamma(0.1), "head": lrp.LRP0()}


CHANGES = [
    lrp.Composite(lrp.Epsilon(0.1), by_kind={"add": lrp.Epsilon(0.1)}),
    lrp.Composite(lrp.Epsilon(0.1), by_kind={"add": lrp.Epsilon(0.7)}),
    lrp.Composite(lrp.Epsilon(0.1), by_name={"layer#2": lrp.Gamma(0.5)}),
    lrp.Composite(lrp.Epsilon(0.1), by_name={"layer": lrp.Gamma(0.5)}),
]


def test_a_moved_rule_is_walked_anew():
    """Also that of the sums within a layer, which the plan does not show."""
    model, target = network(nn.LSTM(4, 3, batch_first=True)), lrp.Target.top()
    tape = lrp.record(model, sequences())
    expected = [lrp.record(model, sequences()).explain(composite, target).relevance for composite in CHANGES]
    for composite, relevance in zip(CHANGES, expected, strict=True):
        assert torch.equal(tape.explain(composite, target).relevance, relevance)
    assert not any(torch.allclose(one, other) for one, other in pairwise(expected))
    swept = tape.sweep(CHANGES[3], target, gamma=[0.0, 0.5])
    assert torch.equal(swept.relevance[1], expected[3])


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_relevance_at_what_the_layer_returns(batch_first, bidirectional):
    layer = nn.LSTM(4, 3, num_layers=2, bidirectional=bidirectional, batch_first=batch_first)
    model = network(layer)
    tape = lrp.record(model, sequences(), relevance_at="layer")
    explanation = tape.explain(lrp.presets.lrp0(), lrp.Target.logit(1))
    outputs, _ = layer(sequences() if batch_first else sequences().transpose(0, 1))
    assert list(explanation.parts) == ["layer"]
    weight = model.head.weight[1]
    last = (slice(None), -1) if batch_first else -1
    expected = torch.zeros_like(outputs)
    expected[last] = outputs[last] * weight
    torch.testing.assert_close(explanation.relevance, expected)


def test_relevance_at_a_layer_whose_states_are_read():
    model = Net(
        lambda m, x: m.head(m.layer(x)[1][0][-1]),
        layer=nn.LSTM(4, 3, num_layers=2, bidirectional=True, batch_first=True),
        head=nn.Linear(3, 2),
    )
    tape = lrp.record(model, sequences(), relevance_at="layer")
    relevance = tape.explain(lrp.presets.epsilon(0.1), lrp.Target.logit(1)).parts["layer"]
    assert relevance.shape == (2, 4, 6)
    assert relevance[:, 0, 3:].abs().min() > 0
    assert relevance[:, 1:].abs().max() == relevance[:, :, :3].abs().max() == 0


@pytest.mark.parametrize(("layers", "rows"), [(1, 2), (2, 2), (4, 2), (2, 4)])
def test_rows_of_given_states(layers, rows):
    """(layers, B, H): the rows are in the second axis, however many layers there are."""
    model = Net(
        lambda m, x, h, c: m.head(m.layer(x, (h, c))[0][:, -1]),
        layer=nn.LSTM(4, 3, num_layers=layers, batch_first=True),
        head=nn.Linear(3, 2),
    )
    x, h, c = vectors(rows, 12).view(rows, 3, 4), *(vectors(layers, rows * 3, s).view(layers, rows, 3) for s in (1, 2))
    composite, target = lrp.Composite(lrp.Epsilon(0.1, relative=True)), lrp.Target.logit(1)
    together = lrp.record(model, x, h, c).explain(composite, target)
    for row in range(rows):
        own = [t.narrow(axis, row, 1) for t, axis in ((x, 0), (h, 1), (c, 1))]
        alone = lrp.record(model, *own).explain(composite, target)
        for part, axis in zip(together.parts, (0, 1, 1), strict=True):
            torch.testing.assert_close(together.parts[part].narrow(axis, row, 1), alone.parts[part])
        torch.testing.assert_close(together.ledger.total.input[row], alone.ledger.total.input[0])


def test_rows_along_time_are_refused():
    """Without an axis for the batch, a tagger's words are its rows, and each hidden state is made of many."""
    model = Net(lambda m, x: m.head(m.layer(x)[0]), layer=nn.GRU(4, 3), head=nn.Linear(3, 2))
    with pytest.raises(ValueError, match="without a batch axis"):
        lrp.record(model, vectors(5, 4))


def test_a_cell_called_over_two_hundred_moments():
    def forward(m, x):
        state = (x.new_zeros(len(x), 3), x.new_zeros(len(x), 3))
        for moment in x.unbind(1):
            state = m.cell(moment, state)
        return m.head(state[0])

    loop = Net(forward, cell=nn.LSTMCell(4, 3), head=nn.Linear(3, 2))
    whole = network(nn.LSTM(4, 3, batch_first=True))
    for parameter in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(whole.layer, f"{parameter}_l0").copy_(getattr(loop.cell, parameter))
    whole.head.load_state_dict(loop.head.state_dict())
    x = vectors(1, 800).view(1, 200, 4)
    first, second = (
        lrp.record(model, x).explain(lrp.presets.epsilon(0.1), lrp.Target.logit(1)) for model in (loop, whole)
    )
    torch.testing.assert_close(first.relevance, second.relevance, rtol=1e-9, atol=1e-12)
    assert_ledger_closes(first)


def test_weights_made_of_the_input_are_refused():
    def forward(m, x):
        weights = [w * x.mean() for w in (m.cell.weight_ih, m.cell.weight_hh)]
        zero = x.new_zeros(1, len(x), 3)
        return m.head(torch.gru(x, zero, weights, False, 1, 0.0, False, False, True)[0][:, -1])

    tape = lrp.record(Net(forward, cell=nn.GRUCell(4, 3, bias=False), head=nn.Linear(3, 2)), sequences()[:1])
    with pytest.raises(lrp.UnsupportedOp):
        tape.explain(lrp.presets.epsilon(), lrp.Target.top())


def test_threads_share_a_tape():
    model, composite = network(nn.GRU(4, 3, num_layers=2, batch_first=True)), lrp.presets.gamma(0.3)
    expected = lrp.record(model, sequences()).explain(composite, lrp.Target.top()).relevance
    tape = lrp.record(model, sequences())
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda _: tape.explain(composite, lrp.Target.top()).relevance, range(8))
    assert all(torch.equal(answer, expected) for answer in answers)
