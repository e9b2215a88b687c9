"""The scene that is asked about: a new one at random, or this one with its objects moved, changed, added or deleted."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from random import Random, SystemRandom

import numpy as np
import streamlit as st
from PIL import Image, ImageFilter

from models import scenes
from models.scenes import KINDS, MAX_SEED, MOST, Scene, Thing, questions
from models.scenes import editing as scene_editing
from models.scenes.drawing import SIDE
from pages.components.scene_board import Act, scene_board
from pages.components.thumbnails import jpeg_address
from pages.questions import history
from pages.settings import session

LARGE = 3 * SIDE
"""Side of the picture on which a hand works, in pixels."""
STEP = 0.25
"""How far an arrow key moves an object, in radii of a large one."""

CHANGE = {
    "size": scene_editing.resize,
    "colour": scene_editing.recolour,
    "material": scene_editing.make_of,
    "shape": scene_editing.reshape,
}
WAYS = {"Left": (-2, 0), "Right": (2, 0), "Back": (0, 2), "Front": (0, -2)}
"""The buttons that move an object, and by how many steps to the right and away."""


def scene(page: str) -> Scene:
    """The scene that is asked about."""
    text, _ = history.present(page)
    return session.remember(f"{page}.scene", text, lambda: scene_editing.decode(text))


def chosen(page: str) -> int | None:
    """The object that a hand chose."""
    index = st.session_state.get(f"{page}.thing")
    return index if index is not None and index < len(scene(page).things) else None


def choose(page: str, index: int | None) -> None:
    """Choose an object, or none."""
    st.session_state[f"{page}.thing"] = index
    history.refuse(page, "")


def _key(page: str, name: str) -> str:
    """The key of a widget of the list: another one after each act of a hand on the board or a button.

    A browser reports what a list was made to show as if it had been chosen there, and where hands are faster than the
    page, it does so after the next act: then the key is an old one, and nothing is done.
    """
    return f"{page}.{name}.{st.session_state.get(f'{page}.acts', 0)}"


def _act(page: str) -> None:
    st.session_state[f"{page}.acts"] = st.session_state.get(f"{page}.acts", 0) + 1


def new(page: str) -> None:
    """Another scene. The question stays if it can be asked of it; else one comes that can."""
    _act(page)
    made = scenes.random_scene(SystemRandom().randint(0, MAX_SEED))
    _, question = history.present(page)
    try:
        stays = questions.asked(question, made) is not None
    except ValueError:
        stays = False
    history.ask(
        page,
        scene=scene_editing.encode(made),
        question=question if stays else questions.suggested(made, made.seed)[0].text,
    )
    choose(page, None)


def edit(page: str, make: Callable[[Scene], Scene]) -> None:
    """Change the scene; what cannot be done is said and changes nothing."""
    try:
        made = make(scene(page))
    except ValueError as error:
        history.refuse(page, str(error))
    else:
        history.change(page, scene=scene_editing.encode(made))


def delete(page: str) -> None:
    """Take the chosen object away."""
    _act(page)
    index, count = chosen(page), len(scene(page).things)
    if index is not None:
        edit(page, lambda now: scene_editing.delete(now, index))
        if len(scene(page).things) < count:
            st.session_state[f"{page}.thing"] = None


def add(page: str) -> None:
    """Put one object more on the floor, and choose it."""
    _act(page)
    count = len(scene(page).things)
    edit(page, one_more)
    if len(scene(page).things) > count:
        st.session_state[f"{page}.thing"] = count


def step(page: str, across: float, along: float) -> None:
    """Move the chosen object by so many steps to the right and away."""
    index = chosen(page)
    if index is not None:
        thing = scene(page).things[index]
        x, y = thing.x + STEP * across, thing.y + STEP * along
        edit(page, lambda now: scene_editing.move(now, index, x, y))


def one_more(now: Scene) -> Scene:
    """With an object that no other looks like, in a free place; the same for the same scene. ValueError for no room."""
    random = Random(f"{now.seed} {len(now.things)}")
    looks = list(product(*KINDS.values()))
    random.shuffle(looks)
    taken = {tuple(getattr(thing, kind) for kind in KINDS) for thing in now.things}
    look = dict(zip(KINDS, next(look for look in looks if look not in taken), strict=True))
    places = list(product(range(20, SIDE - 19, 8), range(52, 113, 6)))
    random.shuffle(places)
    for pixel in places:
        x, y = scenes.ground(*pixel)
        thing = Thing(**look, x=x, y=y)
        if len(now.things) >= MOST or scenes.fault([*now.things, thing]) is None:
            return scene_editing.add(now, thing)  # it says why a full scene takes no more
    raise ValueError("There is no room for another object: delete one or move one first.")


def take(page: str, act: Act) -> None:
    """Do what a hand did on the board."""
    _act(page)
    now, index = scene(page), chosen(page)
    if act.kind == "point":
        pixel = act.x * SIDE, act.y * SIDE
        found = scenes.thing_at(now, pixel)
        if found is not None:
            choose(page, None if found == index else found)
        elif index is not None:
            x, y = scenes.ground(*pixel)
            edit(page, lambda now: scene_editing.move(now, index, x, y))
    elif act.kind == "step":
        step(page, act.x, act.y)
    elif act.kind == "turn":
        order = from_the_left(now)
        place = order.index(index) + int(act.x) if index is not None else 0 if act.x > 0 else -1
        choose(page, order[place % len(order)])
    elif act.kind == "leave":
        choose(page, None)
    elif act.kind == "delete":
        delete(page)


def from_the_left(now: Scene) -> list[int]:
    """The indices of the objects as they stand from left to right."""
    return sorted(range(len(now.things)), key=lambda index: scenes.project(now.things[index].x, now.things[index].y)[0])


def board(page: str) -> None:
    """Draw the scene to be changed by hand, and how to come to another one."""
    now, index = scene(page), chosen(page)
    hint = (
        "Click an object to change it, or to move it."
        if index is None
        else "Click the floor to move it there, or change it below."
    )
    scene_board(
        session.remember(f"{page}.board", (now, index), lambda: jpeg_address(outlined(now, index), quality=90)),
        key=f"{page}.board",
        alt=str(now),
        chosen="" if index is None else f"the {now.things[index]}",
        hint=hint,
        take=lambda act: take(page, act),
    )
    with st.container(horizontal=True, gap="small"):
        st.button("New scene", icon=":material/casino:", on_click=new, args=(page,))
        st.button("Add an object", icon=":material/add:", on_click=add, args=(page,))


def outlined(now: Scene, index: int | None) -> Image.Image:
    """The scene, large, with a line around the chosen object, dark and light so that it shows on every colour."""
    drawn = scenes.render(now, LARGE)
    picture = drawn.pixels.copy()
    if index is not None:
        mask = Image.fromarray(drawn.masks[index].astype(np.uint8) * 255)
        inner, outer = (np.asarray(mask.filter(ImageFilter.MaxFilter(size))) > 0 for size in (7, 11))
        picture[outer] = np.where(inner[outer, None], 255, 0)
        picture[drawn.masks[index]] = drawn.pixels[drawn.masks[index]]
    return Image.fromarray(picture)


def editor(page: str) -> None:
    """Draw the objects as a list, and what can be done with the chosen one: all of it without a mouse."""
    now, index = scene(page), chosen(page)
    key = _key(page, "object")
    st.session_state[key] = index
    st.selectbox(
        "Object",
        from_the_left(now),
        key=key,
        format_func=lambda number: str(now.things[number]) if number < len(now.things) else "",
        placeholder="Choose one, here or in the picture",
        on_change=_take_object,
        args=(page, key, len(now.things)),
    )
    if index is None:
        return
    thing = now.things[index]
    kinds = list(KINDS.items())
    for pair in (kinds[:2], kinds[2:]):
        for column, (kind, values) in zip(st.columns(2), pair, strict=True):
            with column:
                _word(page, kind, index, values, getattr(thing, kind))
    with st.container(horizontal=True, gap="small"):
        for name, (across, along) in WAYS.items():
            st.button(name, on_click=step, args=(page, across, along))
        st.button("Delete", icon=":material/delete:", on_click=delete, args=(page,))


def _word(page: str, kind: str, index: int, values: Sequence[str], present: str) -> None:
    """Draw the choice of one word for the chosen object."""
    key = _key(page, f"{kind}.{index}")
    st.session_state[key] = present
    st.selectbox(kind.capitalize(), values, key=key, on_change=_take_word, args=(page, key, kind, index, values))


def _take_word(page: str, key: str, kind: str, index: int, values: Sequence[str]) -> None:
    """Change the object, if what the browser sent is one of the words."""
    value = st.session_state[key]
    if key == _key(page, f"{kind}.{index}") and index == chosen(page) and value in values:
        edit(page, partial(_changed, kind=kind, index=index, value=value))


def _changed(now: Scene, kind: str, index: int, value: str) -> Scene:
    return CHANGE[kind](now, index, value)


def _take_object(page: str, key: str, count: int) -> None:
    index = st.session_state[key]
    if key == _key(page, "object") and (index is None or index in range(count)):
        choose(page, index)
