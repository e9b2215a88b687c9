"""Tokens looked up in bags, as one-hot vectors, and with a longest length."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import assert_ledger_closes, assert_rows_stand_alone, randomise

D = torch.float64
LRP0, ONE = lrp.presets.lrp0(), lrp.Target.logit(1)
IDS = torch.tensor([[1, 2, 2], [0, 5, 6]])


class Bag(nn.Module):
    def __init__(self, mode, offsets=None, **options):
        super().__init__()
        self.bag, self.head, self.offsets = nn.EmbeddingBag(7, 4, mode=mode, **options), nn.Linear(4, 3), offsets
        randomise(self, seed=3)
        self.double().eval().requires_grad_(False)

    def forward(self, ids, weights=None):
        return self.head(self.bag(ids, self.offsets, weights))


@pytest.mark.parametrize("options", [{}, {"padding_idx": 0}, {"max_norm": 0.5}])
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags(mode, options):
    """The relevance of each embedding in each bag, by loops."""
    model = Bag(mode, **options)
    before = model.bag.weight.clone()
    tape = lrp.record(model, IDS)
    explanation = tape.explain(LRP0, ONE)
    assert torch.equal(model.bag.weight, before), "torch shortens the vectors in the model itself"
    assert_ledger_closes(explanation)
    table = before.clone()
    if "max_norm" in options:
        table *= (0.5 / (table.norm(dim=1, keepdim=True) + 1e-7)).clamp(max=1)
    expected = torch.zeros(2, 3, 4, dtype=D)
    for row, bag in enumerate(IDS.tolist()):
        inside = [place for place, token in enumerate(bag) if token != options.get("padding_idx")]
        for channel in range(4):
            numbers = {place: table[bag[place], channel].item() for place in inside}
            winner = max(numbers, key=numbers.get)
            for place, number in numbers.items():
                part = {"sum": 1.0, "mean": 1 / len(inside), "max": float(place == winner)}[mode]
                expected[row, place, channel] = part * number * model.head.weight[1, channel]
    torch.testing.assert_close(explanation.parts["bag"], expected, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(tape.output, model(IDS), rtol=1e-6, atol=1e-9)
    if "max_norm" not in options:
        assert_rows_stand_alone(model, lrp.presets.epsilon(0.1), IDS)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_of_different_lengths(mode):
    """(1, 2, 2), (5,) and an empty one, as one list."""
    model = Bag(mode, offsets=torch.tensor([0, 3, 4]))
    ids = torch.tensor([1, 2, 2, 5])
    tape = lrp.record(model, ids)
    torch.testing.assert_close(tape.output, model(ids), rtol=1e-10, atol=1e-12)
    part = tape.explain(LRP0, ONE).parts["bag"]
    assert_ledger_closes(tape.explain(LRP0, ONE))
    assert part.shape == (3, 3, 4) and not part[2].any() and not part[1, 1:].any() and part[1, 0].all()
    model.offsets = torch.tensor([0])
    alone = lrp.record(model, ids[:3]).explain(LRP0, ONE).parts["bag"]
    torch.testing.assert_close(part[:1], alone, rtol=1e-10, atol=1e-12)


def test_weights_of_a_bag_that_are_an_input_share_half_each():
    model = Bag("sum")
    weights = torch.tensor([[1.0, 2.0, 0.5], [0.0, 1.0, -1.0]], dtype=D)
    parts = lrp.record(model, IDS, weights).explain(LRP0, ONE).parts
    vectors = model.bag.weight[IDS] * weights[..., None] * model.head.weight[1]
    torch.testing.assert_close(parts["bag"], vectors / 2, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(parts["weights"], vectors.sum(-1) / 2, rtol=1e-10, atol=1e-12)
    constant = Bag("sum")
    constant.forward = lambda ids: constant.head(constant.bag(ids, None, weights))
    torch.testing.assert_close(lrp.record(constant, IDS).explain(LRP0, ONE).parts["bag"], vectors)


class OneHot(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Linear(7, 4, bias=False), nn.Linear(4, 3)
        randomise(self)
        self.double().eval().requires_grad_(False)

    def forward(self, ids):
        return self.head(F.relu(self.embed(F.one_hot(ids, 7).to(self.head.weight.dtype))).sum(1))


def test_relevance_of_tokens_as_one_hot_vectors():
    """It is where the ones are: the first numbers that a token becomes."""
    model = OneHot()
    explanation = lrp.record(model, IDS).explain(LRP0, ONE)
    expected = model.embed.weight.T[IDS].relu() @ model.head.weight[1]
    one_hot = F.one_hot(IDS, 7).to(D)
    torch.testing.assert_close(explanation.parts["one_hot"], expected[..., None] * one_hot, rtol=1e-10, atol=1e-12)
    assert_ledger_closes(explanation)
    assert_rows_stand_alone(model, lrp.presets.gamma(), IDS)


def test_an_embedding_with_a_longest_length_leaves_the_model_as_it_was():
    model = (
        nn.Sequential(nn.Embedding(7, 4, max_norm=0.3, padding_idx=0), nn.Flatten(), nn.Linear(12, 3)).double().eval()
    )
    before = model[0].weight.clone()
    tape = lrp.record(model, IDS)
    assert torch.equal(model[0].weight, before)
    assert torch.equal(tape.output, model(IDS)) and list(tape.explain(LRP0, ONE).parts) == ["0"]
