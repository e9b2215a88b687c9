"""Functions that are short for a formula of others, written out: every part of it passes relevance by its own rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from string import ascii_letters
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def glu(x: Tensor, dim: int = -1) -> Tensor:
    """Half of the channels, each through a gate that the other half makes (Dauphin 2017)."""
    signal, gate = x.chunk(2, dim)
    return signal * torch.sigmoid(gate)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """The softmax of what is turned round."""
    return NotImplemented if dim is None or dtype else torch.softmax(-input, dim)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Both divided by their lengths, which are deviations and so constants; then half each, as in any product."""
    lengths = [torch.linalg.vector_norm(x, 2, dim, True).clamp_min(eps) for x in (x1, x2)]
    return (x1 / lengths[0] * (x2 / lengths[1])).sum(dim)


def norm(
    input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, out: Any = None, dtype: Any = None
) -> Any:
    """``torch.norm`` and ``Tensor.norm``; of matrices only Frobenius' norm, which is that of a vector."""
    p = 2.0 if p in ("fro", None) else p
    return NotImplemented if isinstance(p, str) or dtype else torch.linalg.vector_norm(input, p, dim, keepdim)


def linalg_norm(A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """``torch.linalg.norm``, likewise."""
    axes = A.dim() if dim is None else 1 if isinstance(dim, int) else len(dim)
    if ord is not None and axes > 1 and ord != "fro":
        return NotImplemented
    return norm(A, ord, dim, keepdim, dtype=dtype)


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The norm of a difference."""
    return torch.linalg.vector_norm(x1 - x2 + eps, p, -1, keepdim)


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: Any = None) -> Tensor:
    """The norms of all differences, (..., P, M) and (..., R, M) to (..., P, R)."""
    return torch.linalg.vector_norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), p, -1)


def dist(input: Tensor, other: Tensor, p: float = 2.0) -> Tensor:
    """The norm of a difference, over all axes."""
    return torch.linalg.vector_norm(input - other, p)


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """input + value * tensor1 * tensor2."""
    product = tensor1 * tensor2
    return input + (product if value == 1 else product * value)


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """input + value * tensor1 / tensor2."""
    quotient = tensor1 / tensor2
    return input + (quotient if value == 1 else quotient * value)


def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """A weighted mean of two."""
    return input * (1 - weight) + end * weight


def var_mean(input: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """Both by themselves."""
    return torch.var(input, *args, **kwargs), _mean(input, *args, **kwargs)


def std_mean(input: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """Both by themselves."""
    return torch.std(input, *args, **kwargs), _mean(input, *args, **kwargs)


def _mean(input: Tensor, *args: Any, dim: Any = None, keepdim: bool = False, **_: Any) -> Tensor:
    dims = args[0] if args and not isinstance(args[0], bool) else dim
    keepdim = args[2] if len(args) > 2 else keepdim
    return input.mean(tuple(range(input.dim())) if dims is None else dims, keepdim=keepdim)


def _lp_pool(pool: Callable[..., Tensor], axes: int) -> Callable[..., Tensor]:
    def lp_pool(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
        """(sum x^p)^(1/p) over windows: a power, a sum, a root."""
        if norm_type < 1 or norm_type == math.inf:
            return NotImplemented
        size = kernel_size**axes if isinstance(kernel_size, int) else math.prod(kernel_size)
        powers = input if norm_type == 1 else input.pow(norm_type)
        sums = pool(powers, kernel_size, stride, 0, ceil_mode) * size
        return sums if norm_type == 1 else sums.pow(1.0 / norm_type)

    return lp_pool


def tensordot(a: Tensor, b: Tensor, dims: Any = 2, out: Any = None) -> Tensor:
    """As an einsum, whose letters tell where the rows of the batch go."""
    if isinstance(dims, int):
        dims = (range(-dims, 0), range(dims))
    firsts, seconds = ([axes] if isinstance(axes, int) else [*axes] for axes in dims)
    of_a, of_b = [*ascii_letters[: a.dim()]], [*ascii_letters[a.dim() : a.dim() + b.dim()]]
    for first, second in zip(firsts, seconds, strict=True):
        of_b[second] = of_a[first]
    both = {of_a[first] for first in firsts}
    left = [letter for letter in (*of_a, *of_b) if letter not in both]
    return torch.einsum(f"{''.join(of_a)},{''.join(of_b)}->{''.join(left)}", a, b)


def inner(input: Tensor, other: Tensor) -> Tensor:
    """Along the last axes."""
    return tensordot(input, other, ((-1,), (-1,))) if input.dim() and other.dim() else input * other


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """Every number with every other."""
    return torch.einsum("i,j->ij", input, vec2)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """Of two vectors."""
    return torch.einsum("i,i->", input, tensor)


BAG_MODES = ("sum", "mean", "max")


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:
    """Embeddings looked up one by one, bag for bag (B, L, E), and then summed, averaged or their maximum taken."""
    if mode not in BAG_MODES or input.is_floating_point():
        return NotImplemented
    weights = per_sample_weights
    valid = torch.ones_like(input, dtype=torch.bool)
    if input.dim() == 1:
        assert offsets is not None
        starts = offsets.tolist()
        ends = starts[1:] if include_last_offset else [*starts[1:], len(input)]
        places = _padded([range(start, end) for start, end in zip(starts, ends, strict=False)], input.device)
        valid, places = places >= 0, places.clamp(min=0)
        input = input[places] if len(input) else torch.zeros_like(places)
        weights = None if weights is None else weights[places]
    if padding_idx is not None:
        valid = valid & (input != padding_idx % len(weight))
    vectors = F.embedding(input, weight, max_norm=max_norm, norm_type=norm_type)
    if mode == "max":
        least = torch.finfo(vectors.dtype).min
        largest = vectors.masked_fill(~valid[..., None], least).amax(1) if not valid.all() else vectors.amax(1)
        empty = ~valid.any(1)
        return largest.masked_fill(empty[:, None], 0.0) if empty.any() else largest
    if weights is not None:
        vectors = vectors * weights[..., None]
    if not valid.all():
        vectors = vectors * valid[..., None].to(vectors.dtype)
    if mode == "sum":
        return vectors.sum(1)
    return vectors.sum(1) / valid.sum(1, keepdim=True).clamp(min=1).to(vectors.dtype)


def _padded(ranges: Sequence[range], device: torch.device) -> Tensor:
    """Ranges of places, one a row, with -1 behind the shorter ones."""
    longest = max(1, *(len(r) for r in ranges))
    return torch.tensor([[*r, *[-1] * (longest - len(r))] for r in ranges], device=device)


FORMULAS: dict[str, Callable[..., Any]] = {
    "glu": glu,
    "softmin": softmin,
    "cosine_similarity": cosine_similarity,
    "norm": norm,
    "linalg_norm": linalg_norm,
    "pairwise_distance": pairwise_distance,
    "cdist": cdist,
    "dist": dist,
    "addcmul": addcmul,
    "addcdiv": addcdiv,
    "lerp": lerp,
    "var_mean": var_mean,
    "std_mean": std_mean,
    **{f"lp_pool{n}d": _lp_pool(getattr(F, f"avg_pool{n}d"), n) for n in (1, 2, 3)},
    "tensordot": tensordot,
    "inner": inner,
    "outer": outer,
    "dot": dot,
    "vdot": dot,
    "embedding_bag": embedding_bag,
}
"""by the names of torch"""
