"""The exact adjoint of an operation that is linear in its tensor arguments, from autograd, on throw-away leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..steps import found


def adjoint(operation: Callable[..., Any], inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> list[Tensor]:
    """Pull ``outputs`` (one tensor per floating-point output of ``operation(*inputs)``) back to the inputs.

    Only shapes, strides and types of the inputs matter where the operation is linear; otherwise this is the
    vector-Jacobian product at the inputs. Inputs that the operation ignores or detaches get zeros.
    """
    with torch.inference_mode(False), torch.enable_grad():
        leaves = [(x.clone() if x.is_inference() else x.detach()).requires_grad_() for x in inputs]
        result = operation(*leaves)
        results = [r for r in found(result, Tensor) if r.is_floating_point() or r.is_complex()]
        pairs = [(r, s) for r, s in zip(results, outputs, strict=True) if r.requires_grad]
        if not pairs:  # nothing depends on the inputs: all detached
            return [torch.zeros_like(x) for x in inputs]
        pulled = torch.autograd.grad([r for r, _ in pairs], leaves, [s for _, s in pairs], allow_unused=True)
    return [torch.zeros_like(x) if back is None else back for x, back in zip(inputs, pulled, strict=True)]
