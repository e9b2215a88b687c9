"""Questions: right by a second evaluator, read back as they were meant, and not to be answered without the picture."""

import re
from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.scenes import Scene, Thing, project, question_making, questions, random_scene
from models.scenes.question_grammar import LONGEST, vocabulary
from models.scenes.question_programs import ANSWERS, SCENE, Program, chosen, execute, parted, truth
from models.scenes.question_reading import MOST_WORDS, read, split, understand
from models.scenes.questions import FAMILIES, asked, make, neighbours, suggested

SEEDS = st.integers(0, 10_000)
SCENES = [random_scene(seed) for seed in range(300)]
RANDOM = Random(0)
MADE = [(question, scene) for scene in SCENES for question in make(scene, RANDOM)]

HAND = Scene(
    (
        Thing("cube", "red", "large", "shiny", -3, 2),
        Thing("cube", "blue", "small", "matte", 0, 4),
        Thing("ball", "red", "small", "shiny", 3, 6),
        Thing("cone", "grey", "large", "matte", 1.5, 9),
    ),
    0,
)


# A second evaluator, on lists of objects instead of bits.


def column(thing: Thing) -> float:
    return project(thing.x, thing.y)[0]


BESIDE = {
    "left": lambda other, thing: column(other) < column(thing),
    "right": lambda other, thing: column(other) > column(thing),
    "front": lambda other, thing: other.y < thing.y,
    "behind": lambda other, thing: other.y > thing.y,
}


def evaluate(program: Program, scene: Scene):
    inputs = [evaluate(source, scene) for source in program.sources]
    argument = program.argument
    match program.step:
        case "scene":
            return list(scene.things)
        case "filter":
            return [thing for thing in inputs[0] if argument in (thing.shape, thing.colour, thing.size, thing.material)]
        case "unique":
            (thing,) = inputs[0]
            return thing
        case "relate":
            return [other for other in scene.things if BESIDE[argument](other, inputs[0])]
        case "same":
            value = getattr(inputs[0], argument)
            return [t for t in scene.things if t is not inputs[0] and getattr(t, argument) == value]
        case "exist":
            return "yes" if inputs[0] else "no"
        case "count":
            return str(len(inputs[0]))
        case "query":
            return getattr(inputs[0], argument)
        case "match":
            return "yes" if getattr(inputs[0], argument) == getattr(inputs[1], argument) else "no"
        case "compare":
            one, other = map(int, inputs)
            return "yes" if {"more": one > other, "fewer": one < other, "equal": one == other}[argument] else "no"
    raise AssertionError(program.step)


def steps(program: Program) -> list[Program]:
    return [program, *(step for source in program.sources for step in steps(source))]


# What the questions mean.


@pytest.mark.parametrize(
    ("text", "answer", "relevant", "touched"),
    [
        ("Is there a red cube?", "yes", (0,), (0, 1)),
        ("Is there a green cube?", "no", (0, 1), (0, 1)),
        ("Is there a green cylinder?", "no", (), ()),
        ("How many small items are there?", "2", (1, 2), (1, 2)),
        ("How many things are there?", "4", (0, 1, 2, 3), (0, 1, 2, 3)),
        ("Are there more cubes than balls?", "yes", (0, 1, 2), (0, 1, 2)),
        ("Are there fewer cubes than balls?", "no", (0, 1, 2), (0, 1, 2)),
        ("Are there as many red objects as cubes?", "yes", (0, 1, 2), (0, 1, 2)),
        ("What colour is the cone?", "grey", (3,), (3,)),
        ("What is the ball made of?", "shiny", (2,), (2,)),
        ("How big is the blue block?", "small", (1,), (0, 1)),
        ("What shape is the gray thing?", "cone", (3,), (3,)),
        ("Is there another thing of the same colour as the sphere?", "yes", (0, 2), (0, 2)),
        ("Is there another thing of the same colour as the cone?", "no", (3,), (3,)),
        ("Does the ball have the same material as the cone?", "no", (2, 3), (2, 3)),
        ("What colour is the thing left of the blue cube?", "red", (0, 1), (0, 1)),
        ("What size is the thing behind the ball?", "large", (2, 3), (2, 3)),
        ("How many things are in front of the cone?", "3", (0, 1, 2, 3), (0, 1, 2, 3)),
        ("Is there a cube right of the ball?", "no", (2,), (2,)),
    ],
)
def test_hand_made(text: str, answer: str, relevant: tuple[int, ...], touched: tuple[int, ...]) -> None:
    question = asked(text, HAND)
    assert question is not None
    assert (question.answer, question.relevant, question.touched) == (answer, relevant, touched)


