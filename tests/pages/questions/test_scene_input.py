"""Building a scene by hand: what the browser says was done is checked, and done or refused in a sentence."""

import numpy as np
import pytest
import streamlit as st

from models import scenes
from models.scenes import MOST, Scene, Thing
from models.scenes import editing as scene_editing
from models.scenes.drawing import SIDE
from pages.components.scene_board import ACTS, Act, act
from pages.questions import history, scene_input
from pages.questions.subject import FIRST, offer
from pages.settings import session

PAGE = "questions"
BALL = Thing("ball", "blue", "small", "shiny", 3, 4)
CUBE = Thing("cube", "red", "large", "matte", -2, 4)


@pytest.fixture
def hand(monkeypatch):
    """A visitor's session, and what their hand does in it: `hand("point", x, y)`."""
    monkeypatch.setattr(st, "session_state", {})
    session.begin(PAGE, offer().defaults)
    put(Scene((CUBE, BALL), 0))
    return lambda kind, x=0.0, y=0.0: scene_input.take(PAGE, Act(kind, x, y))


def put(scene: Scene) -> None:
    history.ask(PAGE, scene=scene_editing.encode(scene))


def at(thing: Thing) -> tuple[float, float]:
    """Where an object is seen, a little above where it touches the floor: as shares of the picture."""
    column, row = scenes.project(thing.x, thing.y)
    return column / SIDE, (row - 4) / SIDE


def things() -> tuple[Thing, ...]:
    return scene_input.scene(PAGE).things


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "delete",
        {},
        {"kind": "explode"},
        {"kind": ["delete"]},
        {"kind": "point", "x": 1.5, "y": 0.5},
        {"kind": "point", "x": "0.5", "y": 0.5},
        {"kind": "point", "x": float("nan"), "y": 0.5},
        {"kind": "point", "x": True, "y": 0.5},
        {"kind": "step", "x": 1e9, "y": 0},
        {"kind": "turn", "x": 2},
    ],
)
def test_what_makes_no_sense_is_no_act(sent):
    assert act(sent) is None


def test_what_makes_sense_is_an_act():
    assert act({"kind": "point", "x": 0, "y": 0.25, "number": 3}) == Act("point", 0.0, 0.25)
    assert all(act({"kind": kind}) == Act(kind) for kind in ACTS)


def test_a_click_chooses_an_object_and_a_second_one_leaves_it(hand):
    hand("point", *at(BALL))
    assert scene_input.chosen(PAGE) == 1
    hand("point", *at(CUBE))
    assert scene_input.chosen(PAGE) == 0
    hand("point", *at(CUBE))
    assert scene_input.chosen(PAGE) is None


def test_a_click_on_the_floor_moves_what_is_chosen(hand):
    hand("point", 0.5, 0.7)
    assert things() == (CUBE, BALL), "nothing is chosen yet"
    hand("point", *at(BALL))
    hand("point", 0.5, 0.7)
    x, y = scenes.ground(0.5 * SIDE, 0.7 * SIDE)
    assert (things()[1].x, things()[1].y) == (round(x, 2), round(y, 2)) and scene_input.chosen(PAGE) == 1
    assert history.past(PAGE)[0][0] == scene_editing.encode(Scene((CUBE, BALL), 0))
    before = things()
    hand("point", 0.0, 0.9)
    assert things() == before and "leave the floor" in history.refused(PAGE)
    hand("step", 2.0, 0.0)
    assert things()[1].x == pytest.approx(before[1].x + 0.5) and not history.refused(PAGE)


