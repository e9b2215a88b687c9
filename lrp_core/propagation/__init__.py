"""How relevance passes each kind of step. Importing this room fills the table of operations (``registry.py``)."""

from . import (
    affine_ops,
    attention,
    elementwise,
    functions,
    gathering,
    maxima,
    norms,
    pooling,
    products,
    recurrent,
    rotary,
    routing,
    sampling,
    shaping,
    writing,
)

# isort: split
from . import frequency  # of several that accept a call the last counts, and calls on complex numbers are for this one

__all__ = [
    "affine_ops",
    "attention",
    "elementwise",
    "frequency",
    "functions",
    "gathering",
    "maxima",
    "norms",
    "pooling",
    "products",
    "recurrent",
    "rotary",
    "routing",
    "sampling",
    "shaping",
    "writing",
]
