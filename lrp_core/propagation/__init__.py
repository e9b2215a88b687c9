"""How relevance passes each kind of step. Importing this room fills the table of operations (``registry.py``)."""

from . import (
    affine_ops,
    attention,
    elementwise,
    functions,
    maxima,
    norms,
    pooling,
    products,
    recurrent,
    shaping,
    writing,
)

__all__ = [
    "affine_ops",
    "attention",
    "elementwise",
    "functions",
    "maxima",
    "norms",
    "pooling",
    "products",
    "recurrent",
    "shaping",
    "writing",
]
