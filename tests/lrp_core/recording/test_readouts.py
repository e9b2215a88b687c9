"""A final sigmoid, softmax or the like only reads the scores out: relevance starts before it, by every composite."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import Net, assert_ledger_closes, gradient_times_input, random_input, vectors

D = torch.float64
TOP = lrp.Target.top()
COMPOSITES = {
    "lrp0": lrp.presets.lrp0(),
    "cp": lrp.presets.cp_lrp(1e-3),
    "attn": lrp.presets.attn_lrp(1e-3),
    "gamma": lrp.presets.gamma(0.25),
    "gradient": lrp.presets.gradient_times_input(),
}


def network(read_out) -> Net:
    """``read_out`` gets the network and its hidden layer."""
    layers = {"hidden": nn.Linear(6, 8), "head": nn.Linear(8, 4), "one": nn.Linear(8, 1), "other": nn.Linear(8, 4)}
    return Net(lambda m, x: read_out(m, F.relu(m.hidden(x))), **layers)


def assert_starts_from(model: nn.Module, plain: nn.Module, name: str | None, **options) -> None:
    """The model is explained as ``plain`` is, which returns its scores, and each row as that row alone."""
    x = vectors(3)
    tape, expected = lrp.record(model, x.clone(), **options), lrp.record(plain, x)
    assert tape.readout == name and expected.readout is None and expected.scores is expected.output
    torch.testing.assert_close(tape.scores, expected.output, rtol=0, atol=0)
    result = model(x.clone())
    result = options["output"](result) if callable(options.get("output")) else result
    torch.testing.assert_close(tape.output, result)
    assert tape.scores.shape == tape.output.shape
    alone = [lrp.record(model, row[None].clone(), **options) for row in x]
    for composite in COMPOSITES.values():
        explanation, wanted = tape.explain(composite, TOP), expected.explain(composite, TOP)
        torch.testing.assert_close(explanation.relevance, wanted.relevance, rtol=1e-12, atol=1e-14)
        assert torch.equal(explanation.start, wanted.start) and explanation.start.shape == tape.output.shape
        assert_ledger_closes(explanation)
        for row, one in zip(explanation.relevance, alone, strict=True):
            torch.testing.assert_close(row, one.explain(composite, TOP).relevance[0], rtol=1e-9, atol=1e-12)


def test_a_negative_score_keeps_its_signs():
    """z = 1 - 3 = -2: the inputs get 1 and -3, though sigmoid(z) is positive; and so they do at z = 0."""
    model = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Sigmoid()).double().eval()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, -1.0]]))
    for x in ([[1.0, 3.0], [2.0, 2.0]], [[1.0, 3.0]]):
        tape = lrp.record(model, torch.tensor(x, dtype=D))
        explanation = tape.explain(lrp.presets.lrp0(), TOP)
        assert explanation.relevance[0].tolist() == [1.0, -3.0] and explanation.start[0].tolist() == [-2.0]
        assert tape.output[0].item() == pytest.approx(0.1192, abs=5e-5) and tape.scores[0].item() == -2.0
    balanced = lrp.record(model, torch.tensor([[2.0, 2.0]], dtype=D)).explain(lrp.presets.gradient_times_input(), TOP)
    assert balanced.relevance.tolist() == [[2.0, -2.0]]


FORMS = {
    "torch.sigmoid": ("sigmoid", torch.sigmoid),
    "method": ("sigmoid", lambda z: z.sigmoid()),
    "in place": ("sigmoid", lambda z: z.sigmoid_()),
    "expit": ("sigmoid", torch.special.expit),
    "nn.Sigmoid": ("sigmoid", nn.Sigmoid()),
    "F.softmax": ("softmax", lambda z: F.softmax(z, dim=-1)),
    "special.softmax": ("softmax", lambda z: torch.special.softmax(z, 1)),
    "nn.Softmax": ("softmax", nn.Softmax(1)),
    "in double": ("softmax", lambda z: torch.softmax(z, 1, dtype=D)),
    "nn.LogSoftmax": ("log_softmax", nn.LogSoftmax(1)),
    "special.log_softmax": ("log_softmax", lambda z: torch.special.log_softmax(z, 1)),
    "F.logsigmoid": ("logsigmoid", F.logsigmoid),
    "nn.Hardsigmoid": ("hardsigmoid", nn.Hardsigmoid()),
    "nn.Softplus": ("softplus", nn.Softplus()),
    "log of softmax": ("log_softmax", lambda z: z.softmax(1).log()),
    "log of almost softmax": ("log_softmax", lambda z: torch.log(z.softmax(1) + 1e-8)),
    "log of clamped sigmoid": ("logsigmoid", lambda z: z.sigmoid().clamp(1e-6, 1 - 1e-6).log_()),
    "exp of log-softmax": ("softmax", lambda z: z.log_softmax(1).exp()),
    "clamped": ("sigmoid", lambda z: z.sigmoid().clamp(min=1e-7).clamp_(max=1 - 1e-7)),
    "two in a row": ("softmax then sigmoid", lambda z: z.softmax(1).sigmoid()),
    "the same twice": ("softmax then log_softmax", lambda z: z.softmax(1).log_softmax(1)),
    "over an axis of its own": ("softmax", lambda z: z.view(-1, 2, 2).softmax(2).flatten(1)),
    "dropout behind": ("softmax", lambda z: F.dropout(z.softmax(1), 0.5, False, inplace=True)),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_known(name):
    readout, function = FORMS[name]
    plain = network(lambda m, h: F.dropout(m.head(h), 0.5, False) if "dropout" in name else m.head(h))
    assert_starts_from(network(lambda m, h: function(m.head(h))), plain, readout)


SHAPES = {
    "squeeze": (lambda m, h: m.one(h).sigmoid().squeeze(-1), lambda m, h: m.one(h).squeeze(-1)),
    "view, in place": (lambda m, h: m.one(h).view(-1).sigmoid_(), lambda m, h: m.one(h).view(-1)),
    "squeeze in place": (lambda m, h: m.one(h).sigmoid().squeeze_(1), lambda m, h: m.one(h)[:, 0]),
    "column": (lambda m, h: m.head(h).softmax(1)[:, 1], lambda m, h: m.head(h)[:, 1]),
    "unsqueezed and turned": (
        lambda m, h: m.head(h).sigmoid().unsqueeze(1).transpose(1, 2).reshape(-1, 4),
        lambda m, h: m.head(h),
    ),
    "turned around": (lambda m, h: m.head(h).t().softmax(0).t(), lambda m, h: m.head(h)),
    "in another's shape": (lambda m, h: m.one(h).sigmoid().view_as(h[:, 0]), lambda m, h: m.one(h).view_as(h[:, 0])),
    "expanded": (lambda m, h: m.one(h).sigmoid().expand_as(m.head(h)), lambda m, h: m.one(h).expand_as(m.head(h))),
    "chunk": (lambda m, h: m.head(h).softmax(1).chunk(2, 1)[1], lambda m, h: m.head(h)[:, 2:]),
    "unbind and stack": (
        lambda m, h: torch.stack(m.head(h).sigmoid().unbind(1)[::-1], 1),
        lambda m, h: m.head(h).flip(1),
    ),
    "a head for each label": (
        lambda m, h: torch.cat([m.head(h).sigmoid(), m.one(h).sigmoid()], 1),
        lambda m, h: torch.cat([m.head(h), m.one(h)], 1),
    ),
    "many heads": (
        lambda m, h: torch.stack([m.head(h).softmax(1), m.other(h).softmax(1)], 2).flatten(1),
        lambda m, h: torch.stack([m.head(h), m.other(h)], 2).flatten(1),
    ),
    "chosen entries": (
        lambda m, h: torch.where(torch.tensor([True, True, False, True]), m.head(h).sigmoid(), 0.0),
        lambda m, h: torch.where(torch.tensor([True, True, False, True]), m.head(h), 0.0),
    ),
    "the other heads do not matter": (
        lambda m, h: (m.head(h).sigmoid(), m.other(h).softmax(1).mean(1))[0],
        lambda m, h: m.head(h),
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_done_to_the_shape_behind_it_is_done_to_the_scores(name):
    model, plain = map(network, SHAPES[name])
    assert_starts_from(model, plain, "softmax" if "softmax" in name or name in SOFTMAX else "sigmoid")


SOFTMAX = ("column", "turned around", "chunk", "many heads")


def test_an_output_function_counts_as_part_of_the_network():
    logits = network(lambda m, h: m.one(h)[:, 0])
    column = network(lambda m, h: m.one(h))
    assert_starts_from(logits, column, "sigmoid", output=lambda out: out.sigmoid()[:, None])
    named = network(lambda m, h: {"p": m.head(h).softmax(1), "aux": m.other(h).sigmoid()})
    assert lrp.record(named, vectors(), output="p").readout == "softmax"
    assert lrp.record(named, vectors(), output="aux").readout == "sigmoid"


KEPT = {
    "1 - p": lambda m, h: 1 - m.head(h).sigmoid(),
    "p times a number": lambda m, h: 5 * m.head(h).sigmoid(),
    "two multiplied": lambda m, h: m.head(h).sigmoid() * m.other(h).sigmoid(),
    "two added": lambda m, h: m.head(h).sigmoid() + m.other(h).sigmoid(),
    "ensemble": lambda m, h: (m.head(h).softmax(1) + m.other(h).softmax(1)) / 2,
    "mean of several": lambda m, h: torch.stack([m.head(h).softmax(1), m.other(h).softmax(1)]).mean(0),
    "p plus a number": lambda m, h: m.head(h).sigmoid() + 0.5,
    "unlike heads": lambda m, h: torch.cat([m.head(h).sigmoid(), m.one(h)], 1),
    "tanh": lambda m, h: m.head(h).tanh(),
    "a gate of its own signal": lambda m, h: m.head(h) * m.head(h).sigmoid(),
}


@pytest.mark.parametrize("name", KEPT)
def test_arithmetic_behind_it_leaves_the_rules_as_they_are(name):
    """Only what moves numbers or guards a logarithm may follow; the output is then explained itself."""
    tape = lrp.record(network(KEPT[name]), vectors(3))
    assert tape.readout is None and tape.scores is tape.output
    explanation = tape.explain(lrp.presets.attn_lrp(1e-3), TOP)
    assert_ledger_closes(explanation)
    torch.testing.assert_close(explanation.start.sum(1), tape.output.amax(1))


@pytest.mark.parametrize("last", [lambda m, h: m.head(h), lambda m, h: m.head(h).softmax(1)], ids=["plain", "read out"])
@pytest.mark.parametrize("middle", [torch.sigmoid, lambda h: h.softmax(1)], ids=["sigmoid", "softmax"])
def test_in_the_middle_the_rules_stay(middle, last):
    model = network(lambda m, h: last(m, middle(h)))
    tape = lrp.record(model, vectors())
    assert [step.op for step in tape.steps if step.op in ("sigmoid", "softmax")] == [
        "softmax" if middle is not torch.sigmoid else "sigmoid"
    ]
    assert_ledger_closes(tape.explain(lrp.presets.attn_lrp(), TOP))
    if middle is torch.sigmoid:
        assert_ledger_closes(tape.explain(lrp.presets.cp_lrp(), TOP))
    else:
        with pytest.raises(lrp.UnsupportedOp, match="CP-LRP has no rule for the step 'softmax#1'"):
            tape.explain(lrp.presets.cp_lrp(), TOP)


@pytest.mark.parametrize(
    ("copy", "rounded"),
    [
        (lambda p: p.double(), {}),
        (lambda p: p.half().float(), {"rtol": 2**-11, "atol": 0}),  # recorded in float32, without that rounding
        (lambda p: p.to(torch.float64).type_as(vectors()), {}),
        (lambda p: p.t().contiguous().t().to(p), {}),
        (lambda p: p.detach().clone(), {}),
    ],
)
def test_scores_stay_in_their_own_type(copy, rounded):
    model = network(lambda m, h: copy(m.head(h).sigmoid())).float()
    tape = lrp.record(model, vectors().float())
    assert tape.readout == "sigmoid"
    torch.testing.assert_close(tape.output, model(vectors().float()), **rounded)
    plain = lrp.record(network(lambda m, h: m.head(h)).float(), vectors().float())
    relevance = tape.explain(lrp.presets.lrp0(), TOP).relevance
    assert tape.scores.dtype == relevance.dtype == torch.float32
    torch.testing.assert_close(relevance, plain.explain(lrp.presets.lrp0(), TOP).relevance)


def test_a_segmentation_over_its_channels():
    """softmax over the channel axis of (B, C, H, W), in the layout with channels last too."""
    layers = {"conv": nn.Conv2d(3, 5, 3, padding=1), "head": nn.Conv2d(5, 4, 1)}
    plain = Net(lambda m, x: m.head(F.relu(m.conv(x))), **layers)
    model = Net(lambda m, x: F.softmax(m.head(F.relu(m.conv(x))), 1), **layers)
    x, region = random_input(), torch.zeros(4, 6, 6, dtype=torch.bool)
    region[2, 1:3, 4:] = True
    for picture in (x, x.contiguous(memory_format=torch.channels_last)):
        tape = lrp.record(model, picture)
        assert tape.readout == "softmax" and tape.scores.shape == (2, 4, 6, 6)
        explanation = tape.explain(lrp.presets.lrp0(), lrp.Target.at(region))
        expected = gradient_times_input(plain, x, region.to(D))
        torch.testing.assert_close(explanation.relevance, expected, rtol=1e-9, atol=1e-12)
        assert_ledger_closes(explanation)


def masked(z: torch.Tensor, way: str) -> torch.Tensor:
    """Class 2 masked, as a policy masks what is not allowed."""
    mask = torch.tensor([False, False, True, False])
    return z.masked_fill(mask, -torch.inf) if way == "filled" else z + z.new_zeros(4).masked_fill(mask, -torch.inf)


@pytest.mark.parametrize("read_out", [torch.softmax, torch.log_softmax])
@pytest.mark.parametrize("way", ["filled", "added"])
def test_masked_classes_get_nothing(way, read_out):
    """Their scores are -infinity: they are no rest to compare with, and cannot be asked for."""
    tape = lrp.record(network(lambda m, h: read_out(masked(m.head(h), way), 1)), vectors(3))
    assert (tape.scores[:, 2] == -torch.inf).all()
    for composite in COMPOSITES.values():
        for target in (TOP, lrp.Target.difference(0, 1), lrp.Target.one_vs_rest(0), lrp.Target.log_odds(3)):
            explanation = tape.explain(composite, target)
            assert explanation.relevance.isfinite().all() and explanation.start[:, 2].abs().max() == 0
            assert_ledger_closes(explanation)
    z = tape.scores
    rest = tape.explain(lrp.presets.lrp0(), lrp.Target.one_vs_rest(0)).ledger.total.start
    torch.testing.assert_close(rest, z[:, 0] - (z[:, 1] + z[:, 3]) / 2)
    with pytest.raises(ValueError, match=r"masks.*\.$"):
        tape.explain(lrp.presets.lrp0(), lrp.Target.logit(2))


def test_the_only_class_allowed_has_nothing_to_be_compared_with():
    mask = torch.tensor([True, True, False, True])
    tape = lrp.record(network(lambda m, h: m.head(h).masked_fill(mask, -torch.inf).softmax(1)), vectors(3))
    assert torch.equal(tape.explain(lrp.presets.lrp0(), TOP).start[:, 2], tape.scores[:, 2])
    for target in (lrp.Target.one_vs_rest(2), lrp.Target.log_odds(2)):
        with pytest.raises(ValueError, match=r"masks all of them\.$"):
            tape.explain(lrp.presets.lrp0(), target)


def test_probabilities_that_round_to_nothing_are_still_explained():
    """log(0) is -infinity, but the scores are not."""
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Softmax(1)).eval()
    nn.init.constant_(model[0].weight, 300.0)
    with torch.no_grad():
        model[0].weight[1] = -300.0
    tape = lrp.record(model, torch.ones(1, 2), output=torch.log)
    assert tape.readout == "log_softmax" and tape.output[0, 1] == -torch.inf
    assert tape.explain(lrp.presets.lrp0(), lrp.Target.logit(1)).relevance.tolist() == [[-300.0, -300.0]]


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Linear(2, 2), nn.Sigmoid()),
        nn.Sequential(nn.Linear(2, 2), nn.Softmax(1)),
        nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 2)),
    ],
    ids=["sigmoid", "softmax", "in the middle"],
)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_scores_that_are_not_finite_are_refused(model, bad):
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Linear):
                nn.init.constant_(layer.weight, 1.0)
                nn.init.constant_(layer.bias, bad)
    with pytest.raises(ValueError, match=r"NaN or infinite.*\.$"):
        lrp.record(model.eval(), torch.ones(1, 2))


def test_the_read_out_alone_and_layers_on_the_way():
    """A network that is nothing but a read-out hands its score on; layers and sweeps start from the scores as well."""
    x = vectors()
    alone = lrp.record(nn.Sigmoid().eval(), x).explain(lrp.presets.lrp0(), lrp.Target.logit(3))
    assert torch.equal(alone.relevance[:, 3], x[:, 3]) and alone.relevance.count_nonzero() == 2
    tape, plain = (
        lrp.record(model, x) for model in (network(lambda m, h: m.head(h).sigmoid()), network(lambda m, h: m.head(h)))
    )
    first, second = (t.explain(lrp.presets.gamma(0.25), TOP, layers=True) for t in (tape, plain))
    assert list(first.layers) == list(second.layers) == ["hidden", "head"]
    assert all(torch.equal(first.layers[name], second.layers[name]) for name in first.layers)
    swept = tape.sweep(lrp.presets.gamma(0.25), TOP, gamma=[0.0, 0.25])
    torch.testing.assert_close(swept.relevance[1], second.relevance)
    assert tape.nbytes == plain.nbytes + tape.output.nbytes
