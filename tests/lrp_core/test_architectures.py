"""Networks of many kinds as people write them: no step without a rule, books that close, rows that stand alone."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import Net, assert_ledger_closes, assert_rows_stand_alone, gradient_times_input

D = torch.float64
COMPOSITES = [
    *(lrp.presets.epsilon(0.1), lrp.presets.gamma(), lrp.presets.epsilon_plus_flat(0.1), lrp.presets.alpha_beta()),
    *(lrp.presets.epsilon_gamma_box(-4.0, 4.0, 0.1), lrp.presets.attn_lrp(), lrp.presets.cp_lrp()),
]


def numbers(*shape):
    return torch.randn(*shape, dtype=D, generator=torch.Generator().manual_seed(3))


def unet(m, x):
    wide = F.relu(m.down(x))
    deep = F.relu(m.deep(F.max_pool2d(wide, 2)))
    return m.out(F.relu(m.join(torch.cat([wide, m.up(deep)], 1)))).mean((2, 3))


def siamese(m, x):
    a, b = m.f(x[:, 0]).relu(), m.f(x[:, 1]).relu()
    return torch.stack([F.cosine_similarity(a, b), -F.pairwise_distance(a, b)], 1)


def squash(v):
    square = (v**2).sum(-1, keepdim=True)
    return square / (1 + square) * v / torch.sqrt(square + 1e-8)


def capsules(m, x):
    """Routing by agreement (Sabour 2017)."""
    u = squash(m.conv(x).view(len(x), -1, 4))
    votes = m.votes(u).view(len(x), -1, 3, 4)
    logits = torch.zeros(*votes.shape[:3], 1, dtype=x.dtype)
    for _ in range(2):
        v = squash((F.softmax(logits, 2) * votes).sum(1, keepdim=True))
        logits = logits + (votes * v).sum(-1, keepdim=True)
    return v[:, 0].norm(dim=-1)


def cbam(m, x):
    """Woo 2018."""
    y = m.conv(x)
    pooled = m.squeeze(F.adaptive_avg_pool2d(y, 1).flatten(1)) + m.squeeze(F.adaptive_max_pool2d(y, 1).flatten(1))
    y = y * torch.sigmoid(pooled)[:, :, None, None]
    where = torch.sigmoid(m.where(torch.cat([y.mean(1, keepdim=True), y.max(1, keepdim=True)[0]], 1)))
    return m.out((y * where).flatten(2).sum(-1))


def netvlad(m, x):
    """Arandjelovic 2016, residuals written into a buffer."""
    y = F.normalize(m.conv(x), dim=1)
    soft, places = F.softmax(m.assign(y).flatten(2), 1), y.flatten(2)
    v = torch.zeros([len(x), 2, 4], dtype=x.dtype)
    for cluster in range(2):
        residual = places - m.centres.weight[cluster][None, :, None]
        v[:, cluster : cluster + 1, :] = (residual * soft[:, cluster : cluster + 1]).sum(-1)[:, None]
    return m.out(F.normalize(F.normalize(v, dim=2).flatten(1)))


def chebyshev(m, x):
    """A KAN with polynomials by recursion, each written into its place."""
    x = torch.tanh(x)
    basis = torch.ones(len(x), 6, 4, dtype=x.dtype)
    basis[:, :, 1] = x
    for degree in range(2, 4):
        basis[:, :, degree] = 2 * x * basis[:, :, degree - 1].clone() - basis[:, :, degree - 2].clone()
    return torch.einsum("bid,oid->bo", basis, m.out.weight.view(3, 6, 4))


def pointnet(m, x):
    """Qi 2017, with the small network that turns the points."""
    turn = m.turn(torch.max(F.relu(m.norm(m.conv(x))), 2, keepdim=True)[0].view(-1, 6))
    turn = turn + torch.eye(4, dtype=x.dtype).view(1, 16).repeat(len(x), 1)
    y = torch.bmm(x.transpose(2, 1), turn.view(-1, 4, 4)).transpose(2, 1)
    return m.out(torch.max(F.relu(m.norm(m.conv(y))), 2)[0])


def deep_sets(m, x):
    x = F.elu(m.a(x))
    x = m.b(x) - m.c(x.max(1, keepdim=True)[0])
    return m.out(x.max(dim=1)[0] + x.mean(1))


def wavenet(m, x):
    skip = 0
    for signal, gate, reach in ((m.signal1, m.gate1, 1), (m.signal2, m.gate2, 2)):
        padded = F.pad(x, (reach, 0))
        z = torch.tanh(signal(padded)) * torch.sigmoid(gate(padded))
        skip, x = skip + z, x + z
    return m.out(F.relu(skip)[:, :, -1])


def mean_of_powers(m, x):
    """GeM pooling (Radenovic 2018)."""
    return m.out(F.avg_pool2d(F.relu(m.conv(x)).clamp(min=1e-6).pow(3.0), 6).pow(1.0 / 3.0).flatten(1))


def segnet(m, x):
    y, places = F.max_pool2d(F.relu(m.conv(x)), 2, return_indices=True)
    return m.out(F.max_unpool2d(y, places, 2)).amax((2, 3))


def a_state_in_a_buffer(m, x):
    h, kept = torch.zeros(len(x), 4, 8, 8, dtype=x.dtype), x.new_zeros(len(x), 3, 4)
    for moment in range(3):
        h = h.clone()
        h[:, :1] += x[:, moment : moment + 1]
        h = torch.relu_(m.conv(h))
        kept[:, moment] = h.mean((2, 3))
    return m.out(kept.max(1).values)


def attention_by_hand(m, x):
    scores = m.query(torch.tanh(x))
    weights = torch.exp(scores - scores.max(1, keepdim=True).values)
    return m.out((weights / weights.sum(1, keepdim=True) * x).sum(1))


def k_max(m, x):
    """Kalchbrenner 2014: the largest, in the order they stood in."""
    y = m.conv(x.transpose(1, 2))
    return m.out(F.relu(y.gather(2, y.topk(2, dim=2)[1].sort(dim=2)[0])).flatten(1))


def factorisation_machine(m, x):
    v = m.pairs.weight.T
    return m.out(x) + 0.5 * ((x @ v) ** 2 - (x**2) @ (v**2)).sum(1, keepdim=True)


def best_two_experts(m, x):
    scores = m.gate(x)
    best, places = scores.topk(2)
    weights = torch.full_like(scores, -torch.inf).scatter(1, places, best).softmax(1)
    return (m.experts(x).view(-1, 3, 3) * weights[:, None]).sum(-1)


def sparsemax(m, x):
    """Martins 2016, by a sort and a running sum."""
    z = m.a(x)
    ranked, _ = torch.sort(z - z.max(-1, keepdim=True)[0], -1, descending=True)
    count = torch.arange(1, 7, dtype=x.dtype)
    inside = (1 + count * ranked > torch.cumsum(ranked, -1)).to(x.dtype)
    level = ((inside * ranked).sum(-1, keepdim=True) - 1) / torch.max(inside * count, -1, keepdim=True)[0]
    return m.out(x * torch.clamp(z - z.max(-1, keepdim=True)[0] - level, min=0))


def normalised_twice(m, x):
    x = m.a(x)
    x = (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-6)
    variance, mean = torch.var_mean(x * m.out.weight[:1] + 1, -1, keepdim=True)
    return m.out(((x - mean) * torch.rsqrt(variance + 1e-5))[:, 0])


def conv(*sizes, **options):
    return nn.Conv2d(*sizes, **options)


PICTURE, WORDS, TABLE = (2, 3, 8, 8), (2, 6, 4), (2, 6)
NETWORKS = {
    unet: (
        PICTURE,
        {
            "down": conv(3, 4, 3, padding=1),
            "deep": conv(4, 8, 3, padding=1),
            "up": nn.ConvTranspose2d(8, 4, 2, 2),
            "join": conv(8, 4, 3, padding=1),
            "out": conv(4, 3, 1),
        },
    ),
    siamese: ((2, 2, 6), {"f": nn.Linear(6, 5)}),
    capsules: (PICTURE, {"conv": conv(3, 8, 3, stride=2), "votes": nn.Linear(4, 12)}),
    cbam: (
        PICTURE,
        {
            "conv": conv(3, 4, 3),
            "squeeze": nn.Sequential(nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 4)),
            "where": conv(2, 1, 3, padding=1),
            "out": nn.Linear(4, 3),
        },
    ),
    netvlad: (
        PICTURE,
        {"conv": conv(3, 4, 3), "assign": conv(4, 2, 1), "centres": nn.Embedding(2, 4), "out": nn.Linear(8, 3)},
    ),
    chebyshev: (TABLE, {"out": nn.Linear(24, 3)}),
    deep_sets: (WORDS, {"a": nn.Linear(4, 5), "b": nn.Linear(5, 5), "c": nn.Linear(5, 5), "out": nn.Linear(5, 3)}),
    pointnet: (
        (2, 4, 6),
        {"conv": nn.Conv1d(4, 6, 1), "norm": nn.BatchNorm1d(6), "turn": nn.Linear(6, 16), "out": nn.Linear(6, 3)},
    ),
    wavenet: (
        (2, 4, 6),
        {f"{part}{n}": nn.Conv1d(4, 4, 2, dilation=n) for part in ("signal", "gate") for n in (1, 2)}
        | {"out": nn.Linear(4, 3)},
    ),
    mean_of_powers: (PICTURE, {"conv": conv(3, 4, 3), "out": nn.Linear(4, 3)}),
    segnet: (PICTURE, {"conv": conv(3, 4, 3, padding=1), "out": conv(4, 3, 3, padding=1)}),
    a_state_in_a_buffer: (PICTURE, {"conv": conv(4, 4, 3, padding=1), "out": nn.Linear(4, 3)}),
    attention_by_hand: (WORDS, {"query": nn.Linear(4, 1), "out": nn.Linear(4, 3)}),
    k_max: (WORDS, {"conv": nn.Conv1d(4, 5, 2), "out": nn.Linear(10, 3)}),
    factorisation_machine: (TABLE, {"out": nn.Linear(6, 3), "pairs": nn.Linear(6, 4, bias=False)}),
    best_two_experts: (TABLE, {"gate": nn.Linear(6, 3), "experts": nn.Linear(6, 9)}),
    sparsemax: (TABLE, {"a": nn.Linear(6, 6), "out": nn.Linear(6, 3)}),
    normalised_twice: (WORDS, {"a": nn.Linear(4, 4), "out": nn.Linear(4, 3)}),
}


@pytest.mark.parametrize("forward", NETWORKS, ids=lambda function: function.__name__)
def test_networks_as_people_write_them(forward):
    shape, layers = NETWORKS[forward]
    model, x = Net(forward, **layers), numbers(*shape)
    tape = lrp.record(model, x)
    torch.testing.assert_close(tape.output, model(x), rtol=1e-10, atol=1e-12)
    assert tape.unsupported() == ()
    for composite in COMPOSITES:
        explanation = tape.explain(composite, lrp.Target.logit(1))
        assert explanation.relevance.isfinite().all()
        assert_ledger_closes(explanation)
    for composite in (lrp.presets.attn_lrp(0.1), lrp.presets.cp_lrp(0.1)):
        assert_rows_stand_alone(model, composite, x)
    v = torch.zeros_like(tape.output)
    v[:, 1] = 1.0
    baseline = tape.explain(lrp.presets.gradient_times_input(), lrp.Target.logit(1)).relevance
    torch.testing.assert_close(baseline, gradient_times_input(model, x, v), rtol=1e-8, atol=1e-9)
