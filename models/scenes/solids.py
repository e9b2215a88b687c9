"""The four solids of the scenes, seen once and large: outline, light and shadow, which `scene_drawing` reduces.

Distance functions are traced with NumPy. Only additions, multiplications, divisions and square roots are used, which
every machine rounds alike: the same scene is the same picture everywhere.
"""

from collections.abc import Callable
from functools import cache
from math import sqrt

import numpy as np

Points = tuple[np.ndarray, np.ndarray, np.ndarray]
"""x to the right, y away from the viewer, z upwards; in radii of an object, from where it touches the floor."""

SIN_PITCH = 0.5
COS_PITCH = sqrt(1 - SIN_PITCH * SIN_PITCH)
"""How far the camera looks down."""

VIEW = (0.0, COS_PITCH, -SIN_PITCH)
"""The direction in which the camera looks."""

GRAIN = 64
"""Samples per radius in the fields of a solid."""
FRAME = (-1.3, 1.3, -0.8, 2.2)
"""Left, right, lower and upper edge of the fields of a solid, in radii from where it touches the floor."""

CLOSE = 1e-3
"""A ray that comes so near to a solid, in radii, has met it."""

SHADOW_GRAIN = 24
SHADOW_FRAME = (-1.9, 3.3, -1.5, 2.1)
"""The same for the field of its shadow."""

BULGE = (0.30, 0.30, 0.24)
"""How much the mirroring sides bend, along x, y and z."""

TURN = (12 / 13, 5 / 13)
"""Cosine and sine of the angle by which a cube is turned, so that two of its sides are seen."""


def _unit(x: float, y: float, z: float) -> tuple[float, float, float]:
    length = sqrt(x * x + y * y + z * z)
    return x / length, y / length, z / length


LIGHT = _unit(-0.55, -0.5, 0.9)
"""Where the light is: upper left, before the scene."""


def _round_box(across: np.ndarray, up: np.ndarray, rounding: float) -> np.ndarray:
    """Distance to a corner, from the distances beyond its two sides (both negative inside)."""
    a, b = across + rounding, up + rounding
    outside = np.sqrt(np.maximum(a, 0) ** 2 + np.maximum(b, 0) ** 2)
    return outside + np.minimum(np.maximum(a, b), 0) - rounding


