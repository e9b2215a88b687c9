"""What is let go is freed at once: a server cannot wait for the garbage collector to return 100 MB."""

import gc
import weakref

import pytest
import torch
from torch import nn

import lrp_core as lrp


def small_network() -> nn.Module:
    torch.manual_seed(0)
    convolution = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    return nn.Sequential(*convolution, nn.Flatten(), nn.Linear(36, 3)).eval()


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_a_tape_is_freed_without_the_garbage_collector(no_collector):
    tape = lrp.record(small_network(), torch.rand(1, 1, 8, 8))
    explanation = tape.explain(lrp.presets.gamma(), lrp.Target.top(), layers=True)
    left = [weakref.ref(thing) for thing in (tape, tape.steps[0], tape.steps[0].inputs[0])]
    del tape
    assert left[0]() is None, "the tape goes even while its explanation is kept"
    del explanation
    assert [ref() for ref in left] == [None] * 3


def test_a_model_takes_its_derived_weights_along(no_collector):
    model = small_network()
    lrp.record(model, torch.rand(1, 1, 8, 8)).explain(lrp.presets.z_plus(), lrp.Target.top())
    left = [weakref.ref(model), weakref.ref(model[0].weight)]
    del model
    assert [ref() for ref in left] == [None, None]


def test_the_last_walk_is_let_go_when_a_new_one_replaces_it(no_collector):
    tape = lrp.record(small_network(), torch.rand(1, 1, 8, 8))
    tape.explain(lrp.presets.gamma(0.1), lrp.Target.top())
    before, replaced = tape.nbytes, weakref.ref(tape._last)
    tape.explain(lrp.presets.gamma(0.2), lrp.Target.top())
    assert replaced() is None
    assert tape.nbytes == before
