"""Scenes: drawn alike everywhere, every object known to the pixel, and edited or refused in plain words."""

import hashlib
import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.scenes import (
    COLOURS,
    DEPTH,
    FEWEST,
    KINDS,
    LEAST_PIXELS,
    LEAST_SHARE,
    MATERIALS,
    MAX_SEED,
    MOST,
    SHAPES,
    SIZES,
    Scene,
    Thing,
    ground,
    project,
    random_scene,
    render,
    thing_at,
)
from models.scenes import drawing as scene_drawing
from models.scenes import editing as scene_editing
from models.scenes import solids as scene_solids

SEEDS = st.integers(0, MAX_SEED)
MANY = [random_scene(seed) for seed in range(120)]

# Machado et al. (2009): how red, green and blue look to people who lack one kind of cone.
SIGHTS = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    "all": np.eye(3).tolist(),
}


def lab(linear: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of a linear colour."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ np.clip(linear, 0, 1) / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def grown(mask: np.ndarray, by: int = 1) -> np.ndarray:
    """A mask and the pixels next to it."""
    padded = np.pad(mask, by)
    shifts = itertools.product(range(2 * by + 1), repeat=2)
    return np.any([padded[r : r + mask.shape[0], c : c + mask.shape[1]] for r, c in shifts], 0)


def refusal(action) -> str:
    with pytest.raises(ValueError) as caught:
        action()
    sentence = str(caught.value)
    assert re.fullmatch(r"[A-Z][^.\n]*\.", sentence), "one sentence"
    return sentence


def test_the_picture_of_a_seed_is_the_same_everywhere() -> None:
    digest = hashlib.sha256()
    for scene in MANY[:12]:
        digest.update(render(scene).pixels.tobytes())
    assert digest.hexdigest()[:16] == "4d2f581f3969bd70"


def test_the_same_seed_is_the_same_scene() -> None:
    assert random_scene(7) == random_scene(7) != random_scene(8)


@given(SEEDS)
@settings(max_examples=40, deadline=None)
def test_a_random_scene_is_in_order(seed: int) -> None:
    scene = random_scene(seed)
    assert FEWEST <= len(scene.things) <= MOST
    assert scene.seed == seed
    for one, other in itertools.combinations(scene.things, 2):
        assert abs(one.y - other.y) >= 0.4
        assert abs(project(one.x, one.y)[0] - project(other.x, other.y)[0]) >= 4
    assert scene_editing.decode(scene_editing.encode(scene)) == scene


@given(SEEDS)
@settings(max_examples=40, deadline=None)
def test_masks_are_disjoint_and_everything_is_seen(seed: int) -> None:
    scene = random_scene(seed)
    drawn = render(scene)
    assert drawn.pixels.shape == (128, 128, 3)
    assert drawn.pixels.dtype == np.uint8
    assert drawn.masks.shape == (len(scene.things), 128, 128)
    assert drawn.masks.dtype == bool
    assert drawn.masks.sum(0).max() == 1
    for thing, mask in zip(scene.things, drawn.masks, strict=True):
        alone = render(Scene((thing,), 0)).masks[0]
        assert not (mask & ~alone).any()
        assert mask.sum() >= 0.8 * max(LEAST_PIXELS, LEAST_SHARE * alone.sum())


@given(SEEDS, st.data())
@settings(max_examples=40, deadline=None)
def test_an_object_taken_away_changes_its_mask_and_its_shadow_alone(seed: int, data: st.DataObject) -> None:
    scene = random_scene(seed)
    index = data.draw(st.integers(0, len(scene.things) - 1))
    before, after = render(scene), render(scene_editing.delete(scene, index))
    changed = (before.pixels != after.pixels).any(-1)
    assert changed[before.masks[index]].mean() > 0.9
    left, right, low, high = scene_solids.SHADOW_FRAME
    thing = scene.things[index]
    column, row = project(thing.x, thing.y)
    reach = 18 * 24 / (24 + thing.y) * {"small": 0.6, "large": 1.0}[thing.size]
    rows, columns = np.mgrid[:128, :128]
    shade = (columns > column + left * reach - 2) & (columns < column + right * reach + 2)
    shade &= (rows > row - high * reach - 2) & (rows < row - low * reach + 2)
    inner = np.any([mask & ~grown(~mask) for mask in np.delete(before.masks, index, 0)], 0)
    # Around a mask lie pixels of which the object covers less than half: at the tip of a cone up to three of them.
    near = grown(before.masks[index], 3)
    assert not (changed & ~near & ~(shade & ~inner)).any()
    np.testing.assert_array_equal(np.delete(before.masks, index, 0) & ~near, after.masks & ~near)


@given(SEEDS)
@settings(max_examples=40, deadline=None)
def test_left_and_front_are_what_the_picture_shows(seed: int) -> None:
    """Each object alone, so that nothing hides parts of it: its middle, and its lowest pixels, where it stands."""
    scene = random_scene(seed)
    alone = [render(Scene((thing,), 0)).masks[0] for thing in scene.things]
    middles = [np.flatnonzero(mask.any(0))[[0, -1]].mean() for mask in alone]
    for (one, a), (other, b) in itertools.combinations(zip(scene.things, middles, strict=True), 2):
        left = project(one.x, one.y)[0] < project(other.x, other.y)[0]
        assert left == (a < b)
    nearest = max(scene.things, key=lambda thing: -thing.y)
    index = scene.things.index(nearest)
    np.testing.assert_array_equal(render(scene).masks[index], alone[index])


@given(st.floats(-4, 4), st.floats(0, DEPTH))
def test_the_floor_is_found_from_the_picture(x: float, y: float) -> None:
    assert ground(*project(x, y)) == pytest.approx((x, y), abs=1e-6)


def test_a_pixel_beyond_the_floor_is_its_edge() -> None:
    assert ground(64, 0) == (0, DEPTH)
    assert ground(64, 127) == (0, 0)


@pytest.mark.parametrize("side", [128, 384])
def test_an_object_is_found_where_it_is_seen(side: int) -> None:
    for scene in MANY[:10]:
        for index, mask in enumerate(render(scene, side).masks):
            rows, columns = np.nonzero(mask & ~grown(~mask, 3))
            middle = len(rows) // 2
            assert len(rows) == 0 or thing_at(scene, (columns[middle], rows[middle]), side) == index
        assert thing_at(scene, (1, 1), side) is None
        assert thing_at(scene, (-5, 4 * side), side) is None


def test_a_larger_picture_shows_the_same() -> None:
    for scene in MANY[:6]:
        small, large = render(scene), render(scene, 256)
        shrunk = large.pixels.reshape(128, 2, 128, 2, 3).mean((1, 3))
        assert np.abs(shrunk - small.pixels).mean() < 5
        assert (large.masks[:, ::2, ::2] != small.masks).mean() < 0.02


def test_random_scenes_show_everything_about_equally_often() -> None:
    things = [thing for seed in range(400) for thing in random_scene(seed).things]
    for kind, values in KINDS.items():
        for value in values:
            share = sum(getattr(thing, kind) == value for thing in things) / len(things)
            assert share == pytest.approx(1 / len(values), rel=0.3)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("colour", COLOURS)
def test_matte_and_shiny_differ_where_it_is_small_and_far(shape: str, colour: str) -> None:
    pictures = [render(Scene((Thing(shape, colour, "small", material, 0, DEPTH),), 0)) for material in MATERIALS]
    mask = pictures[0].masks[0]
    matte, shiny = (picture.pixels[mask].astype(float) for picture in pictures)
    assert np.abs(matte - shiny).mean() > 18
    assert np.ptp(shiny.mean(1)) > np.ptp(matte.mean(1)) + 20, "a mirror shows light and dark"


@pytest.mark.parametrize("sight", SIGHTS)
def test_colours_are_told_apart_by_everyone(sight: str) -> None:
    seen = [lab(np.array(SIGHTS[sight]) @ colour) for colour in scene_drawing.PALETTE.values()]
    closest = min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2))
    assert closest > (35 if sight == "all" else 18)


