"""Is the heatmap right? Two measurements, of pictures and of words alike: does it point to the right place (the grid
pointing game), and does the network's score follow what it calls relevant (flipping)?

A picture is flipped patch by patch, a sentence word by word: ``units`` says which unit each number of the input
belongs to, so that everything below :func:`patches` serves both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..modes import plain_arithmetic


def mosaic(pictures: Tensor) -> Tensor:
    """Join n * n pictures (n*n, C, H, W) to one, (C, n*H, n*W), row by row: the first is at the top left."""
    if pictures.dim() != 4 or (side := round(len(pictures) ** 0.5)) ** 2 != len(pictures) or not len(pictures):
        raise ValueError(f"A mosaic needs n * n pictures, (n*n, C, H, W), not {tuple(pictures.shape)}.")
    _, channels, height, width = pictures.shape
    rows = pictures.reshape(side, side, channels, height, width).permute(2, 0, 3, 1, 4)
    return rows.reshape(channels, side * height, side * width)


def grid_share(relevance: Tensor, cells: Sequence[int] | Tensor, grid: int = 2) -> Tensor:
    """Share of the positive relevance that lies in the right cell of a mosaic, (B,): chance is 1 / grid**2.

    sum over the cell of R+ / sum over the mosaic of R+, R+ = max(R, 0) (grid pointing game; Böhle 2021).
    relevance: (B, H, W), or (B, C, H, W), whose channels are summed first. cells: the right one of each mosaic, counted
    as :func:`mosaic` does. A map without any positive relevance points nowhere: its share is 0, not chance.
    """
    check_numbers(relevance)
    if relevance.dim() not in (3, 4):
        raise ValueError(f"grid_share needs relevance (B, H, W) or (B, C, H, W), not {tuple(relevance.shape)}.")
    flat = relevance.sum(1) if relevance.dim() == 4 else relevance
    count, height, width = flat.shape
    if grid < 1 or height % grid or width % grid:
        raise ValueError(f"A map of {height} x {width} pixels has no grid of {grid} x {grid} equal cells.")
    right = torch.as_tensor(cells, device=flat.device)
    if right.shape != (count,) or right.is_floating_point() or ((right < 0) | (right >= grid**2)).any():
        raise ValueError(f"cells must name one cell from 0 to {grid**2 - 1} for each of the {count} mosaics.")
    sums = flat.clamp(min=0).reshape(count, grid, height // grid, grid, width // grid).sum((2, 4)).flatten(1)
    total = sums.sum(1)
    return sums.gather(1, right[:, None]).squeeze(1) / torch.where(total > 0, total, 1)


def patches(height: int, width: int, side: int) -> Tensor:
    """Units of a picture: its squares of ``side`` pixels, (H, W) int64, counted row by row.

    Those at the right and at the bottom are smaller where the side does not divide the picture.
    """
    if not 1 <= side <= max(height, width):
        raise ValueError(f"Patches of {side} pixels do not fit a picture of {height} x {width}.")
    down, right = torch.arange(height) // side, torch.arange(width) // side
    return down[:, None] * -(-width // side) + right


def unit_relevance(relevance: Tensor, units: Tensor) -> Tensor:
    """Sum the relevance of each unit: (B, ...) to (B, U) float64. Nothing is lost: the total stays the same.

    units: the number of the unit, 0 to U - 1, of each entry of a row of relevance, int64 of a shape that expands to it:
    (H, W) for pictures (B, C, H, W) and maps (B, H, W) alike, (T, 1) for embeddings (B, T, D).
    """
    check_numbers(relevance)
    labels = _units_of(relevance, units).flatten().to(relevance.device)
    sums = torch.zeros(len(relevance), int(units.max()) + 1, dtype=torch.float64, device=relevance.device)
    return sums.index_add_(1, labels, relevance.flatten(1).double())


def ranking(relevance: Tensor) -> Tensor:
    """Units by relevance (B, U), the most relevant first: (B, U) int64; among equals the lower number goes first.

    The least relevant first is the same ranking from its other end, ``ranking(...).flip(1)``.
    """
    check_numbers(relevance)
    return relevance.sort(dim=1, descending=True, stable=True).indices


def random_rankings(number: int, units: int, seed: int = 0) -> Tensor:
    """Rankings (number, units) that know nothing: the band that a heatmap's curve must leave to mean anything."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(number, units, generator=generator, dtype=torch.float64).argsort(1)


