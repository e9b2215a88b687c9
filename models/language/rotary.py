"""Rotary positions: where a piece stands, as an angle by which its queries and keys are turned (Su 2021)."""

import torch
from torch import Tensor


def angles(length: int, size: int, base: float, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine for each position and feature, (T, size), in the type of `like`.

    Features i and i + size / 2 turn together, by position / base^(2 i / size).
    """
    exact = torch.float64 if like.dtype == torch.float64 else torch.float32
    speeds = base ** -(torch.arange(0, size, 2, dtype=exact, device=like.device) / size)
    turned = torch.outer(torch.arange(length, dtype=exact, device=like.device), speeds).repeat(1, 2)
    return turned.cos().to(like.dtype), turned.sin().to(like.dtype)


def rotary(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x (..., T, D) turned by its position: the pair (a, b) becomes (a cos - b sin, b cos + a sin).

    Written out as transformers writes it, so that a recorder knows the turn, which is one linear map.
    """
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat((-second, first), -1) * sin
