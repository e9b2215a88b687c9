"""Choosing what to ask about a scene, so that the question alone gives nothing away.

First the form of the question is chosen, such as "is there a (colour) (shape)"; it is asked only where the scene allows
different answers to it, and then the answer is chosen before the words: so the words say nothing about the answer.
"""

from collections.abc import Callable, Sequence
from itertools import product
from random import Random
from typing import TypeVar

from models.scenes.question_programs import COMPARISONS, RELATIONS, SCENE, Facts, Program, chosen, members
from models.scenes.scene import KINDS

T = TypeVar("T")
Values = dict[str, str]

ATTEMPTS = 12
"""How often another question of the family is tried where a scene does not allow one."""

SPREAD = {
    "all": (1, 1, 1, 1, 1, 1, 1, 1, 1),
    "size": (5, 1.5, 1, 1.2, 2.5, 10, 40, 40, 40),
    "material": (5, 1.5, 1, 1.2, 2.5, 10, 40, 40, 40),
    "colour": (1, 1, 2, 10, 40, 40, 40, 40, 40),
    "shape": (1.1, 1, 1.1, 2.5, 20, 40, 40, 40, 40),
    "two": (1.2, 1, 2.5, 20, 40, 40, 40, 40, 40),
    "beside": (1, 2.5, 10, 40, 40, 40, 40, 40, 40),
}
"""How much each count from 0 to 8 is preferred where a scene has it, by what is counted: measured so that for each of
them the counts become answers as alike as scenes of three to eight objects allow."""
RELUCTANCE = (0.6, 0.6, 0.4, 0.2)
"""How often another question is sought where the count would be 0, 1, 2 or 3: there are always some of these."""


def pick(random: Random, values: Sequence[T]) -> T:
    return values[int(random.random() * len(values))]


def kinds_in(random: Random, least: int, most: int, without: str = "") -> tuple[str, ...]:
    """So many kinds of attribute, in the order of `KINDS`."""
    kinds = [kind for kind in KINDS if kind != without]
    number = least + int(random.random() * (most - least + 1))
    while len(kinds) > number:
        kinds.remove(pick(random, kinds))
    return tuple(kinds)


def combinations(kinds: Sequence[str]) -> list[Values]:
    """Every choice of one value for each of these kinds."""
    return [dict(zip(kinds, values, strict=True)) for values in product(*(KINDS[kind] for kind in kinds))]


def described(known: Facts, index: int, random: Random, without: str = "", within: int | None = None) -> Values | None:
    """Values that only this object has (of those in `within`), not of the kind `without`; None where there are none.

    Seldom more of them than are needed.
    """
    own = {kind: value for kind in KINDS if kind != without for value in KINDS[kind] if known.have[value] >> index & 1}
    among = known.all if within is None else within
    found = []
    for flags in range(1 << len(own)):
        values = {kind: value for place, (kind, value) in enumerate(own.items()) if flags >> place & 1}
        if known.those(values) & among == 1 << index:
            found.append(values)
    if not found:
        return None
    least = min(map(len, found))
    return pick(random, [values for values in found if len(values) <= least + (random.random() < 0.3)])


def _the(values: Values, source: Program = SCENE) -> Program:
    return Program("unique", "", (chosen(values, source),))


def existence(known: Facts, random: Random) -> Program | None:
    kinds = kinds_in(random, 1, 3)
    everything = combinations(kinds)
    present = [values for values in everything if known.those(values)]
    absent = [values for values in everything if not known.those(values)]
    if not absent:
        return None
    if random.random() < 0.5:
        return Program("exist", "", (chosen(pick(random, present)),))
    # What differs from an object in one value only is not to be told from it by any one word.
    close = [values for values in absent if any(_differ(values, other) == 1 for other in present)]
    return Program("exist", "", (chosen(pick(random, close if random.random() < 0.7 else absent)),))


def _differ(one: Values, other: Values) -> int:
    return sum(one[kind] != other[kind] for kind in one)


def counting(known: Facts, random: Random) -> Program | None:
    kinds = () if random.random() < 0.06 else kinds_in(random, 1, 1 + (random.random() < 0.25))
    group = kinds[0] if len(kinds) == 1 else "two" if kinds else "all"
    values = _counted(known, random, kinds, group, known.all)
    return None if values is None else Program("count", "", (chosen(values),))


def _counted(known: Facts, random: Random, kinds: Sequence[str], group: str, among: int) -> Values | None:
    """Values that a number of these objects have, the number being chosen first; None where it is a too common one."""
    fitting: dict[int, list[Values]] = {}
    for values in combinations(kinds):
        fitting.setdefault((known.those(values) & among).bit_count(), []).append(values)
    (number,) = random.choices(tuple(fitting), [SPREAD[group][number] for number in fitting])
    common = number < len(RELUCTANCE) and random.random() < RELUCTANCE[number]
    return None if common else pick(random, fitting[number])


