"""Graph networks as their users write them: messages by index_select, sums by scatter, nodes that are not rows."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import EVERY_RULE, Net, assert_ledger_closes, vectors

D = torch.float64
NODES = 5
FROM = torch.tensor([0, 1, 1, 2, 3, 4, 0, 2, 1])
TO = torch.tensor([1, 0, 2, 1, 4, 3, 0, 2, 1])
ADJACENCY = torch.zeros(NODES, NODES, dtype=D).index_put((TO, FROM), torch.ones(len(TO), dtype=D))
GRAPH_OF = torch.tensor([0, 0, 0, 1, 1])
"""nodes 0, 1, 2 are one graph, and 3, 4 another"""


def gcn(m, x):
    """D^-1/2 A D^-1/2 X W (Kipf and Welling 2017), sparse, with degrees by scatter_add."""
    degree = x.new_zeros(NODES).scatter_add_(0, TO, torch.ones(len(TO), dtype=D))
    scale = degree.pow(-0.5).nan_to_num(posinf=0.0)

    def layer(h):
        messages = h.index_select(0, FROM) * (scale[FROM] * scale[TO])[:, None]
        return torch.zeros_like(h).index_add_(0, TO, messages)

    return m.head(layer(F.relu(layer(m.a(x)))))


def gcn_dense(m, x):
    scale = ADJACENCY.sum(1).pow(-0.5)
    normalised = scale[:, None] * ADJACENCY * scale
    return m.head(normalised @ F.relu(normalised @ m.a(x)))


def gcn_sparse(m, x):
    scale = ADJACENCY.sum(1).pow(-0.5)
    normalised = (scale[:, None] * ADJACENCY * scale).to_sparse()
    return m.head(torch.sparse.mm(normalised, F.relu(normalised @ m.a(x))))


def sage(m, x):
    """GraphSAGE (Hamilton 2017) with the mean of the neighbours."""
    h = F.relu(m.a(x))
    total = torch.zeros(NODES, 6, dtype=D).index_add(0, TO, h[FROM])
    count = torch.zeros(NODES, dtype=D).index_add(0, TO, torch.ones(len(TO), dtype=D)).clamp(min=1)
    return m.head(F.relu(m.b(h) + m.c(total / count[:, None])))


def sage_max(m, x):
    h = F.relu(m.a(x))
    index = TO[:, None].expand(-1, 6)
    return m.head(m.b(h) + h.new_zeros(NODES, 6).scatter_reduce_(0, index, h[FROM], "amax", include_self=False))


def gin(m, x):
    """GIN (Xu 2019): (1 + e) h plus the sum of the neighbours."""
    h = F.relu(m.a(x))
    return m.head(F.relu(m.b(1.1 * h + torch.zeros_like(h).scatter_add(0, TO[:, None].expand(-1, 6), h[FROM]))))


PIECEWISE_LINEAR = {f.__name__: f for f in (gcn, gcn_dense, gcn_sparse, sage, sage_max, gin)}


def network(forward):
    layers = {name: nn.Linear(6, 6) for name in ("b", "c")}
    return Net(forward, a=nn.Linear(4, 6), att=nn.Linear(6, 2, bias=False), head=nn.Linear(6, 3), **layers)


def features(seed=0):
    return vectors(NODES, 4, seed)


@pytest.mark.parametrize("name", PIECEWISE_LINEAR)
def test_one_node_explained_by_the_features_of_all(name):
    """LRP-0 is gradient x input; what no path leads from gets nothing, and the books are closed under every rule."""
    model, x = network(PIECEWISE_LINEAR[name]), features()
    for node in (0, 3):
        tape = lrp.record(model, x, output=lambda o, i=node: o[i : i + 1])
        leaf = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(model(leaf)[node, 1], leaf)
        explanation = tape.explain(lrp.presets.lrp0(), lrp.Target.logit(1))
        torch.testing.assert_close(explanation.relevance, gradient * x)
        own_graph = GRAPH_OF[node] == GRAPH_OF
        assert explanation.relevance[own_graph].any() and not explanation.relevance[~own_graph].any()
        for composite in (*EVERY_RULE, lrp.presets.gradient_times_input(), lrp.presets.cp_lrp()):
            if name != "gcn_sparse" or isinstance(composite.default, lrp.LRP0 | lrp.Epsilon | lrp.Gradient):
                assert_ledger_closes(tape.explain(composite, lrp.Target.logit(1)))


def test_one_map_however_the_adjacency_is_written():
    maps = []
    for forward in (gcn, gcn_dense, gcn_sparse):
        tape = lrp.record(network(forward), features(), output=lambda o: o[1:2])
        maps.append(tape.explain(lrp.presets.lrp0(), lrp.Target.logit(0)).relevance)
    torch.testing.assert_close(maps[0], maps[1])
    torch.testing.assert_close(maps[0], maps[2])


POOLS = {
    "sum": lambda h: torch.zeros(2, 6, dtype=D).index_add_(0, GRAPH_OF, h),
    "mean": lambda h: torch.zeros(2, 6, dtype=D).index_add_(0, GRAPH_OF, h) / torch.tensor([[3.0], [2.0]], dtype=D),
    "max": lambda h: h.new_zeros(2, 6).scatter_reduce(
        0, GRAPH_OF[:, None].expand(-1, 6), h, "amax", include_self=False
    ),
    "segments": lambda h: torch.segment_reduce(h, "mean", lengths=torch.tensor([3, 2])),
}


@pytest.mark.parametrize("name", POOLS)
def test_a_graph_explained_by_its_nodes(name):
    """Two graphs in one batch, as nodes with a batch vector; each explained alone is that graph recorded alone."""

    def forward(m, x):
        h = F.relu(m.a(x))
        return m.head(POOLS[name](F.relu(m.b(h + torch.zeros_like(h).index_add(0, TO, h[FROM])))))

    model, x = network(forward), features()
    for graph in (0, 1):
        tape = lrp.record(model, x, output=lambda o, g=graph: o[g : g + 1])
        leaf = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(model(leaf)[graph, 1], leaf)
        explanation = tape.explain(lrp.presets.lrp0(), lrp.Target.logit(1))
        torch.testing.assert_close(explanation.relevance, gradient * x)
        assert not explanation.relevance[graph != GRAPH_OF].any()
        for composite in EVERY_RULE:
            assert_ledger_closes(tape.explain(composite, lrp.Target.top()))


def test_nodes_are_not_rows():
    """Five outputs for five nodes that exchanged messages, and two graphs of unequal size, have no books per row."""
    with pytest.raises(ValueError, match=r"rows.*\.$"):
        lrp.record(network(gin), features())
    with pytest.raises(ValueError, match=r"rows.*\.$"):
        lrp.record(network(lambda m, x: m.head(POOLS["sum"](m.a(x)))), features())


def test_two_graphs_of_one_size_are_rows():
    """Nodes 0, 1 are a graph and 2, 3 another: each has its own books, and what it gets alone."""
    edges = torch.tensor([[0, 1, 2, 3], [1, 0, 3, 2]])

    def forward(m, x):
        count = len(x) // 2
        source, target = edges[:, : len(x)]
        h = F.relu(m.a(x))
        h = F.relu(m.b(h + torch.zeros_like(h).index_add(0, target, h[source])))
        return m.head(torch.zeros(count, 6, dtype=D).index_add(0, torch.arange(count).repeat_interleave(2), h))

    model, x = network(forward), features()[:4]
    for composite in (lrp.presets.lrp0(), lrp.presets.gamma(0.25), lrp.presets.epsilon(0.1, relative=True)):
        both = lrp.record(model, x).explain(composite, lrp.Target.logit(1))
        assert_ledger_closes(both)
        for graph in (0, 1):
            nodes = slice(2 * graph, 2 * graph + 2)
            alone = lrp.record(model, x[nodes]).explain(composite, lrp.Target.logit(1))
            torch.testing.assert_close(both.relevance[nodes], alone.relevance)
            torch.testing.assert_close(both.ledger.total.bias[graph], alone.ledger.total.bias[0])


def shifted_by_maximum(scores):
    """The softmax over the neighbours of a node as torch_geometric writes it."""
    index = TO[:, None].expand_as(scores)
    highest = scores.new_zeros(NODES, 2).scatter_reduce_(0, index, scores, "amax", include_self=False)
    above = (scores - highest.index_select(0, TO)).exp()
    total = above.new_zeros(NODES, 2).scatter_add_(0, index, above) + 1e-16
    return above / total.index_select(0, TO)


def plain(scores):
    above = torch.exp(scores)
    return above / torch.zeros(NODES, 2, dtype=D).index_add_(0, TO, above)[TO]


def in_one_piece(scores):
    """The oracle: torch's softmax over all edges of each node, others masked."""
    leads_to = torch.arange(NODES)[:, None] == TO
    every = scores[None].expand(NODES, -1, -1).masked_fill(~leads_to[..., None], -torch.inf)
    return torch.softmax(every, 1)[TO, torch.arange(len(TO))]


