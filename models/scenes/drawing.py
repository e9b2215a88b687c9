"""How scenes are drawn: sprites of the solids at any size and colour, their shadows, and the empty floor."""

from functools import cache, lru_cache
from math import ceil, floor

import numpy as np

from models.scenes import solids as scene_solids

SIDE = 128
"""Side of the picture that the network sees, in pixels."""

PALETTE = {
    "red": (0.6, 0.015, 0.03),
    "orange": (0.92, 0.26, 0.015),
    "yellow": (1.0, 0.82, 0.06),
    "green": (0.02, 0.38, 0.1),
    "cyan": (0.18, 0.74, 0.83),
    "blue": (0.02, 0.09, 0.62),
    "purple": (0.44, 0.12, 0.55),
    "grey": (0.21, 0.21, 0.215),
}
"""Linear red, green, blue: told apart by lightness as well, for those who see fewer hues."""


@lru_cache(maxsize=1024)
def cover(shape: str, scale: float) -> tuple[np.ndarray, int, int]:
    """How much of each pixel a solid covers at `scale` pixels per radius: uint8 (h, w, 1), and its offset.

    The offset (rows, columns) leads from where it touches the floor to the upper left corner.
    """
    covered, rows, columns = _part(shape, scale)
    top, left = _corner(scene_solids.FRAME, scale)
    return _bytes(covered[rows, columns, None]), top + rows.start, left + columns.start


@lru_cache(maxsize=4096)
def sprite(shape: str, material: str, colour: str, scale: float) -> np.ndarray:
    """Colour times cover of a solid, uint8 (h, w, 3): it lies where its `cover` lies."""
    covered, rows, columns = _part(shape, scale)
    tinted, white = _light(shape, material, scale)[:, rows, columns, None]
    # The mean light of the covered part of each pixel, by the eye's curve, then thinned to what is covered.
    covered = covered[rows, columns, None]
    share = np.maximum(covered, 1e-6)
    return _bytes(np.sqrt(np.clip((np.array(PALETTE[colour]) * tinted + white) / share, 0, 1)) * covered)


@lru_cache(maxsize=1024)
def _part(shape: str, scale: float) -> tuple[np.ndarray, slice, slice]:
    """The cover in its whole frame, and the rows and columns where there is any."""
    covered = _reduce(scene_solids.outline(shape), scene_solids.FRAME, scale)
    rows, columns = (np.flatnonzero(covered.max(axis) > 0.002) for axis in (1, 0))
    return covered, slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


@lru_cache(maxsize=1024)
def _light(shape: str, material: str, scale: float) -> np.ndarray:
    return _reduce(scene_solids.light(shape, material), scene_solids.FRAME, scale)


@lru_cache(maxsize=1024)
def shadow(shape: str, scale: float) -> tuple[np.ndarray, int, int]:
    """What the floor keeps of its light at `scale` pixels per radius, (h, w, 1) float32 in 0..1, and its offset."""
    loss = _reduce(scene_solids.shadow(shape), scene_solids.SHADOW_FRAME, scale)
    kept = 1 - _bytes(loss)[..., None].astype(np.float32) / np.float32(255)
    return kept, *_corner(scene_solids.SHADOW_FRAME, scale)


def _bytes(values: np.ndarray) -> np.ndarray:
    """From 0..1 to 0..255, rounded: from here on all arithmetic is the same on every machine."""
    return np.floor(np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


def _corner(frame: tuple[float, float, float, float], scale: float) -> tuple[int, int]:
    return -ceil(frame[3] * scale), floor(frame[0] * scale)


def _reduce(stack: np.ndarray, frame: tuple[float, float, float, float], scale: float) -> np.ndarray:
    """Fields (..., rows, columns) averaged over the pixels of a picture with `scale` pixels per radius."""
    left, right, low, high = frame
    top, first = _corner(frame, scale)
    across = _average(stack, (right - left) * scale, left * scale - first, ceil(right * scale) - first)
    down = _average(across.swapaxes(-1, -2), (high - low) * scale, -top - high * scale, ceil(-low * scale) - top)
    return down.swapaxes(-1, -2)


def _average(values: np.ndarray, length: float, start: float, pixels: int) -> np.ndarray:
    """Samples (..., n) that lie from `start` over `length` pixels, averaged over each pixel, 0 beyond them.

    Where samples are wider than pixels, a pixel looks as far as one sample: then neighbours blend.
    By running sums and not by a matrix product, which adds in another order on every machine (and is slower here).
    """
    samples = values.shape[-1]
    middle, reach = np.arange(pixels) + 0.5, max(1.0, length / samples) / 2
    before = np.cumsum(values, -1) - values

    def sum_up_to(pixel: np.ndarray) -> np.ndarray:
        at = np.clip((pixel - start) * (samples / length), 0, samples)
        whole = np.minimum(at.astype(int), samples - 1)
        return before[..., whole] + values[..., whole] * (at - whole)

    return (sum_up_to(middle + reach) - sum_up_to(middle - reach)) * (length / samples / (2 * reach))


@cache
def backdrop(side: int = SIDE) -> np.ndarray:
    """The empty floor: light, with a soft horizon and slightly darker corners; (side, side, 3) float32 in 0..255."""
    at = (np.arange(side) + 0.5) / side
    across, down = at[None, :], at[:, None]
    t = np.clip((down - 0.14) / 0.16, 0, 1)
    ground = (t * t * (3 - 2 * t))[..., None]
    wall = np.array([0.895, 0.91, 0.93]) + 0.05 * down[..., None]
    near = np.array([0.935, 0.928, 0.915])
    glow = np.maximum(1 - (across - 0.45) ** 2 * 2.4 - (down - 0.6) ** 2 * 2.0, 0)
    edge = (across - 0.5) ** 2 + (down - 0.5) ** 2
    light = 0.955 + 0.075 * glow - 0.18 * np.maximum(edge - 0.18, 0)
    return _bytes((wall + (near - wall) * ground) * light[..., None]).astype(np.float32)