def test_keys_move_turn_leave_and_delete(hand):
    hand("step", 1.0, 0.0)
    hand("delete")
    assert things() == (CUBE, BALL), "nothing is chosen yet"
    hand("turn", 1.0)
    assert scene_input.chosen(PAGE) == 0, "the first one from the left"
    hand("turn", 1.0)
    assert scene_input.chosen(PAGE) == 1
    hand("turn", 1.0)
    assert scene_input.chosen(PAGE) == 0
    hand("leave")
    hand("turn", -1.0)
    assert scene_input.chosen(PAGE) == 1, "the last one"
    hand("step", -1.0, 2.0)
    assert (things()[1].x, things()[1].y) == (2.75, 4.5)
    hand("delete")
    assert things() == (CUBE,) and scene_input.chosen(PAGE) is None
    hand("turn", 1.0)
    hand("delete")
    assert things() == (CUBE,) and "at least one object" in history.refused(PAGE)


def test_what_a_list_showed_before_an_act_of_the_hand_is_no_choice(hand):
    """A browser may report it once more, after the next act."""
    hand("turn", 1.0)
    old = scene_input._key(PAGE, "object"), scene_input._key(PAGE, "colour.0")
    hand("turn", 1.0)
    st.session_state.update(zip(old, (0, "green"), strict=True))
    scene_input._take_object(PAGE, old[0], 2)
    assert scene_input.chosen(PAGE) == 1
    hand("turn", -1.0)
    scene_input._take_word(PAGE, old[1], "colour", 0, scenes.COLOURS)
    assert things() == (CUBE, BALL)
    new = scene_input._key(PAGE, "object"), scene_input._key(PAGE, "colour.0")
    st.session_state.update(zip(new, (0, "green"), strict=True))
    scene_input._take_word(PAGE, new[1], "colour", 0, scenes.COLOURS)
    assert things()[0].colour == "green"
    st.session_state[new[0]] = 1
    scene_input._take_object(PAGE, new[0], 2)
    assert scene_input.chosen(PAGE) == 1


def test_an_object_more_stands_well_and_looks_like_no_other():
    now = Scene((CUBE,), 7)
    while len(now.things) < MOST:
        more = scene_input.one_more(now)
        assert more.things[:-1] == now.things and scenes.fault(more.things) is None
        assert more == scene_input.one_more(now)
        now = more
    assert len({str(thing) for thing in now.things}) == MOST
    with pytest.raises(ValueError, match="at most 8"):
        scene_input.one_more(now)


def test_where_there_is_no_room_it_is_said(monkeypatch):
    monkeypatch.setattr(scenes, "fault", lambda things: "There it would stand in another.")
    with pytest.raises(ValueError, match="no room"):
        scene_input.one_more(Scene((CUBE,), 7))


def test_what_is_chosen_is_outlined():
    now = Scene((CUBE, BALL), 0)
    plain, marked = (np.asarray(scene_input.outlined(now, index)) for index in (None, 1))
    mask = scenes.render(now, scene_input.LARGE).masks[1]
    changed = (plain != marked).any(-1)
    assert changed.any() and not changed[mask].any()
    rows, columns = np.nonzero(mask)
    near = np.zeros_like(mask)
    near[rows.min() - 6 : rows.max() + 7, columns.min() - 6 : columns.max() + 7] = True
    assert near[changed].all()


def test_history(hand):
    begun = history.present(PAGE)
    history.undo(PAGE)
    history.original(PAGE)
    assert history.present(PAGE) == begun, "there is nothing to take back"
    history.change(PAGE, question="Is there a red cube?")
    history.change(PAGE, question="Is there a red cube?")
    history.change(PAGE, question="Is there a red ball?")
    assert [question for _, question in history.past(PAGE)] == [begun[1], "Is there a red cube?"]
    history.undo(PAGE)
    assert history.present(PAGE)[1] == "Is there a red cube?" and len(history.past(PAGE)) == 1
    session.change(PAGE, question="Is there a cone?")  # as a link does
    assert history.past(PAGE) == ()
    history.change(PAGE, question="Is there a ball?")
    history.ask(PAGE, question="Is there a cube?")
    assert history.past(PAGE) == () and FIRST[1] == begun[1]
