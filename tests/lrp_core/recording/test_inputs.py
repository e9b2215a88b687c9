"""What may be given to ``record``: containers of every kind, and one sentence for what carries no relevance."""

from collections import OrderedDict, UserDict, namedtuple
from copy import deepcopy
from dataclasses import dataclass
from types import MappingProxyType

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import Net, RandomNetwork, assert_ledger_closes, random_input, vectors
from tests.lrp_core.recording.test_refusals import refused

LRP0, TOP = lrp.presets.lrp0(), lrp.Target.top()
DENSE = Net(lambda m, x: m.head(x), head=nn.Linear(6, 3))
NETWORK = RandomNetwork(["conv", "norm", "relu_in_place", "max_pool"])


@dataclass
class Pair:
    p: torch.Tensor
    q: torch.Tensor
    scale: float = 2.0


Named = namedtuple("Named", "p q")


@pytest.mark.parametrize(
    "kind",
    [
        lambda p, q: (p, q),
        lambda p, q: [p, q],
        lambda p, q: {"p": p, "q": q},
        lambda p, q: OrderedDict(p=p, q=q),
        lambda p, q: UserDict(p=p, q=q),
        lambda p, q: MappingProxyType({"p": p, "q": q}),
        lambda p, q: {"a": [{"p": p}, (q, "text", 3)]},
        Named,
        Pair,
    ],
    ids=["tuple", "list", "dict", "ordered", "user dict", "read only", "nested", "named tuple", "dataclass"],
)
def test_tensors_are_found_in_containers(kind):
    """The model gets a container of the same kind, with tensors of its own; the caller's is left alone."""
    p, q = vectors(2, 6), vectors(2, 6, seed=1)
    given = kind(p, q)

    def forward(m, pair):
        assert type(pair) is type(given) or isinstance(given, MappingProxyType)
        if isinstance(pair, Named | Pair):
            a, b = pair.p, pair.q
        elif "a" in pair:
            a, b = pair["a"][0]["p"], pair["a"][1][0]
        else:
            a, b = (pair["p"], pair["q"]) if hasattr(pair, "keys") else pair
        return m.head(F.relu(m.a(a.mul_(1.0)) - m.b(b)))

    model = Net(forward, a=nn.Linear(6, 5), b=nn.Linear(6, 5), head=nn.Linear(5, 3))
    kept = p.clone(), q.clone()
    explanation = lrp.record(model, given).explain(LRP0, lrp.Target.logit(1))
    assert len(explanation.parts) == 2
    assert_ledger_closes(explanation)
    leaves = [t.clone().requires_grad_() for t in kept]
    score = model.head(F.relu(model.a(leaves[0]) - model.b(leaves[1])))[:, 1].sum()
    for part, leaf, slope in zip(explanation.parts.values(), leaves, torch.autograd.grad(score, leaves), strict=True):
        torch.testing.assert_close(part, (leaf * slope).detach(), rtol=1e-9, atol=1e-12)
    assert torch.equal(p, kept[0]) and torch.equal(q, kept[1])


def test_arguments_keep_their_places_whatever_they_are_called():
    model = Net(lambda m, *a, **k: m.head(a[0]) - m.other(k["inputs0"]), head=nn.Linear(6, 3), other=nn.Linear(6, 3))
    first, second = vectors(2, 6), vectors(2, 6, seed=1)
    tape = lrp.record(model, first, inputs0=second)
    torch.testing.assert_close(tape.output, model(first, inputs0=second))
    assert len(tape.explain(LRP0, TOP).parts) == 2
    with pytest.raises(TypeError, match="multiple values"):
        lrp.record(nn.Linear(6, 3).eval(), torch.ones(1, 6), input=torch.ones(1, 6))


class Picture(torch.Tensor):
    """What torchvision does with its own pictures: a tensor with a name."""


def in_inference_mode(x):
    with torch.inference_mode():
        return x.clone()


