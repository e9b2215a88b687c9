"""Drawings as strokes: the truth of what a visitor drew, from which the picture is made.

Coordinates are canvas pixels, 0 to 280, x to the right and y down. The drawing widget
(streamlit-drawable-canvas) speaks fabric.js JSON; `from_canvas` and `to_canvas` translate.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

CANVAS = 280
STROKES_FILE = Path(__file__).parents[2] / "assets" / "digits" / "strokes.json"

MAX_STROKES, MAX_POINTS = 200, 10_000
"""What a whole drawing may hold; the rest of a hostile one is left out."""

SEGMENT = 4.0
"""Longest piece, in pixels, into which a curve is cut."""

SUPERSAMPLING = 4

Point = tuple[float, float]


@dataclass(frozen=True)
class Stroke:
    """One movement of the pen: its points in canvas pixels and its width in pixels."""

    points: tuple[Point, ...]
    width: float


@dataclass(frozen=True)
class Sample:
    """A stored drawing. label: the digit, None where it is ambiguous. digits: every class a person may read.

    tags: "sample" (shown first on the page), "drawn" (the test set), "ambiguous", and words on its style.
    """

    name: str
    label: int | None
    digits: tuple[int, ...]
    strokes: tuple[Stroke, ...]
    tags: tuple[str, ...]


@cache
def samples() -> tuple[Sample, ...]:
    """All drawings of `assets/digits/strokes.json`, in the order of the file."""
    drawings = json.loads(STROKES_FILE.read_text(encoding="utf-8"))["drawings"]
    return tuple(
        Sample(
            name=drawing["name"],
            label=drawing["label"],
            digits=tuple(drawing["digits"]),
            strokes=tuple(
                Stroke(tuple((float(x), float(y)) for x, y in stroke["points"]), float(stroke["width"]))
                for stroke in drawing["strokes"]
            ),
            tags=tuple(drawing["tags"]),
        )
        for drawing in drawings
    )


def rasterize(strokes: tuple[Stroke, ...], size: int = CANVAS) -> np.ndarray:
    """The ink of a drawing, uint8 (size, size), 255 where there is ink; round caps and joins, anti-aliased."""
    if size < 1:
        raise ValueError(f"size must be at least 1 pixel, not {size}.")
    picture = Image.new("L", (size * SUPERSAMPLING,) * 2)
    pen = ImageDraw.Draw(picture)
    zoom = size * SUPERSAMPLING / CANVAS
    for stroke in strokes:
        points = [(x * zoom, y * zoom) for x, y in stroke.points]
        radius = stroke.width * zoom / 2
        for start, end in pairwise(points):
            pen.line((start, end), fill=255, width=max(1, round(2 * radius)))
        for x, y in points:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(picture.reduce(SUPERSAMPLING))


def to_canvas(strokes: tuple[Stroke, ...], colour: str = "#000000") -> dict[str, Any]:
    """The drawing as fabric.js JSON, for the widget's `initial_drawing`. `from_canvas` gives the strokes back.

    No position is written: fabric then takes it from the path itself.
    """
    return {
        "objects": [
            {
                "type": "Path",
                "path": [["M" if i == 0 else "L", x, y] for i, (x, y) in enumerate(stroke.points)],
                "fill": None,
                "stroke": colour,
                "strokeWidth": stroke.width,
                "strokeLineCap": "round",
                "strokeLineJoin": "round",
            }
            for stroke in strokes
        ]
    }


def from_canvas(json_data: dict[str, Any] | None) -> tuple[Stroke, ...]:
    """The strokes of a fabric.js drawing: its free-hand paths, curves cut into short lines, rounded to 0.01 pixel.

    The JSON comes from the browser and may be anything: what is no readable path is left out, never an error.
    Paths that were moved, scaled or turned on the canvas come out where they are seen.
    """
    objects = json_data.get("objects") if isinstance(json_data, dict) else None
    if not isinstance(objects, list):
        return ()
    strokes: list[Stroke] = []
    room = MAX_POINTS
    for item in objects[:MAX_STROKES]:
        stroke = _stroke(item, room) if isinstance(item, dict) and room else None
        if stroke is not None:
            strokes.append(stroke)
            room -= len(stroke.points)
    return tuple(strokes)


def _stroke(item: dict[str, Any], room: int) -> Stroke | None:
    """The stroke that a fabric object draws, with at most `room` points, or None where it is no readable path."""
    path = item.get("path")
    if str(item.get("type")).lower() != "path" or not isinstance(path, list):
        return None
    points, corners = _flatten(path, room)
    if not points:
        return None
    width = _number(item.get("strokeWidth"), 1.0)
    scale_x, scale_y = _number(item.get("scaleX"), 1.0), _number(item.get("scaleY"), 1.0)
    place = _placement(item, corners, width, scale_x, scale_y)
    placed = tuple((_inside(x), _inside(y)) for x, y in map(place, points))
    return Stroke(placed, min(max(width * math.sqrt(abs(scale_x * scale_y)), 1.0), float(CANVAS)))


def _number(value: Any, default: float) -> float:
    """A finite, sane number from the browser, else the default."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e6:
        return default
    return float(value)


