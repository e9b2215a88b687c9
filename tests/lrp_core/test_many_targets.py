"""Many targets on one tape: each explanation is the one that its target gets alone, to the last row of its ledger."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from lrp_core import limits, many, tape
from lrp_core.ledger import ABSORBERS
from tests.lrp_core.networks import EVERY_RULE, Net, RandomNetwork, assert_ledger_closes, random_input
from tests.lrp_core.recording.test_written_norms import llama_model
from tests.lrp_core.text_models import CONFIGURATIONS, EAGER_ONLY, build, tokens

D = torch.float64
COMPOSITES = [
    lrp.presets.attn_lrp(1e-6),
    lrp.presets.cp_lrp(0.1),
    lrp.Composite(lrp.Epsilon(0.1, relative=True), bias="spread"),
    lrp.Composite(lrp.Epsilon(1e-3), by_kind={"linear": lrp.Gamma(0.25)}, bias="ignore"),
    lrp.Composite(lrp.AlphaBeta(2.0, 1.0), attention="cp"),
    lrp.presets.gradient_times_input(),
]


@pytest.fixture
def together(monkeypatch):
    """How many targets were walked together each time; also in networks that do better one after the other."""
    counted = []
    explain = many.Together.explain

    def counting(self, starts):
        counted.append(len(listed := list(starts)))
        return explain(self, listed)

    monkeypatch.setattr(many.Together, "explain", counting)
    monkeypatch.setattr(tape, "fit_together", lambda steps, scores, composite: not composite.is_gradient)
    return counted


def assert_as_alone(model_tape, composite, targets, tolerance=1e-10):
    every = model_tape.explain(composite, targets)
    assert isinstance(every, list) and len(every) == len(targets)
    for target, one in zip(targets, every, strict=True):
        alone = model_tape.explain(composite, target)
        assert list(one.parts) == list(alone.parts)
        for name, relevance in alone.parts.items():
            scale = max(1e-6, relevance.abs().max().item())
            assert one.parts[name].shape == relevance.shape and one.parts[name].dtype == relevance.dtype
            torch.testing.assert_close(one.parts[name], relevance, rtol=tolerance, atol=tolerance * scale)
        torch.testing.assert_close(one.start, alone.start)
        assert_ledger_closes(one, max(tolerance, 1e-10))
        alone_rows = {row.step: row for row in alone.ledger}
        size = max(1.0, *(row.r_out.abs().max().item() for row in alone.ledger))
        for row in one.ledger:
            for column in ("r_out", "r_in", *ABSORBERS):
                expected = getattr(alone_rows[row.step], column) if row.step in alone_rows else torch.zeros(1, dtype=D)
                torch.testing.assert_close(
                    getattr(row, column),
                    expected,
                    rtol=1e-8,
                    atol=max(tolerance, 1e-9) * size,
                    msg=f"{row.step} {column}",
                )
        assert set(alone_rows) <= {row.step for row in one.ledger}


@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_of_language_models(name, attention, together):
    if attention == "sdpa" and name in EAGER_ONLY:
        pytest.skip("has only one way to attend")
    model_tape = lrp.record(build(name, attention), **tokens(6))
    targets = [lrp.Target.top(), lrp.Target.difference(0, 2), lrp.Target.log_odds(1)]
    narrow = 1e-4 if name in ("llama", "qwen2") else 1e-10  # whose norms are in fp32
    composites = COMPOSITES if attention == "eager" else COMPOSITES[1:4:2]
    for composite in composites:
        assert_as_alone(model_tape, composite, targets, narrow)
    assert together == [3] * (5 if attention == "eager" else 2)


@pytest.mark.parametrize("dtype", [torch.float32, D])
def test_each_word_of_an_answer(dtype, together):
    """Targets at every place of a text: relevance of the words behind it is zero."""
    ids = torch.arange(3, 12)[None]
    model_tape = lrp.record(llama_model(dtype), input_ids=ids, use_cache=False)
    two = torch.zeros(9, 40)
    two[8, 1], two[8, 2] = 1.0, -1.0
    targets = [*(lrp.Target.at((place, 30 - place)) for place in range(9)), lrp.Target.weights(two)]
    for composite in COMPOSITES[:5]:
        assert_as_alone(model_tape, composite, targets, 1e-4)
    every = model_tape.explain(COMPOSITES[0], targets)
    assert all(not every[place].relevance[0, place + 1 :].any() for place in range(9))


@pytest.mark.parametrize(
    "blocks",
    [[block, "relu", "residual"] for block in ("grouped", "norm", "max_pool", "avg_pool", "cat")],
    ids=lambda b: b[0],
)
def test_of_convolutions(blocks, together):
    model_tape = lrp.record(RandomNetwork(blocks), random_input(batch=1))
    for composite in EVERY_RULE:
        assert_as_alone(model_tape, composite, [lrp.Target.logit(c) for c in range(4)])
    assert together


def words(*shape):
    return torch.randn(*shape, dtype=D, generator=torch.Generator().manual_seed(2))


def words_in_the_batch(m, x):
    """(T, D): the first axis holds words, not rows."""
    y = m.a(x.reshape(-1, 4)).relu()
    return m.head((y + m.b(y)).reshape(1, -1, 4)[:, 1])


def without_a_batch(m, x):
    """(T, D), then (D,), and sums over words along the first axis."""
    y = m.a(x[0])
    return m.head((y.softmax(0) * y).sum(0) + m.b(y[2]) + y.mean(0) + y.max(0)[0])[None]


def words_first(m, x):
    """(T, 1, D), with an attention along the first axis."""
    y = m.a(x).transpose(0, 1)
    weights = torch.einsum("qbd,kbd->bqk", y, m.b(y)).softmax(-1)
    return m.head(torch.einsum("bqk,kbd->qbd", weights, y)[0])


def joined_and_cut(m, x):
    y = torch.cat([m.a(x), x, m.b(x)], 1)
    first, second = y[:, :14].chunk(2, 1)
    return m.head(torch.stack([first, second.flip(1)], 0).sum(0)[:, 0] + F.pad(y, (1, 0))[:, 2, :4])


def shared_positions(m, x):
    return m.head((m.a(x) + m.place[None, : x.shape[1]] + m.place).relu().mean(1) * m.b(x)[:, 0].sigmoid())


def written_over(m, x):
    y = m.a(x)
    y[:, 1] = m.b(y[:, 0])
    y += x
    return m.head(y.relu_().sum(1))


def along_time(m, x):
    return m.head(m.time(m.a(x))[0][:, -1] + m.b(x)[:, 0])


def a_table_for_all(m, x):
    """A tracked mask: scores that depend on the input are added to those of attention."""
    y = m.a(x)
    bias = m.b(x) @ x.transpose(1, 2)
    return m.head(F.scaled_dot_product_attention(y, y + 1, x, attn_mask=bias)[:, 1])


FORWARDS = [
    *(words_in_the_batch, without_a_batch, words_first, joined_and_cut, shared_positions, written_over, along_time),
    a_table_for_all,
]


def network(forward):
    model = Net(
        forward, a=nn.Linear(4, 4), b=nn.Linear(4, 4), head=nn.Linear(4, 3), time=nn.LSTM(4, 4, batch_first=True)
    )
    model.place = words(5, 4)
    return model


@pytest.mark.parametrize("forward", FORWARDS, ids=lambda f: f.__name__)
def test_whatever_the_first_axis_holds(forward, together):
    model_tape = lrp.record(network(forward), words(1, 5, 4))
    targets = [lrp.Target.logit(0), lrp.Target.difference(2, 1), lrp.Target.logit(2)]
    for composite in COMPOSITES:
        assert_as_alone(model_tape, composite, targets)
    assert together == [3] * 5


@settings(max_examples=25, deadline=None)
@given(order=st.lists(st.sampled_from(FORWARDS[:2] + FORWARDS[3:6]), min_size=2, max_size=3), seed=st.integers(0, 99))
def test_whatever_is_made_of_them(order, seed):
    model = network(lambda m, x: sum(forward(m, x * (place + 1)) for place, forward in enumerate(order)))
    x = torch.randn(1, 5, 4, dtype=D, generator=torch.Generator().manual_seed(seed))
    assert_as_alone(lrp.record(model, x), COMPOSITES[seed % 4], [lrp.Target.logit(0), lrp.Target.logit(1)])


def test_operations_that_users_register(together):
    """Nothing is known of them: target by target."""

    @lrp.propagates(torch.sinc, kind="activation")
    def sinc(step, message, context):
        return message.relevance * 0.5

    model_tape = lrp.record(
        Net(lambda m, x: m.head(torch.sinc(m.a(x))), a=nn.Linear(4, 4), head=nn.Linear(4, 3)), words(1, 4)
    )
    assert_as_alone(model_tape, COMPOSITES[0], [lrp.Target.logit(0), lrp.Target.logit(1)])
    assert together == [2]


def test_several_rows_and_convolutions_go_one_after_the_other():
    """By measurement: together they are slower. Each row's own top, and one class for each row, mean what they mean."""
    model_tape = lrp.record(network(shared_positions), words(3, 5, 4))
    targets = [lrp.Target.top(), lrp.Target.logit([0, 1, 2])]
    for composite in COMPOSITES[:2]:
        for target, one in zip(targets, model_tape.explain(composite, targets), strict=True):
            assert torch.equal(one.relevance, model_tape.explain(composite, target).relevance)
            assert_ledger_closes(one)
    assert not many.fit_together(model_tape.steps, model_tape.scores, COMPOSITES[0])
    seeing = lrp.record(RandomNetwork(["conv"]), random_input(batch=1))
    assert not many.fit_together(seeing.steps, seeing.scores, COMPOSITES[0])
    reading = lrp.record(network(shared_positions), words(1, 5, 4))
    assert many.fit_together(reading.steps, reading.scores, COMPOSITES[0])


