"""How many bytes may be kept to answer faster; what does not fit is computed again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS_PER_MODEL = 1280 * 2**20
"""Bytes of derived weights (W+, W-, merged batch norms) kept per model, shared by all its tapes."""

CACHE_PER_TAPE = 512 * 2**20
"""Bytes of denominators and of the last walk kept per tape, on top of the recorded forward pass."""

TARGETS_AT_ONCE = 512 * 2**20
"""Bytes that one walk for many targets may take, for its duration; more targets are walked in parts."""


@dataclass
class Budget:
    """Bytes that one tape may keep beside the recorded pass."""

    limit: int = CACHE_PER_TAPE
    used: int = 0

    def fits(self, nbytes: int) -> bool:
        """Whether so many bytes more are within the limit."""
        return self.used + nbytes <= self.limit

    def room(self, tensor: Tensor) -> bool:
        """Whether this tensor may be kept; if so, it is counted."""
        if not self.fits(tensor.nbytes):
            return False
        self.used += tensor.nbytes
        return True
