"""The English of the questions: its words, the wordings of every form of question, and how a program is worded.

In wordings, `{one}` is an object or group in the singular, `{many}` in the plural; `{other}`, `{others}` and `{second}`
are the second one; `{heads} {where}` is `{many}` with its place as the predicate; `{kind}` is colour, shape and so on.
"""

from functools import cache
from random import Random

from models.scenes.question_programs import SCENE, Program, chosen, parted
from models.scenes.scene import KINDS

NOUNS = {
    "": (("thing", "things"), ("object", "objects"), ("item", "items")),
    "cube": (("cube", "cubes"), ("block", "blocks")),
    "ball": (("ball", "balls"), ("sphere", "spheres")),
    "cylinder": (("cylinder", "cylinders"), ("drum", "drums")),
    "cone": (("cone", "cones"),),
}
"""By shape ("" for any), the nouns in singular and plural."""

ADJECTIVES = {
    "small": ("small", "tiny", "little"),
    "large": ("large", "big"),
    "red": ("red",),
    "orange": ("orange",),
    "yellow": ("yellow",),
    "green": ("green",),
    "cyan": ("cyan", "turquoise"),
    "blue": ("blue",),
    "purple": ("purple", "violet"),
    "grey": ("grey", "gray"),
    "matte": ("matte", "rubber", "dull"),
    "shiny": ("shiny", "metallic", "metal", "glossy"),
}
KIND_WORDS = {"size": ("size",), "colour": ("colour", "color"), "material": ("material",), "shape": ("shape",)}
PLACES = {
    "left": ("left of", "to the left of", "on the left side of"),
    "right": ("right of", "to the right of", "on the right side of"),
    "front": ("in front of", "nearer than", "closer than"),
    "behind": ("behind", "farther away than", "farther back than"),
}
LINKS = (("", ""), ("that is ", "that are "), ("which is ", "which are "))
"""What may stand between a noun and its place, in singular and plural."""

WORDINGS = {
    "train": {
        "exist": (
            "is there a {one}",
            "are there any {many}",
            "can you see a {one}",
            "does the picture show a {one}",
            "can you find a {one}",
            "does the picture have any {many}",
        ),
        "count": (
            "how many {many} are there",
            "how many {many} can you see",
            "what number of {many} are there",
            "what is the number of {many}",
            "count the {many}",
            "how many {heads} are {where}",
            "tell me how many {many} you see",
        ),
        "query": (
            "what {kind} is the {one}",
            "what is the {kind} of the {one}",
            "which {kind} does the {one} have",
            "the {one} has what {kind}",
            "tell me what {kind} the {one} is",
        ),
        "query size": ("how big is the {one}", "is the {one} small or large"),
        "query material": ("what is the {one} made of", "is the {one} matte or shiny"),
        "more": (
            "are there more {many} than {others}",
            "is the number of {many} greater than the number of {others}",
            "do you see more {many} than {others}",
        ),
        "fewer": (
            "are there fewer {many} than {others}",
            "is the number of {many} smaller than the number of {others}",
            "do you see fewer {many} than {others}",
        ),
        "equal": (
            "are there as many {many} as {others}",
            "is the number of {many} the same as the number of {others}",
            "is the number of {many} equal to the number of {others}",
            "do you see equally many {many} and {others}",
        ),
        "another": (
            "is there another {other} of the same {kind} as the {one}",
            "is there another {other} that has the same {kind} as the {one}",
            "are there any other {others} with the same {kind} as the {one}",
            "does another {other} have the same {kind} as the {one}",
        ),
        "match": (
            "does the {one} have the same {kind} as the {second}",
            "is the {one} the same {kind} as the {second}",
            "do the {one} and the {second} have the same {kind}",
            "is the {one} of the same {kind} as the {second}",
        ),
    },
    "test": {
        "exist": (
            "do you see any {many}",
            "is there any {one}",
            "does the picture have a {one}",
            "can you see any {many}",
        ),
        "count": (
            "how many {many} do you see",
            "tell me the number of {many}",
            "how many {many} are in the picture",
            "what number of {many} can you see",
        ),
        "query": (
            "tell me the {kind} of the {one}",
            "what {kind} does the {one} have",
            "the {one} is what {kind}",
            "which {kind} is the {one}",
        ),
        "query size": ("is the {one} large or small", "tell me how big the {one} is"),
        "query material": ("is the {one} shiny or matte", "tell me what the {one} is made of"),
        "more": ("can you see more {many} than {others}", "does the picture show more {many} than {others}"),
        "fewer": ("can you see fewer {many} than {others}", "does the picture show fewer {many} than {others}"),
        "equal": ("do you see as many {many} as {others}", "are there equally many {many} and {others}"),
        "another": (
            "can you see another {other} of the same {kind} as the {one}",
            "does any other {other} have the same {kind} as the {one}",
            "is there any other {other} with the same {kind} as the {one}",
        ),
        "match": (
            "are the {one} and the {second} the same {kind}",
            "are the {one} and the {second} of the same {kind}",
        ),
    },
}
"""By split, then by form of question. The test's wordings are made of words that training has seen."""