def test_layers_are_given_for_each():
    model_tape = lrp.record(network(shared_positions), words(1, 5, 4))
    targets = [lrp.Target.logit(0), lrp.Target.logit(1)]
    for target, one in zip(targets, model_tape.explain(COMPOSITES[0], targets, layers=True), strict=True):
        alone = model_tape.explain(COMPOSITES[0], target, layers=True)
        assert list(one.layers) == list(alone.layers) and one.layers
        assert all(torch.equal(one.layers[name], alone.layers[name]) for name in alone.layers)


def test_memory_is_bounded_by_walking_in_parts(together, monkeypatch):
    model_tape = lrp.record(network(shared_positions), words(1, 5, 4))
    monkeypatch.setattr(limits, "TARGETS_AT_ONCE", 3 * many.PEAK * 5 * 12 * 8)
    targets = [lrp.Target.logit(c % 3) for c in range(20)]
    assert_as_alone(model_tape, COMPOSITES[0], targets)
    assert sum(together) == 20 and len(together) > 1 and max(together) - min(together) <= 1
    monkeypatch.setattr(limits, "TARGETS_AT_ONCE", 1)
    assert len(model_tape.explain(COMPOSITES[0], targets)) == 20 and together[-20:] == [1] * 20


def test_what_was_walked_before_is_still_used_after(together):
    model_tape = lrp.record(network(shared_positions), words(1, 5, 4))
    first = model_tape.explain(COMPOSITES[0], lrp.Target.logit(0))
    kept = model_tape._last
    every = model_tape.explain(COMPOSITES[0], [lrp.Target.logit(1), lrp.Target.logit(2)])
    assert model_tape._last is kept and kept is not None
    assert torch.equal(model_tape.explain(COMPOSITES[0], lrp.Target.logit(0)).relevance, first.relevance)
    before = every[0].relevance.clone()
    every[1].relevance.zero_()
    assert torch.equal(every[0].relevance, before), "each has its own numbers"


