"""Every tensor that the engine makes lies on the device of the input.

Without a graphics card that is seen by watching the calls that make tensors: one from within the engine that names no
device would land on the processor. With one, everything is computed there and compared.
"""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

import lrp_core as lrp
from tests.lrp_core.networks import RandomNetwork, assert_ledger_closes, randomise

ENGINE = str(Path(lrp.__file__).parent)
TOP = lrp.Target.top()
CONSTRUCTORS = _device_constructors()


class WithoutDevice(TorchFunctionMode):
    """Notes the places in the engine that make a tensor without saying where."""

    def __init__(self):
        super().__init__()
        self.places: set[str] = set()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        caller = sys._getframe(1)
        if function in CONSTRUCTORS and kwargs.get("device") is None and caller.f_code.co_filename.startswith(ENGINE):
            self.places.add(f"{Path(caller.f_code.co_filename).name}:{caller.f_lineno} {function.__name__}")
        return function(*args, **kwargs)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.word = nn.Embedding(9, 6)
        self.lstm, self.head = nn.LSTM(6, 5, bidirectional=True, batch_first=True), nn.Linear(10, 3)
        randomise(self)
        self.eval().requires_grad_(False)

    def forward(self, ids):
        return self.head(self.lstm(self.word(ids))[0].mean(1))


class Positions(nn.Module):
    """Positions that all rows share, a mask, attention, a split whose second half nobody reads, and padding."""

    def __init__(self):
        super().__init__()
        self.word, self.position = nn.Embedding(9, 8), nn.Embedding(5, 8)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(6, 3)
        randomise(self)
        self.eval().requires_grad_(False)

    def forward(self, ids):
        x = self.word(ids) + self.position(torch.arange(ids.shape[1], device=ids.device))
        x = self.encoder(x, src_key_padding_mask=ids == 0)
        first, _ = x[:, 0].chunk(2, -1)
        return self.head(nn.functional.pad(first, (1, 1)))


def xlm_r():
    pytest.importorskip("transformers")
    from tests.lrp_core.text_models import build, tokens

    return build("xlm-r", "sdpa", dtype=torch.float32), tokens(7, 4)


def networks():
    image = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    ids = torch.tensor([[1, 2, 3, 0, 0], [4, 5, 6, 7, 8]])
    blocks = ["conv", "norm", "relu_in_place", "max_pool", "residual_in_place", "cat", "avg_pool", "grouped"]
    return {
        "pictures": lambda: (RandomNetwork(blocks).float(), {"x": image}),
        "recurrent": lambda: (Recurrent(), {"ids": ids}),
        "positions": lambda: (Positions(), {"ids": ids}),
        "half precision": lambda: (Positions().bfloat16(), {"ids": ids}),
        "xlm-r": xlm_r,
    }


COMPOSITES = {
    "lrp0": lrp.presets.lrp0(),
    "epsilon": lrp.presets.epsilon(0.1, relative=True),
    "gamma": lrp.presets.gamma(0.25),
    "z_plus": lrp.presets.z_plus(),
    "alpha_beta": lrp.presets.alpha_beta(2.0, 1.0),
    "w_square": lrp.presets.w_square(),
    "flat": lrp.presets.epsilon_plus_flat(0.1),
    "box": lrp.presets.epsilon_gamma_box(-3.0, 3.0, 0.1, 0.25),
    "overview": lrp.presets.overview(0.1, 0.25),
    "attn": lrp.presets.attn_lrp(0.1),
    "cp": lrp.presets.cp_lrp(0.1),
    "gradient": lrp.presets.gradient_times_input(),
    "spread": lrp.Composite(lrp.Epsilon(0.1), bias="spread"),
    "ignore": lrp.Composite(lrp.Gamma(0.25), bias="ignore"),
}
TARGETS = (
    TOP,
    lrp.Target.logit(1),
    lrp.Target.difference(0, [1, 2]),
    lrp.Target.one_vs_rest(0),
    lrp.Target.log_odds(1),
)


def everything(model, inputs, device="cpu"):
    """Relevance under every preset, a sweep and every target."""
    model, inputs = model.to(device), {name: tensor.to(device) for name, tensor in inputs.items()}
    tape = lrp.record(model, **inputs)
    found = {name: tape.explain(composite, TOP, layers=True) for name, composite in COMPOSITES.items()}
    for number, target in enumerate(TARGETS):
        found[f"target {number}"] = tape.explain(COMPOSITES["epsilon"], target)
    found["sweep"] = tape.sweep(COMPOSITES["gamma"], TOP, gamma=[0.1, 0.5])
    return found


@pytest.mark.parametrize("name", networks())
def test_no_tensor_is_made_without_a_device(name):
    model, inputs = networks()[name]()
    with WithoutDevice() as watch:
        everything(model, inputs)
    assert not watch.places


def test_the_watch_sees_a_tensor_without_a_device():
    watch = WithoutDevice()
    with watch:
        exec(compile("torch.zeros(2)\ntorch.ones(2, device='cpu')", f"{ENGINE}/made_up.py", "exec"), {"torch": torch})
    assert watch.places == {"made_up.py:1 zeros"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no graphics card here")
@pytest.mark.parametrize("name", networks())
def test_a_graphics_card_computes_the_same(name):
    here, there = everything(*networks()[name]()), everything(*networks()[name](), device="cuda")
    for key, expected in here.items():
        for part, relevance in expected.parts.items():
            found = there[key].parts[part]
            assert found.device.type == "cuda"
            torch.testing.assert_close(found.cpu(), relevance, rtol=1e-3, atol=1e-3 * float(relevance.abs().max()))
        if key != "sweep":
            assert_ledger_closes(there[key], 1e-4)
