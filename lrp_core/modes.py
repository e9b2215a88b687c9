"""The arithmetic of the engine does not depend on the mode that the caller, or the model, happens to be in."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

DEVICES = ("cpu", "cuda")


def plain_arithmetic() -> ExitStack:
    """Entered at once: no autograd, no autocast, and tensors that the caller may use in autograd later.

    To be left again by ``with``.
    """
    stack = ExitStack()
    stack.enter_context(torch.inference_mode(False))
    stack.enter_context(torch.no_grad())
    for device in DEVICES:
        if torch.is_autocast_enabled(device):
            stack.enter_context(torch.autocast(device, enabled=False))
    return stack


def without_autocast() -> None:
    """Switch off an autocast that the model entered; leaving its context puts back what was before."""
    for device in DEVICES:
        if torch.is_autocast_enabled(device):
            torch.set_autocast_enabled(device, False)


class _Stance:
    """How torch treats compiled code belongs to the whole process: the first recording sets it, the last resets it."""

    lock = threading.Lock()
    recordings = 0
    context: Any = None


@contextmanager
def uncompiled() -> Iterator[None]:
    """What ``torch.compile`` made, be it a module or a function, runs as it was written, so that it can be watched.

    Other threads that run compiled code meanwhile get the same results, for that time without its speed.
    """
    if "torch._dynamo" not in sys.modules:  # nothing was compiled, and importing it takes a second
        yield
        return
    with _Stance.lock:
        if not _Stance.recordings:
            _Stance.context = torch.compiler.set_stance("force_eager")
        _Stance.recordings += 1
    try:
        yield
    finally:
        with _Stance.lock:
            _Stance.recordings -= 1
            if not _Stance.recordings:
                _Stance.context.__exit__(None, None, None)