def test_a_small_object_near_is_smaller_than_a_large_one_far() -> None:
    for shape in SHAPES:
        near, far = Thing(shape, "red", "small", "matte", 0, 0.2), Thing(shape, "red", "large", "matte", 0, DEPTH)
        assert render(Scene((near,), 0)).masks.sum() < render(Scene((far,), 0)).masks.sum()


def test_edits_return_new_scenes() -> None:
    scene = Scene((Thing("cube", "red", "small", "matte", 0, 4), Thing("ball", "blue", "large", "shiny", 2.5, 3)), 5)
    assert scene_editing.recolour(scene, 0, "green").things[0] == replace(scene.things[0], colour="green")
    assert scene_editing.resize(scene, 0, "large").things[0].size == "large"
    assert scene_editing.make_of(scene, 1, "matte").things[1].material == "matte"
    assert scene_editing.reshape(scene, 1, "cone").things == (scene.things[0], replace(scene.things[1], shape="cone"))
    moved = scene_editing.move(scene, 1, -2.5, 6.004)
    assert (moved.things[1].x, moved.things[1].y) == (-2.5, 6.0)
    more = scene_editing.add(scene, Thing("cone", "grey", "small", "matte", -2, 9))
    assert len(more.things) == 3
    assert scene_editing.delete(more, 2) == scene
    assert more.seed == 5


