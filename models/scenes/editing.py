"""Changing a scene: every function returns a new one, or says in a ValueError of one sentence why it cannot be.

And the short text of a scene that stands in links.
"""

import re
from dataclasses import replace

from models.scenes.scene import COLOURS, DEPTH, MATERIALS, MAX_SEED, MOST, SHAPES, SIZES, Scene, Thing, fault

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Digits of a link: 32 letters and digits without those that look alike."""
DIGITS = 6
"""So many describe an object."""
REACH = 8.0
"""How far to the left and right a link can place an object, in radii; no part of the floor is wider."""
COLUMNS, ROWS = round(200 * REACH) + 1, round(100 * DEPTH) + 1


def add(scene: Scene, thing: Thing) -> Scene:
    """With one object more, as the last."""
    if len(scene.things) >= MOST:
        raise ValueError(f"A scene has at most {MOST} objects.")
    return Scene((*scene.things, _standing(scene.things, thing)), scene.seed)


def delete(scene: Scene, index: int) -> Scene:
    """Without one of its objects."""
    _thing(scene, index)
    if len(scene.things) == 1:
        raise ValueError("A scene keeps at least one object.")
    return Scene(scene.things[:index] + scene.things[index + 1 :], scene.seed)


def move(scene: Scene, index: int, x: float, y: float) -> Scene:
    """With an object at another place of the floor."""
    return _with(scene, index, x=x, y=y)


def recolour(scene: Scene, index: int, colour: str) -> Scene:
    return _with(scene, index, colour=colour)


def resize(scene: Scene, index: int, size: str) -> Scene:
    return _with(scene, index, size=size)


def reshape(scene: Scene, index: int, shape: str) -> Scene:
    return _with(scene, index, shape=shape)


def make_of(scene: Scene, index: int, material: str) -> Scene:
    return _with(scene, index, material=material)


def _with(scene: Scene, index: int, **changes: str | float) -> Scene:
    others = scene.things[:index] + scene.things[index + 1 :]
    changed = _standing(others, replace(_thing(scene, index), **changes))
    return Scene((*scene.things[:index], changed, *scene.things[index + 1 :]), scene.seed)


def _thing(scene: Scene, index: int) -> Thing:
    if not 0 <= index < len(scene.things):
        raise ValueError(f"This scene has no object number {index + 1}.")
    return scene.things[index]


def _standing(others: tuple[Thing, ...], thing: Thing) -> Thing:
    """The object, if it can stand among the others."""
    wrong = fault((*others, thing))
    if wrong is not None:
        raise ValueError(wrong)
    return thing


def encode(scene: Scene) -> str:
    """The scene in a few letters and digits, such as `17.0k3m9z8w20hc`."""
    return f"{scene.seed}." + "".join(map(_encode, scene.things))


def _encode(thing: Thing) -> str:
    words = ((SHAPES, thing.shape), (COLOURS, thing.colour), (SIZES, thing.size), (MATERIALS, thing.material))
    number = 0
    for values, value in words:
        number = number * len(values) + values.index(value)
    number = (number * COLUMNS + round(100 * (thing.x + REACH))) * ROWS + round(100 * thing.y)
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(DIGITS)))


def decode(text: str) -> Scene:
    """The scene that `encode` wrote. ValueError for anything else, be it one where an object could not stand."""
    match = re.fullmatch(rf"(0|[1-9][0-9]{{0,9}})\.((?:[{ALPHABET}]{{{DIGITS}}}){{1,{MOST}}})", text[:80], re.ASCII)
    if match is None or len(text) > 80 or int(match[1]) > MAX_SEED:
        raise ValueError("This link does not describe a scene.")
    things: tuple[Thing, ...] = ()
    for start in range(0, len(match[2]), DIGITS):
        things = (*things, _standing(things, _decode(match[2][start : start + DIGITS])))
    return Scene(things, int(match[1]))


def _decode(digits: str) -> Thing:
    number = 0
    for digit in digits:
        number = number * 32 + ALPHABET.index(digit)
    number, row = divmod(number, ROWS)
    number, column = divmod(number, COLUMNS)
    words = []
    for values in (MATERIALS, SIZES, COLOURS, SHAPES):
        number, index = divmod(number, len(values))
        words.append(values[index])
    if number:
        raise ValueError("This link does not describe a scene.")
    material, size, colour, shape = words
    return Thing(shape, colour, size, material, column / 100 - REACH, row / 100)
