"""The page on questions without a browser: whatever a visitor asks or builds gets an answer or a sentence."""

from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from models import scenes
from models.scenes import Scene, questions
from models.scenes import editing as scene_editing
from pages.questions import subject as question_subject
from pages.questions.subject import FIRST
from pages.settings.settings import NO_CLASS
from tests.pages import stand_ins

APP = Path(__file__).parents[3] / "app.py"


@pytest.fixture
def asking(monkeypatch):
    """The page of a visitor who comes with this address."""
    monkeypatch.setattr(scenes, "load", stand_ins.answerer)
    question_subject.model.clear()

    def run(**query: str) -> AppTest:
        app = AppTest.from_file(APP, default_timeout=120).switch_page("pages/_question_answering.py")
        for name, value in query.items():
            app.query_params[name] = value
        return app.run()

    yield run
    question_subject.model.clear()


def says(app: AppTest) -> str:
    """The headline."""
    return next((block.value for block in app.subheader if block.value.startswith("The network ")), "")


def asked(app: AppTest) -> tuple[Scene, str]:
    settings = app.session_state["questions.settings"]
    return scene_editing.decode(settings.scene), settings.question


def subject(app: AppTest):
    return app.session_state["remembered.questions.subject"][1]


def write(app: AppTest, text: str) -> AppTest:
    return app.text_input(key="questions.typed").set_value(text).run()


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def pick(app: AppTest, index: int) -> AppTest:
    """Choose an object in the list."""
    return listed(app, "Object").select(index).run()


def listed(app: AppTest, label: str):
    """A select box of the list of objects."""
    return next(box for box in app.selectbox if box.label == label)


def told(app: AppTest) -> str:
    return " ".join(block.value for block in (*app.warning, *app.markdown))


def test_first_load_shows_a_worked_example_already_explained(asking):
    app = asking()
    assert not app.exception and not app.error and not app.info
    assert says(app) and "on the input" in told(app)
    assert "what the question is about" in told(app)
    assert (scene_editing.encode(asked(app)[0]), asked(app)[1]) == FIRST
    assert app.text_input(key="questions.typed").value == FIRST[1]
    assert not app.query_params, "what is the default stands in no address"
    assert any("Photos cannot be brought here" in block.value for block in app.caption)


REFUSED = {
    "": "Please ask",
    " \n\t ": "Please ask",
    "?!": "Please ask",
    "Is there a red cube " * 7: "at most 120 characters",
    "is " * 10_000: "at most 120 characters",
    "a " * 41: "at most 40 words",
    "Is there a giraffe?": "“giraffe”",
    "<script>alert(1)</script>": "does not know",
    "Is there a yelow cube?": "did you mean “yellow”",
    "**is** there $x^2$ :material/home:": "does not know",
    "Gibt es einen roten Würfel?": "“würfel”",
    "is there a c\u200bube": "does not know",
    "👍🏽": "Please ask",
}


def test_what_cannot_be_read_is_told_in_a_sentence_and_loses_nothing(asking):
    app = write(asking(), "Is there a red cube?")
    for text, words in REFUSED.items():
        app = write(app, text)
        assert not app.exception, text[:40]
        assert words in " ".join(block.value for block in app.warning), text[:40]
        assert asked(app)[1] == "Is there a red cube?" and says(app)
        assert app.text_input(key="questions.typed").value == text, "what was typed was lost"
    assert "Is there a red cube?" in app.query_params["question"], "a link carries only what was read"
    app = write(app, "Is there a blue thing?")
    assert asked(app)[1] == "Is there a blue thing?" and "does not know" not in told(app)


def test_an_answer_is_judged_where_the_truth_is_known(asking):
    app = write(asking(), "How many things are there?")
    right = questions.asked(*reversed(asked(app))).answer
    known = "That is right" if subject(app).label(NO_CLASS) == right else f"The right answer is {right}"
    assert known in told(app)
    app = write(app, "What colour is the cube?")
    assert "There is no cube in this scene" in told(app) and says(app)
    app = write(app, "red red red")
    assert "not known" in told(app) and says(app) and "what the question is about" not in told(app)


def test_a_suggested_question_is_asked_by_one_press(asking):
    app = asking()
    shown = app.radio(key="questions.suggested")
    assert len(shown.options) >= 6 and shown.value is None
    app = shown.set_value(shown.options[2]).run()
    assert not app.exception and asked(app)[1] == app.radio(key="questions.suggested").value
    assert subject(app).before is None


def test_one_word_changed_stays_beside_what_was_asked(asking):
    app = asking()
    first = app.radio(key="questions.word").options[0]
    app = app.radio(key="questions.word").set_value(first).run()
    assert not app.exception and asked(app)[1] == first
    assert subject(app).before.view.question.text == FIRST[1]
    titles = [block.value for block in app.markdown if block.value.startswith(("**Before**", "**After**"))]
    assert len(titles) == 4, "above the maps, and above the bars"
    second = app.radio(key="questions.word").options[-1]
    app = app.radio(key="questions.word").set_value(second).run()
    assert subject(app).before.view.question.text == FIRST[1]
    app = press(app, "Undo")
    assert asked(app)[1] == first and subject(app).before is not None
    app = press(app, "Original")
    assert asked(app)[1] == FIRST[1] and subject(app).before is None
    app = app.radio(key="questions.word").set_value(first).run()
    app = press(app, "Stop comparing")
    assert asked(app)[1] == first and subject(app).before is None