def ball(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.sqrt(x * x + y * y + (z - 1) ** 2) - 1


def cube(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    half, rounding = 0.84, 0.09
    cos, sin = TURN
    a = np.abs(cos * x + sin * y) - half + rounding
    b = np.abs(cos * y - sin * x) - half + rounding
    c = np.abs(z - half) - half + rounding
    outside = np.sqrt(np.maximum(a, 0) ** 2 + np.maximum(b, 0) ** 2 + np.maximum(c, 0) ** 2)
    return outside + np.minimum(np.maximum(np.maximum(a, b), c), 0) - rounding


def cylinder(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    radius, half = 0.84, 0.86
    return _round_box(np.sqrt(x * x + y * y) - radius, np.abs(z - half) - half, 0.08)


def cone(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    radius, height, rounding = 0.92, 1.82, 0.07
    across, up = np.sqrt(x * x + y * y), z - rounding
    slope = sqrt(radius * radius + height * height)
    beyond = (across * height + up * radius - radius * height) / slope
    along = np.minimum(np.maximum((across - radius) * -radius + up * height, 0) / (slope * slope), 1)
    to_slope = (across - radius * (1 - along)) ** 2 + (up - height * along) ** 2
    to_base = np.maximum(across - radius, 0) ** 2 + up * up
    distance = np.sqrt(np.minimum(to_slope, to_base))
    return np.where((beyond < 0) & (up > 0), -distance, distance) - rounding


SOLIDS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "cube": cube,
    "ball": ball,
    "cylinder": cylinder,
    "cone": cone,
}


def _grid(frame: tuple[float, float, float, float], grain: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres of the samples: to the right and up, each (rows, columns), the first row on top."""
    left, right, low, high = frame
    across = left + (np.arange(round((right - left) * grain)) + 0.5) / grain
    up = high - (np.arange(round((high - low) * grain)) + 0.5) / grain
    return np.broadcast_arrays(across[None, :], up[:, None])


def _trace(solid: Callable[..., np.ndarray], starts: Points, direction: tuple[float, float, float], reach: float):
    """How far each ray runs until it meets the solid or is nearest to it, and how near it comes."""
    nearest, where = np.full(starts[0].size, np.inf), np.zeros(starts[0].size)
    left, t, here = np.arange(starts[0].size), np.zeros(starts[0].size), starts
    for _ in range(40):
        distance = solid(*(start + t * along for start, along in zip(here, direction, strict=True)))
        closer = distance < nearest[left]
        nearest[left[closer]], where[left[closer]] = distance[closer], t[closer]
        t = t + distance
        going = (distance > CLOSE) & (t < reach)
        left, t, here = left[going], t[going], tuple(start[going] for start in here)
    return where, nearest


def _normals(solid: Callable[..., np.ndarray], x: np.ndarray, y: np.ndarray, z: np.ndarray) -> Points:
    h = 1e-3
    nx = solid(x + h, y, z) - solid(x - h, y, z)
    ny = solid(x, y + h, z) - solid(x, y - h, z)
    nz = solid(x, y, z + h) - solid(x, y, z - h)
    length = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-12
    return nx / length, ny / length, nz / length


def _power(base: np.ndarray, squarings: int) -> np.ndarray:
    """`base` to the power of 2, 4, 8 ...: multiplied, as libraries round powers differently."""
    for _ in range(squarings):
        base = base * base
    return base


def _between(low: float, high: float, x: np.ndarray) -> np.ndarray:
    """A soft step from 0 at `low` to 1 at `high`."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


@cache
def _seen(shape: str) -> tuple[np.ndarray, np.ndarray, Points, Points]:
    """Which samples of the frame show the solid, how much of each, and where and how its surface lies there."""
    across, up = (values.ravel() for values in _grid(FRAME, GRAIN))
    far = 3.0
    starts = (across, up * SIN_PITCH - far * VIEW[1], up * COS_PITCH - far * VIEW[2])
    gone, nearest = _trace(SOLIDS[shape], starts, VIEW, 2 * far)
    cover = np.clip(1 - (nearest - CLOSE) * GRAIN, 0, 1)
    hit = np.flatnonzero(cover)
    x, y, z = (start[hit] + gone[hit] * along for start, along in zip(starts, VIEW, strict=True))
    return hit, cover[hit], (x, y, z), _normals(SOLIDS[shape], x, y, z)


@cache
def outline(shape: str) -> np.ndarray:
    """How much of each sample of the frame the solid covers, 0 to 1: (rows, columns) float64."""
    hit, cover, _, _ = _seen(shape)
    return _spread(hit, cover)


@cache
def light(shape: str, material: str) -> np.ndarray:
    """Light that takes the object's colour, and light that stays white: (2, rows, columns) float64, linear.

    Both thinned to what is covered.
    """
    hit, cover, points, normals = _seen(shape)
    tinted, white = (shiny if material == "shiny" else matte)(points, normals)
    return np.stack([_spread(hit, cover * tinted), _spread(hit, cover * white)])


def _spread(hit: np.ndarray, values: np.ndarray) -> np.ndarray:
    across, _ = _grid(FRAME, GRAIN)
    result = np.zeros(across.size)
    result[hit] = values
    return result.reshape(across.shape)


def matte(points: Points, normals: Points) -> tuple[np.ndarray, np.ndarray]:
    """Like rubber: light spreads evenly, nothing is mirrored."""
    nx, ny, nz = normals
    facing = nx * LIGHT[0] + ny * LIGHT[1] + nz * LIGHT[2]
    sun = np.maximum((facing + 0.3) / 1.3, 0)
    sky, floor = (0.5 + 0.5 * nz) * 0.40, (0.5 - 0.5 * nz) * 0.22
    near_floor = 0.66 + 0.34 * _between(0, 0.7, points[2])
    rim = _power(1 - np.maximum(-(ny * VIEW[1] + nz * VIEW[2]), 0), 2)
    return (sun * 0.70 + sky + floor) * near_floor, 0.04 * rim


def shiny(points: Points, normals: Points) -> tuple[np.ndarray, np.ndarray]:
    """Like lacquered metal: mirrors a bright sky, a dark horizon, the floor, a lamp, two tall windows and a panel."""
    # Flat sides are taken for slightly bulged ones: as mirrors of one colour they would look matte.
    x, y, z = (n + bulge * p for n, p, bulge in zip(normals, (*points[:2], points[2] - 0.9), BULGE, strict=True))
    length = np.sqrt(x * x + y * y + z * z)
    nx, ny, nz = x / length, y / length, z / length
    towards = ny * VIEW[1] + nz * VIEW[2]
    rx, ry, rz = -2 * towards * nx, VIEW[1] - 2 * towards * ny, VIEW[2] - 2 * towards * nz
    facing = np.maximum(nx * LIGHT[0] + ny * LIGHT[1] + nz * LIGHT[2], 0)
    sky = 0.20 + 1.2 * _between(0.02, 0.8, rz)
    floor = 0.10 + 0.75 * _between(0.02, 0.85, -rz)
    near_floor = 0.5 + 0.5 * _between(0, 0.5, points[2])
    tinted = (0.70 * np.where(rz > 0, sky, floor) + 0.40 * facing) * near_floor
    lamp = np.maximum(rx * LIGHT[0] + ry * LIGHT[1] + rz * LIGHT[2], 0)
    sideways = rx / np.sqrt(rx * rx + ry * ry + 1e-9)
    left = _between(-0.95, -0.75, sideways) * _between(0.40, 0.62, -sideways)
    right = _between(0.58, 0.66, sideways) * (1 - _between(0.72, 0.80, sideways))
    windows = (left + 0.6 * right) * _between(-0.8, -0.2, rz) * (1 - _between(0.3, 0.8, rz))
    panel = _between(0.2, 0.6, ry) * _between(0.40, 0.50, rz) * (1 - _between(0.56, 0.70, rz))
    edge = _power(1 - np.maximum(-towards, 0), 2)
    glints = 1.2 * _power(lamp, 5) + 0.2 * _power(lamp, 2) + 0.62 * windows * (ry < 0.3) + 0.35 * panel
    return tinted, glints + 0.25 * edge * _between(-0.3, 0.6, rz)


@cache
def shadow(shape: str) -> np.ndarray:
    """How much of its light the floor loses, 0 to 1: (rows, columns) float64. Soft farther away, dark at the touch."""
    across, up = _grid(SHADOW_FRAME, SHADOW_GRAIN)
    solid, size = SOLIDS[shape], across.shape
    x, y = across.ravel(), up.ravel() / SIN_PITCH
    lit, t = np.ones(x.size), 0.03
    while t < 4:
        distance = solid(x + t * LIGHT[0], y + t * LIGHT[1], np.full(x.size, t * LIGHT[2]))
        lit = np.minimum(lit, 0.5 + 0.5 * distance / (0.06 + 0.24 * t))
        t = t * 1.03 + 0.015
    dark = 1 - _between(0, 1, lit)
    for height, part in ((0.1, 0.34), (0.35, 0.22), (0.8, 0.14)):
        near = np.maximum(solid(x, y, np.full(x.size, height)), 0) / (2.0 * height)
        dark = 1 - (1 - dark) * (1 - part * _power(np.maximum(1 - near, 0), 1))
    left, right, low, high = SHADOW_FRAME
    to_edge = np.minimum(np.minimum(across - left, right - across), np.minimum(up - low, high - up))
    return 0.52 * dark.reshape(size) * _between(0, 0.5, to_edge)