@pytest.mark.parametrize(
    "made",
    [
        lambda x: x.clone().requires_grad_(),
        lambda x: x.clone().requires_grad_() * 1,
        lambda x: torch.cat([x, x], 3)[..., :6],
        lambda x: nn.Parameter(x),
        in_inference_mode,
        lambda x: x.as_subclass(Picture),
        lambda x: x[:1].expand(2, -1, -1, -1),
    ],
    ids=["leaf", "in a graph", "view", "parameter", "inference", "subclass", "expanded"],
)
def test_any_plain_tensor_will_do(made):
    x = random_input()
    given = made(x)
    expected = lrp.record(NETWORK, given.detach().as_subclass(torch.Tensor).clone()).explain(LRP0, TOP).relevance
    relevance = lrp.record(NETWORK, given).explain(LRP0, TOP).relevance
    assert type(relevance) is torch.Tensor and not relevance.requires_grad
    torch.testing.assert_close(relevance, expected, rtol=0, atol=0)


def fake():
    with FakeTensorMode():
        return torch.ones(2, 6)


PACKED = nn.utils.rnn.pack_padded_sequence(torch.ones(5, 2, 6), [5, 3])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda: torch.ones(0, 6), ["rows", "(0, 6)"]),
        (lambda: torch.ones(2, 6, device="meta"), ["meta", "numbers"]),
        (fake, ["faketensor", "plain"]),
        (lambda: torch.nested.nested_tensor([torch.ones(2, 6), torch.ones(3, 6)]), ["nested", "to_padded_tensor"]),
        (
            lambda: torch.nested.nested_tensor([torch.ones(2, 6), torch.ones(3, 6)], layout=torch.jagged),
            ["nested", "to_padded_tensor"],
        ),
        (lambda: torch.eye(6).to_sparse(), ["sparse", "dense"]),
        (lambda: torch.eye(6).to_sparse_csr(), ["sparse", "dense"]),
        (lambda: torch.quantize_per_tensor(torch.ones(2, 6), 0.1, 0, torch.qint8), ["quantised", "dequantize"]),
        (lambda: torch.ones(2, 6, dtype=torch.complex64), ["complex64", "float32", "real"]),
        (lambda: torch.ones(2, 6).to(torch.float8_e5m2), ["float8_e5m2", "float32"]),
        (lambda: PACKED, ["packed", "padded"]),
        (lambda: [torch.ones(2, 6), PACKED], ["packed", "padded"]),
        (lambda: torch.ones(2, 6).numpy(), ["numpy", "tensor", "from_numpy"]),
        (lambda: {"x": [torch.ones(2, 6).numpy()]}, ["numpy", "tensor"]),
        (lambda: torch.zeros(6, 6).masked_fill(torch.ones(6, 6).triu(1).bool(), -torch.inf), ["mask", "constant"]),
        (lambda: "", ["tensor"]),
        (lambda: None, ["tensor"]),
        (lambda: [1.0, 2.0], ["tensor"]),
        (lambda: vectors(2, 6).float(), ["float32", "float64", "input", ".double()"]),
    ],
)
def test_one_sentence_says_what_is_wrong_with_an_input(given, words):
    refused((ValueError, TypeError), lambda: lrp.record(DENSE, given()), *words)


@pytest.mark.parametrize(
    ("forward", "given", "dtype"),
    [
        (lambda m, x: m.head(x.double() / 255), torch.ones(2, 6, dtype=torch.uint8), "uint8"),
        (lambda m, x: m.head(x.to(torch.float64)), torch.ones(2, 6).bool(), "bool"),
        (lambda m, x: m.head((x.reshape(2, 6) / 2).double()), torch.ones(6, 2).long(), "int64"),
        (lambda m, x: m.head(x.type_as(m.head.weight)), torch.ones(2, 6).int(), "int32"),
        (lambda m, x: m.head(x * m.head.weight[0]), torch.ones(2, 6).long(), "int64"),
    ],
)
def test_integers_that_the_model_takes_for_numbers_are_named(forward, given, dtype):
    refused(
        (ValueError, TypeError),
        lambda: lrp.record(Net(forward, head=nn.Linear(6, 3)), given),
        f"is {dtype}, which cannot carry relevance; pass it as float.",
    )


def test_integers_that_are_ids_or_masks_may_be_cast():
    """Beside an embedding, or beside numbers; and what ignores its input is told so."""
    layers = {"word": nn.Embedding(9, 6), "head": nn.Linear(6, 3)}
    ids, mask = torch.tensor([[1, 2, 3]]), torch.tensor([[1, 1, 0]])
    text = Net(lambda m, ids, mask: m.head((m.word(ids) * mask.double()[..., None]).sum(1)), **layers)
    explanation = lrp.record(text, ids, mask).explain(LRP0, TOP)
    assert list(explanation.parts) == ["word"] and not explanation.relevance[:, 2].any()
    masked = Net(lambda m, x, keep: m.head(x * keep.double()), **layers)
    assert lrp.record(masked, vectors(1, 6), torch.ones(1, 6).bool()).explain(LRP0, TOP).relevance.any()
    deaf = Net(lambda m, ids: m.head.weight[:, :3] + 0, **layers)
    refused(ValueError, lambda: lrp.record(deaf, ids), "does not depend on the input")


