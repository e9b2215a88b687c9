"""The arithmetic of the engine does not depend on the mode that the caller happens to be in."""

from __future__ import annotations

from contextlib import ExitStack

import torch


def plain_arithmetic() -> ExitStack:
    """Entered at once: no autograd, no autocast, and tensors that the caller may use in autograd later.

    To be left again by ``with``.
    """
    stack = ExitStack()
    stack.enter_context(torch.inference_mode(False))
    stack.enter_context(torch.no_grad())
    for device in ("cpu", "cuda"):
        if torch.is_autocast_enabled(device):
            stack.enter_context(torch.autocast(device, enabled=False))
    return stack
