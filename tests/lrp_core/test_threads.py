"""One cached model, one shared tape, many visitors: every thread gets the sequential answer, and nothing is left."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from torch import nn

import lrp_core as lrp
from tests.lrp_core.networks import RandomNetwork, random_input

THREADS = 8
COMPOSITES = [
    lrp.presets.epsilon_gamma_box(-3.0, 3.0, 0.1, 0.25),
    lrp.presets.epsilon_plus(0.1),
    lrp.presets.alpha_beta(2.0, 1.0),
    lrp.presets.gamma(0.5),
    lrp.presets.epsilon(0.2),
    lrp.presets.lrp0(),
    lrp.presets.z_plus(),
    lrp.presets.overview(0.1, 0.25),
]


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return RandomNetwork(["relu_in_place", "norm", "residual", "max_pool", "cat", "residual_in_place", "avg_pool"])


def together(work):
    """``work(index)`` in eight threads that all start at once; exceptions come back."""
    barrier = Barrier(THREADS)

    def started(index):
        barrier.wait()
        return work(index)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(started, range(THREADS)))


def test_eight_threads_on_one_model(model):
    def visit(index):
        composite = COMPOSITES[index]
        return [
            lrp.record(model, random_input(10 * index + turn)).explain(composite, lrp.Target.top()).relevance
            for turn in range(3)
        ]

    expected = [visit(index) for index in range(THREADS)]
    for one, other in zip(together(visit), expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_eight_threads_on_one_tape(model):
    """The worst case: all move sliders on one shared tape, with one set of caches."""
    x = random_input()

    def visit(tape):
        def explain(index):
            result = []
            for turn in range(4):
                composite = COMPOSITES[(index + turn) % THREADS]
                explanation = tape.explain(composite, lrp.Target.logit(index % 4), layers=True)
                result += [explanation.relevance, *explanation.layers.values(), explanation.ledger.total.bias]
            return result

        return explain

    expected = [visit(lrp.record(model, x))(index) for index in range(THREADS)]
    for one, other in zip(together(visit(lrp.record(model, x))), expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_recording_in_one_thread_does_not_see_another(model):
    """Operations of a thread that records nothing stay off every tape."""
    steps = len(lrp.record(model, random_input()).steps)

    def visit(index):
        if index % 2:
            return [model(random_input(index)) for _ in range(20)] and steps
        return len(lrp.record(model, random_input(index)).steps)

    assert together(visit) == [steps] * THREADS


def state(model: nn.Module) -> dict:
    """Everything about a model that an engine could leave changed."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    hooks = [
        len(table)
        for module in model.modules()
        for name, table in vars(module).items()
        if "hooks" in name and hasattr(table, "__len__")
    ]
    return {
        "weights": digest.hexdigest(),
        "hooks": sum(hooks),
        "training": [module.training for module in model.modules()],
        "requires_grad": [parameter.requires_grad for parameter in model.parameters()],
        "gradients": [parameter.grad for parameter in model.parameters()],
        "attributes": [sorted(vars(module)) for module in model.modules()],
        "forward": [module.forward.__func__ for module in model.modules()],
        "tensor_attributes": [sorted(vars(parameter)) for parameter in model.parameters()],
        "identity": [id(parameter) for parameter in model.parameters()],
    }


def test_nothing_is_left_on_the_model(model):
    trainable = RandomNetwork(model.blocks).requires_grad_(True)
    trainable.head.requires_grad_(False)
    before = state(trainable)
    assert before["hooks"] == 0
    tape = lrp.record(trainable, random_input())
    for composite in COMPOSITES:
        tape.explain(composite, lrp.Target.top(), layers=True)
    tape.sweep(COMPOSITES[0], lrp.Target.top(), gamma=[0.0, 1.0])
    assert state(trainable) == before
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def test_a_failed_recording_leaves_nothing_either(model):
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, x):
            self.inner(x)
            raise RuntimeError("the model itself failed")

    broken = Broken().eval()
    before = state(broken)
    with pytest.raises(RuntimeError, match="the model itself failed"):
        lrp.record(broken, random_input())
    assert state(broken) == before
    assert not torch.overrides._get_current_function_mode_stack()


def test_the_input_is_left_alone(model):
    """Networks may work in place, even on what they were given: the caller's tensor must not change."""

    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense = nn.Linear(6, 2, dtype=torch.float64)

        def forward(self, x):
            return self.dense(x.relu_())

    x = torch.randn(2, 6, dtype=torch.float64)
    kept = x.clone()
    explanation = lrp.record(InPlace().eval(), x).explain(lrp.presets.lrp0(), lrp.Target.top())
    assert torch.equal(x, kept)
    assert (explanation.relevance[x < 0] == 0).all()


def test_weights_changed_between_recordings_are_seen():
    """W+ is cached per model; fine-tuning the model between two recordings must not leave a stale one."""
    own, x, composite = RandomNetwork(["relu_in_place", "norm"]), random_input(), lrp.presets.gamma(0.5)
    lrp.record(own, x).explain(composite, lrp.Target.logit(0))
    with torch.no_grad():
        own.layers[0].weight.mul_(-1.0)
        own.layers[1].running_mean.add_(0.3)
    again = lrp.record(own, x).explain(composite, lrp.Target.logit(0))
    fresh = RandomNetwork(["relu_in_place", "norm"])
    fresh.load_state_dict(own.state_dict())
    assert torch.equal(again.relevance, lrp.record(fresh, x).explain(composite, lrp.Target.logit(0)).relevance)


def test_a_model_that_changes_dtype_is_seen():
    """``model.double()`` replaces the data of a parameter without a trace in its version counter."""
    own, x, composite = RandomNetwork(["relu_in_place", "norm"]).float(), random_input(), lrp.presets.gamma(0.5)
    lrp.record(own, x.float()).explain(composite, lrp.Target.logit(0))
    expected = lrp.record(RandomNetwork(["relu_in_place", "norm"]).float().double(), x)
    relevance = lrp.record(own.double(), x).explain(composite, lrp.Target.logit(0)).relevance
    assert torch.equal(relevance, expected.explain(composite, lrp.Target.logit(0)).relevance)
