"""New handwriting from old: distort digits, change the pen, frame them as `models.digits.prepare` does."""

import torch
import torch.nn.functional as F
from torch import Tensor

from models import digits

UNCHANGED = 0.25  # share of digits that are shown as they are


def between(low: float, high: float, count: int, random: torch.Generator) -> Tensor:
    return torch.rand(count, generator=random) * (high - low) + low


def distort(x: Tensor, random: torch.Generator) -> Tensor:
    """Turn, slant, stretch and bend digits (B, 1, 28, 28); returned at twice the size, (B, 1, 56, 56)."""
    count = len(x)
    turn, slant = between(-0.3, 0.3, count, random), between(-0.35, 0.35, count, random)
    wide, tall = between(0.75, 1.3, count, random), between(0.85, 1.15, count, random)
    first = torch.stack([turn.cos() / wide, turn.cos() * slant - turn.sin(), torch.zeros(count)], 1)
    second = torch.stack([turn.sin(), (turn.cos() + turn.sin() * slant) / tall, torch.zeros(count)], 1)
    room = 1.15  # so that a turned corner stays inside
    grid = F.affine_grid(room * torch.stack([first, second], 1), [count, 1, 56, 56], align_corners=False)
    strength = between(0.0, 0.09, count, random).view(-1, 1, 1, 1)
    coarse = torch.randn(count, 2, 6, 6, generator=random) * strength
    bend = F.interpolate(coarse, size=(56, 56), mode="bicubic", align_corners=True)
    return F.grid_sample(x, grid + bend.permute(0, 2, 3, 1), align_corners=False)


def change_pen(x: Tensor, random: torch.Generator) -> Tensor:
    """Make strokes thicker (dilation) or thinner (erosion), and their edges harder."""
    count = len(x)
    amount = between(-1.0, 1.5, count, random).clamp(max=0.75)
    amount = torch.where(torch.rand(count, generator=random) < 0.35, 0.0, amount).view(-1, 1, 1, 1)
    thick, thin = F.max_pool2d(x, 5, 1, 2), -F.max_pool2d(-x, 3, 1, 1)
    x = torch.where(amount > 0, x + amount * (thick - x), x + amount * (x - thin))
    x = x / x.amax((2, 3), keepdim=True).clamp(min=1e-3)
    contrast = between(1.0, 3.0, count, random).view(-1, 1, 1, 1)
    return ((x - 0.5) * contrast + 0.5).clamp(0, 1)


def reframe(x: Tensor, random: torch.Generator) -> Tensor:
    """Box to 20x20 and centre of mass to the middle of 28x28, with a little jitter in both."""
    count, size = len(x), x.shape[-1]
    place = (torch.arange(size) + 0.5) * 2 / size - 1
    spans = []
    for across in (2, 3):
        inked = x.amax(across).squeeze(1) > digits.FAINT
        low = torch.where(inked, place, torch.inf).amin(1) - 1 / size
        high = torch.where(inked, place, -torch.inf).amax(1) + 1 / size
        profile = x.sum(across).squeeze(1)
        spans.append((low, high, (profile * place).sum(1) / profile.sum(1)))
    longer = torch.maximum(spans[0][1] - spans[0][0], spans[1][1] - spans[1][0])
    half = longer / 2 * digits.FRAME / digits.BOX * between(0.92, 1.08, count, random)
    theta = torch.zeros(count, 2, 3)
    for row, (low, high, mass) in enumerate(spans):
        slack = longer / 2 * digits.FRAME / digits.BOX - (high - low) / 2
        middle = (low + high) / 2
        theta[:, row, row] = half
        theta[:, row, 2] = middle + torch.minimum(torch.maximum(mass - middle, -slack), slack)
        theta[:, row, 2] += half * between(-0.06, 0.06, count, random)
    grid = F.affine_grid(theta, [count, 1, 56, 56], align_corners=False)
    return F.avg_pool2d(F.grid_sample(x, grid, align_corners=False), 2)


def augment(x: Tensor, random: torch.Generator) -> Tensor:
    """New hand-writing from old: digits (B, 1, 28, 28) as `prepare` would frame them."""
    changed = reframe(change_pen(distort(x, random), random), random).nan_to_num(0.0)
    lost = changed.sum((1, 2, 3)) < 5  # a thin digit that erosion ate
    keep = lost | (torch.rand(len(x), generator=random) < UNCHANGED)
    return torch.where(keep.view(-1, 1, 1, 1), x, changed)