def test_a_start_among_many_words_is_kept_without_its_zeros():
    model = Net(lambda m, x: m.head(x), head=nn.Linear(4, 70_000)).float()
    model_tape = lrp.record(model, torch.rand(1, 4, 4))
    one, both = lrp.Target.at((1, 7)), lrp.Target.at((slice(None), slice(None)))
    explanation = model_tape.explain(lrp.presets.lrp0(), one)
    assert explanation._start.is_sparse and explanation.start.shape == (1, 4, 70_000)
    assert explanation.start[0, 1, 7] == model_tape.scores[0, 1, 7] and explanation.start.count_nonzero() == 1
    assert not model_tape.explain(lrp.presets.lrp0(), both)._start.is_sparse
    swept = model_tape.sweep(lrp.presets.epsilon(0.1), one, epsilon=[0.1, 0.2])
    assert swept.start.shape == (2, 1, 4, 70_000)


def test_wrong_use_gets_one_sentence():
    model_tape = lrp.record(network(shared_positions), words(1, 5, 4))
    composite = COMPOSITES[0]
    for nothing in ([], ()):
        with pytest.raises(ValueError, match=r"^The list of targets is empty; give at least one"):
            model_tape.explain(composite, nothing)
    for mixed in ([lrp.Target.top(), 3], [None], ["top"], [[lrp.Target.top()]]):
        with pytest.raises(TypeError, match=r"^The targets in a list must be a Target"):
            model_tape.explain(composite, mixed)
    with pytest.raises(ValueError, match=r"^Target class 9 is not there"):
        model_tape.explain(composite, [lrp.Target.top(), lrp.Target.logit(9)])
    with pytest.raises(TypeError, match=r"^The composite must be a Composite"):
        model_tape.explain(None, [lrp.Target.top()])
    assert len(model_tape.explain(composite, (lrp.Target.top(),))) == 1
