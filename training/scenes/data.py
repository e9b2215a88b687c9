"""What the network for questions about scenes learns from: scenes and questions in packs, with what lies behind each.

A pack is made from the seeds of its number alone and is kept as one file of arrays, so that making is paid for once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from random import Random

import numpy as np

from models import scenes
from models.scenes import KINDS, MOST, Scene, answerer, project, question_reading, questions
from models.scenes.question_programs import KIND_OF, RELATIONS, SCENE, Facts, Program, facts, members, parted
from models.scenes.questions import FAMILIES, Question

FIRST_SEED = 2**31
"""Scenes of this seed and above are for training; all below it are held out."""

SCENES = 2048
"""In a pack."""

ASKED = (*FAMILIES, "comparison", "counting", "same", "place", "place", "place", "place")
"""The families that every scene of training is asked about: places take the longest to learn."""

GROUPS = 3
"""How many groups of objects a question names at most; those of a shorter one stand at the end of the list."""

VALUES = tuple(KIND_OF)
NUMBER_OF = {kind: {value: number for number, value in enumerate(values, 1)} for kind, values in KINDS.items()}
LINKS = (*RELATIONS, *KINDS)
"""How one group may hang on the one before it: beside it, or the same in something."""
FORMS = ("exist", "count", "query", "match", "more", "fewer", "equal")

FEATURES = 1 + len(VALUES) + 2
"""Of a cell: whether an object has its middle there, its values, and where it stands, in cells from its own middle."""


@dataclass(frozen=True, eq=False)
class Pack:
    """Scenes S and their questions Q.

    pictures: uint8 (S, 128, 128, 3). features: float32 (S, 8, FEATURES), objects first, the rest 0.
    cells: int64 (S, 8), the cell of each object; for what is no object, cells that are empty.
    words: int64 (Q, T). scene: int64 (Q,), whose question it is. answer: int64 (Q,), an index of `answerer.LABELS`.
    values: int64 (Q, GROUPS, 4), what is said of each group by kind, 0 for nothing. links: int64 (Q, GROUPS), from 1.
    asked: int64 (Q, 2), the form of the question and its kind, from 1.
    members: bool (Q, GROUPS, 8), which objects are in each group.
    family: int64 (Q,). hops: int64 (Q,).
    """

    pictures: np.ndarray
    features: np.ndarray
    cells: np.ndarray
    words: np.ndarray
    scene: np.ndarray
    answer: np.ndarray
    values: np.ndarray
    links: np.ndarray
    asked: np.ndarray
    members: np.ndarray
    family: np.ndarray
    hops: np.ndarray


def pack(number: int, folder: Path | None = None, size: int = SCENES) -> Pack:
    """The training pack of this number; read from the folder, or made and kept there."""
    path = None if folder is None else folder / f"pack{number}_{size}.npz"
    if path is not None and path.is_file():
        with np.load(path) as stored:
            return Pack(**{key: stored[key] for key in stored.files})
    made = make([FIRST_SEED + number * size + one for one in range(size)], ASKED)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        half_way = path.with_suffix(".tmp.npz")
        np.savez(half_way, **{field.name: getattr(made, field.name) for field in fields(made)})
        half_way.replace(path)
    return made


def make(seeds: Sequence[int], families: Sequence[str], wordings: str = "train") -> Pack:
    """Scenes of these seeds, each with fair questions of these families."""
    pictures, seen, places, rows = [], [], [], []
    for number, seed in enumerate(seeds):
        scene = scenes.random_scene(seed)
        drawn = scenes.render(scene)
        features, cells = described(scene, drawn.masks)
        pictures.append(drawn.pixels)
        seen.append(features)
        places.append(cells)
        rows += [(number, *_row(q, scene)) for q in questions.make(scene, Random(seed), families, wordings)]
    scene, words, answer, values, links, asked, in_group, family, hops = zip(*rows, strict=True)
    length = max(map(len, words))
    padded = [(*line, *[answerer.PAD] * (length - len(line))) for line in words]
    numbers = (np.array(one, np.int64) for one in (padded, scene, answer, values, links, asked))
    rest = np.array(in_group, bool), np.array(family, np.int64), np.array(hops, np.int64)
    return Pack(np.stack(pictures), np.stack(seen), np.stack(places), *numbers, *rest)


def described(scene: Scene, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The features (8, FEATURES) of the objects of a scene and the cells (8,) that have to tell them.

    An object's cell is that of the middle of what is seen of it; where that is taken, the nearest one that is free.
    """
    features, taken = np.zeros((MOST, FEATURES), np.float32), []
    middles = _cell_middles()
    for row, (thing, mask) in enumerate(zip(scene.things, masks, strict=True)):
        middle = np.argwhere(mask).mean(0)[::-1] + 0.5
        cell = next(cell for cell in np.square(middles - middle).sum(1).argsort(kind="stable") if cell not in taken)
        taken.append(int(cell))
        features[row, 0] = 1
        features[row, 1:-2] = [getattr(thing, KIND_OF[value]) == value for value in VALUES]
        features[row, -2:] = (np.array(project(thing.x, thing.y)) - middles[cell]) / answerer.CELL
    free = [cell for cell in np.random.default_rng(scene.seed).permutation(answerer.CELLS) if cell not in taken]
    return features, np.array([*taken, *free[: MOST - len(taken)]], np.int64)


