"""Small random networks and the checks that every test file shares."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from lrp_core.ledger import ABSORBERS

CHANNELS, SIZE, CLASSES = 3, 6, 4
BLOCKS = (
    "conv",
    "grouped",
    "norm",
    "relu",
    "relu_in_place",
    "max_pool",
    "avg_pool",
    "residual",
    "residual_in_place",
    "cat",
)


EVERY_RULE = [
    lrp.presets.lrp0(),
    lrp.presets.epsilon(0.1),
    lrp.Composite(lrp.Epsilon(0.1, relative=True)),
    lrp.presets.gamma(0.25),
    lrp.presets.z_plus(),
    lrp.presets.alpha_beta(2.0, 1.0),
    lrp.Composite(lrp.WSquare()),
    lrp.Composite(lrp.Flat()),
    lrp.Composite(lrp.ZBox(-1.0, 1.0)),
    lrp.Composite(lrp.LRP0(), bias="spread"),
    lrp.Composite(lrp.Gamma(0.25), bias="ignore"),
]


class RandomNetwork(nn.Module):
    """The named ``blocks`` in a row over (B, 3, 6, 6), then a dense ReLU head: every function is piecewise linear."""

    def __init__(self, blocks: list[str], seed: int = 0, bias: bool = True):
        super().__init__()
        self.blocks = blocks
        self.layers = nn.ModuleList(self._layer(block, bias) for block in blocks)
        pooled = CHANNELS * 4
        self.dense, self.head = nn.Linear(pooled, 8, bias=bias), nn.Linear(8, CLASSES, bias=bias)
        randomise(self, seed)
        self.double().eval().requires_grad_(False)

    @staticmethod
    def _layer(block: str, bias: bool) -> nn.Module:
        if block == "norm":
            return nn.BatchNorm2d(CHANNELS)
        if block == "cat":
            return nn.Conv2d(2 * CHANNELS, CHANNELS, 1, bias=bias)
        if block == "grouped":
            return nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS, bias=bias)
        return nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=bias)

    def forward(self, x):
        for block, layer in zip(self.blocks, self.layers, strict=True):
            match block:
                case "relu":
                    x = F.relu(x)
                case "relu_in_place":
                    x = F.relu(layer(x), inplace=True)
                case "max_pool":
                    x = F.max_pool2d(x, 3, stride=1, padding=1)
                case "avg_pool":
                    x = F.avg_pool2d(x, 2, stride=1, padding=1)
                case "residual":
                    x = x + F.relu(layer(x))
                case "residual_in_place":
                    y = layer(x)
                    y += x
                    x = y.relu_()
                case "cat":
                    x = layer(torch.cat([F.relu(x), x], dim=1))
                case _:
                    x = layer(x)
        x = F.adaptive_avg_pool2d(x, 2).flatten(1)
        return self.head(F.relu(self.dense(x)))


def randomise(model: nn.Module, seed: int = 0) -> None:
    """He-scaled weights, and what a fresh network lacks: biases and batch statistics that are not zero and one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            fan_in = max(1, parameter[0].numel()) if parameter.dim() > 1 else 1
            std = (2.0 / fan_in) ** 0.5 if parameter.dim() > 1 else 0.1
            parameter.normal_(std=std, generator=generator)
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean.normal_(std=0.2, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
                if module.weight is not None:
                    module.weight.uniform_(0.5, 1.5, generator=generator)


def random_input(seed: int = 0, batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed + 1000)
    return torch.randn(batch, CHANNELS, SIZE, SIZE, dtype=torch.float64, generator=generator)


def gradient_times_input(model: nn.Module, x: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """x * d(v . logits)/dx by autograd, row by row of the batch."""
    x = x.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad((model(x) * v).sum(), x)
    return (gradient * x).detach()


def assert_ledger_closes(explanation: lrp.Explanation, tolerance: float = 1e-10) -> None:
    """r_out = r_in + every absorber at each step, and start = input + every absorber in total, per row."""
    rows = explanation.ledger.rows
    assert rows
    for row in rows:
        parts = torch.stack([row.r_in, *(getattr(row, name) for name in ABSORBERS)])
        scale = torch.maximum(parts.abs().amax(0), row.r_out.abs()).clamp(min=explanation.start.abs().max().item())
        assert (row.r_out - parts.sum(0)).abs().div(scale).max() <= tolerance, f"{row.step}: {row}"
    total = explanation.ledger.total
    parts = torch.stack([total.input, *(getattr(total, name) for name in ABSORBERS)])
    scale = parts.abs().amax(0).clamp(min=explanation.start.abs().max().item())
    assert (total.start - parts.sum(0)).abs().div(scale).max() <= tolerance, f"total: {total}"
    start = explanation.start.double().reshape(len(explanation.start), -1).sum(1)
    torch.testing.assert_close(total.start.double(), start, rtol=tolerance, atol=tolerance)
    arrived = sum(part.double().reshape(len(start), -1).sum(1) for part in explanation.parts.values())
    assert (total.input - arrived).abs().div(scale).max() <= tolerance


class Net(nn.Module):
    """Any layers by name and a forward function, so that a test reads as the network it is about."""

    def __init__(self, forward, **layers: nn.Module):
        super().__init__()
        self.function = forward
        for name, layer in layers.items():
            self.add_module(name, layer)
        randomise(self)
        self.double().eval().requires_grad_(False)

    def forward(self, *inputs, **options):
        return self.function(self, *inputs, **options)


def vectors(rows: int = 2, size: int = 6, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def assert_lrp0_is_gradient_times_input(model: nn.Module, x: torch.Tensor) -> None:
    """The oracle for piecewise linear networks, with a ledger that closes."""
    tape = lrp.record(model, x)
    v = torch.zeros_like(tape.output)
    v[:, 1] = 1.0
    explanation = tape.explain(lrp.presets.lrp0(), lrp.Target.logit(1))
    expected = gradient_times_input(model, x, v)
    torch.testing.assert_close(explanation.relevance, expected, rtol=1e-9, atol=1e-10 * max(1, expected.abs().max()))
    assert_ledger_closes(explanation)
    assert_ledger_closes(tape.explain(lrp.presets.epsilon_gamma_box(-4.0, 4.0, 0.1, 0.25), lrp.Target.top()))


def assert_rows_stand_alone(model: nn.Module, composite: lrp.Composite, x: torch.Tensor, **options) -> None:
    """Relevance and books of each row of a batch are those of that row recorded alone; ``options`` are cut alike."""
    batch = lrp.record(model, x, **options).explain(composite, lrp.Target.logit(1))
    assert_ledger_closes(batch)
    for row in range(len(x)):
        own = {name: value[row : row + 1] if len(value) == len(x) else value for name, value in options.items()}
        alone = lrp.record(model, x[row : row + 1], **own).explain(composite, lrp.Target.logit(1))
        scale = max(1e-3, alone.relevance.abs().max().item())
        torch.testing.assert_close(batch.relevance[row : row + 1], alone.relevance, rtol=1e-9, atol=1e-9 * scale)
        for name in ("input", "bias", "epsilon", "softmax", "constant", "dropped"):
            ours, theirs = (getattr(e.ledger.total, name) for e in (batch, alone))
            torch.testing.assert_close(ours[row], theirs[0], rtol=1e-8, atol=1e-9)
