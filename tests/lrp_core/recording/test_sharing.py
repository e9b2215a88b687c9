"""What all rows look up together, such as positions, is each row's own on the tape, however it reaches them."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import Net, assert_ledger_closes

COMPOSITES = {
    "attn": lrp.presets.attn_lrp(1e-3),
    "cp": lrp.presets.cp_lrp(1e-3),
    "gamma": lrp.presets.gamma(0.25),
    "gradient": lrp.presets.gradient_times_input(),
}
D = torch.float64


def places(ids):
    return torch.arange(ids.shape[1])


def distances(ids):
    return (places(ids)[:, None] - places(ids)[None]).abs()


def scores(m, ids):
    """(B, 2, L, L), two heads."""
    q = m.query(m.word(ids)).unflatten(-1, (2, 2)).transpose(1, 2)
    return q, q @ m.word(ids).unflatten(-1, (2, 2)).permute(0, 2, 3, 1)


def read(m, weights, ids):
    return m.head((weights @ m.word(ids).unflatten(-1, (2, 2)).transpose(1, 2)).transpose(1, 2).flatten(2).mean(1))


SHARED = {
    "in a sum": lambda m, ids: m.head((m.word(ids) + m.position(places(ids))).relu().mean(1)),
    "with an axis of one": lambda m, ids: m.head((m.word(ids) + m.position(places(ids)[None])).relu().mean(1)),
    "sequence first": lambda m, ids: m.head((m.word(ids.T) + m.position(places(ids))[:, None]).relu().mean(0)),
    "sliced before": lambda m, ids: m.head((m.word(ids) + m.position(torch.arange(9))[: ids.shape[1]]).relu().mean(1)),
    "expanded": lambda m, ids: m.head(
        (m.word(ids) + m.position(places(ids))[None].expand(len(ids), -1, -1)).relu().mean(1)
    ),
    "repeated": lambda m, ids: m.head((m.word(ids) + m.position(places(ids)).repeat(len(ids), 1, 1)).relu().mean(1)),
    "one vector": lambda m, ids: m.head((m.word(ids) + m.position(torch.tensor(3))).relu().mean(1)),
    "through a layer": lambda m, ids: m.head((m.word(ids) + m.dense(m.position(places(ids))).tanh()).mean(1)),
    "through a norm": lambda m, ids: m.head((m.word(ids) + m.norm(m.position(places(ids)) * 2.0)).relu().mean(1)),
    "as a factor": lambda m, ids: m.head((m.word(ids) * m.position(places(ids))).mean(1)),
    "turned": lambda m, ids: m.head(
        (m.word(ids) * torch.cat(m.position(places(ids))[None].chunk(2, -1)[::-1], -1)).mean(1)
    ),
    "bias of scores": lambda m, ids: read(
        m, torch.softmax(scores(m, ids)[1] + m.bias(distances(ids)).permute(2, 0, 1)[None], -1), ids
    ),
    "bias beside a mask": lambda m, ids: read(
        m,
        torch.softmax(
            scores(m, ids)[1]
            + (
                m.bias(distances(ids)).permute(2, 0, 1).unsqueeze(0)
                + torch.zeros(len(ids), 1, 1, ids.shape[1], dtype=D).masked_fill((ids == 0)[:, None, None], -torch.inf)
            ),
            -1,
        ),
        ids,
    ),
    "bias as a mask": lambda m, ids: read(
        m,
        F.scaled_dot_product_attention(
            scores(m, ids)[0],
            scores(m, ids)[0],
            torch.eye(ids.shape[1], dtype=D).expand(len(ids), 2, -1, -1),
            attn_mask=m.bias(distances(ids)).permute(2, 0, 1)[None],
        ),
        ids,
    ),
    "keys of positions": lambda m, ids: read(
        m, torch.softmax(scores(m, ids)[1] + scores(m, ids)[0] @ m.bias(places(ids)).T, -1), ids
    ),
}


def model_of(name):
    layers = {"word": nn.Embedding(9, 4), "position": nn.Embedding(9, 4), "bias": nn.Embedding(9, 2)}
    layers |= {"dense": nn.Linear(4, 4), "query": nn.Linear(4, 4), "norm": nn.LayerNorm(4), "head": nn.Linear(4, 3)}
    return Net(SHARED[name], **layers)


def tokens(rows, length):
    return torch.randint(1, 9, (rows, length), generator=torch.Generator().manual_seed(rows))


@pytest.mark.parametrize("rows", [2, 3, 5, 6])
@pytest.mark.parametrize("name", SHARED)
def test_a_row_gets_what_it_gets_alone(name, rows):
    """With as many rows as positions too, or half as many: only the ids can tell one axis from the other."""
    model, ids = model_of(name), tokens(rows, 6)
    batch = lrp.record(model, ids)
    alone = [lrp.record(model, ids[row : row + 1]) for row in range(rows)]
    torch.testing.assert_close(batch.output, model(ids), rtol=1e-10, atol=1e-12)
    for composite in COMPOSITES.values():
        if name == "bias as a mask" and composite.attention == "cp":
            continue  # its values are constants, so CP-LRP has nobody to give relevance to
        together = batch.explain(composite, lrp.Target.logit(1))
        assert max(row.gap.abs().max().item() for row in together.ledger) < 1e-10
        if name != "sequence first":  # where the rows of the input are not in front
            assert_ledger_closes(together)
        for row in (0, rows - 1):
            own = alone[row].explain(composite, lrp.Target.logit(1))
            for part, expected in own.parts.items():
                found = together.parts[part]
                found = found[:, row] if name == "sequence first" and part == "word" else found[row]
                scale = max(1e-6, expected.abs().max().item())
                torch.testing.assert_close(found.reshape(expected.shape), expected, rtol=1e-9, atol=1e-10 * scale)
            for column in ("input", "bias", "epsilon", "softmax", "constant", "dropped"):
                ours, theirs = (getattr(e.ledger.total, column) for e in (together, own))
                torch.testing.assert_close(ours[row], theirs[0], rtol=1e-8, atol=1e-10)


def test_an_input_that_the_rows_share_is_shared_out_too():
    """Not looked up but given, such as the picture that several questions are about."""
    model = Net(
        lambda m, x, y: m.head((m.a(x) + m.b(y)).relu()), a=nn.Linear(6, 5), b=nn.Linear(6, 5), head=nn.Linear(5, 3)
    )
    x, y = torch.randn(3, 6, dtype=D), torch.randn(1, 6, dtype=D)
    explanation = lrp.record(model, x, y).explain(COMPOSITES["gamma"], lrp.Target.top())
    assert explanation.parts["input1"].shape == (3, 6)
    assert_ledger_closes(explanation)
    assert len(set(map(tuple, explanation.parts["input1"].tolist()))) == 3


def test_ids_that_were_written_row_by_row_are_not_shared():
    """A decoder shifts its ids into an empty tensor: what comes out are the rows' own, whatever they look like."""

    def forward(m, ids):
        shifted = ids.new_zeros(ids.shape)
        shifted[:, 1:] = ids[:, :-1]
        return m.head((m.word(shifted) + m.position(places(ids))).relu().mean(1))

    layers = {"word": nn.Embedding(9, 4), "position": nn.Embedding(9, 4), "head": nn.Linear(4, 3)}
    explanation = lrp.record(Net(forward, **layers), tokens(2, 6)).explain(COMPOSITES["attn"], lrp.Target.top())
    assert_ledger_closes(explanation)
    assert [part.shape for part in explanation.parts.values()] == [(2, 6, 4), (2, 6, 4)]


def test_what_is_shared_and_cannot_be_done_for_each_row_is_refused():
    def forward(m, ids):
        shared = F.conv1d(m.position(places(ids)).T[None], torch.ones(4, 4, 1, dtype=D))
        return m.head((m.word(ids) + shared.mT).mean(1))

    layers = {"word": nn.Embedding(9, 4), "position": nn.Embedding(9, 4), "head": nn.Linear(4, 3)}
    with pytest.raises(ValueError, match=r"batch axis.*output=lambda o.*one row at a time\.$"):
        lrp.record(Net(forward, **layers), tokens(2, 6))
