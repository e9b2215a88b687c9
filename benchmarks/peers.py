"""The rows as torch, zennit and captum run them, through their public interfaces only.

zennit and captum register hooks on the model or change its weights while they run: each must have it for itself.
Captum has no alpha2-beta1 and no zB; its gamma is a simpler rule of its own.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from models.torchvision_compat import import_torchvision

from .contest import ALPHA_BETA, BOX, EPSILON, EPSILON_PLUS, FORWARD, GRADIENT, Job, Makers, Network


def torch_makers(network: Network) -> Makers:
    """Plain forward pass, and the gradient of a logit by autograd."""
    model, x = network.model, network.x

    def forward() -> Tensor:
        with torch.inference_mode():
            return model(x)

    def gradient() -> Tensor:
        leaf = x.clone().requires_grad_()
        return torch.autograd.grad(model(leaf)[0, 0], leaf)[0]

    return {FORWARD: lambda: Job(forward), GRADIENT: lambda: Job(gradient)}


def zennit_makers(network: Network) -> Makers:
    import_torchvision()  # zennit imports it plainly
    from zennit.attribution import Gradient
    from zennit.composites import EpsilonAlpha2Beta1, EpsilonGammaBox, EpsilonPlus
    from zennit.rules import Epsilon
    from zennit.types import Convolution

    one_hot = torch.eye(network.classes)[[0]]
    low, high = (bound[None, :, None, None].expand_as(network.x) for bound in (network.low, network.high))

    def job(composite: object) -> Job:
        def run() -> Tensor:
            with Gradient(model=network.model, composite=composite) as attributor:
                return attributor(network.x, one_hot)[1]

        return Job(run)

    return {
        EPSILON: lambda: job(EpsilonPlus(epsilon=1e-6, layer_map=[(Convolution, Epsilon(epsilon=1e-6))])),
        EPSILON_PLUS: lambda: job(EpsilonPlus(epsilon=1e-6)),
        BOX: lambda: job(EpsilonGammaBox(low=low, high=high, epsilon=1e-2, gamma=0.25)),
        ALPHA_BETA: lambda: job(EpsilonAlpha2Beta1(epsilon=1e-6)),
    }


def captum_makers(network: Network) -> Makers:
    from captum.attr import LRP
    from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule, GammaRule

    model = _for_captum(network.model)

    def job(rule_of_convolutions: Callable[[], object]) -> Job:
        def prepare() -> None:
            for module in model.modules():
                if isinstance(module, nn.Conv2d):
                    module.rule = rule_of_convolutions()
                elif isinstance(module, nn.Linear):
                    module.rule = EpsilonRule(epsilon=1e-6)

        return Job(lambda: LRP(model).attribute(network.x.clone().requires_grad_(), target=0), prepare)

    return {
        EPSILON: lambda: job(lambda: EpsilonRule(epsilon=1e-6)),
        EPSILON_PLUS: lambda: job(Alpha1_Beta0_Rule),
        BOX: lambda: job(lambda: GammaRule(gamma=0.25)),
    }


class _Flattened(nn.Module):
    """Captum refuses `nn.Flatten` but not the function."""

    def __init__(self, before: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.before, self.after = before, after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(torch.flatten(self.before(x), 1))


def _for_captum(model: nn.Module) -> nn.Module:
    """The model without what captum cannot run: `nn.Flatten`, in-place activations."""
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    if not isinstance(model, nn.Sequential):
        return model
    at = next(i for i, module in enumerate(model) if isinstance(module, nn.Flatten))
    return _Flattened(model[:at], model[at + 1 :])
