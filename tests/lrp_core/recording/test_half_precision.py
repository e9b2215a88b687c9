"""Half precision: computed in float32 and equal to the same model after ``float()``, with the model left as it is."""

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from lrp_core import limits
from lrp_core.propagation.weights import cache_of
from models.torchvision_compat import import_torchvision
from tests.lrp_core.networks import Net, RandomNetwork, assert_ledger_closes, randomise
from tests.lrp_core.recording.test_refusals import refused

HALVES = [torch.bfloat16, torch.float16]
COMPOSITES = [lrp.presets.attn_lrp(1e-3), lrp.presets.cp_lrp(1e-3), lrp.presets.epsilon_plus(1e-3)]


def numbers(*shape: int) -> torch.Tensor:
    """Of few digits, so that half precision holds them exactly."""
    return torch.randint(-32, 32, shape, generator=torch.Generator().manual_seed(0)) / 16


class Reader(nn.Module):
    """Embeddings, two recurrent layers each way, attention, norms: kernels that take their weights in lists."""

    def __init__(self):
        super().__init__()
        self.word, self.norm = nn.Embedding(9, 6), nn.LayerNorm(6)
        self.read = nn.LSTM(6, 4, 2, batch_first=True, bidirectional=True)
        self.attend = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.gru, self.head = nn.GRU(8, 4), nn.Linear(4, 3)
        randomise(self)
        self.eval().requires_grad_(False)

    def forward(self, ids):
        x = self.attend(self.read(self.norm(self.word(ids)))[0])
        return self.head(self.gru(x.transpose(0, 1))[0][-1])


class Casts(nn.Module):
    """Every way to ask for half precision in the middle of a model."""

    def __init__(self):
        super().__init__()
        self.a, self.head = nn.Linear(6, 5), nn.Linear(5, 3)
        self.register_buffer("scale", torch.rand(6, generator=torch.Generator().manual_seed(1)))
        randomise(self)
        self.eval().requires_grad_(False)

    def forward(self, x):
        kept = x.to(self.a.weight.dtype)
        y = kept.half()
        y += 1
        z = kept.to(torch.bfloat16) * self.scale.to(torch.float16) + torch.ones(6, dtype=torch.half)
        z = z + y.to(device=z.device, dtype=torch.float16) - kept.type("torch.HalfTensor").to(self.scale)
        z = F.relu(self.a(z.type_as(self.a.weight).type(torch.bfloat16)))
        weights = torch.softmax(z, 1, dtype=torch.bfloat16) + z.new_zeros(5, dtype=torch.half)
        return self.head(z * weights).bfloat16()


def text(name, attention="sdpa"):
    pytest.importorskip("transformers")
    from tests.lrp_core.text_models import build, tokens

    return build(name, attention, dtype=torch.float32), tokens(7, 4)


def resnet():
    model = import_torchvision().models.resnet18(num_classes=7)
    randomise(model)
    return model.eval().requires_grad_(False), {"x": numbers(2, 3, 32, 32)}


def pictures():
    blocks = ["conv", "norm", "relu_in_place", "grouped", "max_pool", "residual_in_place", "cat", "avg_pool"]
    return RandomNetwork(blocks).float(), {"x": numbers(2, 3, 6, 6)}


NETWORKS = {
    "pictures": pictures,
    "resnet18": resnet,
    "reader": lambda: (Reader(), {"ids": torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])}),
    "casts": lambda: (Casts(), {"x": numbers(2, 6)}),
    "bert": lambda: text("bert"),
    "bert, eager": lambda: text("bert", "eager"),
    "llama": lambda: text("llama"),
    "gpt2": lambda: text("gpt2"),
}


def state(model):
    tensors = model.state_dict(keep_vars=True)
    return {name: (id(t), t.dtype, t.data_ptr(), t._version, t.clone()) for name, t in tensors.items()}


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_it_equals_the_model_in_single_precision(name, dtype):
    """Steps, logits and relevance, whether the input is half or single; and the model is what it was."""
    model, inputs = NETWORKS[name]()
    model = model.to(dtype)
    single = lrp.record(deepcopy(model).float(), **inputs)
    before = state(model)
    for given in (inputs, {key: t.to(dtype) if t.is_floating_point() else t for key, t in inputs.items()}):
        tape = lrp.record(model, **given)
        assert tape.unsupported() == () and tape.output.dtype == torch.float32
        assert [step.layer for step in tape.steps if step.is_layer] == [s.layer for s in single.steps if s.is_layer]
        torch.testing.assert_close(tape.output, single.output, rtol=1e-5, atol=1e-5)
        for composite in COMPOSITES:
            found, expected = (t.explain(composite, lrp.Target.logit(1)) for t in (tape, single))
            assert_ledger_closes(found, 1e-4)
            for part, relevance in expected.parts.items():
                assert found.parts[part].dtype == torch.float32
                scale = relevance.abs().max().item()
                torch.testing.assert_close(found.parts[part], relevance, rtol=1e-3, atol=1e-4 * scale)
    after = state(model)
    assert all(torch.equal(after[key][-1], before[key][-1]) and after[key][:-1] == before[key][:-1] for key in before)


