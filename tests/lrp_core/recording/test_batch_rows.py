"""Rows of a batch: each has its own relevance and its own books, wherever a model carries them; mixing is refused."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import Net, assert_ledger_closes, assert_rows_stand_alone, gradient_times_input, vectors

D = torch.float64
COMPOSITES = {
    "cp": lrp.presets.cp_lrp(1e-3),
    "attn": lrp.presets.attn_lrp(1e-3),
    "relative": lrp.Composite(lrp.Epsilon(0.1, relative=True)),
    "gradient": lrp.presets.gradient_times_input(),
}
PADDED = torch.tensor([[0, 0, 0, 0, 0], [0, 0, 0, 1, 1], [0, 0, 1, 1, 1]]).bool()
LATER = torch.ones(5, 5).triu(1).bool()


def sequences(rows: int = 3) -> torch.Tensor:
    return vectors(rows, 40).view(rows, 5, 8)


def self_attention(batch_first: bool, need_weights: bool, **options) -> Net:
    def forward(m, x, **masks):
        x = x if batch_first else x.transpose(0, 1)
        z, _ = m.attention(x, x, x, need_weights=need_weights, **masks)
        return m.head(z[:, 0] if batch_first else z[0])

    attention = nn.MultiheadAttention(8, 2, batch_first=batch_first, **options)
    return Net(forward, attention=attention, head=nn.Linear(8, 3))


@pytest.mark.parametrize("composite", COMPOSITES.values(), ids=COMPOSITES)
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_multi_head_attention(batch_first, need_weights, composite):
    """Inside, torch puts the sequence first and folds the heads into the batch."""
    model = self_attention(batch_first, need_weights)
    for masks in (
        {},
        {"key_padding_mask": PADDED},
        {"attn_mask": LATER},
        {"attn_mask": nn.Transformer.generate_square_subsequent_mask(5, dtype=D)},
        {"attn_mask": LATER, "key_padding_mask": PADDED},
    ):
        assert lrp.record(model, sequences(), **masks).unsupported() == ()
        assert_rows_stand_alone(model, composite, sequences(), **masks)


@pytest.mark.parametrize("options", [{"add_bias_kv": True}, {"add_zero_attn": True}, {"bias": False}], ids=str)
def test_multi_head_attention_with_extras(options):
    assert_rows_stand_alone(self_attention(True, True, **options), COMPOSITES["attn"], sequences())


def test_cross_attention_reaches_both_inputs():
    model = Net(
        lambda m, x, y: m.head(m.attention(x, y, y)[0].mean(1)),
        attention=nn.MultiheadAttention(8, 2, batch_first=True, kdim=6, vdim=6),
        head=nn.Linear(8, 3),
    )
    x, y = sequences(2), vectors(2, 24).view(2, 4, 6)
    explanation = lrp.record(model, x, y).explain(COMPOSITES["attn"], lrp.Target.top())
    assert [part.shape for part in explanation.parts.values()] == [x.shape, y.shape]
    assert all(part.any() for part in explanation.parts.values())
    assert_ledger_closes(explanation)
    first, second = lrp.record(model, x, y).explain(COMPOSITES["cp"], lrp.Target.top()).parts.values()
    assert second.any() and not first.any(), "only what is looked at, not who looks"


@pytest.mark.parametrize("composite", COMPOSITES.values(), ids=COMPOSITES)
@pytest.mark.parametrize("norm_first", [True, False])
def test_transformer_encoder(norm_first, composite):
    """In eval mode torch would take a path of its own through compiled code; it is not taken while recording."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=norm_first, activation="gelu")
    encoder = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(8), enable_nested_tensor=not norm_first)
    model = Net(lambda m, x, **masks: m.head(m.encoder(x, **masks)[:, 0]), encoder=encoder, head=nn.Linear(8, 3))
    tape = lrp.record(model, sequences(), src_key_padding_mask=PADDED)
    torch.testing.assert_close(tape.output, model(sequences(), src_key_padding_mask=PADDED), rtol=1e-9, atol=1e-11)
    assert {"encoder.layers.0.linear1", "encoder.layers.1.norm2"} <= {step.name for step in tape.steps}
    relevance = tape.explain(composite, lrp.Target.logit(1)).relevance
    assert not relevance[PADDED].any(), "padding gets nothing"
    assert_rows_stand_alone(model, composite, sequences(), src_key_padding_mask=PADDED)


