"""Scenes in the manner of CLEVR: up to eight solids on a light floor, described, drawn, and the mask of each known.

The floor's x runs to the right and y away from the viewer, both in radii of a large object: y from 0 (nearest) to
`DEPTH`, x = 0 in the middle of the picture. Pixels are (column, row), counted from the upper left corner.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from models.scenes import drawing as scene_drawing
from models.scenes.drawing import SIDE

SHAPES = ("cube", "ball", "cylinder", "cone")
COLOURS = tuple(scene_drawing.PALETTE)
SIZES = ("small", "large")
MATERIALS = ("matte", "shiny")
KINDS = {"size": SIZES, "colour": COLOURS, "material": MATERIALS, "shape": SHAPES}
"""What can be said of an object, in the order in which English says it, and the values that there are."""

RADII = {"small": 0.6, "large": 1.0}
FEWEST, MOST = 3, 8
"""How many objects a random scene has; an edited one may have fewer, but at least one."""

DEPTH = 12.0
DISTANCE = 24.0
"""How deep the floor is, and how far its near edge is from the eye."""
NEAR_SCALE, NEAR_ROW = 18.0, 114.0
"""Pixels per radius at the near edge of the floor, and the row where it lies, in a picture of `SIDE` pixels."""
RISE = NEAR_SCALE * 0.5 * DISTANCE
"""Rows between the near edge and the horizon: half of what a camera that looks straight down would see."""

GAP = 0.12
"""Objects stand at least so far apart on the floor, in radii."""
LEAST_SHARE, LEAST_PIXELS = 0.35, 50.0
"""How much of each object is to be seen: of its own outline, and in pixels."""
COLUMNS_APART, DEPTH_APART = 4.0, 0.4
"""In a random scene any two objects are told apart as left and right, in front and behind, by at least so much."""

MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class Thing:
    """An object: words of `KINDS`, and where it touches the floor (kept to hundredths). ValueError for other words."""

    shape: str
    colour: str
    size: str
    material: str
    x: float
    y: float

    def __post_init__(self) -> None:
        for kind, values in KINDS.items():
            if getattr(self, kind) not in values:
                raise ValueError(f"There is no {kind} {getattr(self, kind)!r}; the choice is {', '.join(values)}.")
        for axis in ("x", "y"):
            object.__setattr__(self, axis, round(float(getattr(self, axis)), 2) + 0.0)

    def __str__(self) -> str:
        return " ".join(getattr(self, kind) for kind in KINDS)


@dataclass(frozen=True)
class Scene:
    """Objects, and the seed that they came from; an edited scene keeps the seed."""

    things: tuple[Thing, ...]
    seed: int

    def __str__(self) -> str:
        """What there is to see, from left to right, for those who cannot see it."""
        in_order = sorted(self.things, key=lambda thing: project(thing.x, thing.y)[0])
        named = [f"a {thing}" for thing in in_order]
        return f"From left to right: {', '.join(named)}."


@dataclass(frozen=True, eq=False)
class Rendering:
    """pixels: uint8 (H, W, 3). masks: bool (N, H, W), the pixels that are mostly of each object; they are disjoint."""

    pixels: np.ndarray
    masks: np.ndarray


def project(x: float, y: float) -> tuple[float, float]:
    """The pixel (column, row) of a point on the floor, in a picture of `SIDE` pixels."""
    near = DISTANCE / (DISTANCE + y)
    return SIDE / 2 + x * NEAR_SCALE * near, NEAR_ROW - RISE * (1 - near)


def ground(column: float, row: float) -> tuple[float, float]:
    """The point (x, y) of the floor at a pixel; pixels above or below the floor count as its far or near edge."""
    near = min(1.0, max(DISTANCE / (DISTANCE + DEPTH), 1 - (NEAR_ROW - row) / RISE))
    return (column - SIDE / 2) / (NEAR_SCALE * near), DISTANCE / near - DISTANCE


def _place(thing: Thing, side: int) -> tuple[float, int, int]:
    """Pixels per radius of an object, in halves, and the whole pixel (column, row) where it touches the floor."""
    column, row = project(thing.x, thing.y)
    scale = NEAR_SCALE * DISTANCE / (DISTANCE + thing.y) * RADII[thing.size]
    return round(scale * side / SIDE * 2) / 2, round(column * side / SIDE), round(row * side / SIDE)


def _cover(thing: Thing, side: int = SIDE) -> tuple[np.ndarray, int, int]:
    """How much of each pixel an object covers, uint8 (h, w, 1), and the row and column of its upper left corner."""
    scale, column, row = _place(thing, side)
    cover, top, left = scene_drawing.cover(thing.shape, scale)
    return cover, row + top, column + left


def render(scene: Scene, side: int = SIDE) -> Rendering:
    """The picture of a scene and the mask of each object, in the order of `scene.things`."""
    canvas = scene_drawing.backdrop(side).copy()
    for thing in scene.things:
        scale, column, row = _place(thing, side)
        kept, top, left = scene_drawing.shadow(thing.shape, scale)
        top, left = row + top, column + left
        here = canvas[max(top, 0) : max(top + kept.shape[0], 0), max(left, 0) : max(left + kept.shape[1], 0)]
        here *= kept[max(-top, 0) :, max(-left, 0) :][: here.shape[0], : here.shape[1]]
    for thing in _from_the_back(scene.things):
        cover, top, left = _cover(thing, side)
        here = canvas[top : top + cover.shape[0], left : left + cover.shape[1]]
        here *= (255 - cover) * np.float32(1 / 255)
        here += scene_drawing.sprite(thing.shape, thing.material, thing.colour, _place(thing, side)[0])
    canvas += 0.5
    return Rendering(canvas.astype(np.uint8), _covers(scene.things, side) > 0.5)


def _from_the_back(things: Sequence[Thing]) -> list[Thing]:
    return sorted(things, key=lambda thing: -thing.y)


def _covers(things: Sequence[Thing], side: int = SIDE) -> np.ndarray:
    """How much of each pixel each object is seen to cover, float32 (N, side, side)."""
    covers = np.zeros((len(things), side, side), np.float32)
    order = sorted(range(len(things)), key=lambda index: -things[index].y)
    for painted, index in enumerate(order):
        cover, top, left = _cover(things[index], side)
        box = (slice(top, top + cover.shape[0]), slice(left, left + cover.shape[1]))
        share = cover[..., 0] * np.float32(1 / 255)
        for hidden in order[:painted]:
            covers[hidden][box] *= 1 - share
        covers[index][box] = share
    return covers


def thing_at(scene: Scene, pixel: tuple[float, float], side: int = SIDE) -> int | None:
    """The index of the object seen at a pixel (column, row) of a picture with that side; None on the floor."""
    column, row = (int(value * SIDE / side) for value in pixel)
    if not (0 <= column < SIDE and 0 <= row < SIDE):
        return None
    covers = _covers(scene.things)[:, row, column]
    index = int(covers.argmax())
    return index if covers[index] > 0.25 else None


def fault(things: Sequence[Thing]) -> str | None:
    """What is wrong with where the last of these objects stands, as a sentence; None where all is well.

    The objects before it are taken to stand well among themselves, but may be hidden by it.
    """
    new = things[-1]
    cover, top, left = _cover(new)
    if not (0 <= new.y <= DEPTH and top >= 1 and left >= 1) or max(top + cover.shape[0], left + cover.shape[1]) >= SIDE:
        return f"There the {new} would leave the floor."
    for other in things[:-1]:
        if _apart(new, other) < 0:
            return f"There the {new} would stand in the {other}."
    if not any(_overlap(new, other) for other in things[:-1]):
        return None
    seen = _covers(things).sum((1, 2))
    for thing, pixels in zip(things, seen, strict=True):
        if pixels < max(LEAST_PIXELS, LEAST_SHARE * _outline(thing)):
            return f"There the {new} would {'be' if thing is new else f'leave the {thing}'} almost hidden."
    return None


def _apart(one: Thing, other: Thing) -> float:
    """How much farther apart than they must be two objects stand, in radii, measured along the floor."""
    across, along = one.x - other.x, one.y - other.y
    return (across * across + along * along) ** 0.5 - RADII[one.size] - RADII[other.size] - GAP


def _outline(thing: Thing) -> float:
    """The pixels of an object that nothing hides."""
    return float(_cover(thing)[0].sum()) / 255


def _overlap(one: Thing, other: Thing) -> bool:
    """Whether the boxes around two objects share pixels."""
    (a, a_top, a_left), (b, b_top, b_left) = _cover(one), _cover(other)
    down = a_top < b_top + b.shape[0] and b_top < a_top + a.shape[0]
    return down and a_left < b_left + b.shape[1] and b_left < a_left + a.shape[1]


def random_scene(seed: int, count: int | None = None) -> Scene:
    """The scene of this seed: as many objects as `count` says, or 3 to 8. ValueError for a seed or count out of range.

    In half of the scenes an attribute has a favourite value, so that there is something to count.
    """
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"A seed is a whole number from 0 to {MAX_SEED}.")
    if count is not None and not 1 <= count <= MOST:
        raise ValueError(f"A scene has 1 to {MOST} objects.")
    random = Random(seed)
    number = count or FEWEST + int(random.random() * (MOST - FEWEST + 1))
    while True:
        favourites = {kind: (_pick(random, values), _liking(random)) for kind, values in KINDS.items()}
        things: list[Thing] = []
        for _ in range(number * 12):
            words = {
                kind: favourites[kind][0] if random.random() < favourites[kind][1] else _pick(random, values)
                for kind, values in KINDS.items()
            }
            x, y = ground(14 + random.random() * (SIDE - 28), NEAR_ROW - 2 - random.random() * 68)
            thing = Thing(**words, x=x, y=y)
            if all(_told_apart(thing, other) for other in things) and fault([*things, thing]) is None:
                things.append(thing)
            if len(things) == number:
                return Scene(tuple(things), seed)


def _told_apart(one: Thing, other: Thing) -> bool:
    """Whether there is no doubt which of two objects is farther left, and which is nearer."""
    columns = project(one.x, one.y)[0] - project(other.x, other.y)[0]
    return abs(one.y - other.y) >= DEPTH_APART and abs(columns) >= COLUMNS_APART


def _liking(random: Random) -> float:
    """How much more often than chance the favourite comes."""
    likes = random.random() < 0.5
    return random.random() * 0.9 * likes


def _pick(random: Random, values: Sequence[str]) -> str:
    """One of the values; by `random()` alone, which alone is promised to stay the same between versions of Python."""
    return values[int(random.random() * len(values))]
