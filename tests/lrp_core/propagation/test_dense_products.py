"""Products by oneDNN are products: any shape, either side of the weight; what does not suit it goes the public way."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lrp_core as lrp
from lrp_core.propagation import dense_products
from lrp_core.propagation.dense_products import linear, rows_alone

needs_onednn = pytest.mark.skipif(dense_products._ONEDNN is None, reason="this torch comes without oneDNN's operator")


@pytest.fixture
def calls(monkeypatch):
    """The products that oneDNN ran, with its threshold so low that small weights reach it."""
    own, seen = dense_products._ONEDNN, []

    def counted(*args):
        seen.append(args)
        return own(*args)

    monkeypatch.setattr(dense_products, "LARGE", 1)
    monkeypatch.setattr(dense_products, "_ONEDNN", counted if own else None)
    return seen


SHAPES = {
    "a batch": lambda x: x,
    "two axes before": lambda x: x.reshape(2, 3, 2, 8),
    "transposed": lambda x: x.reshape(3, 4, 8).transpose(0, 1),
    "every second": lambda x: x.repeat(1, 2)[:, ::2],
    "one vector repeated": lambda x: x[:1].expand(12, 8),
}


@needs_onednn
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("lies_transposed", [False, True])
def test_it_is_the_public_product(calls, shape, has_bias, lies_transposed):
    generator = torch.Generator().manual_seed(0)
    x = SHAPES[shape](torch.randn(12, 8, generator=generator))
    weight = torch.randn(8, 5, generator=generator).t() if lies_transposed else torch.randn(5, 8, generator=generator)
    bias = torch.randn(5, generator=generator) if has_bias else None
    torch.testing.assert_close(linear(x, weight, bias), F.linear(x, weight, bias), rtol=1e-5, atol=1e-5)
    assert len(calls) == 1


@needs_onednn
@pytest.mark.parametrize("vectors", [4, 11, 12, 64, 65, 200])
@pytest.mark.parametrize("has_bias", [False, True])
def test_the_sides_are_exchanged_for_a_few_vectors_and_nobody_can_tell(calls, vectors, has_bias):
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(1, vectors, 8, generator=generator), torch.randn(5, 8, generator=generator)
    bias = torch.randn(5, generator=generator) if has_bias else None
    z = linear(x, weight, bias)
    torch.testing.assert_close(z, F.linear(x, weight, bias), rtol=1e-5, atol=1e-5)
    assert z.is_contiguous()
    assert (calls[0][0] is weight) == (vectors in (12, 64))


@needs_onednn
def test_a_weight_that_somebody_writes_to_behind_the_back_of_autograd_counts_at_once(calls):
    model = nn.Sequential(nn.Linear(8, 5)).eval().requires_grad_(False)
    x = torch.rand(12, 8)
    lrp.record(model, x)
    model[0].weight.data[2] = 0.0
    model[0].bias.data[2] = 7.0
    assert (lrp.record(model, x).output[:, 2] == 7).all()


@pytest.mark.parametrize(
    "x",
    [torch.rand(12, 8, dtype=torch.float64), torch.rand(1, 8), torch.rand(8), torch.rand(0, 8)],
    ids=["double precision", "one vector", "no batch", "nothing"],
)
def test_what_does_not_suit_it_goes_the_public_way(calls, x):
    weight = torch.rand(5, 8, dtype=x.dtype)
    assert torch.equal(linear(x, weight), F.linear(x, weight)) and not calls


def test_small_weights_go_the_public_way():
    x, weight = torch.rand(12, 8), torch.rand(5, 8)
    assert torch.equal(linear(x, weight), F.linear(x, weight))


@needs_onednn
def test_recording_and_walking_use_it_and_agree_with_the_public_way(calls, monkeypatch):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 3)).eval()
    x, composite = torch.rand(6, 8), lrp.presets.epsilon(0.1)
    tape = lrp.record(model, x)
    assert len(calls) == 2
    quick = tape.explain(composite, lrp.Target.logit(0))
    assert len(calls) == 4
    monkeypatch.setattr(dense_products, "_ONEDNN", None)
    public = lrp.record(model, x)
    torch.testing.assert_close(tape.output, public.output, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(quick.relevance, public.explain(composite, lrp.Target.logit(0)).relevance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("live", [0, 1, 2])
def test_few_rows_of_a_weight_are_read_alone(monkeypatch, dtype, live):
    """Rows without relevance are left out, be it 0 or -0, and so may hold anything."""
    monkeypatch.setattr(dense_products, "LARGE", 1)
    weight, s = torch.randn(8, 5, dtype=dtype), torch.zeros(1, 8, dtype=dtype)
    weight[3], s[0, 4] = torch.inf, -0.0
    s[0, [2, 6][:live]] = torch.tensor([1.5, -0.5], dtype=dtype)[:live]
    expected = s[:, [2, 6]] @ weight[[2, 6]]
    torch.testing.assert_close(rows_alone(s, weight), expected)
    assert rows_alone(s.index_fill(1, torch.tensor([0, 1]), 1.0), weight) is None or live == 0, "too many rows"


def test_a_broken_number_is_not_taken_for_none(monkeypatch):
    monkeypatch.setattr(dense_products, "LARGE", 1)
    s = torch.zeros(1, 8).index_fill(1, torch.tensor([5]), torch.nan)
    assert rows_alone(s, torch.rand(8, 3)).isnan().all()


@pytest.mark.parametrize("weight", [torch.rand(8, 16)[:, ::2], torch.rand(5, 8).t(), torch.rand(8, 10)[:, :5]])
def test_rows_that_lie_apart_in_memory_are_not_picked(monkeypatch, weight):
    monkeypatch.setattr(dense_products, "LARGE", 1)
    assert rows_alone(torch.zeros(1, 8), weight) is None


@pytest.mark.parametrize("make", [lambda: nn.Linear(8, 8), lambda: nn.Linear(8, 8).double()], ids=["float", "double"])
@pytest.mark.parametrize("shape", [(1, 8), (1, 1, 8), (3, 8)])
def test_a_walk_that_reads_few_rows_agrees_with_one_that_reads_all(monkeypatch, make, shape):
    torch.manual_seed(0)
    model = nn.Sequential(make(), nn.ReLU(), make(), nn.ReLU(), make(), nn.Flatten()).eval()
    x = torch.randn(shape, dtype=model[0].weight.dtype)
    composite = lrp.presets.epsilon_gamma_box(-3.0, 3.0, epsilon=0.1, gamma=0.25)
    whole = lrp.record(model, x).explain(composite, lrp.Target.logit(1))
    seen, own = [], F.embedding_bag
    monkeypatch.setattr(F, "embedding_bag", lambda *args, **kwargs: seen.append(1) or own(*args, **kwargs))
    monkeypatch.setattr(dense_products, "LARGE", 1)
    alone = lrp.record(model, x).explain(composite, lrp.Target.logit(1))
    torch.testing.assert_close(alone.relevance, whole.relevance)
    assert bool(seen) == (len(x) == 1)
