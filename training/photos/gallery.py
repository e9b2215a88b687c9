"""Make the pictures of the gallery that nobody photographed: a golf ball on grass, and collages of two photos.

    python -m training.photos.gallery

The collages are cut from the gallery's own single pictures; `assets/photos/CREDITS.md` says where those are from.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

FOLDER = Path(__file__).parents[2] / "assets" / "photos" / "gallery"
SIDE = 640
"""Side of a made picture, in pixels."""

BESIDE, ABOVE = (SIDE // 2, SIDE), (SIDE, SIDE // 2)
COLLAGES = {
    "cat_dandelion": (BESIDE, ("cat", 0.45, 0.5, 0.5), ("dandelion", 0.46, 0.5, 0.5)),
    "dog_cat": (BESIDE, ("dog", 0.8, 0.45, 0.4), ("cat", 0.45, 0.5, 0.5)),
    "dog_motorbike": (ABOVE, ("dog", 0.5, 0.33, 1.0), ("motorbike", 0.5, 0.55, 1.0)),
}
"""Per collage: the size of each half, then twice: which picture, and the middle (x, y) and the width of the part of it
that fills the half, in shares of its size."""

SEAM = 24
"""Width in pixels of the soft edge between two pictures: a sharp one would be an object of its own."""

RADIUS, MIDDLE = 150, (320, 345)
DIMPLES, DIMPLE, DEPTH = 720, 0.062, 5.5
"""How many, their radius in radians, and how far they bend the surface inwards."""

LIGHT = np.array((-0.45, -0.7, 0.55)) / np.linalg.norm((-0.45, -0.7, 0.55))
"""Direction to the sun: x to the right, y down, z towards the viewer."""


def collage(name: str, folder: Path = FOLDER) -> Image.Image:
    """Two pictures of the gallery in one square."""
    half, *parts = COLLAGES[name]
    first, second = Image.new("RGB", (SIDE, SIDE)), Image.new("RGB", (SIDE, SIDE))
    room = (half[0] + SEAM * (half == BESIDE), half[1] + SEAM * (half == ABOVE))  # each reaches over the seam
    first.paste(_part(folder, room, *parts[0]))
    second.paste(_part(folder, room, *parts[1]), (SIDE - room[0], SIDE - room[1]))
    ramp = np.clip((np.arange(SIDE) - SIDE / 2) / SEAM + 0.5, 0, 1)
    across = np.tile((255 * ramp).astype(np.uint8), (SIDE, 1))
    return Image.composite(second, first, Image.fromarray(across if half == BESIDE else across.T.copy()))


def _part(folder: Path, size: tuple[int, int], name: str, x: float, y: float, width: float) -> Image.Image:
    """The part of a picture around (x, y), all in shares of it, scaled to a size; moved inwards at the border."""
    picture = Image.open(folder / f"{name}.jpg").convert("RGB")
    wide = min(width * picture.width, picture.height * size[0] / size[1])
    high = wide * size[1] / size[0]
    left = min(max(x * picture.width - wide / 2, 0), picture.width - wide)
    top = min(max(y * picture.height - high / 2, 0), picture.height - high)
    return picture.resize(size, Image.Resampling.LANCZOS, (left, top, left + wide, top + high))


def golf_ball() -> Image.Image:
    """A golf ball in the grass, lit from the upper left."""
    dice = np.random.default_rng(3)
    (x, y), picture = MIDDLE, _lawn(dice)
    shadow = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(shadow).ellipse((x - 112, y + 93, x + 232, y + 183), fill=190)
    picture.paste((12, 30, 8), mask=shadow.filter(ImageFilter.GaussianBlur(16)))
    ball = _ball(2 * RADIUS).resize((2 * RADIUS, 2 * RADIUS), Image.Resampling.LANCZOS)
    picture.paste(ball, (x - RADIUS, y - RADIUS), ball)
    for _ in range(260):  # the grass in front of it
        foot = (dice.uniform(x - 1.2 * RADIUS, x + 1.2 * RADIUS), y + RADIUS * dice.uniform(0.86, 1.2))
        _blade(ImageDraw.Draw(picture), dice, foot, dice.uniform(25, 75), 2.5, (92, 150, 46))
    return picture.filter(ImageFilter.GaussianBlur(0.7))


def _lawn(dice: np.random.Generator) -> Image.Image:
    """Grass whose blades are finer, and out of focus, towards the top."""
    down = np.linspace(0, 1, SIDE)[:, None, None]
    ground = (1 - down) * (96, 142, 64) + down * (44, 92, 26)
    picture = Image.fromarray(np.broadcast_to(ground, (SIDE, SIDE, 3)).astype(np.uint8))
    for y in np.sort(dice.uniform(0, 1.12 * SIDE, 9000)):
        near = y / SIDE
        length = 8 + 62 * near**1.4 * dice.uniform(0.5, 1.2)
        foot = (dice.uniform(-20, SIDE + 20), y)
        _blade(ImageDraw.Draw(picture), dice, foot, length, 1 + 2.6 * near, (98, 158, 52))
    far = np.tile((255 * np.clip(1 - np.arange(SIDE) / 300, 0, 1)).astype(np.uint8)[:, None], (1, SIDE))
    return Image.composite(picture.filter(ImageFilter.GaussianBlur(4)), picture, Image.fromarray(far))


def _blade(
    pen: ImageDraw.ImageDraw,
    dice: np.random.Generator,
    foot: tuple[float, float],
    length: float,
    width: float,
    colour: tuple[int, int, int],
) -> None:
    """Draw a bent blade of grass, leaning and lit at random."""
    (x, y), lean, light = foot, length * dice.normal(0, 0.33), dice.uniform(0.5, 1.2)
    bend = [(x, y), (x + 0.4 * lean, y - 0.6 * length), (x + lean, y - length)]
    pen.line(bend, tuple(round(light * value) for value in colour), round(width), joint="curve")


def _ball(radius: int) -> Image.Image:
    """A dimpled white sphere, RGBA of side 2 radius."""
    y, x = (np.mgrid[: 2 * radius, : 2 * radius] + 0.5 - radius) / radius
    distance = np.hypot(x, y)
    surface = np.stack((x, y, np.sqrt(np.clip(1 - distance**2, 0, 1))), -1).reshape(-1, 3)
    turn = np.arange(DIMPLES) + 0.5  # a spiral from pole to pole spreads points evenly over a sphere
    polar, around = np.arccos(1 - 2 * turn / DIMPLES), np.pi * (1 + 5**0.5) * turn
    pits = np.stack((np.cos(around) * np.sin(polar), np.cos(polar), np.sin(around) * np.sin(polar)), -1)
    pits = pits[pits[:, 2] > -0.15]
    closeness = surface @ pits.T
    nearest, inside = pits[closeness.argmax(1)], closeness.max(1) > np.cos(DIMPLE)
    normal = surface - DEPTH * inside[:, None] * (surface - nearest)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    shine = np.add(LIGHT, (0, 0, 1))
    sun = np.clip(normal @ LIGHT, 0, 1)[:, None]
    glint = np.clip(normal @ (shine / np.linalg.norm(shine)), 0, 1)[:, None] ** 60
    sky, grass = 0.5 - 0.5 * normal[:, 1:2], (0.5 + 0.5 * normal[:, 1:2]) ** 2
    light = (0.2 + 0.66 * sun) * (255, 253, 247) + sky * (26, 30, 38) + grass * (10, 26, 4) + 70 * glint
    edge = np.clip((1 - distance) * radius + 0.5, 0, 1)[..., None]
    pixels = np.concatenate((light.clip(0, 255).reshape(*distance.shape, 3), 255 * edge), -1)
    return Image.fromarray(pixels.astype(np.uint8), "RGBA")


def main() -> None:
    """Write every made picture into the gallery."""
    made = {name: collage(name) for name in COLLAGES} | {"golf_ball": golf_ball()}
    for name, picture in made.items():
        picture.save(FOLDER / f"{name}.jpg", quality=88, optimize=True)


if __name__ == "__main__":
    main()
