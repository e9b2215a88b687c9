"""Convolutions 3 x 3 by Winograd's minimal filtering F(2x2, 3x3): 16 products for four outputs in place of 36.

Z = A' [ (G w G') * (B' d B) ] A for each tile d of 4 x 4 inputs, summed over the channels (Lavin & Gray 2016). That sum
is a product of matrices for each of the 16 places of a tile. Where there are many channels it takes .6 to .85 of the
time of torch's direct convolution, the making of tiles included.

It rounds by two or three times as much: 1e-6 of the largest number that an output reads, even where that is weighed
with 0. So it suits numbers of one scale only, and a zero may come out as noise.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from .dense_products import linear
from .linear_maps import Conv, LinearMap

CHANNELS = 80
"""from which (in channels * out channels / their sum) the products saved outweigh the making of tiles"""

PRODUCTS = 2**25
"""from which (channels * out channels * places in an image) they outweigh the many small operations"""

TURNED = (3, 1, 2, 0)
"""where each row of a transformed kernel stands once the kernel is turned round"""


def suits(map_: LinearMap, x: Tensor) -> bool:
    """Whether this is a large convolution of that kind, on the processor, whose weight can be kept transformed."""
    if not isinstance(map_, Conv) or map_.transposed or map_.before or map_.groups > 1 or not map_.sources:
        return False
    if map_.weight.shape[2:] != (3, 3) or not map_.stride == map_.dilation == map_.padding == (1, 1):
        return False
    if x.dtype != torch.float32 or x.device.type != "cpu":
        return False
    of_outputs, of_inputs = map_.weight.shape[:2]
    products = of_outputs * of_inputs
    return products >= CHANNELS * (of_outputs + of_inputs) and products * x.shape[2] * x.shape[3] >= PRODUCTS


def transformed(weight: Tensor) -> Tensor:
    """G w G' of a kernel (K, J, 3, 3), as one matrix (K, J) for each place: (16, K, J)."""
    taps = weight.permute(2, 3, 0, 1)
    rows = _filtered(taps[0], taps[1], taps[2])
    return torch.stack([_filtered(row[0], row[1], row[2]) for row in rows]).flatten(0, 1)


def convolved(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    """The convolution of x (B, J, H, W), padded by 1, with a transformed kernel: (B, K, H, W)."""
    z = _each(x, list(kernel))
    return z if bias is None else z.add_(bias.reshape(-1, 1, 1))


def pulled(s: Tensor, kernel: Tensor, favoured: Tensor | None = None, boost: float = 0.0) -> Tensor:
    """The transposed map of s (B, K, H, W) with kernel + boost * favoured: (B, J, H, W).

    The two are added matrix by matrix, so that each sum is used while it is in the cache.
    """
    places = [4 * row + column for row in TURNED for column in TURNED]
    if favoured is None:
        return _each(s, [kernel[place].t() for place in places])
    sums = (torch.add(kernel[place], favoured[place], alpha=boost).t() for place in places)
    return _each(s, sums if len(s) == 1 else list(sums))


def _each(images: Tensor, matrices: Iterable[Tensor]) -> Tensor:
    """Image by image, which keeps the tiles in the cache."""
    made = [_one(image, matrices) for image in images]
    return made[0][None] if len(made) == 1 else torch.stack(made)


def _one(image: Tensor, matrices: Iterable[Tensor]) -> Tensor:
    _, height, width = image.shape
    padded = image.new_zeros(height + height % 2 + 2, width + width % 2 + 2, len(image))
    padded[1 : height + 1, 1 : width + 1] = image.permute(1, 2, 0)
    tiles = _tiles(padded)
    products = [linear(tile.flatten(0, 1), matrix) for tile, matrix in zip(tiles, matrices, strict=True)]
    z = _outputs([product.view(*tiles.shape[1:3], -1) for product in products])
    return z[:height, :width].reshape(height * width, -1).t().contiguous().view(-1, height, width)


def _filtered(first: Tensor, second: Tensor, third: Tensor) -> Tensor:
    """G along one axis of a kernel."""
    ends, middle = (first + third) / 2, second / 2
    return torch.stack([first, ends + middle, ends - middle, third])


def _tiles(image: Tensor) -> Tensor:
    """B' d B of all tiles of an image (H + 2, W + 2, J), H and W even: (16, H / 2, W / 2, J)."""
    height, width, channels = image.shape[0] // 2 - 1, image.shape[1] // 2 - 1, image.shape[2]
    rows = image.new_empty(4, height, image.shape[1], channels)
    _combined([image[at : at + 2 * height : 2] for at in range(4)], list(rows))
    tiles = image.new_empty(4, 4, height, width, channels)
    _combined([rows[:, :, at : at + 2 * width : 2] for at in range(4)], [tiles[:, at] for at in range(4)])
    return tiles.flatten(0, 1)


def _combined(d: list[Tensor], out: list[Tensor]) -> None:
    """B' along one axis of the tiles."""
    torch.sub(d[0], d[2], out=out[0])
    torch.add(d[1], d[2], out=out[1])
    torch.sub(d[2], d[1], out=out[2])
    torch.sub(d[1], d[3], out=out[3])


def _outputs(m: list[Tensor]) -> Tensor:
    """A' m A of the 16 products (H / 2, W / 2, K) of the tiles: (H, W, K)."""
    height, width, channels = m[0].shape
    z = m[0].new_empty(height, 2, width, 2, channels)
    columns = [m[at::4] for at in range(4)]
    upper = [c[0].add_(c[1]).add_(c[2]) for c in columns]
    lower = [c[1].sub_(c[2]).sub_(c[3]) for c in columns]
    for row, of_row in enumerate((upper, lower)):
        torch.add(of_row[0], of_row[1], out=z[:, row, :, 0]).add_(of_row[2])
        torch.sub(of_row[1], of_row[2], out=z[:, row, :, 1]).sub_(of_row[3])
    return z.reshape(2 * height, 2 * width, channels)