@pytest.mark.parametrize("lowest", [-torch.inf, torch.finfo(torch.float64).min])
def test_masks_of_scores_are_constants(lowest):
    model = Net(
        lambda m, x, mask: m.head(F.scaled_dot_product_attention(x, x, x, attn_mask=mask)[:, 0]), head=nn.Linear(6, 3)
    )
    x, mask = vectors(2, 24).view(2, 4, 6), torch.zeros(4, 4, dtype=torch.float64)
    mask = mask.masked_fill(torch.ones(4, 4).triu(1).bool(), lowest)
    explanation = lrp.record(model, x, mask).explain(lrp.presets.attn_lrp(1e-3), TOP)
    assert len(explanation.parts) == 1
    assert_ledger_closes(explanation)


CONV = {"layer": nn.Conv2d(3, 4, 3), "head": nn.Linear(4, 3)}
UNBATCHED = {
    "convolution": (lambda m, x: m.head(m.layer(x).mean((1, 2))), CONV, (3, 6, 6)),
    "convolution that fails later": (lambda m, x: m.head(m.layer(x).flatten(1)), CONV, (3, 6, 6)),
    "batch norm": (lambda m, x: m.head(m.norm(m.layer(x))), {**CONV, "norm": nn.BatchNorm2d(4)}, (3, 6, 6)),
    "transposed": (
        lambda m, x: m.head(m.layer(x).mean(1)),
        {"layer": nn.ConvTranspose1d(6, 4, 3), "head": nn.Linear(4, 3)},
        (6, 5),
    ),
    "lstm": (lambda m, x: m.head(m.layer(x)[0][-1]), {"layer": nn.LSTM(6, 4), "head": nn.Linear(4, 3)}, (5, 6)),
    "gru": (
        lambda m, x: m.head(m.layer(x)[0][:, -1]),
        {"layer": nn.GRU(6, 4, batch_first=True), "head": nn.Linear(4, 3)},
        (5, 6),
    ),
    "attention": (
        lambda m, x: m.head(m.layer(x, x, x)[0]),
        {"layer": nn.MultiheadAttention(6, 2, batch_first=True), "head": nn.Linear(6, 3)},
        (5, 6),
    ),
}


@pytest.mark.parametrize("name", UNBATCHED)
def test_an_input_without_a_batch_axis_is_told_to_have_one(name):
    forward, layers, shape = UNBATCHED[name]
    x = torch.ones(shape, dtype=torch.float64)
    refused(
        ValueError,
        lambda: lrp.record(Net(forward, **deepcopy(layers)), x),
        "'layer'",
        "without a batch axis",
        "input0[none]",
    )


def test_a_layer_may_work_without_a_batch_axis_if_the_model_means_it():
    """A single picture taken out of the batch; rows that are turned into a sequence of one."""
    model = Net(lambda m, x: m.head(m.layer(x[0]).mean((1, 2)))[None], **deepcopy(CONV))
    with_axis = Net(lambda m, x: m.head(m.layer(x).mean((2, 3))), **deepcopy(CONV))
    x = random_input(batch=1)
    expected = lrp.record(with_axis, x).explain(lrp.presets.gamma(0.2), TOP).relevance
    torch.testing.assert_close(lrp.record(model, x).explain(lrp.presets.gamma(0.2), TOP).relevance, expected)
    table = Net(
        lambda m, x: m.head(m.layer(x.unsqueeze(1))[0][:, -1]),
        layer=nn.LSTM(6, 4, batch_first=True),
        head=nn.Linear(4, 3),
    )
    assert_ledger_closes(lrp.record(table, vectors(5, 6)).explain(LRP0, TOP))


def test_a_model_that_drops_every_row_is_told_so():
    refused(ValueError, lambda: lrp.record(Net(lambda m, x: m.head(x)[:0], head=nn.Linear(6, 3)), vectors(2)), "(0, 3)")
