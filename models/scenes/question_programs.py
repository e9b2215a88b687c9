"""What a question means: a small program over a scene, its answer, and the objects that the answer depends on.

Sets of objects are whole numbers: bit i stands for `scene.things[i]`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from models.scenes.scene import KINDS, Scene, project

RELATIONS = ("left", "right", "front", "behind")
COMPARISONS = ("more", "fewer", "equal")
KIND_OF = {value: kind for kind, values in KINDS.items() for value in values}
ANSWERS = ("yes", "no", *map(str, range(9)), *(value for values in KINDS.values() for value in values))
"""Everything that a question can be answered with, in the order of the network's outputs."""


@dataclass(frozen=True)
class Program:
    """A step and the programs that it takes its input from.

    | step | argument | takes | gives |
    |---|---|---|---|
    | scene | | | all objects |
    | filter | a value such as "red" | a set | those that have it |
    | unique | | a set | the one object in it |
    | relate | one of `RELATIONS` | an object | those that are left of it ... |
    | same | a kind such as "colour" | an object | the others that share its value |
    | exist, count | | a set | "yes" or "no"; "0" to "8" |
    | query | a kind | an object | its value |
    | match | a kind | two objects | "yes" or "no" |
    | compare | one of `COMPARISONS` | two counts | "yes" or "no" |
    """

    step: str
    argument: str = ""
    sources: tuple["Program", ...] = ()

    def __str__(self) -> str:
        return f"{self.step}({', '.join(filter(None, [self.argument, *map(str, self.sources)]))})"

    @property
    def hops(self) -> int:
        """From how many objects it goes on to where others are."""
        return (self.step == "relate") + sum(source.hops for source in self.sources)


SCENE = Program("scene")


def chosen(values: dict[str, str], source: Program = SCENE) -> Program:
    """Those of a set that have all these values (by kind), filtered in one fixed order."""
    for kind in reversed(KINDS):
        if kind in values:
            source = Program("filter", values[kind], (source,))
    return source


def parted(program: Program) -> tuple[dict[str, str], Program]:
    """The values (by kind) that a set is filtered by, and the set that it is taken from: undoes `chosen`."""
    values = {}
    while program.step == "filter":
        values[KIND_OF[program.argument]] = program.argument
        (program,) = program.sources
    return values, program


@dataclass(frozen=True, eq=False)
class Facts:
    """What is so in a scene. have: by value, who has it. beside: by relation, for each object who is left of it ..."""

    all: int
    have: dict[str, int]
    beside: dict[str, tuple[int, ...]]

    def those(self, values: dict[str, str]) -> int:
        """Who has all these values."""
        found = self.all
        for value in values.values():
            found &= self.have[value]
        return found

    def alike(self, kind: str, index: int) -> int:
        """Who shares this object's value, without itself."""
        (value,) = (value for value in KINDS[kind] if self.have[value] >> index & 1)
        return self.have[value] & ~(1 << index)


@lru_cache(maxsize=16)
def facts(scene: Scene) -> Facts:
    """All that programs ask about a scene. Left and right are meant as in the picture."""
    things = scene.things
    columns = [project(thing.x, thing.y)[0] for thing in things]
    depths = [thing.y for thing in things]
    have = {value: _bits(getattr(thing, kind) == value for thing in things) for value, kind in KIND_OF.items()}
    beside = {
        "left": tuple(_bits(other < one for other in columns) for one in columns),
        "right": tuple(_bits(other > one for other in columns) for one in columns),
        "front": tuple(_bits(other < one for other in depths) for one in depths),
        "behind": tuple(_bits(other > one for other in depths) for one in depths),
    }
    return Facts((1 << len(things)) - 1, have, beside)


def _bits(flags: Iterable[bool]) -> int:
    return sum(flag << index for index, flag in enumerate(flags))


def members(objects: int) -> tuple[int, ...]:
    """The indices of the objects in a set."""
    return tuple(index for index in range(objects.bit_length()) if objects >> index & 1)


@dataclass(frozen=True)
class Truth:
    """The right answer, and the indices of the objects that it depends on: the ground truth of CLEVR-XAI (Arras 2022).

    relevant: "unique": the objects that the question singles out, and those that it counts or finds; where it finds
        none, those of the last set on the way that was not empty. May be empty.
    touched: "union": every object that any step on the way yields, and the relevant ones.
    """

    answer: str
    relevant: tuple[int, ...]
    touched: tuple[int, ...]


def execute(program: Program, scene: Scene) -> str:
    """The answer, one of `ANSWERS`. ValueError, one sentence, where "the ..." is nothing or several things."""
    return truth(program, scene).answer


def truth(program: Program, scene: Scene) -> Truth:
    """The answer and what it depends on. ValueError as in `execute`."""
    run = _Run(facts(scene))
    answer = run.value(program)
    for counted in (program, *program.sources):
        if counted.step in ("exist", "count"):
            run.relevant |= run.last_found(counted.sources[0])
    return Truth(str(answer), members(run.relevant), members(run.touched | run.relevant))


class _Run:
    """One execution: walks a program and notes on the way which objects are singled out and which are touched."""

    def __init__(self, known: Facts) -> None:
        self.known, self.relevant, self.touched = known, 0, 0

    def value(self, program: Program) -> int | str:
        """A set of objects (an object is a set of one), a count, or the answer."""
        step, argument = program.step, program.argument
        if step == "scene":
            return self.known.all
        inputs = [self.value(source) for source in program.sources]
        if step == "exist":
            return _yes(bool(inputs[0]))
        if step == "count":
            return inputs[0].bit_count()
        if step == "query":
            return self._value_of(argument, inputs[0])
        if step == "match":
            return _yes(self._value_of(argument, inputs[0]) == self._value_of(argument, inputs[1]))
        if step == "compare":
            one, other = inputs
            return _yes({"more": one > other, "fewer": one < other, "equal": one == other}[argument])
        found = self._found(program, inputs[0])
        self.touched |= found
        return found

    def _found(self, program: Program, source: int) -> int:
        if program.step == "filter":
            return source & self.known.have[program.argument]
        if program.step == "unique":
            if source.bit_count() != 1:
                many = "no" if not source else "more than one"
                raise ValueError(f"There is {many} {_named(program.sources[0])}.")
            self.relevant |= source
            return source
        index = source.bit_length() - 1
        if program.step == "relate":
            return self.known.beside[program.argument][index]
        return self.known.alike(program.argument, index)

    def _value_of(self, kind: str, objects: int) -> str:
        return next(value for value in KINDS[kind] if self.known.have[value] & objects)

    def last_found(self, program: Program) -> int:
        """The set, or where it is empty the nearest one before it that is not; nothing beyond an object singled out."""
        found = self.value(program)
        while not found and program.step == "filter":
            (program,) = program.sources
            found = 0 if program.step == "scene" else self.value(program)
        return found


def _yes(so: bool) -> str:
    return "yes" if so else "no"


def _named(program: Program) -> str:
    """A set in words, such as "small red cube in this scene"."""
    values, source = parted(program)
    words = [values[kind] for kind in KINDS if kind in values]
    words += [] if "shape" in values else ["object"]
    return f"{' '.join(words)} in {'this scene' if source == SCENE else 'that place'}"