def test_a_program_can_be_read() -> None:
    assert str(understand("How many red cubes are left of the cone?")) == (
        "count(filter(red, filter(cube, relate(left, unique(filter(cone, scene()))))))"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("What colour is the cube?", "There is more than one cube in this scene."),
        ("What colour is the large green thing?", "There is no large green object in this scene."),
        (
            "What colour is the cube left of the ball in front of the cone?",
            "There is more than one cube in that place.",
        ),
    ],
)
def test_the_something_has_to_be_one(text: str, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        asked(text, HAND)
    assert str(caught.value) == sentence


# Properties of what is made.


@given(SEEDS, st.sampled_from(["train", "test"]))
@settings(max_examples=60, deadline=None)
def test_made_questions_are_right_and_read_back(seed: int, wording: str) -> None:
    scene = random_scene(seed)
    for question in make(scene, Random(seed), wordings=wording):
        assert question.answer == evaluate(question.program, scene) == execute(question.program, scene)
        assert question.answer in ANSWERS
        assert understand(question.text) == question.program
        assert question == asked(question.text, scene)
        assert len(read(question.text)) <= MOST_WORDS
        assert len(question.text) <= LONGEST
        assert set(question.relevant) <= set(range(len(scene.things)))


def test_what_is_relevant_is_what_the_steps_single_out() -> None:
    for question, scene in MADE[:1500]:
        singled = {scene.things.index(evaluate(s, scene)) for s in steps(question.program) if s.step == "unique"}
        touched = [
            evaluate(s, scene) for s in steps(question.program) if s.step in ("filter", "relate", "same", "unique")
        ]
        flat = {scene.things.index(t) for found in touched for t in (found if isinstance(found, list) else [found])}
        assert singled <= set(question.relevant)
        assert set(question.touched) == flat | set(question.relevant)
        if question.program.step in ("query", "match"):
            assert singled == set(question.relevant)
        if question.program.step == "count" and question.answer != "0":
            assert len(set(question.relevant) - singled) <= int(question.answer) <= len(question.relevant)


def test_the_same_random_numbers_make_the_same_questions() -> None:
    assert make(SCENES[3], Random(5)) == make(SCENES[3], Random(5))
    assert make(SCENES[3], Random(5)) != make(SCENES[3], Random(6))


def test_every_family_is_there() -> None:
    made = Counter(question.family for question, _ in MADE)
    assert set(made) == set(FAMILIES)
    assert min(made.values()) > 0.7 * len(SCENES)
    hops = Counter(question.hops for question, _ in MADE if question.family == "place")
    assert set(hops) == {1, 2}
    assert min(hops.values()) > 0.3 * made["place"]
    assert all(question.hops == 0 for question, _ in MADE if question.family != "place")


def test_families_come_as_they_were_asked_for() -> None:
    made = make(SCENES[0], Random(0), ["same", "existence", "same"])
    assert [question.family for question in made] == ["same", "existence", "same"]
    with pytest.raises(ValueError, match=r"^There is no family 'riddles'; the choice is existence, .*\.$"):
        make(SCENES[0], Random(0), ["riddles"])
    with pytest.raises(ValueError, match=r"^There is no split 'dev'; the choice is train, test\.$"):
        make(SCENES[0], Random(0), wordings="dev")


def test_places_matter() -> None:
    """Without its place a group would hold other objects: or else the step would be an ornament."""
    for question, scene in MADE:
        for step in steps(question.program):
            if step.step == "unique":
                values, source = parted(step.sources[0])
                assert source == SCENE or len(evaluate(chosen(values), scene)) > 1


def test_nothing_asked_for_is_given_away() -> None:
    for question, _ in MADE:
        if question.program.step in ("query", "match"):
            for source in question.program.sources:
                assert question.program.argument not in parted(source.sources[0])[0]


@given(st.one_of(st.text(max_size=130), st.lists(st.sampled_from(vocabulary()), max_size=30).map(" ".join)))
@settings(max_examples=150, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read(text)
    except ValueError as error:
        assert re.fullmatch(r"[^\n]*[.?]", str(error))
    program = understand(text)
    if program is not None:
        try:
            assert execute(program, HAND) == evaluate(program, HAND)
        except ValueError as error:
            assert re.fullmatch(r"There is (no|more than one) [a-z ]+ in (this scene|that place)\.", str(error))


# For the page.


def test_suggestions_are_mixed() -> None:
    for seed, scene in enumerate(SCENES[:25]):
        questions_ = suggested(scene, seed)
        assert 3 <= len(questions_) <= 7
        assert len({question.text for question in questions_}) == len(questions_)
        assert suggested(scene, seed) == questions_
    families = Counter(question.family for scene in SCENES[:25] for question in suggested(scene, 1))
    assert set(families) == set(FAMILIES)


def test_neighbours_differ_by_a_word_and_in_meaning() -> None:
    count = 0
    for question, scene in MADE[:300]:
        for other in neighbours(question, scene):
            count += 1
            before, after = split(question.text), split(other.text)
            changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
            assert len([pair for pair in changed if set(pair) != {"a", "an"}]) == 1
            assert other.program != question.program
            assert other.answer == evaluate(other.program, scene)
    assert count > 1000


def test_neighbours_by_hand() -> None:
    question = asked("Is there a red cube?", HAND)
    assert question is not None
    texts = {other.text: other.answer for other in neighbours(question, HAND)}
    assert texts["Is there a blue cube?"] == "yes"
    assert texts["Is there an orange cube?"] == "no"
    assert texts["Is there a red cone?"] == "no"
    assert len(texts) == 7 + 4


def test_editing_keeps_the_families() -> None:
    """Scenes of one or two objects, which only editing makes, are asked about as well, or left alone."""
    for seed in range(20):
        for count in (1, 2):
            scene = random_scene(seed, count)
            for question in make(scene, Random(seed)):
                assert question.answer == evaluate(question.program, scene)
            suggested(scene, seed)


def test_the_makers_are_the_families() -> None:
    assert tuple(question_making.MAKERS) == questions.FAMILIES
    assert truth(Program("count", "", (SCENE,)), HAND).relevant == (0, 1, 2, 3)
