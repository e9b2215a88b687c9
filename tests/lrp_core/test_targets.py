"""What is explained, on outputs of any shape: a word of a tagger, a region of a picture, a box of a detector."""

import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import Net, assert_ledger_closes, gradient_times_input, random_input, vectors

D = torch.float64
LRP0, ATTN = lrp.presets.lrp0(), lrp.presets.attn_lrp(1e-3)
GRADIENT = lrp.presets.gradient_times_input()


def tagger(kind: str) -> Net:
    """A tag for each of five words, (B, 5, 3), with or without probabilities."""
    if kind == "lstm":
        layers = {"lstm": nn.LSTM(8, 3, batch_first=True, bidirectional=True), "head": nn.Linear(6, 3)}
        return Net(lambda m, x: m.head(m.lstm(x)[0]), **layers)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu")
    layers = {"encoder": nn.TransformerEncoder(layer, 1, enable_nested_tensor=False), "head": nn.Linear(8, 3)}
    if kind == "by words":
        return Net(lambda m, x: m.head(m.encoder(x)).softmax(2), **layers)
    return Net(lambda m, x: m.head(m.encoder(x)).transpose(1, 2).log_softmax(1).transpose(1, 2), **layers)


def segmenter() -> Net:
    """Classes for each pixel, (B, 4, 6, 6): down by a pooling, up again, with a short cut."""

    def forward(m, x):
        high = F.relu(m.first(x))
        low = F.relu(m.second(F.max_pool2d(high, 2)))
        return m.head(torch.cat([high, F.interpolate(low, scale_factor=2)], 1))

    convolutions = {"first": nn.Conv2d(3, 4, 3, padding=1), "second": nn.Conv2d(4, 4, 3, padding=1)}
    return Net(forward, **convolutions, head=nn.Conv2d(8, 4, 1))


class Detector(nn.Module):
    """Nine boxes (B, 9, 4) and their classes (B, 9, 2), from the cells of a grid."""

    def __init__(self):
        super().__init__()
        self.body = Net(lambda m, x: F.relu(m.conv(x)), conv=nn.Conv2d(3, 4, 3, padding=1, stride=2))
        self.heads = Net(lambda m, h: m.conv(h), conv=nn.Conv2d(4, 6, 1))

    def forward(self, x):
        cells = self.heads(self.body(x)).flatten(2).permute(0, 2, 1)
        return {"boxes": cells[..., :4], "scores": cells[..., 4:].sigmoid()}


def assert_explains(model, x, v, target, read=lambda out: out, **options) -> None:
    """LRP-0 is gradient x input of sum(v * scores); its rows stand alone and its books close."""
    tape = lrp.record(model, x, **options)
    assert v.shape == tape.scores.shape == tape.output.shape
    explanation = tape.explain(LRP0, target)
    torch.testing.assert_close(explanation.start, v * tape.scores)
    plain = Net(lambda m, inputs: read(model(inputs)))
    expected = gradient_times_input(plain, x, v)
    torch.testing.assert_close(explanation.relevance, expected, rtol=1e-9, atol=1e-11)
    assert_ledger_closes(explanation)
    for row in range(len(x)):
        mine = lrp.Target.weights(v[row])
        alone = lrp.record(model, x[row : row + 1], **options).explain(LRP0, mine).relevance
        torch.testing.assert_close(explanation.relevance[row : row + 1], alone, rtol=1e-9, atol=1e-12)


def mark(shape, *index) -> torch.Tensor:
    v = torch.zeros(shape, dtype=D)
    v[(slice(None), *index)] = 1.0
    return v


def test_a_region_of_a_segmentation():
    shape, region = (4, 6, 6), np.zeros((4, 6, 6), dtype=bool)
    region[1, 2:5, :3] = True
    v = mark((2, *shape), 1, slice(2, 5), slice(None, 3))
    each = v.bool().clone()
    each[1] = each[1].roll(2, 0)
    model, x = segmenter(), random_input()
    for target in (
        lrp.Target.at(region),
        lrp.Target.at(torch.from_numpy(region)),
        lrp.Target.at(region.tolist()),
        lrp.Target.at((1, slice(2, 5), slice(None, 3))),
        lrp.Target.at((-3, slice(2, -1), slice(2, None, -1))),
        lrp.Target.weights(region),
        lrp.Target.weights(v),
    ):
        assert_explains(model, x, v, target)
    assert_explains(model, x, each.to(D), lrp.Target.at(each))
    assert_explains(model, x, mark((2, *shape), 2), lrp.Target.at(2))
    assert_explains(model, x, mark((2, *shape), ..., 5), lrp.Target.at((..., 5)))
    signed = vectors(2, 4 * 36, seed=3).view(2, 4, 6, 6)
    assert_explains(model, x, signed, lrp.Target.weights(signed))
    assert_explains(model, x, signed[:1].expand(2, -1, -1, -1), lrp.Target.weights(signed[0].tolist()))