def test_what_if_it_were_red(asking):
    app = pick(asking(), 5)
    assert str(asked(app)[0].things[5]) == "small yellow matte cylinder"
    app = listed(app, "Colour").select("red").run()
    assert not app.exception and str(asked(app)[0].things[5]) == "small red matte cylinder"
    assert subject(app).before.view.scene.things[5].colour == "yellow"
    assert "The right answer is red" in told(app) or "That is right" in told(app)
    for kind, value in (("shape", "ball"), ("material", "shiny"), ("size", "large")):
        app = listed(app, kind.capitalize()).select(value).run()
        moved = str(asked(app)[0].things[5])
        assert not app.exception and (value in moved or "would" in told(app))
    assert subject(app).before.view.scene.things[5].colour == "yellow"


def test_an_object_is_moved_deleted_and_added_from_the_list(asking):
    app = pick(asking(), 5)
    x = asked(app)[0].things[5].x
    app = press(app, "Left")
    assert asked(app)[0].things[5].x < x or "would" in told(app)
    app = press(app, "Delete")
    assert len(asked(app)[0].things) == 5 and listed(app, "Object").value is None
    assert "There is no small object in that place" in told(app) and says(app)
    for count in (6, 7, 8):
        app = press(app, "Add an object")
        assert not app.exception and len(asked(app)[0].things) == count
        assert listed(app, "Object").value == count - 1
    app = press(app, "Add an object")
    assert "at most 8 objects" in told(app) and len(asked(app)[0].things) == 8
    for count in (7, 6, 5, 4, 3, 2, 1):
        app = press(pick(app, 0), "Delete")
        assert not app.exception and len(asked(app)[0].things) == count
    app = press(pick(app, 0), "Delete")
    assert "keeps at least one object" in told(app) and len(asked(app)[0].things) == 1 and says(app)


def test_a_new_scene_comes_with_a_question_that_can_be_asked_of_it(asking):
    app = asking()
    for _ in range(4):
        before = asked(app)[0]
        app = press(app, "New scene")
        scene, question = asked(app)
        assert not app.exception and scene != before and subject(app).before is None
        assert questions.asked(question, scene) is not None
    app = press(write(app, "How many things are there?"), "New scene")
    assert asked(app)[1] == "How many things are there?", "what still makes sense stays"


def test_a_link_restores_scene_question_and_settings(asking):
    link = {
        "scene": scene_editing.encode(Scene(scene_editing.decode(FIRST[0]).things[:3], 5)),
        "question": "Is there an orange cube?",
        "rule": "cp",
        "epsilon": "0.1",
        "class": "1",
        "rather-than": "0",
        "view": "overlay",
        "opacity": "40",
        "colours": "grey",
        "layers": "eyes.conv1_2:gamma",
    }
    app = asking(**link)
    assert not app.exception and not app.info
    assert {name: "".join(value) for name, value in app.query_params.items()} == link
    assert "no rather than yes" in told(app)
    assert app.text_input(key="questions.typed").value == link["question"]


@pytest.mark.parametrize(
    "query",
    [
        {"scene": "17.zzzzzz"},
        {"scene": "<script>"},
        {"question": "my secret words"},
        {"question": "is " * 200},
        {"sample": "3"},
        {"class": "99"},
        {"layers": "eyes:gamma"},
    ],
)
def test_nonsense_in_the_address_is_named(asking, query):
    app = asking(**query)
    assert not app.exception and says(app)
    assert next(iter(query)) in app.info[0].value
    assert (scene_editing.encode(asked(app)[0]), asked(app)[1]) == FIRST


def test_everything_stays_over_a_page_switch(asking):
    app = write(pick(asking(), 5), "Is there a red cube?")
    app = listed(app, "Colour").select("red").run()
    app = app.switch_page("pages/digits/page.py").run().switch_page("pages/questions/page.py").run()
    assert not app.exception and asked(app)[1] == "Is there a red cube?"
    assert asked(app)[0].things[5].colour == "red" and subject(app).before.view.scene.things[5].colour == "yellow"


@pytest.mark.parametrize("tab", ["How to read this", "Layer by layer", "Sweep", "Compare rules", "Numbers & code"])
def test_every_tab_opens(asking, tab):
    app = asking()
    app.session_state["questions.tabs"] = tab
    app.run()
    assert not app.exception and not app.error


@pytest.mark.parametrize("view", ["heatmap", "overlay", "both", "top"])
def test_every_way_to_show_it_works_alone_and_side_by_side(asking, view):
    app = asking(view=view)
    assert not app.exception and says(app)
    app = app.radio(key="questions.word").set_value(app.radio(key="questions.word").options[0]).run()
    assert not app.exception and says(app)


def test_missing_weights_cost_one_sentence(monkeypatch):
    def missing():
        raise FileNotFoundError("vqa.safetensors is missing in scenes/; remake it with `python -m training.scenes`.")

    monkeypatch.setattr(scenes, "load", missing)
    st.cache_resource.clear()
    app = AppTest.from_file(APP, default_timeout=60).switch_page("pages/_question_answering.py").run()
    assert not app.exception and not says(app)
    assert "python -m training.scenes" in app.info[0].value and "other pages work" in app.info[0].value
    app = write(app, "Is there a red cube?")
    assert not app.exception and "python -m training.scenes" in app.info[0].value
    st.cache_resource.clear()