def flip_counts(units: int, steps: int) -> tuple[int, ...]:
    """How many units are replaced at each point of a curve: none first, all last, evenly in between; steps + 1 long."""
    if not 1 <= steps <= units:
        raise ValueError(f"{units} units can be replaced in 1 to {units} steps, not {steps}.")
    return tuple(step * units // steps for step in range(steps + 1))


def flipping(
    score: Callable[[Tensor], Tensor],
    x: Tensor,
    fill: Tensor,
    rankings: Tensor,
    units: Tensor,
    counts: Sequence[int],
    batch: int = 64,
) -> Iterator[Tensor]:
    """Replace the units of one input in the order of each ranking, and yield the scores (K,) at each of ``counts``.

    Pixel flipping (Bach 2015; Samek 2017) of K rankings at once; ``torch.stack(list(flipping(...)), 1)`` are their
    curves (K, S). The caller may draw each point as it comes, and stops by asking no further.

    score: inputs (N, ...) to numbers (N,), such as a class' probability; called on up to ``batch`` inputs.
    x, fill: (1, ...), the input and what replaces it. rankings: (K, U), see :func:`ranking`. units: as in
    :func:`unit_relevance`. counts: see :func:`flip_counts`.
    """
    if len(x) != 1 or fill.shape != x.shape:
        raise ValueError(f"x and fill must be one input of one shape, not {tuple(x.shape)} and {tuple(fill.shape)}.")
    number = int(_units_of(x, units).max()) + 1
    every = torch.arange(number, device=rankings.device)
    if rankings.shape[1:] != every.shape or not len(rankings) or (rankings.sort(1).values != every).any():
        raise ValueError(f"Each ranking must name each of the {number} units once: rankings (K, {number}).")
    if not all(0 <= count <= number for count in counts):
        raise ValueError(f"counts must lie between 0 and {number}, the number of units.")
    place = rankings.argsort(1)[:, units.reshape((1,) * (x.dim() - 1 - units.dim()) + units.shape)]
    return _flipping(score, x, fill, place.to(x.device), counts, batch)


def _flipping(
    score: Callable[[Tensor], Tensor], x: Tensor, fill: Tensor, place: Tensor, counts: Sequence[int], batch: int
) -> Iterator[Tensor]:
    """place: when each entry of the input is replaced, (K, ...); few rankings are flipped several steps at a time."""
    together = max(1, batch // len(place))
    for begin in range(0, len(counts), together):
        some = torch.tensor(counts[begin : begin + together], device=x.device).reshape(-1, *(1,) * place.dim())
        with plain_arithmetic():  # left again before each yield: what it sets is the whole thread's
            flipped = torch.where(place < some, fill, x).flatten(0, 1)
            scores = torch.cat([score(part) for part in torch.split(flipped, batch)])
        if scores.shape != flipped.shape[:1]:
            raise ValueError(f"score must give one number per input, (N,), not {tuple(scores.shape)} for all.")
        yield from scores.reshape(-1, len(place))


def area(curves: Tensor, counts: Sequence[int]) -> Tensor:
    """Area under each curve (..., S) by the trapezoid rule, (...), over the share of units replaced, from 0 to 1."""
    if curves.shape[-1] != len(counts) or len(counts) < 2:
        raise ValueError(f"Curves of {curves.shape[-1]} points need as many counts, at least 2, not {len(counts)}.")
    shares = torch.tensor(counts, dtype=curves.dtype, device=curves.device) / counts[-1]
    return torch.trapezoid(curves, shares)


def area_between(most: Tensor, least: Tensor, counts: Sequence[int]) -> Tensor:
    """Area between the curves of the least and of the most relevant first, (...): 0 for a ranking by chance.

    Large where the score falls at once with what is called relevant and stays without the rest. Compared over methods
    it depends least on the fill (symmetric relevance gain; Blücher 2024).
    """
    return area(least, counts) - area(most, counts)


def blurred(x: Tensor, sigma: float) -> Tensor:
    """Pictures (B, C, H, W) under a Gaussian blur of ``sigma`` pixels, their border repeated outwards: a fill."""
    if not sigma > 0:
        raise ValueError(f"sigma must be above 0, not {sigma}.")
    radius, channels = int(3 * sigma + 0.5), x.shape[1]
    kernel = torch.exp(-(torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device) ** 2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(channels, 1, 1, -1)
    padded = F.pad(x, (radius,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel, groups=channels), kernel.transpose(2, 3), groups=channels)


@dataclass(frozen=True)
class Summary:
    """The mean of some measurements and the interval that holds it."""

    mean: float
    low: float
    high: float
    count: int


def summary(values: Tensor, level: float = 0.95, draws: int = 5000, seed: int = 0) -> Summary:
    """Mean of values (N,), and its confidence interval by the bootstrap's percentiles (Efron 1979), seeded."""
    check_numbers(values)
    if values.dim() != 1 or not len(values):
        raise ValueError(f"summary needs values of shape (N,), at least one, not {tuple(values.shape)}.")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level}.")
    numbers, generator = values.double().cpu(), torch.Generator().manual_seed(seed)
    means = numbers[torch.randint(len(numbers), (draws, len(numbers)), generator=generator)].mean(1)
    tails = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    low, high = means.quantile(tails).tolist()
    return Summary(numbers.mean().item(), low, high, len(numbers))


def _units_of(values: Tensor, units: Tensor) -> Tensor:
    """The unit of each entry of a row of values (B, ...)."""
    if units.dtype != torch.int64 or (units < 0).any():
        raise ValueError("Units are numbered by whole numbers (int64) from 0.")
    try:
        return units.expand(values.shape[1:])
    except RuntimeError:
        shapes = f"shape {tuple(units.shape)} do not fit rows of shape {tuple(values.shape[1:])}"
        raise ValueError(f"Units of {shapes}.") from None


def check_numbers(values: Tensor) -> None:
    """Raise ``ValueError`` for NaN and infinity."""
    if not values.isfinite().all():
        raise ValueError("Some of the values are NaN or infinite; nothing can be measured with them.")
