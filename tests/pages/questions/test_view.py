"""How a question about a scene is shown: picture and words together are what reached the input, and nothing is lost."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
import torch

import lrp_core as lrp
from lrp_core.evaluation import masks as mask_evaluation
from models import scenes
from models.scenes import Scene, Thing, answerer, question_reading
from models.scenes import editing as scene_editing
from pages.explaining import subject as explaining
from pages.explaining.snippet import snippet
from pages.questions import view as question_view
from pages.questions.subject import EYE, FIRST, RECOMMENDED, offer
from pages.questions.truth import named, shares, verdict
from pages.questions.wording import reading, replaced
from pages.settings.rules_text import RECOMMENDED as RULES
from pages.settings.settings import starting
from pages.workbench.tabs import layers as layers_tab
from tests.pages import stand_ins

SETTINGS = starting(RECOMMENDED)
CUBE = Thing("cube", "red", "large", "matte", -2, 4)
BALL = Thing("ball", "blue", "small", "shiny", 3, 4)
SCENE = Scene((CUBE, BALL), 0)


@pytest.fixture
def subject(monkeypatch):
    return stand_ins.asked(monkeypatch, FIRST)


@pytest.mark.parametrize("rule", [RECOMMENDED, "cp", "lrp0"])
def test_pixels_words_and_what_is_beside_them_are_what_reached_the_input(subject, rule):
    explanation = explaining.explain(replace(SETTINGS, rule=rule), subject)
    maps, beside = subject.view.split(subject.view.heat(explanation)), dict(subject.view.text.beside(explanation))
    assert maps["pixels"].shape == (128, 128) and maps["pixels"].any()
    assert len(maps["words"]) == len(question_reading.split(FIRST[1])) and maps["words"].any()
    assert set(beside) == {"positions", "picture"}
    assert beside["picture"] == pytest.approx(maps["pixels"].sum(), rel=1e-3, abs=1e-6)
    everything = maps["words"].sum() + sum(beside.values())
    assert everything == pytest.approx(explanation.ledger.total.input.item(), rel=1e-4, abs=1e-5)


def test_what_is_recommended_for_scenes(subject):
    text = RULES[RECOMMENDED]
    composite = explaining.composite(replace(SETTINGS, gamma=0.5), subject)
    # zB by name and not on the first layers: the question's words have no such bounds.
    assert composite == lrp.Composite(
        lrp.Gamma(0.5), by_name={EYE: lrp.ZBox(answerer.LOW, answerer.HIGH)}, attention="attnlrp"
    )
    assert SETTINGS.gamma == text.gamma == 0.25
    assert set(text.compared) <= set(text.others)
    own = explaining.composite(replace(SETTINGS, layers=((EYE, "flat"),)), subject)
    assert own.by_name == {EYE: lrp.Flat()}


@pytest.mark.parametrize("rule", [RECOMMENDED, *RULES[RECOMMENDED].others])
def test_the_script_remakes_the_map(monkeypatch, subject, rule):
    settings = replace(SETTINGS, rule=rule, target=5, rather_than=3)
    shown = subject.view.heat(explaining.explain(settings, subject))
    monkeypatch.setattr(scenes, "load", stand_ins.answerer)
    made: dict = {}
    exec(snippet(subject, explaining.composite(settings, subject), explaining.target(settings, subject)), made)
    assert np.array_equal(made["relevance"], shown) and shown.any()


def test_the_files_hold_what_is_seen(subject):
    explanation = explaining.explain(SETTINGS, subject)
    maps = subject.view.split(subject.view.heat(explanation))
    picture, numbers, words = subject.view.files(subject, SETTINGS, explanation)
    assert picture.content().startswith(b"\x89PNG")
    arrays = np.load(io.BytesIO(numbers.content()))
    assert np.array_equal(arrays["picture"], subject.inputs[0]) and np.array_equal(arrays["words"], subject.inputs[1])
    assert arrays["relevance_picture"][0].sum(0) == pytest.approx(maps["pixels"])
    assert arrays["relevance_word"] == pytest.approx(maps["words"])
    assert arrays["masks"].shape == (len(subject.view.scene.things), 128, 128)
    _, *rows = csv.reader(io.StringIO(words.content()))
    assert [row[0] for row in rows] == [word for word, _ in subject.view.words]


def test_a_map_says_what_it_shows(subject):
    heat = subject.view.heat(explaining.explain(SETTINGS, subject))
    said = subject.view.describe(heat, "yellow", "Recommended")
    assert said.startswith("Heatmap for yellow, Recommended") and "Words for yellow, Recommended" in said
    assert subject.view.peak(heat)[0] in ("Strongest word", "Strongest pixel")


def test_what_it_was_before_is_explained_as_well(monkeypatch):
    """Both keep their tapes: moving a slider records neither anew."""
    other = FIRST[0], "Is there a red cube?"
    subject = stand_ins.asked(monkeypatch, other, before=FIRST)
    for settings in (SETTINGS, replace(SETTINGS, gamma=0.5)):
        explaining.explain(settings, subject)
        before = explaining.explain(settings, subject.before)
        alone = explaining.explain(settings, stand_ins.asked(monkeypatch, FIRST))
        assert torch.equal(before.relevance, alone.relevance)
    assert subject.before.page != subject.page


def test_every_picture_of_the_inside_holds_what_passes_to_the_picture(subject):
    explanation = explaining.answer(SETTINGS, subject, layers=True)
    found = question_view.pictured(explanation)
    assert list(found)[-2:] == ["relating.dense", "relating.answer"] and next(iter(found)) == EYE
    assert found["enter"].shape == found["relating.norm"].shape == (1, answerer.WIDTH, 5, answerer.COLUMNS)
    booked = {row.step.name: row.r_in.item() for row in explanation.ledger}
    for name in (EYE, "enter", "relating.dense"):
        assert found[name].sum().item() == pytest.approx(booked[name], rel=1e-3, abs=1e-5)
    frames = subject.view.inside(subject, explanation, "yellow")
    assert [frame.name for frame in frames] == list(reversed(found))


def test_the_waterfall_names_the_parts_of_the_network(subject):
    explanation = explaining.explain(SETTINGS, subject)
    (bars,) = layers_tab.waterfall(explanation.ledger, subject.view.booked_under).data
    names = [name for name, _ in bars.customdata]
    assert {"Score", "Answer", "Relating 6", "Relating 1", "Picture", "Input"} <= set(names)
    parts = {"Score", "Answer", "Relating", "Picture", "Question", "Reading", "Input"}
    assert {name.partition(" ")[0] for name in names} <= parts
    assert bars.y[0] + sum(bars.y[1:-1]) == pytest.approx(bars.y[-1], rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(
    "text", ["Is there a red cube?", "  is,, there -- a (red) cube !?", "Count the cubes.", "¿is there a cube"]
)
def test_no_character_of_a_question_is_lost(text):
    read = reading(text)
    view = question_view.TextView(read)
    assert "".join(part.text + part.gap for part in view.coloured(pieces=False)) == text
    assert len(read.words) == read.ids.shape[1] == len(question_reading.split(text))


def test_a_word_is_replaced_with_its_article():
    read = reading("Is there a red cube?")
    assert replaced(read, 3, " orange ") == "Is there an orange cube?"
    assert replaced(read, 3, "") == "Is there a cube?"
    assert replaced(read, 4, "ball") == "Is there a red ball?"
    assert replaced(reading("Cube?"), 0, "") == "?"
    with pytest.raises(ValueError, match="Please ask"):
        reading("?")
    with pytest.raises(ValueError, match="“elephant”"):
        reading("Is there an elephant?")


def test_verdicts():
    right = verdict("What colour is the cube?", SCENE, "red")
    assert (right.right, right.relevant, right.words) == (True, (0,), "That is right.")
    wrong = verdict("What colour is the cube?", SCENE, "blue")
    assert wrong.right is False and wrong.words.endswith("The right answer is red.")
    senseless = verdict("What colour is the cone?", SCENE, "red")
    assert senseless.right is None and senseless.words.startswith("There is no cone in this scene.")
    unknown = verdict("red red red", SCENE, "red")
    assert unknown.right is None and "not known" in unknown.words and not unknown.relevant


def test_the_share_is_the_mass_accuracy_of_the_engine():
    masks = scenes.render(SCENE).masks
    pixels = np.random.default_rng(0).normal(size=(128, 128))
    for indices in ((0,), (1,), (0, 1)):
        on_them, covered = shares(pixels, masks, indices)
        there = torch.from_numpy(masks[list(indices)].any(0))
        pooled = mask_evaluation.pooled(torch.from_numpy(pixels)[None])
        assert on_them == pytest.approx(mask_evaluation.mass_accuracy(pooled, there[None]).item())
        assert covered == pytest.approx(there.double().mean().item())
    assert shares(-np.abs(pixels), masks, (0,))[0] == 0
    assert named(SCENE, (0,)) == "the large red matte cube"
    assert named(SCENE, (0, 1)) == "the large red matte cube and the small blue shiny ball"


def test_the_page_begins_with_a_question_that_has_an_answer():
    scene, question = FIRST
    asked = verdict(question, scene_editing.decode(scene), "")
    assert asked.right is False and asked.relevant
    assert (offer().defaults.scene, offer().defaults.question) == FIRST


def test_the_layers_that_the_page_names_are_there():
    names = {name for name, _ in answerer.network().named_modules()}
    assert {EYE, "enter", "relating.norm", "relating.dense", "relating.answer"} <= names