@pytest.mark.parametrize("composite", [ATTN, lrp.presets.cp_lrp(1e-3), GRADIENT], ids=["attn", "cp", "gradient"])
@pytest.mark.parametrize("kind", ["lstm", "by words", "turned"])
def test_a_word_of_a_tagger(kind, composite):
    model, x = tagger(kind), vectors(3, 40).view(3, 5, 8)
    tape = lrp.record(model, x)
    assert tape.readout == {"lstm": None, "by words": "softmax", "turned": "log_softmax"}[kind]
    assert tape.output.shape == tape.scores.shape == (3, 5, 3)
    explanation = tape.explain(composite, lrp.Target.at((4, 2)))
    assert torch.equal(explanation.start.nonzero(), torch.tensor([[row, 4, 2] for row in range(3)]))
    assert_ledger_closes(explanation)
    for row in range(3):
        alone = lrp.record(model, x[row : row + 1]).explain(composite, lrp.Target.at((4, 2)))
        torch.testing.assert_close(explanation.relevance[row : row + 1], alone.relevance, rtol=1e-9, atol=1e-11)
    if composite is GRADIENT:
        scores = Net(lambda m, inputs: model.head(model.lstm(inputs)[0] if kind == "lstm" else model.encoder(inputs)))
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            expected = gradient_times_input(scores.train(), x, mark((3, 5, 3), 4, 2))
        if kind != "lstm":  # whose gates are constants, which autograd does not know
            torch.testing.assert_close(explanation.relevance, expected, rtol=1e-8, atol=1e-10)


def test_a_box_and_a_class_of_a_detector():
    model, x = Detector().eval(), random_input()
    boxes, scores = mark((2, 9, 4), 5, 2), mark((2, 9, 2), 5, 0)
    assert_explains(model, x, boxes, lrp.Target.at((5, 2)), lambda out: out["boxes"], output="boxes")
    tape = lrp.record(model, x, output="scores")
    assert tape.readout == "sigmoid" and tape.scores.shape == (2, 9, 2)
    assert torch.allclose(tape.scores.sigmoid(), tape.output)
    explanation = tape.explain(LRP0, lrp.Target.at((5, 0)))
    plain = Net(lambda m, inputs: torch.logit(model(inputs)["scores"]))
    torch.testing.assert_close(explanation.relevance, gradient_times_input(plain, x, scores), rtol=1e-8, atol=1e-10)
    listed = Net(lambda m, inputs: list(model(inputs).values()))
    assert torch.equal(
        lrp.record(listed, x, output=1).explain(LRP0, lrp.Target.at((5, 0))).relevance, explanation.relevance
    )


@pytest.mark.parametrize("rows", [1, 3])
def test_one_number_for_each_row(rows):
    """(B,), as a regression returns it: each target that names a class means that number."""
    model = Net(lambda m, x: m.head(F.relu(m.dense(x))).squeeze(-1), dense=nn.Linear(6, 5), head=nn.Linear(5, 1))
    x = vectors(rows)
    tape = lrp.record(model, x)
    assert tape.output.shape == (rows,)
    expected = gradient_times_input(model, x, torch.ones(rows, dtype=D))
    every = torch.ones(rows, dtype=torch.bool)
    for target in (
        lrp.Target.top(),
        lrp.Target.logit(0),
        lrp.Target.logit([0] * rows),
        lrp.Target.at(0),
        lrp.Target.at(()),
        lrp.Target.at(True),
        lrp.Target.at(every),
        lrp.Target.weights(1.0),
        lrp.Target.weights(every),
    ):
        explanation = tape.explain(LRP0, target)
        torch.testing.assert_close(explanation.relevance, expected, rtol=1e-10, atol=1e-12)
        assert explanation.start.shape == (rows,)
        assert_ledger_closes(explanation)
    for target in (lrp.Target.logit(1), lrp.Target.one_vs_rest(0), lrp.Target.log_odds(0), lrp.Target.at(1)):
        refused(lambda target=target: tape.explain(LRP0, target))