def comparison(known: Facts, random: Random) -> Program | None:
    kinds, which = kinds_in(random, 1, 2), pick(random, COMPARISONS)
    counts = [(values, known.those(values).bit_count()) for values in combinations(kinds)]
    # Groups that are not there at all are compared with others, never with each other.
    there = [entry for entry in counts if entry[1]]
    absent = [entry for entry in counts if not entry[1]]
    some = there + ([pick(random, absent)] if absent else [])
    outcomes: dict[bool, list[tuple[Values, Values]]] = {True: [], False: []}
    for (one, many), (other, others) in product(some, some):
        if one is not other and (many or others):
            outcomes[{"more": many > others, "fewer": many < others, "equal": many == others}[which]].append(
                (one, other)
            )
    if not (outcomes[True] and outcomes[False]):
        return None
    one, other = pick(random, outcomes[random.random() < 0.5])
    return Program("compare", which, (Program("count", "", (chosen(one),)), Program("count", "", (chosen(other),))))


def attribute(known: Facts, random: Random) -> Program | None:
    kind = pick(random, tuple(KINDS))
    found = {index: described(known, index, random, kind) for index in members(known.all)}
    return _asked(known, random, kind, {index: _the(values) for index, values in found.items() if values is not None})


def _asked(known: Facts, random: Random, kind: str, objects: dict[int, Program]) -> Program | None:
    """The question for this kind about one of these objects, the value being chosen first."""
    by_value = {value: [i for i in objects if known.have[value] >> i & 1] for value in KINDS[kind]}
    values = [value for value, having in by_value.items() if having]
    return Program("query", kind, (objects[pick(random, by_value[pick(random, values)])],)) if len(values) > 1 else None


def same(known: Facts, random: Random) -> Program | None:
    kind = pick(random, tuple(KINDS))
    found = {index: described(known, index, random, kind) for index in members(known.all)}
    named = {index: _the(values) for index, values in found.items() if values is not None}
    outcomes: dict[bool, list[Program]] = {True: [], False: []}
    if random.random() < 0.5:
        kinds = () if random.random() < 0.5 else kinds_in(random, 1, 1, kind)
        for index, values in product(named, combinations(kinds)):
            others = Program("same", kind, (named[index],))
            there = known.alike(kind, index) & known.those(values)
            outcomes[bool(there)].append(Program("exist", "", (chosen(values, others),)))
    else:
        for one, other in product(named, named):
            if one != other:
                alike = bool(known.alike(kind, one) >> other & 1)
                outcomes[alike].append(Program("match", kind, (named[one], named[other])))
    return pick(random, outcomes[random.random() < 0.5]) if outcomes[True] and outcomes[False] else None


def place(known: Facts, random: Random) -> Program | None:
    """A question with one or two steps from an object to those beside it, none of which could be left out."""
    ask, steps = pick(random, (_exists_there, _query_there, _query_there, _count_there)), pick(random, (1, 2))
    for _ in range(ATTEMPTS):
        found = _walk(known, random, steps)
        program = ask(known, random, *found) if found else None
        if program:
            return program
    return None


def _walk(known: Facts, random: Random, steps: int) -> tuple[int, Program] | None:
    """Who is beside an object, or beside one that is beside another: as a set and as its program."""
    index = pick(random, members(known.all))
    values = described(known, index, random)
    if values is None:
        return None
    relation, around = _beside(known, random, index)
    source = Program("relate", relation, (_the(values),))
    if steps == 2:
        middle = _needed(known, random, around, "")
        if not middle:
            return None
        index = pick(random, tuple(middle))
        relation, around = _beside(known, random, index)
        source = Program("relate", relation, (_the(middle[index], source),))
    return around, source


def _beside(known: Facts, random: Random, index: int) -> tuple[str, int]:
    relation = pick(random, RELATIONS)
    return relation, known.beside[relation][index]


def _needed(known: Facts, random: Random, around: int, without: str) -> dict[int, Values]:
    """For objects among these, values that it alone has there, while in the whole scene others have them as well."""
    found = {}
    for index in members(around):
        values = described(known, index, random, without, around)
        if values is not None and known.those(values) != 1 << index:
            found[index] = values
    return found


def _exists_there(known: Facts, random: Random, around: int, source: Program) -> Program | None:
    """Only for what is somewhere in the scene: or else its place would not matter."""
    there = [values for values in combinations(kinds_in(random, 1, 2)) if known.those(values)]
    outcomes: dict[bool, list[Values]] = {True: [], False: []}
    for values in there:
        outcomes[bool(known.those(values) & around)].append(values)
    if not (outcomes[True] and outcomes[False]):
        return None
    return Program("exist", "", (chosen(pick(random, outcomes[random.random() < 0.5]), source),))


def _query_there(known: Facts, random: Random, around: int, source: Program) -> Program | None:
    kind = pick(random, tuple(KINDS))
    found = _needed(known, random, around, kind)
    return _asked(known, random, kind, {index: _the(values, source) for index, values in found.items()})


def _count_there(known: Facts, random: Random, around: int, source: Program) -> Program | None:
    values = _counted(known, random, kinds_in(random, 0, 1), "beside", around)
    return None if values is None else Program("count", "", (chosen(values, source),))


MAKERS: dict[str, Callable[[Facts, Random], Program | None]] = {
    "existence": existence,
    "counting": counting,
    "comparison": comparison,
    "attribute": attribute,
    "same": same,
    "place": place,
}
"""By family of questions: a program to ask for, or None where the choices made do not fit the scene."""


def propose(family: str, known: Facts, random: Random) -> Program | None:
    """A program of the family; None where `ATTEMPTS` of them did not fit the scene."""
    return next(filter(None, (MAKERS[family](known, random) for _ in range(ATTEMPTS))), None)