def test_autocast_inside_the_model_is_left_out():
    """What it would round is computed in full, and the caller's own mode is what it was."""

    def forward(m, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = F.relu(m.a(x))
            with torch.autocast("cpu", enabled=False):
                y = y + 0.25
            z = m.head(y)
        return z + m.head(y)

    model = Net(forward, a=nn.Linear(6, 5), head=nn.Linear(5, 3)).float()
    tape = lrp.record(model, numbers(2, 6))
    y = F.relu(model.a(numbers(2, 6))) + 0.25
    assert torch.equal(tape.output, 2 * model.head(y))
    assert_ledger_closes(tape.explain(COMPOSITES[0], lrp.Target.top()), 1e-5)
    assert not torch.is_autocast_enabled("cpu")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        lrp.record(model, numbers(2, 6))
        assert torch.is_autocast_enabled("cpu")


def test_weights_are_widened_once_and_count_against_the_cache(monkeypatch):
    model, inputs = NETWORKS["resnet18"]()
    model = model.bfloat16()
    first, again = (lrp.record(model, **inputs) for _ in range(2))
    weights = [[step.map.weight for step in tape.steps if step.map is not None] for tape in (first, again)]
    assert all(one is other for one, other in zip(*weights, strict=True))
    assert cache_of(model).nbytes >= sum(4 * p.numel() for p in model.parameters() if p.dim() > 1)
    monkeypatch.setattr(limits, "WEIGHTS_PER_MODEL", 2**16)
    small = deepcopy(model)
    expected = first.explain(COMPOSITES[2], lrp.Target.top()).relevance
    assert torch.equal(lrp.record(small, **inputs).explain(COMPOSITES[2], lrp.Target.top()).relevance, expected)
    assert cache_of(small).nbytes <= 2**16


def test_a_weight_that_was_written_to_is_widened_again():
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).bfloat16().eval().requires_grad_(False)
    composite, x = lrp.presets.gamma(0.25), numbers(2, 6)
    lrp.record(model, x).explain(composite, lrp.Target.logit(0))
    model[0].weight.mul_(-1.0)
    found = lrp.record(model, x).explain(composite, lrp.Target.logit(0)).relevance
    expected = lrp.record(deepcopy(model).float(), x).explain(composite, lrp.Target.logit(0)).relevance
    torch.testing.assert_close(found, expected)


def test_from_other_threads():
    model = Reader().half()
    rows = torch.randint(9, (8, 4), generator=torch.Generator().manual_seed(0))

    def visit(row):
        tape = lrp.record(model, rows[row : row + 1])
        return tape.explain(COMPOSITES[row % 3], lrp.Target.top()).relevance

    expected = [visit(row) for row in range(8)]
    fresh = deepcopy(model)
    model = fresh
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(pool.map(visit, range(8)), expected, strict=True):
            assert torch.equal(one, other)


def test_a_model_that_writes_to_its_own_half_precision_is_refused():
    """The number would be lost, or would stay in what the cache keeps for the next visitor."""

    def model(forward):
        net = Net(forward, head=nn.Linear(6, 3)).bfloat16()
        net.register_buffer("seen", torch.zeros(2, 6, dtype=torch.bfloat16))
        return net

    for forward in (
        lambda m, x: m.head(x + m.seen.copy_(x)),
        lambda m, x: m.head(x + m.seen.view(2, 6).add_(1)),
        lambda m, x: (m.seen.__setitem__(0, x[0]), m.head(m.seen + x))[1],
    ):
        own = model(forward)
        refused(ValueError, lambda own=own: lrp.record(own, numbers(2, 6)), "writes", "half precision", "float()")
        assert not own.seen.any()
    harmless = model(lambda m, x: m.head(x + m.seen.float().add_(1.0)))
    first, again = (lrp.record(harmless, numbers(2, 6)).output for _ in range(2))
    assert torch.equal(first, again)


def test_inputs_of_half_precision_for_a_model_in_single():
    model, inputs = NETWORKS["pictures"]()
    expected = lrp.record(model, **inputs).explain(COMPOSITES[2], lrp.Target.top()).relevance
    found = lrp.record(model, inputs["x"].half()).explain(COMPOSITES[2], lrp.Target.top()).relevance
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)
