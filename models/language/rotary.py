"""Rotary positions: where a piece stands, as an angle by which its queries and keys are turned (Su 2021).

One function and not five operations: a turn is a linear map, and a recorder that knows it by its name keeps one step of
it. It announces itself as torch's own functions do.
"""

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary


def angles(length: int, size: int, base: float, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine for each position and feature, (T, size), in the type of `like`.

    Features i and i + size / 2 turn together, by position / base^(2 i / size).
    """
    exact = torch.float64 if like.dtype == torch.float64 else torch.float32
    speeds = base ** -(torch.arange(0, size, 2, dtype=exact, device=like.device) / size)
    turned = torch.outer(torch.arange(length, dtype=exact, device=like.device), speeds).repeat(1, 2)
    return turned.cos().to(like.dtype), turned.sin().to(like.dtype)


def rotary(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x (..., T, D) turned by its position: the pair (a, b) becomes (a cos - b sin, b cos + a sin)."""
    if has_torch_function_unary(x):
        return handle_torch_function(rotary, (x,), x, cos, sin)
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat((-second, first), -1) * sin
