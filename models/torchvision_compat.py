"""Import torchvision where its compiled operators cannot be loaded.

torchvision 0.28.0 registers shape rules for its operators `nms` and `qnms` while it is imported. Where its compiled
library does not match the installed torch (the CPU build of torch with torchvision's default build, for one), these
operators do not exist and `import torchvision` fails, although no classifier uses them. Declaring them is enough.
"""

import importlib
import threading
from functools import cache
from types import ModuleType

import torch

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_one_import_at_a_time = threading.Lock()


def import_torchvision() -> ModuleType:
    """Return torchvision, ready to build classifiers; call it before anything else imports torchvision.

    Nothing is declared unless the plain import failed for want of an operator. A torchvision that is not installed,
    or broken in another way, raises what the plain import raises.
    """
    with _one_import_at_a_time:
        try:
            return importlib.import_module("torchvision")
        except RuntimeError as error:
            if "operator torchvision::" not in str(error):
                raise
        _declare_operators()
        return importlib.import_module("torchvision")


@cache  # the cache keeps the Library alive: its operators vanish with it
def _declare_operators() -> torch.library.Library:
    """Declare the schemas of the operators that are missing, without an implementation."""
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            library.define(name + _SCHEMA)
    return library
