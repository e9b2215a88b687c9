"""The relevance of the stream between blocks: at the tensor that a hook sees enter the module, all of it."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from models.torchvision_compat import import_torchvision
from tests.lrp_core.networks import Net, assert_ledger_closes
from tests.lrp_core.recording.test_written_norms import llama_model
from tests.lrp_core.text_models import CONFIGURATIONS, EAGER_ONLY, build, tokens

D = torch.float64
LRP0, TOP = lrp.presets.lrp0(), lrp.Target.top()


def entering(model, *args, **kwargs):
    """What enters each module, by its name, as a hook sees it; called again, ``name#2``."""
    seen, counts, handles = {}, {}, []
    for path, module in model.named_modules():

        def note(_, inputs, options, path=path):
            tensors = [t for t in (*inputs, *options.values()) if isinstance(t, torch.Tensor) and t.is_floating_point()]
            counts[path] = counts.get(path, 0) + 1
            seen[path if counts[path] == 1 else f"{path}#{counts[path]}"] = [t.clone() for t in tensors]

        handles.append(module.register_forward_pre_hook(note, with_kwargs=True))
    model(*args, **kwargs)
    for handle in handles:
        handle.remove()
    return seen


def _alike(one, other):
    """Up to what another order of sums does to the last digits."""
    size = 1e-4 * one.abs().max() if one.dtype == torch.float32 else 1e-9
    return one.numel() == other.numel() and bool(((one.flatten() - other.flatten()).abs() <= size).all())


def assert_streams(tape, model, explanation, *args, **kwargs):
    """Each block is at the tensor that enters it; where all goes through it, books above it and it make the start."""
    seen = entering(model, *args, **kwargs)
    assert tape._blocks
    for name, (_, value) in tape._blocks.items():
        assert any(_alike(value.available(), t) for t in seen[name]), name
        relevance = explanation.layers[name]
        assert relevance.shape == value.shape
        above = [row for row in explanation.ledger if value.producer is None or row.step.index > value.producer.index]
        absorbed = sum(r.bias + r.epsilon + r.softmax + r.constant + r.dropped for r in above)
        at_the_cut = relevance.double().reshape(len(relevance), -1).sum(1) + absorbed
        torch.testing.assert_close(at_the_cut, explanation.ledger.total.start, rtol=1e-8, atol=1e-8)
        names = list(explanation.layers)
        of_its_own = [
            names.index(layer) for layer in names if layer.startswith(f"{name}.") and layer not in tape._blocks
        ]
        assert not of_its_own or names.index(name) < min(of_its_own), "in the order they ran"


@pytest.mark.parametrize("name", [name for name in CONFIGURATIONS if name not in EAGER_ONLY])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_of_language_models(name, attention):
    model, given = build(name, attention), tokens(6)
    tape = lrp.record(model, **given)
    for composite in (lrp.presets.attn_lrp(1e-6), lrp.presets.cp_lrp(0.1)):
        explanation = tape.explain(composite, TOP, layers=True)
        assert_streams(tape, model, explanation, **given)
    blocks = [path for path in tape._blocks if path.count(".") >= 2]
    assert len(blocks) >= 2, blocks


def test_of_a_causal_model_by_the_names_that_people_expect():
    model, ids = llama_model(), torch.arange(3, 10)[None]
    tape = lrp.record(model, input_ids=ids, use_cache=False, output=lambda o: o.logits[:, -1])
    explanation = tape.explain(lrp.presets.attn_lrp(1e-6), TOP, layers=True)
    assert list(tape._blocks) == ["model.layers.0", "model.layers.1"]
    assert_streams(tape, model, explanation, input_ids=ids, use_cache=False)
    torch.testing.assert_close(explanation.layers["model.layers.0"], explanation.relevance)
    assert not tape.explain(lrp.presets.attn_lrp(1e-6), TOP).layers


@pytest.mark.parametrize("name", ["resnet18", "vit_b_16", "convnext_tiny", "efficientnet_b0", "googlenet"])
def test_of_networks_that_see(name):
    import_torchvision()
    from torchvision import models

    torch.manual_seed(0)
    options = {"init_weights": False} if name == "googlenet" else {}
    model = getattr(models, name)(weights=None, **options).eval().requires_grad_(False)
    x = torch.rand(1, 3, 224, 224) if name == "vit_b_16" else torch.rand(1, 3, 64, 64)
    tape = lrp.record(model, x)
    explanation = tape.explain(lrp.presets.epsilon(0.1), TOP, layers=True)
    seen = entering(model, x)
    assert len(tape._blocks) >= 8
    for block, (_, value) in tape._blocks.items():
        assert any(_alike(value.available(), t) for t in seen[block]), block
        assert explanation.layers[block].shape == value.shape