LONGEST = 120
"""Characters in a question."""


def wordings(split: str) -> dict[str, tuple[str, ...]]:
    """The wordings of every form of question, for "train" or "test". ValueError for another split."""
    if split not in WORDINGS:
        raise ValueError(f"There is no split {split!r}; the choice is {', '.join(WORDINGS)}.")
    return WORDINGS[split]


@cache
def vocabulary() -> tuple[str, ...]:
    """Every word that a question of the grammar may have, sorted."""
    texts = [text for split in WORDINGS.values() for group in split.values() for text in group]
    words = {word for text in texts for word in text.split() if not word.startswith("{")} | {"an"}
    groups = (*ADJECTIVES.values(), *KIND_WORDS.values(), *PLACES.values(), *LINKS, *sum(NOUNS.values(), ()))
    return tuple(sorted(words.union(*(text.split() for group in groups for text in group))))


def form(program: Program) -> tuple[str, dict[str, Program], str]:
    """The form of question that a program answers, the sets that its wording names, and its kind ("" where none)."""
    sources = program.sources
    if program.step in ("exist", "count"):
        values, source = parted(sources[0])
        if source.step == "same":
            return "another", {"one": source.sources[0].sources[0], "other": chosen(values)}, source.argument
        return program.step, {"one": sources[0]}, ""
    if program.step == "query":
        return "query", {"one": sources[0].sources[0]}, program.argument
    pair = {"one": sources[0].sources[0], "other": sources[1].sources[0]}
    return (program.argument, pair, "") if program.step == "compare" else ("match", pair, program.argument)


def word(program: Program, random: Random, split: str = "train") -> str:
    """A question that asks for this program, in one of the wordings of the split: lower case, without question mark."""
    name, sets, kind = form(program)
    choice = [*wordings(split)[name], *wordings(split).get(f"{name} {kind}", ())]
    if parted(sets["one"])[1] == SCENE:
        choice = [text for text in choice if "{where}" not in text]
    text = _pick(random, choice)
    kind_word = _pick(random, KIND_WORDS[kind]) if kind else ""
    slots = {"kind": kind_word}
    for slot, singular, plural in (("one", "one", "many"), ("other", "other", "others")):
        if slot in sets:
            slots[singular] = phrase(sets[slot], random, False)
            slots[plural] = phrase(sets[slot], random, True)
    slots["second"] = slots.get("other", "")
    if "{where}" in text:
        values, source = parted(sets["one"])
        slots["heads"], slots["where"] = _head(values, random, True), _place(source, random)
    return articles(text.format(**slots))


def phrase(objects: Program, random: Random, plural: bool) -> str:
    """A set in words: "small red cube", "cubes that are left of the ball"."""
    values, source = parted(objects)
    head = _head(values, random, plural)
    return head if source == SCENE else f"{head} {_pick(random, LINKS)[plural]}{_place(source, random)}"


def _head(values: dict[str, str], random: Random, plural: bool) -> str:
    adjectives = [_pick(random, ADJECTIVES[values[kind]]) for kind in KINDS if kind in values and kind != "shape"]
    return " ".join([*adjectives, _pick(random, NOUNS[values.get("shape", "")])[plural]])


def _place(relate: Program, random: Random) -> str:
    return f"{_pick(random, PLACES[relate.argument])} the {phrase(relate.sources[0].sources[0], random, False)}"


def articles(text: str) -> str:
    """With "an" before the vowels of this vocabulary, and "a" elsewhere."""
    words = text.split()
    for index, following in enumerate(words[1:]):
        if words[index] in ("a", "an"):
            words[index] = "an" if following[0] in "aeio" else "a"
    return " ".join(words)


def _pick(random: Random, values):
    return values[int(random.random() * len(values))]
