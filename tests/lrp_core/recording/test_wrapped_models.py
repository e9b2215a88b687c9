"""Models that others have wrapped, compiled or exported, and those that have no numbers to compute with."""

import copy
import threading

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from lrp_core.modes import uncompiled
from tests.lrp_core.networks import Net, RandomNetwork, random_input, randomise, vectors
from tests.lrp_core.recording.test_refusals import refused

TOP = lrp.Target.top()
COMPOSITE = lrp.presets.epsilon_gamma_box(-4.0, 4.0, 0.1, 0.25)


def network() -> nn.Sequential:
    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten()]
    model = nn.Sequential(nn.Sequential(*layers), nn.GroupNorm(2, 36), nn.LayerNorm(36), nn.Linear(36, 5))
    randomise(model)
    return model.double().eval().requires_grad_(False)


def explained(model, x=None):
    tape = lrp.record(model, random_input() if x is None else x)
    assert tape.unsupported() == ()
    return tape, tape.explain(COMPOSITE, TOP, layers=True)


def never(*_):
    raise AssertionError("nothing may be compiled while recording")


def compiled(module):
    """As users compile, with a back end that tells when it is asked to work."""
    return torch.compile(module, backend=never)


def compiled_in_place(model):
    model.compile(backend=never)
    return model


def compiled_inside(model):
    model[0] = compiled(model[0])
    return model


WRAPPED = {
    "compiled": compiled,
    "compiled in place": compiled_in_place,
    "compiled inside": compiled_inside,
    "data parallel": nn.DataParallel,
    "compiled data parallel": lambda model: nn.DataParallel(compiled(model)),
    "traced by fx": torch.fx.symbolic_trace,
    "exported": lambda model: torch.export.export(model, (random_input(),)).module(),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_a_wrapped_model_is_explained_like_the_model_itself(name):
    """The same relevance, the same names of layers, and the weights of the same cache."""
    tape, expected = explained(network())
    wrapped, found = explained(WRAPPED[name](network()))
    torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-10, atol=1e-12)
    assert [step.name for step in wrapped.steps] == [step.name for step in tape.steps]
    assert list(found.layers) == list(expected.layers) == ["0.0", "1", "2", "3"]


def test_a_compiled_function_inside_runs_as_it_was_written():
    function = torch.compile(lambda x: F.relu(x) * 2, backend=never)

    def with_(forward):
        return Net(forward, a=nn.Linear(6, 5), head=nn.Linear(5, 3))

    _, found = explained(with_(lambda m, x: m.head(function(m.a(x)))), vectors())
    _, expected = explained(with_(lambda m, x: m.head(F.relu(m.a(x)) * 2)), vectors())
    assert torch.equal(found.relevance, expected.relevance)
    with pytest.raises(Exception, match="nothing may be compiled"):
        function(vectors())


def test_recordings_that_overlap_leave_the_compiler_as_it_was():
    """The first of two ends before the second: only then is compiled code compiled again."""
    calls = []
    function = torch.compile(lambda x: x + 1, backend=lambda graph, inputs: calls.append(1) or graph.forward)
    first_in, second_in, first_out = threading.Event(), threading.Event(), threading.Event()

    def first():
        with uncompiled():
            first_in.set()
            second_in.wait(10)
        first_out.set()

    thread = threading.Thread(target=first)
    thread.start()
    first_in.wait(10)
    with uncompiled():
        second_in.set()
        thread.join(10)
        assert first_out.is_set()
        function(torch.ones(2))
        assert not calls
    function(torch.ones(2))
    assert calls


def test_an_exported_transformer_with_an_lstm():
    """Operators of ATen: other names, other orders of arguments, indices and slices."""

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.word = nn.Embedding(9, 8)
            self.attend = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.read, self.head = nn.LSTM(8, 4, batch_first=True), nn.Linear(4, 3)

        def forward(self, ids):
            return self.head(self.read(self.attend(self.word(ids)))[0][:, -1])

    model, ids = Reader(), torch.randint(9, (2, 4), generator=torch.Generator().manual_seed(0))
    randomise(model)
    model = model.double().eval()
    exported = torch.export.export(model, (ids,)).module()
    composite = lrp.presets.attn_lrp(1e-3)
    expected, found = (lrp.record(m, ids).explain(composite, TOP) for m in (model, exported))
    torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-9, atol=1e-12)


def on_meta(place):
    model = copy.deepcopy(network())
    model[place].to("meta")
    return model


class Strange(torch.Tensor):
    """A tensor whose operations mean what its class says."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return function(*args, **(kwargs or {}))


def with_strange_weight():
    model = nn.Sequential(nn.Linear(6, 3)).eval()
    model[0]._parameters["weight"] = torch.Tensor._make_subclass(Strange, torch.ones(3, 6))
    return model


def quantised():
    return torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(6, 3)).eval(), {nn.Linear})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: on_meta(0), ["'0.0.weight'", "meta", "load"]),
        (lambda: on_meta(3), ["'3.weight'", "meta"]),
        (lambda: nn.Sequential(nn.LazyLinear(3)).eval(), ["'0.weight'", "run the model once"]),
        (with_strange_weight, ["'0.weight'", "strange", "plain"]),
        (quantised, ["'0'", "quantised", "before"]),
        (lambda: nn.DataParallel(network().train()), ["eval"]),
        (lambda: torch.compile(network().train()), ["eval"]),
        (lambda: torch.jit.trace(network(), random_input()), ["torchscript"]),
        (lambda: network, ["module", "function"]),
    ],
)
def test_a_model_that_cannot_be_recorded_is_named(made, words):
    model = made()
    refused((ValueError, TypeError), lambda: lrp.record(model, random_input()), *words)


def test_a_model_in_eval_mode_inside_a_wrapper_that_is_not():
    """What counts is the mode of the layers themselves."""
    wrapper = torch.compile(network().train(), backend=never)
    wrapper._orig_mod.eval()
    explained(wrapper)
    explained(nn.DataParallel(network()))


def test_names_of_random_networks_do_not_change():
    names = [step.name for step in explained(RandomNetwork(["conv", "relu"]))[0].steps if step.is_layer]
    assert names == ["layers.0", "dense", "head"]