class Residual(nn.Module):
    """relu(x + f(x)), as ResNets add; in place or not."""

    def __init__(self, size=4, in_place=False):
        super().__init__()
        self.a, self.b, self.in_place = nn.Linear(size, size), nn.Linear(size, size), in_place

    def forward(self, x):
        y = self.b(F.relu(self.a(x)))
        if self.in_place:
            y += x
            return y.relu_()
        return F.relu(x + y)


class Branchy(Residual):
    """Activations before layers: the first thing that happens has no parameters."""

    def forward(self, x):
        return x + self.b(F.relu(self.a(F.relu(x))))


class Gated(Residual):
    """Squeeze and excite: the block is the gate of what enters it."""

    def forward(self, x):
        return x * F.relu(self.b(F.relu(self.a(x.relu() + x))))


def in_a_row(m, x):
    for block in m.blocks:
        x = block(x)
    return m.head(x)


def twice_each(m, x):
    for block in (*m.blocks, *m.blocks):
        x = block(x)
    return m.head(x)


def beside(m, x):
    first, second = m.blocks
    return m.head(first(x) + second(x))


def u_shaped(m, x):
    first, second = m.blocks
    deep = first(x)
    return m.head(second(deep) + x)


FORWARDS = [in_a_row, twice_each, beside, u_shaped]


@pytest.mark.parametrize("forward", FORWARDS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("kind", [Residual, Branchy, Gated, lambda: Residual(in_place=True)],
                         ids=["residual", "before", "gated", "in_place"])  # fmt: skip
def test_by_lrp0_it_is_gradient_times_stream(forward, kind):
    """Piecewise linear networks: h * dz/dh, whatever leads around a block or into it from elsewhere."""
    model = Net(forward, blocks=nn.ModuleList([kind(), kind()]), head=nn.Linear(4, 3))
    x = torch.randn(2, 4, dtype=D, generator=torch.Generator().manual_seed(1))
    tape = lrp.record(model, x)
    explanation = tape.explain(LRP0, lrp.Target.logit(1), layers=True)
    seen = {name: tensors[0] for name, tensors in entering(model, x).items() if name.startswith("blocks.")}
    blocks = {name for name in seen if name.partition("#")[0].count(".") == 1}
    assert set(tape._blocks) == blocks
    assert_ledger_closes(explanation)
    if kind is Gated:  # a product of two signals: half each, not the chain rule
        return
    for name in blocks:
        expected = _gradient_times(model, x, name)
        torch.testing.assert_close(explanation.layers[name], expected, rtol=1e-9, atol=1e-11)


def _gradient_times(model, x, name):
    """h * dz/dh at the tensor that enters this call of a block."""
    found, counts = [], {}

    def catch(module, inputs, path):
        counts[path] = counts.get(path, 0) + 1
        if (path if counts[path] == 1 else f"{path}#{counts[path]}") == name:
            found.append(inputs[0])

    handles = [
        module.register_forward_pre_hook(lambda m, i, path=path: catch(m, i, path))
        for path, module in model.named_modules()
    ]
    z = model(x.clone().requires_grad_())[:, 1].sum()
    for handle in handles:
        handle.remove()
    (gradient,) = torch.autograd.grad(z, found)
    return (gradient * found[0]).detach()


class Two(nn.Module):
    """A block with two inputs, which no one tensor stands for."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x, y):
        return self.a(x) + self.b(y)


def test_a_block_with_two_inputs_is_left_out_and_unequal_calls_too():
    def forward(m, x):
        first = m.blocks[0](m.left(x), m.right(x))
        return m.head(m.blocks[1](first, m.left(x)) + m.blocks[1].a(first))

    model = Net(forward, blocks=nn.ModuleList([Two(), Two()]), left=nn.Linear(4, 4), right=nn.Linear(4, 4),
                head=nn.Linear(4, 3))  # fmt: skip
    tape = lrp.record(model, torch.randn(2, 4, dtype=D))
    assert not tape._blocks
    assert set(tape.explain(LRP0, TOP, layers=True).layers) == {step.name for step in tape.steps if step.is_layer}


def test_a_walk_that_kept_only_layers_is_walked_again_for_the_stream():
    """Asked for the map first and for the layers later, in both orders of rules."""
    model = Net(in_a_row, blocks=nn.ModuleList([Residual(), Residual()]), head=nn.Linear(4, 3))
    x = torch.randn(2, 4, dtype=D, generator=torch.Generator().manual_seed(1))
    used = lrp.record(model, x)
    for composite in (lrp.presets.epsilon(0.1), lrp.Composite(lrp.Epsilon(0.1), by_name={"blocks.0.a": lrp.ZPlus()})):
        for layers in (False, True, False, True):
            got = used.explain(composite, TOP, layers=layers)
            fresh = lrp.record(model, x).explain(composite, TOP, layers=layers)
            assert list(got.layers) == list(fresh.layers)
            assert all(torch.equal(got.layers[name], fresh.layers[name]) for name in fresh.layers)
