"""Constant sparse matrices, in every layout and under every rule, against the same matrix made dense."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import EVERY_RULE, Net, assert_ledger_closes, assert_rows_stand_alone, vectors

D = torch.float64
EDGES = torch.tensor(
    [[0.5, 0, -1, 0], [0, 0, 0, 2], [1.5, -0.5, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]], dtype=D
)  # (5, 4), one row of nothing
RULES = [*EVERY_RULE, lrp.presets.gradient_times_input()]


def stored_twice():
    edges = EDGES.to_sparse()
    indices, values = edges.indices(), edges.values()
    return torch.sparse_coo_tensor(torch.cat([indices, indices], 1), torch.cat([3 * values, -2 * values]), (5, 4))


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the compressed layouts are in beta
    MATRICES = {
        "coo": EDGES.to_sparse(),
        "stored twice": stored_twice(),
        "csr": EDGES.to_sparse_csr(),
        "csc": EDGES.to_sparse_csc(),
    }
ON_THE_LEFT = {"@": lambda a, x: a @ x, "sparse.mm": torch.sparse.mm, "mm": torch.mm}
ON_THE_RIGHT = {"linear": lambda a, x: F.linear(x, a), "@": lambda a, x: x @ a.t()}


def from_the_left(product, matrix):
    return Net(lambda m, x: m.head(torch.relu(product(matrix, x)).flatten()[None]), head=nn.Linear(15, 2)), (4, 3)


def from_the_right(product, matrix):
    return Net(lambda m, x: m.head(torch.relu(product(matrix, x))), head=nn.Linear(5, 2)), (1, 4)


def explained(model, x, composite, c=1):
    explanation = lrp.record(model, x).explain(composite, lrp.Target.logit(c))
    assert_ledger_closes(explanation)
    return explanation.relevance


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize(
    ("side", "product"),
    [*((from_the_left, p) for p in ON_THE_LEFT.values()), *((from_the_right, p) for p in ON_THE_RIGHT.values())],
)
def test_every_rule_works_on_what_is_stored(side, product, matrix):
    model, shape = side(product, MATRICES[matrix])
    dense, _ = side(product, EDGES)
    x = vectors(1, shape[0] * shape[1]).view(shape)
    for rule in RULES:
        if rule.default != lrp.Flat():
            torch.testing.assert_close(explained(model, x, rule), explained(dense, x, rule), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("matrix", MATRICES)
def test_flat_counts_the_connections(matrix):
    """1 / number of inputs that feed an output: what is not stored feeds nothing, as no pixel outside a window does."""
    model = Net(lambda m, x: (MATRICES[matrix] @ x).sum(0)[None], head=nn.Identity())
    x = torch.ones(4, 1, dtype=D)
    feeds = (EDGES != 0).to(D)
    z = (EDGES @ x)[:, 0]
    counts = feeds.sum(1).clamp(min=1)
    expected = (feeds * (z / counts)[:, None]).sum(0)
    relevance = explained(model, x, lrp.Composite(lrp.LRP0(), by_kind={"linear": lrp.Flat()}), c=0)
    torch.testing.assert_close(relevance[:, 0], expected)


def test_a_large_matrix_is_never_made_dense():
    """Two hundred thousand nodes would take 160 GB."""
    nodes = 2 * 10**5
    ring = torch.stack([torch.arange(nodes), (torch.arange(nodes) + 1) % nodes])
    matrix = torch.sparse_coo_tensor(ring, torch.full((nodes,), -0.5), (nodes, nodes))
    model = Net(lambda m, x: (matrix @ x).sum(0)[None], head=nn.Identity())
    x = torch.rand(nodes, 1)
    for rule in (lrp.Gamma(0.25), lrp.AlphaBeta(2.0, 1.0), lrp.WSquare(), lrp.Flat(), lrp.ZBox(0.0, 1.0)):
        explanation = lrp.record(model, x).explain(lrp.Composite(rule), lrp.Target.logit(0))
        assert explanation.relevance.shape == x.shape and explanation.relevance.isfinite().all()


def test_rows_of_a_batch_on_the_right_and_nodes_on_the_left():
    model, _ = from_the_right(ON_THE_RIGHT["linear"], MATRICES["csr"])
    assert_rows_stand_alone(model, lrp.presets.gamma(0.25), vectors(3, 4))
    square = EDGES[:4].to_sparse()
    mixing = Net(lambda m, x: m.head(torch.sparse.mm(square, x)), head=nn.Linear(3, 2))
    with pytest.raises(ValueError, match="mixes or hides the batch axis"):
        lrp.record(mixing, vectors(4, 3))


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_dense_constant_on_the_left_follows_every_rule_too(rule):
    """As each of two rows of a batch does, whose matrices are (1, 4, 3)."""
    x = vectors(1, 12).view(4, 3)
    model, _ = from_the_left(torch.matmul, EDGES)
    in_a_batch = Net(lambda m, x: m.head(torch.relu(EDGES @ x).flatten(1)), head=nn.Linear(15, 2))
    torch.testing.assert_close(
        explained(model, x, rule), explained(in_a_batch, x[None], rule)[0], rtol=1e-9, atol=1e-12
    )