def test_edits_that_cannot_be_are_refused_in_a_sentence() -> None:
    cube = Thing("cube", "red", "small", "matte", 0, 8)
    scene = Scene((cube,), 0)
    assert "leave the floor" in refusal(lambda: scene_editing.move(scene, 0, 0, -0.1))
    assert "leave the floor" in refusal(lambda: scene_editing.move(scene, 0, 9, 5))
    assert "leave the floor" in refusal(lambda: scene_editing.move(scene, 0, 0, DEPTH + 0.1))
    assert "stand in" in refusal(lambda: scene_editing.add(scene, replace(cube, x=0.5)))
    front = Thing("cylinder", "blue", "large", "matte", 0, 6)
    assert "hidden" in refusal(lambda: scene_editing.add(scene, front))
    assert "hidden" in refusal(lambda: scene_editing.add(Scene((front,), 0), cube))
    assert "at least one" in refusal(lambda: scene_editing.delete(scene, 0))
    assert "number 2" in refusal(lambda: scene_editing.recolour(scene, 1, "red"))
    assert "number 0" in refusal(lambda: scene_editing.delete(scene, -1))
    assert "purple" in refusal(lambda: scene_editing.recolour(scene, 0, "mauve"))
    full = random_scene(0, MOST)
    assert "at most 8" in refusal(lambda: scene_editing.add(full, cube))


def test_a_seed_or_count_out_of_range_is_refused() -> None:
    refusal(lambda: random_scene(-1))
    refusal(lambda: random_scene(MAX_SEED + 1))
    refusal(lambda: random_scene(0, 9))


@pytest.mark.parametrize("count", [1, 2, MOST])
def test_a_scene_of_so_many_objects(count: int) -> None:
    assert len(random_scene(3, count).things) == count


@given(st.one_of(st.text(max_size=90), st.from_regex(r"[0-9]{1,11}\.[0-9a-z]{0,50}", fullmatch=True)))
def test_a_link_is_a_scene_or_refused_in_a_sentence(text: str) -> None:
    try:
        scene = scene_editing.decode(text)
    except ValueError as error:
        assert re.fullmatch(r"[A-Z][^.\n]*\.", str(error))
    else:
        assert scene_editing.encode(scene) == text


@pytest.mark.parametrize(
    "text", ["", "1.", "1", "01.0kg735", "1.0KG735", "9999999999.2kkg73", "1.2kkg73\n", "١.2kkg73"]
)
def test_hostile_links_are_refused(text: str) -> None:
    assert refusal(lambda: scene_editing.decode(text)) == "This link does not describe a scene."


def test_every_object_can_stand_in_a_link() -> None:
    for shape, colour, size, material in itertools.product(SHAPES, COLOURS, SIZES, MATERIALS):
        scene = Scene((Thing(shape, colour, size, material, -1.23, 11.99),), MAX_SEED)
        assert scene_editing.decode(scene_editing.encode(scene)) == scene


def test_a_scene_is_told_from_left_to_right() -> None:
    scene = Scene((Thing("cube", "red", "small", "matte", 2, 4), Thing("ball", "blue", "large", "shiny", -2.5, 3)), 5)
    assert str(scene) == "From left to right: a large blue shiny ball, a small red matte cube."
