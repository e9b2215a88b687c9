"""Questions about scenes, with their answers and the objects that these depend on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

from models.scenes.question_grammar import ADJECTIVES, KIND_WORDS, LONGEST, NOUNS, articles, word
from models.scenes.question_making import MAKERS, propose
from models.scenes.question_programs import Program, facts, truth
from models.scenes.question_reading import understand
from models.scenes.scene import KINDS, Scene

FAMILIES = tuple(MAKERS)
"""existence, counting, comparison (of numbers), attribute, same (attribute as), place (left, right, front, behind)."""


@dataclass(frozen=True)
class Question:
    """A question in English about a scene.

    relevant, touched: as in `question_programs.Truth`, indices into the scene's things.
    hops: how many relations in space it follows, 0 to 2 where it was made here.
    """

    text: str
    program: Program
    family: str
    answer: str
    relevant: tuple[int, ...]
    touched: tuple[int, ...]
    hops: int


def make(scene: Scene, random: Random, families: Sequence[str] = FAMILIES, wordings: str = "train") -> list[Question]:
    """A question of each of these families, in this order (repeat one for more of it), worded as in that split.

    A family of which the scene allows no fair question is left out. The same scene and state of `random` give the same
    questions. ValueError for a family or split that there is not.
    """
    unknown = [family for family in families if family not in MAKERS]
    if unknown:
        raise ValueError(f"There is no family {unknown[0]!r}; the choice is {', '.join(FAMILIES)}.")
    known = facts(scene)
    programs = (propose(family, known, random) for family in families)
    return [_question(scene, _worded(program, random, wordings), program) for program in programs if program]


def _worded(program: Program, random: Random, wordings: str) -> str:
    """A wording that is short enough; there always is one."""
    while True:
        text = _sentence(word(program, random, wordings))
        if len(text) <= LONGEST:
            return text


def _sentence(words: str) -> str:
    """With a capital letter and the mark at the end: some questions are requests."""
    return words[0].upper() + words[1:] + ("." if words.lower().startswith(("count", "tell")) else "?")


def _question(scene: Scene, text: str, program: Program) -> Question:
    known = truth(program, scene)
    return Question(text, program, family(program), known.answer, known.relevant, known.touched, program.hops)


def family(program: Program) -> str:
    """The family that a program belongs to."""
    if program.hops:
        return "place"
    if program.step == "exist":
        return "existence" if "same(" not in str(program) else "same"
    return {"count": "counting", "compare": "comparison", "query": "attribute", "match": "same"}[program.step]


def asked(text: str, scene: Scene) -> Question | None:
    """A typed question with its right answer; None where it is not one of the grammar.

    ValueError, one sentence, where it speaks of "the ..." and the scene has none or several.
    """
    program = understand(text)
    return None if program is None else _question(scene, text, program)


def suggested(scene: Scene, seed: int) -> tuple[Question, ...]:
    """One question of each family, the easy ones first, and one in two steps where there is one."""
    random = Random(seed)
    questions = make(scene, random, ("attribute", "counting", "existence", "same", "comparison"))
    places = make(scene, random, ("place",) * 12)
    for hops in (1, 2):
        questions += sorted((q for q in places if q.hops == hops), key=lambda question: len(question.text))[:1]
    return tuple(questions)


def neighbours(question: Question, scene: Scene) -> tuple[Question, ...]:
    """The same question with one word changed to one of another meaning, wherever that can be asked of the scene."""
    words = question.text.rstrip("?.").split()
    found = []
    for place, old in enumerate(words):
        for new in _instead(old.lower()):
            changed = articles(" ".join([*words[:place], new, *words[place + 1 :]]))
            try:
                other = asked(_sentence(changed), scene)
            except ValueError:
                continue
            if other is not None and other.program != question.program:
                found.append(other)
    return tuple(found)


def _instead(old: str) -> tuple[str, ...]:
    """The words that can stand where this one stands and mean something else, one for each meaning."""
    for group in _groups():
        if any(old in meaning for meaning in group):
            return tuple(meaning[0] for meaning in group if old not in meaning)
    return ()


@cache
def _groups() -> tuple[tuple[tuple[str, ...], ...], ...]:
    """Words that can stand for each other in a sentence: groups of meanings, each with its synonyms."""
    nouns = tuple(tuple(tuple(pair[plural] for pair in pairs) for pairs in NOUNS.values()) for plural in (0, 1))
    adjectives = tuple(tuple(ADJECTIVES[value] for value in values if value in ADJECTIVES) for values in KINDS.values())
    others = ((("left",), ("right",)), (("more",), ("fewer",)), (("greater",), ("smaller",)))
    return (*nouns, *adjectives, tuple(KIND_WORDS.values()), *others)