def test_the_top_of_a_single_score_is_that_score():
    model = Net(lambda m, x: m.head(x).sigmoid(), head=nn.Linear(6, 1))
    tape = lrp.record(model, vectors(3))
    assert torch.equal(tape.explain(LRP0, lrp.Target.top()).start, tape.scores)
    assert (tape.scores < 0).any() and (tape.scores > 0).any()


def test_at_a_class_is_the_logit():
    tape = lrp.record(Net(lambda m, x: m.head(x), head=nn.Linear(6, 4)), vectors())
    expected = tape.explain(LRP0, lrp.Target.logit(2)).relevance
    for index in (2, -2, np.int64(2), torch.tensor(2), (2,), slice(2, 3), [False, False, True, False]):
        assert torch.equal(tape.explain(LRP0, lrp.Target.at(index)).relevance, expected)
    assert torch.equal(tape.explain(LRP0, lrp.Target.weights([0, 0, 1, 0])).relevance, expected)


def test_targets_are_values():
    """Equal where they say the same, to be hashed, cached and printed; nothing that was given can change them later."""
    mask, v = np.array([[True, False], [False, True]]), torch.ones(2, 2)
    pairs = [
        (lambda: lrp.Target.at((1, slice(0, 2))), lrp.Target.at((1, slice(0, 3)))),
        (lambda: lrp.Target.at(mask), lrp.Target.at(~mask)),
        (lambda: lrp.Target.at(mask.tolist()), lrp.Target.at(mask[:1])),
        (lambda: lrp.Target.weights(v), lrp.Target.weights(v.double())),
        (lambda: lrp.Target.weights(v.numpy()), lrp.Target.weights(2 * v)),
    ]
    for make, other in pairs:
        assert make() == make() != other and hash(make()) == hash(make()) and len({make(), make(), other}) == 2
        assert "Target" in repr(make()) and "tensor" not in repr(make()) and len(repr(make())) < 200
    target, scores = lrp.Target.weights(v), torch.ones(3, 2, 2)
    v.zero_()
    given = target.on(scores)
    assert given.sum() == 12 and given[0].zero_().sum() == 0 and given.sum() == 8, "each row has its own"
    assert lrp.Target.at(mask).on(scores).dtype == scores.dtype
    swapped = lrp.Target.weights(np.arange(4.0).astype(">f8").reshape(2, 2).T)
    assert torch.equal(swapped.on(torch.ones(1, 2, 2))[0], torch.tensor([[0.0, 2.0], [1.0, 3.0]]))


def test_a_moved_target_is_not_answered_by_the_last_walk():
    tape, mask = lrp.record(segmenter(), random_input()), np.zeros((4, 6, 6), dtype=bool)
    mask[0, 0, 0] = True
    first = tape.explain(LRP0, lrp.Target.at(mask)).relevance
    mask[0, 0, 0], mask[3, 5, 5] = False, True
    second = tape.explain(LRP0, lrp.Target.at(mask)).relevance
    assert not torch.equal(first, second)
    assert torch.equal(second, tape.explain(LRP0, lrp.Target.at((3, 5, 5))).relevance)
    swept = tape.sweep(lrp.presets.epsilon(0.1), lrp.Target.at(mask), epsilon=[0.0, 0.1])
    torch.testing.assert_close(swept.relevance[0], second)
    assert swept.start.shape == (2, 2, 4, 6, 6)


