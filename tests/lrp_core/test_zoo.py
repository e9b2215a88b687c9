"""torchvision's classifiers, unmodified: no step without a rule, a ledger that closes, and the oracle of LRP-0."""

import pytest
import torch
from torch import nn

import lrp_core as lrp
from models.torchvision_compat import import_torchvision
from tests.lrp_core.networks import assert_ledger_closes, assert_rows_stand_alone, gradient_times_input, randomise

zoo = import_torchvision().models

PIECEWISE_LINEAR = [
    "alexnet",
    "vgg11",
    "vgg16_bn",
    "resnet18",
    "resnet50",
    "squeezenet1_1",
    "densenet121",
    "googlenet",
    "shufflenet_v2_x0_5",
    "mnasnet0_5",
    "regnet_x_400mf",
]
OTHERS = ["mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "regnet_y_400mf"]
WITH_ATTENTION = {
    "vit": lambda: zoo.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=7),
    "swin": lambda: zoo.SwinTransformer([4, 4], 8, [2, 2], [2, 4], [4, 4], num_classes=7),
    "swin_v2": lambda: zoo.SwinTransformer(
        *([4, 4], 8, [2, 2], [2, 4], [4, 4]),
        num_classes=7,
        block=zoo.swin_transformer.SwinTransformerBlockV2,
        downsample_layer=zoo.swin_transformer.PatchMergingV2,
    ),
    "convnext": lambda: zoo.ConvNeXt(
        [zoo.convnext.CNBlockConfig(8, 16, 1), zoo.convnext.CNBlockConfig(16, None, 1)], num_classes=7
    ),
    "maxvit": lambda: zoo.MaxVit((32, 32), 8, 4, [8, 16], [1, 1], 4, 0.1, num_classes=7),
}
SMALL_OUTPUT = {"num_classes": 7}


def build(name: str) -> nn.Module:
    """Random weights, biases and batch statistics; built on meta, which skips the slow standard initialisation."""
    extra = {"aux_logits": False, "transform_input": True, "init_weights": False} if name == "googlenet" else {}
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        model = zoo.get_model(name, weights=None, **SMALL_OUTPUT, **extra)
    model = model.to_empty(device="cpu")
    randomise(model)
    return model.double().eval().requires_grad_(False)


def image() -> torch.Tensor:
    return torch.randn(1, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", PIECEWISE_LINEAR + OTHERS)
def test_every_step_has_a_rule_and_every_ledger_closes(name):
    model, x = build(name), image()
    tape = lrp.record(model, x)
    assert tape.unsupported() == ()
    torch.testing.assert_close(tape.output, model(x), rtol=1e-10, atol=1e-12)
    for composite in (
        lrp.presets.epsilon_plus_flat(1e-3),
        lrp.presets.epsilon_gamma_box(-3.0, 3.0, 1e-3, 0.25),
        lrp.presets.epsilon(1e-3, relative=True),
    ):
        explanation = tape.explain(composite, lrp.Target.top())
        assert explanation.relevance.shape == x.shape
        assert explanation.relevance.isfinite().all() and explanation.relevance.abs().sum() > 0
        assert_ledger_closes(explanation)
    if name in PIECEWISE_LINEAR:
        assert_lrp0_is_gradient_times_input(model, x, tape)


def assert_lrp0_is_gradient_times_input(model: nn.Module, x: torch.Tensor, tape: lrp.Tape) -> None:
    """ReLU, pools and sums alone; gates and smooth activations pass relevance otherwise than their gradient."""
    explanation = tape.explain(lrp.presets.lrp0(), lrp.Target.logit(3))
    assert_ledger_closes(explanation)
    v = torch.zeros_like(tape.output)
    v[:, 3] = 1.0
    expected = gradient_times_input(model, x, v)
    scale = expected.abs().max().item()
    torch.testing.assert_close(explanation.relevance, expected, rtol=1e-6, atol=1e-7 * scale)


def test_single_precision_closes_too():
    model, x = build("resnet18").float(), image().float()
    explanation = lrp.record(model, x).explain(lrp.presets.epsilon_plus(1e-3), lrp.Target.top())
    assert explanation.relevance.dtype == torch.float32
    assert_ledger_closes(explanation, 1e-4)


@pytest.mark.parametrize("name", WITH_ATTENTION)
def test_transformers_for_images(name):
    """Small ones of each family: every ledger closes, rows stand alone, and the baseline is autograd's."""
    model = WITH_ATTENTION[name]().double().eval().requires_grad_(False)
    randomise(model)
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    tape = lrp.record(model, x)
    assert tape.unsupported() == ()
    torch.testing.assert_close(tape.output, model(x), rtol=1e-10, atol=1e-12)
    for composite in (
        lrp.presets.attn_lrp(1e-3),
        lrp.presets.cp_lrp(1e-3),
        lrp.presets.epsilon_gamma_box(-4.0, 4.0, 1e-3, 0.25),
    ):
        assert_rows_stand_alone(model, composite, x)
    baseline = tape.explain(lrp.presets.gradient_times_input(), lrp.Target.logit(3))
    assert_ledger_closes(baseline)
    v = torch.eye(7, dtype=torch.float64)[[3, 3]]
    torch.testing.assert_close(baseline.relevance, gradient_times_input(model, x, v), rtol=1e-8, atol=1e-10)
