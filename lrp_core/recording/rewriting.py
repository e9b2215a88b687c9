"""Small functions of torch in other words: each is run as the operations that it is short for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """The n-th differences of neighbours along an axis."""
    ends = [end for end in (prepend, input, append) if end is not None]
    x = torch.cat(ends, dim) if len(ends) > 1 else input
    for _ in range(n):
        length = x.shape[dim] - 1
        x = x.narrow(dim, 1, length) - x.narrow(dim, 0, length)
    return x


def kron(input: Tensor, other: Tensor) -> Tensor:
    """Every number of the first times the whole of the second."""
    dims = max(input.dim(), other.dim())
    a, b = (t.reshape(*[1] * (dims - t.dim()), *t.shape) for t in (input, other))
    pairs = list(zip(a.shape, b.shape, strict=True))
    outer = a.reshape([n for one, _ in pairs for n in (one, 1)]) * b.reshape([n for _, two in pairs for n in (1, two)])
    return outer.reshape([one * two for one, two in pairs])


def block_diag(*tensors: Tensor) -> Tensor:
    """Matrices along the diagonal of a matrix of zeros."""
    blocks = [t.reshape(1, -1) if t.dim() < 2 else t for t in tensors]
    width, done = sum(block.shape[1] for block in blocks), 0
    rows = []
    for block in blocks:
        rows.append(F.pad(block, (done, width - done - block.shape[1])))
        done += block.shape[1]
    return torch.cat(rows)


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Each vector along an axis of its own, repeated along those of the others."""
    vectors = list(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], list | tuple) else list(tensors)
    axes = list(range(len(vectors)))
    if indexing == "xy" and len(vectors) > 1:
        axes[:2] = 1, 0
    shape = [1] * len(vectors)
    for axis, vector in zip(axes, vectors, strict=True):
        shape[axis] = vector.numel()
    return tuple(
        vector.reshape([-1 if a == axis else 1 for a in range(len(shape))]).expand(shape)
        for axis, vector in zip(axes, vectors, strict=True)
    )


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All combinations of the entries of vectors, one a row."""
    if len(tensors) == 1:
        return tensors[0]
    return torch.stack([grid.reshape(-1) for grid in meshgrid(*tensors)], -1)


REWRITTEN: dict[str, Callable[..., Any]] = {
    "diff": diff,
    "kron": kron,
    "block_diag": block_diag,
    "meshgrid": meshgrid,
    "cartesian_prod": cartesian_prod,
}
"""by the names of torch"""