def _cell_middles() -> np.ndarray:
    """The middle (column, row) of each cell in pixels, (N, 2)."""
    cell = np.arange(answerer.CELLS)
    rows, columns = cell // answerer.COLUMNS + answerer.ROWS.start, cell % answerer.COLUMNS
    return (np.stack([columns, rows], 1) + 0.5) * answerer.CELL


def middles_in_cells() -> np.ndarray:
    """The middle (across, down) of each cell, counted in cells from the middle of the floor, (N, 2) float32."""
    at = _cell_middles() / answerer.CELL
    return (at - at.mean(0)).astype(np.float32)


def _row(question: Question, scene: Scene) -> tuple:
    """A question as numbers: words, answer, values, links, asked, members, family, hops."""
    form, kind, groups = understood(question.program)
    known = facts(scene)
    values, links = np.zeros((GROUPS, len(KINDS)), np.int64), np.zeros(GROUPS, np.int64)
    inside, before = np.zeros((GROUPS, MOST), bool), 0
    for place, (said, link) in enumerate(groups, GROUPS - len(groups)):
        values[place] = [NUMBER_OF[kind].get(said.get(kind, ""), 0) for kind in KINDS]
        links[place] = LINKS.index(link) + 1 if link else 0
        before = known.those(said) & (_linked(known, link, before) if link else known.all)
        inside[place, list(members(before))] = True
    asked = (FORMS.index(form), 1 + list(KINDS).index(kind) if kind else 0)
    words = question_reading.read(question.text)
    answer, family = answerer.LABELS.index(question.answer), FAMILIES.index(question.family)
    return words, answer, values, links, asked, inside, family, question.hops


def _linked(known: Facts, link: str, one: int) -> int:
    """Those who are beside the one object of a set, or share something with it."""
    index = one.bit_length() - 1
    return known.beside[link][index] if link in RELATIONS else known.alike(link, index)


def understood(program: Program) -> tuple[str, str, list[tuple[dict[str, str], str]]]:
    """The form of a program, its kind ("" for none), and its groups as (values, link): at most `GROUPS`."""
    form = program.argument if program.step == "compare" else program.step
    if program.step in ("exist", "count"):
        return form, "", _chain(program.sources[0])
    # The sets that objects are singled out from, or that are counted and compared.
    groups = [group for source in program.sources for group in _chain(source.sources[0])]
    return form, program.argument if program.step != "compare" else "", groups


def _chain(objects: Program) -> list[tuple[dict[str, str], str]]:
    values, source = parted(objects)
    if source == SCENE:
        return [(values, "")]
    return [*_chain(source.sources[0].sources[0]), (values, source.argument)]