def gat(softmax):
    """GAT (Velickovic 2018) with two heads."""

    def forward(m, x):
        h = m.a(x).view(NODES, 2, 3)
        of_source, of_target = ((h * weight.view(1, 2, 3)).sum(-1) for weight in m.att.weight)
        attention = softmax(F.leaky_relu(of_source[FROM] + of_target[TO], 0.2))
        gathered = torch.zeros(NODES, 2, 3, dtype=D).index_add_(0, TO, h[FROM] * attention[..., None])
        return m.head(F.elu(gathered.flatten(1)))

    return network(forward)


@pytest.mark.parametrize("attention", ["attnlrp", "cp"])
@pytest.mark.parametrize("softmax", [shifted_by_maximum, plain])
def test_a_softmax_over_neighbours_is_a_softmax(softmax, attention):
    """Relevance, and what the softmax takes, are those of torch's own over masked scores."""
    composite = lrp.Composite(lrp.LRP0(), attention=attention)
    for node in range(NODES):
        written, whole = (
            lrp.record(gat(f), features(), output=lambda o, i=node: o[i : i + 1]).explain(
                composite, lrp.Target.logit(1)
            )
            for f in (softmax, in_one_piece)
        )
        assert_ledger_closes(written)
        torch.testing.assert_close(written.relevance, whole.relevance, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(written.ledger.total.softmax, whole.ledger.total.softmax, rtol=1e-9, atol=1e-12)
        assert bool(written.ledger.total.softmax.abs() > 1e-3) == (attention == "attnlrp")


@pytest.mark.parametrize("softmax", [shifted_by_maximum, plain])
def test_gradient_times_input_through_attention_over_neighbours(softmax):
    model, x = gat(softmax), features()
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf)[1, 2], leaf)
    tape = lrp.record(model, x, output=lambda o: o[1:2])
    explanation = tape.explain(lrp.presets.gradient_times_input(), lrp.Target.logit(2))
    torch.testing.assert_close(explanation.relevance, gradient * x)
    for composite in EVERY_RULE:
        assert_ledger_closes(tape.explain(composite, lrp.Target.logit(2)))


def test_an_exponential_elsewhere_is_refused_by_name():
    tape = lrp.record(network(lambda m, x: m.head(torch.exp(m.a(x)))), features()[:1])
    with pytest.raises(lrp.UnsupportedOp, match="exp"):
        tape.explain(lrp.presets.lrp0(), lrp.Target.logit(0))
