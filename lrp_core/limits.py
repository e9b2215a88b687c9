"""How many bytes may be kept to answer faster; what does not fit is computed again."""

WEIGHTS_PER_MODEL = 1280 * 2**20
"""Bytes of derived weights (W+, W-, merged batch norms) kept per model, shared by all its tapes."""

CACHE_PER_TAPE = 512 * 2**20
"""Bytes of denominators and of the last walk kept per tape, on top of the recorded forward pass."""