def _inside(value: float) -> float:
    """Round, and keep within one canvas of the canvas."""
    return round(min(max(value, -float(CANVAS)), 2.0 * CANVAS), 2)


def _flatten(path: list[Any], room: int) -> tuple[list[Point], list[Point]]:
    """At most `room` points along the path, and the points that span its bounding box as fabric reckons it."""
    points: list[Point] = []
    corners: list[Point] = []
    for command in path[:room]:
        if len(points) >= room:
            break
        if not isinstance(command, list | tuple) or not command or command[0] not in ("M", "L", "Q"):
            continue
        numbers = [_number(value, math.nan) for value in command[1:]]
        if len(numbers) != (4 if command[0] == "Q" else 2) or any(map(math.isnan, numbers)):
            continue
        end = (numbers[-2], numbers[-1])
        if command[0] == "Q" and points:
            control = (numbers[0], numbers[1])
            corners += _extremes(points[-1], control, end)
            points += _curve(points[-1], control, end)
        else:
            points.append(end)
        corners.append(end)
    return points[:room], corners


def _curve(start: Point, control: Point, end: Point) -> list[Point]:
    """Points of a quadratic Bezier curve after its start, at most `SEGMENT` apart (64 pieces at most)."""
    fastest = 2 * max(math.dist(start, control), math.dist(control, end))
    pieces = min(max(math.ceil(fastest / SEGMENT), 1), 64)
    inner = []
    for step in range(1, pieces):
        t = step / pieces
        a, b, c = (1 - t) ** 2, 2 * t * (1 - t), t**2
        inner.append((a * start[0] + b * control[0] + c * end[0], a * start[1] + b * control[1] + c * end[1]))
    return [*inner, end]


def _extremes(start: Point, control: Point, end: Point) -> list[Point]:
    """Turning points of the *cubic* with the control point doubled: how fabric bounds a quadratic curve."""
    turning = []
    for axis in (0, 1):
        before, after = control[axis] - start[axis], control[axis] - end[axis]
        if before * after > 0:
            root = math.sqrt(before / after)
            t = root / (1 + root)
            a, b, c = (1 - t) ** 3, 3 * t * (1 - t), t**3
            turning.append(tuple(a * s + b * k + c * e for s, k, e in zip(start, control, end, strict=True)))
    return turning


def _placement(
    item: dict[str, Any], corners: list[Point], width: float, scale_x: float, scale_y: float
) -> Callable[[Point], Point]:
    """The map from path coordinates to the canvas: fabric centres the path's box on the object's position."""
    low_x, high_x = min(x for x, _ in corners), max(x for x, _ in corners)
    low_y, high_y = min(y for _, y in corners), max(y for _, y in corners)
    middle_x, middle_y = (low_x + high_x) / 2, (low_y + high_y) / 2
    angle = math.radians(_number(item.get("angle"), 0.0))
    cos, sin = math.cos(angle), math.sin(angle)

    def turned(x: float, y: float) -> Point:
        return cos * x - sin * y, sin * x + cos * y

    to_middle = {"left": 0.5, "top": 0.5, "right": -0.5, "bottom": -0.5}
    shift_x, shift_y = turned(
        to_middle.get(str(item.get("originX")), 0.0) * (high_x - low_x + width) * scale_x,
        to_middle.get(str(item.get("originY")), 0.0) * (high_y - low_y + width) * scale_y,
    )
    centre_x = _number(item.get("left"), middle_x - shift_x) + shift_x
    centre_y = _number(item.get("top"), middle_y - shift_y) + shift_y
    flip_x, flip_y = (-1 if item.get(key) is True else 1 for key in ("flipX", "flipY"))

    def place(point: Point) -> Point:
        x, y = turned(flip_x * scale_x * (point[0] - middle_x), flip_y * scale_y * (point[1] - middle_y))
        return centre_x + x, centre_y + y

    return place