def refused(action, *words) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        action()
    message = str(caught.value)
    assert type(caught.value) in (ValueError, TypeError) and "\n" not in message and message.endswith(".")
    assert len(re.findall(r"[.!?](?:\s|$)", message)) == 1 and "0x" not in message, message
    for word in words:
        assert word in message, f"{word!r} not in {message!r}"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: lrp.Target.at([1, 2]), ["list of int64", "mask"]),
        (lambda: lrp.Target.at(1.0), ["float"]),
        (lambda: lrp.Target.at("word"), ["str"]),
        (lambda: lrp.Target.at(None), ["NoneType"]),
        (lambda: lrp.Target.at(object()), ["object"]),
        (lambda: lrp.Target.at((1, None)), ["tuple"]),
        (lambda: lrp.Target.at((1, "a")), ["tuple"]),
        (lambda: lrp.Target.at((0, [1, 2])), ["tuple"]),
        (lambda: lrp.Target.at(slice("a", "b")), ["slice"]),
        (lambda: lrp.Target.at(torch.tensor([1])), ["Tensor of int64"]),
        (lambda: lrp.Target.at(np.zeros((2, 2), dtype=np.uint8)), ["uint8"]),
        (lambda: lrp.Target.at([[True], [True, False]]), ["list"]),
        (lambda: lrp.Target.at(False), ["nothing"]),
        (lambda: lrp.Target.at(torch.zeros(2, 5, 3).bool()), ["nothing"]),
        (lambda: lrp.Target.weights(torch.tensor([1.0, torch.nan])), ["NaN"]),
        (lambda: lrp.Target.weights([float("inf")]), ["infinite"]),
        (lambda: lrp.Target.weights("abc"), ["str"]),
        (lambda: lrp.Target.weights(None), ["NoneType"]),
        (lambda: lrp.Target.weights([[1.0], [1.0, 2.0]]), ["list"]),
        (lambda: lrp.Target.weights(torch.ones(2) * 1j), ["complex"]),
        (lambda: lrp.Target.weights(lambda z: z), ["function"]),
    ],
)
def test_what_is_no_entry_is_refused_at_once(make, words):
    refused(make, *words)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (lrp.Target.at(5), ["5", "(5, 3)"]),
        (lrp.Target.at((0, 3)), ["(0, 3)", "(5, 3)"]),
        (lrp.Target.at((0, -4)), ["(0, -4)"]),
        (lrp.Target.at((0, 0, 0)), ["(0, 0, 0)"]),
        (lrp.Target.at(10**30), ["(5, 3)"]),
        (lrp.Target.at((..., 0, ...)), ["(5, 3)"]),
        (lrp.Target.at((slice(4, 2), 0)), ["nothing", "slice(4, 2"]),
        (lrp.Target.at(slice(7, 9)), ["nothing"]),
        (lrp.Target.at(slice(0, 5, 0)), ["slice(0, 5, 0)"]),
        (lrp.Target.at(torch.ones(3, 5).bool()), ["(3, 5)", "(5, 3)", "(2, 5, 3)"]),
        (lrp.Target.at(torch.ones(1, 5, 3).bool()), ["(1, 5, 3)"]),
        (lrp.Target.at(True), ["()"]),
        (lrp.Target.at(mark((2, 5, 3), 0, 0).bool() & torch.tensor([[[True]], [[False]]])), ["row 1"]),
        (lrp.Target.weights(torch.ones(3)), ["(3,)", "(5, 3)"]),
        (lrp.Target.weights(torch.ones(3, 5, 3)), ["(3, 5, 3)"]),
        (lrp.Target.weights(1.0), ["()"]),
        (lrp.Target.top(), ["top", "(5, 3)", "Target.at"]),
        (lrp.Target.logit(0), ["logit", "Target.at"]),
        (lrp.Target.difference(0, 1), ["difference", "Target.weights"]),
        (lrp.Target.one_vs_rest(0), ["one_vs_rest"]),
        (lrp.Target.log_odds([0, 1]), ["log_odds"]),
    ],
)
def test_what_does_not_fit_the_output_is_refused(target, words):
    """Two texts of five words with three tags each."""
    tape = lrp.record(tagger("lstm"), vectors(2, 40).view(2, 5, 8))
    refused(lambda: tape.explain(LRP0, target), *words)


def test_one_entry_rather_than_another():
    """Why this word here and not that: named by places or masks, in either place."""
    model, x = tagger("plain"), vectors(10, 8).reshape(2, 5, 8)
    tape = lrp.record(model, x)
    v = torch.zeros(2, 5, 3, dtype=D)
    v[:, 4, 2], v[:, 4, 0] = 1.0, -1.0
    mask = torch.zeros(5, 3, dtype=torch.bool)
    mask[4, 0] = True
    expected = tape.explain(LRP0, lrp.Target.weights(v))
    for target in (lrp.Target.at((4, 2), rather_than=(4, 0)), lrp.Target.at((4, 2), rather_than=mask)):
        explanation = tape.explain(LRP0, target)
        assert torch.equal(explanation.relevance, expected.relevance)
        torch.testing.assert_close(explanation.ledger.total.start, (tape.scores * v).sum((1, 2)))
    assert lrp.Target.at((4, 2)) != lrp.Target.at((4, 2), (4, 0)) != lrp.Target.at((4, 2), (4, 1))
    with pytest.raises(ValueError, match="not there"):
        tape.explain(LRP0, lrp.Target.at((4, 2), rather_than=(4, 3)))
    with pytest.raises(TypeError, match=r"^Target\.at takes"):
        lrp.Target.at((4, 2), rather_than="the other")