def test_encoder_and_decoder():
    model = Net(
        lambda m, x: m.head(m.both(x, x, tgt_mask=LATER, tgt_is_causal=True)[:, -1]),
        both=nn.Transformer(8, 2, 1, 1, 16, batch_first=True),
        head=nn.Linear(8, 3),
    )
    assert_rows_stand_alone(model, COMPOSITES["attn"], sequences(2))


MOVED = {
    "stacked and summed": lambda m, x: m.head(torch.stack([x, 2 * x]).sum(0).mean(1)),
    "sequence first and back": lambda m, x: m.head(m.dense(x.transpose(0, 1)).relu().mean(0)),
    "last": lambda m, x: m.head(F.gelu(m.dense(x)).permute(1, 2, 0).permute(2, 0, 1)[:, -1]),
    "flattened with the sequence in front": lambda m, x: m.head(
        m.dense(x.transpose(0, 1).reshape(-1, 8)).view(5, -1, 8).amax(2, keepdim=True).expand(-1, -1, 8)[0]
    ),
    "contracted": lambda m, x: m.head(torch.einsum("ble,lf->fbe", x, m.table.weight)[1]),
    "sum of all": lambda m, x: m.head(sum(x.unbind(1))),
}


@pytest.mark.parametrize("composite", COMPOSITES.values(), ids=COMPOSITES)
@pytest.mark.parametrize("name", MOVED)
def test_rows_are_followed(name, composite):
    model = Net(MOVED[name], dense=nn.Linear(8, 8), head=nn.Linear(8, 3), table=nn.Linear(2, 5))
    assert_rows_stand_alone(model, composite, sequences())
    if composite.is_gradient:
        relevance = lrp.record(model, sequences()).explain(composite, lrp.Target.logit(1)).relevance
        v = torch.tensor([[0.0, 1.0, 0.0]], dtype=D).expand(3, 3)
        torch.testing.assert_close(relevance, gradient_times_input(model, sequences(), v), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rows", [3, 5])
def test_positions_that_all_rows_share_become_each_rows_own(rows):
    """Looked up once for all rows, (L, E) or (1, L, E), also where there are as many rows as positions."""
    for shared in (lambda m: m.position(torch.arange(5)), lambda m: m.position(torch.arange(5)[None])):
        model = Net(
            lambda m, ids, shared=shared: m.head(F.gelu(m.dense(m.norm(m.word(ids) + shared(m)))).mean(1)),
            **{"word": nn.Embedding(9, 4), "position": nn.Embedding(5, 4), "norm": nn.LayerNorm(4)},
            **{"dense": nn.Linear(4, 6), "head": nn.Linear(6, 3)},
        )
        ids = torch.randint(9, (rows, 5), generator=torch.Generator().manual_seed(0))
        batch = lrp.record(model, ids).explain(COMPOSITES["attn"], lrp.Target.logit(1))
        assert_ledger_closes(batch)
        for row in range(rows):
            alone = lrp.record(model, ids[row : row + 1]).explain(COMPOSITES["attn"], lrp.Target.logit(1))
            for part, expected in alone.parts.items():
                torch.testing.assert_close(batch.parts[part][row].reshape(expected.shape), expected)


MIXED = {
    "mean over the batch": lambda m, x: m.head(x.mean(1) - x.mean((0, 1))),
    "softmax over the batch": lambda m, x: m.head(torch.softmax(x, 0).mean(1)),
    "rows times rows": lambda m, x: m.head((x[:, 0] @ x[:, 1].T) @ x[:, 2]),
    "the next row": lambda m, x: m.head(x.roll(1, 0)[:, 0]),
    "norm of a column": lambda m, x: m.head(F.layer_norm(x.permute(1, 2, 0), (3,)).permute(2, 0, 1)[:, 0]),
    "output turned": lambda m, x: m.head(x[:, 0]).T.contiguous(),
    "sum over an einsum": lambda m, x: m.head(torch.einsum("ble,bf->lf", x, x[:, 0])[:3]),
}


@pytest.mark.parametrize("name", MIXED)
def test_rows_that_are_mixed_are_refused(name):
    """In one sentence; a single row is never refused for it."""
    model = Net(MIXED[name], head=nn.Linear(8, 3))
    with pytest.raises(ValueError, match=r"batch axis.*one row at a time\.$"):
        lrp.record(model, sequences())


@pytest.mark.parametrize("name", [name for name in MIXED if name != "output turned"])
@pytest.mark.parametrize("row", range(3))
def test_the_advice_of_the_refusal_works(name, row):
    """One row of the output; every row of the input gets what it gave to that one."""
    model = Net(MIXED[name], head=nn.Linear(8, 3))
    tape = lrp.record(model, sequences(), output=lambda o: o[row : row + 1])
    torch.testing.assert_close(tape.output, model(sequences())[row : row + 1])
    for composite in COMPOSITES.values():
        if name == "softmax over the batch" and composite.attention == "cp":
            continue  # no attention, so CP-LRP has no rule for it
        explanation = tape.explain(composite, lrp.Target.logit(1))
        assert explanation.relevance.shape == sequences().shape
        assert_ledger_closes(explanation)
    v = torch.zeros(3, 3, dtype=D)
    v[row, 1] = 1.0
    expected = gradient_times_input(model, sequences(), v)
    baseline = tape.explain(COMPOSITES["gradient"], lrp.Target.logit(1)).relevance
    torch.testing.assert_close(baseline, expected, rtol=1e-9, atol=1e-12)


VECTOR = torch.linspace(-1.0, 1.0, 8, dtype=D)
CONSTANT = torch.linspace(-1.0, 2.0, 10, dtype=D).view(2, 5)
TRIED = {
    "times a vector": lambda m, x: m.few(x @ VECTOR),
    "rows times a vector": lambda m, x: m.head(x[:, 0] * (x[:, 1] @ VECTOR)[:, None]),
    "a matrix times": lambda m, x: m.head((CONSTANT @ x)[:, 1]),
    "a weight times the rows turned": lambda m, x: m.head((m.dense.weight @ x[:, 0].T).T),
    "an ellipsis": lambda m, x: m.head(torch.einsum("...d,fd->...f", x, m.dense.weight).mean(1)),
    "no arrow": lambda m, x: m.head(torch.einsum("bld,dz", x, m.dense.weight).mean(1)),
    "a repeated letter": lambda m, x: m.few(torch.einsum("bll,lk->bk", x @ x.mT, torch.eye(5, dtype=D))),
    "a list of axes": lambda m, x: m.head(torch.einsum(x, [0, 1, 2], m.dense.weight, [3, 2], [1, 0, 3])[0]),
    "two that carry relevance": lambda m, x: m.head((torch.einsum("...ld,...md->...lm", x, x) @ x)[:, 0]),
    "dots": lambda m, x: m.head(torch.einsum("bd,bd->b", x[:, 0], x[:, 1])[:, None] * x[:, 2]),
    "mean of what lies across": lambda m, x: m.head(x.mT.reshape(-1, 5).mean(1).reshape(-1, 8)),
}


@pytest.mark.parametrize("rows", [2, 3, 8])
@pytest.mark.parametrize("name", TRIED)
def test_rows_are_found_by_trying(name, rows):
    """Where the axes of an operation are not known beforehand; also with as many rows as features."""
    model = Net(TRIED[name], dense=nn.Linear(8, 8), head=nn.Linear(8, 3), few=nn.Linear(5, 3))
    x = sequences(rows)
    for composite in COMPOSITES.values():
        assert_rows_stand_alone(model, composite, x)
    if rows == 3:
        for rule in (lrp.AlphaBeta(2.0, 1.0), lrp.WSquare(), lrp.Flat(), lrp.Gamma(0.25)):
            assert_rows_stand_alone(model, lrp.Composite(rule), x)


def test_a_constant_that_is_picked_out_again_mixes_no_rows():
    """A class token beside each frame, taken from the first frames for all rows, as TimeSformer does."""

    def forward(m, x):
        frames = m.dense(x).reshape(-1, 1, 8)
        frames = torch.cat([m.token.weight[None].expand(len(frames), -1, -1), frames], 1) + m.place.weight
        tokens = frames[: len(x), 0].unsqueeze(1)
        return m.head(F.gelu(torch.cat([tokens, frames[:, 1:].reshape(x.shape)], 1)).mean(1))

    layers = {"token": nn.Linear(8, 1, bias=False), "place": nn.Linear(8, 2, bias=False)}
    model = Net(forward, dense=nn.Linear(8, 8), head=nn.Linear(8, 3), **layers)
    x = sequences()[:, :2]
    tape = lrp.record(model, x)
    torch.testing.assert_close(tape.output, model(x))
    for composite in COMPOSITES.values():
        batch = tape.explain(composite, lrp.Target.logit(1))
        assert_ledger_closes(batch)
        for row in range(3):
            alone = lrp.record(model, x[row : row + 1]).explain(composite, lrp.Target.logit(1))
            torch.testing.assert_close(batch.relevance[row], alone.relevance[0], rtol=1e-9, atol=1e-12)
