"""Reading a typed question: its words as numbers for the network, and its program where the grammar has one for it."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache

from models.scenes.question_grammar import ADJECTIVES, KIND_WORDS, LINKS, LONGEST, NOUNS, PLACES, WORDINGS, vocabulary
from models.scenes.question_programs import KIND_OF, SCENE, Program, chosen

PADDING = 0
"""The token id that stands for no word; the words of `vocabulary()` count from 1."""
MOST_WORDS = 40
"""No question has more, be it typed or made."""

Phrase = tuple[dict[str, str], Program]
"""What a set is filtered by, and what it is taken from."""


def split(text: str) -> tuple[str, ...]:
    """The words of a question: lower case, without the punctuation at their ends.

    ValueError, one sentence: there are none, or too many letters or words.
    """
    if len(text) > LONGEST:
        raise ValueError(f"A question has at most {LONGEST} characters.")
    words = tuple(filter(None, (re.sub(r"^[^\w]+|[^\w]+$", "", word) for word in text.lower().split())))
    if not words:
        raise ValueError("Please ask a question.")
    if len(words) > MOST_WORDS:
        raise ValueError(f"A question has at most {MOST_WORDS} words.")
    return words


def read(text: str) -> tuple[int, ...]:
    """The token ids of a question. ValueError as in `split`, and where words are unknown: the sentence names them."""
    words, known = split(text), _numbers()
    unknown = list(dict.fromkeys(word for word in words if word not in known))
    if unknown:
        named = [f"“{word}”" for word in unknown]
        listed = f"the words {', '.join(named[:-1])} and {named[-1]}" if named[1:] else f"the word {named[0]}"
        hints = [f"“{hint}”" for hint in dict.fromkeys(hint for word in unknown for hint in suggestions(word))]
        meant = f"; did you mean {' or '.join(hints)}?" if hints else "."
        raise ValueError(f"The network does not know {listed}{meant}")
    return tuple(known[word] for word in words)


def suggestions(word: str) -> tuple[str, ...]:
    """The known word that an unknown one looks most like; none where none does."""
    return tuple(get_close_matches(word, [known for known in vocabulary() if len(known) > 2], 1, 0.75))


@cache
def _numbers() -> dict[str, int]:
    return {word: number for number, word in enumerate(vocabulary(), PADDING + 1)}


def understand(text: str) -> Program | None:
    """The program of a question in any wording of the grammar; None where the grammar has none."""
    try:
        words = split(text)
    except ValueError:
        return None
    for name, wording in _wordings():
        for slots in _match(wording, words):
            program = _program(name, slots)
            if program is not None:
                return program
    return None


@cache
def _wordings() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Every wording as its words, with the name of its form."""
    groups = [group for split in WORDINGS.values() for group in split.items()]
    return tuple((name, tuple(text.split())) for name, texts in groups for text in texts)


def _program(name: str, slots: dict[str, Phrase | str]) -> Program | None:
    """The program of a form of question whose slots hold these; undoes `question_grammar.form`.

    None for "another cube left of ... of the same colour", which would need two sources.
    """
    name, _, kind = name.partition(" ")
    kind = slots.get("kind", kind)
    if "where" in slots:
        slots["one"] = (slots["heads"][0], slots["where"])
    one = chosen(*(slots.get("one") or slots["many"]))
    if name in ("exist", "count"):
        return Program(name, "", (one,))
    if name == "query":
        return Program(name, kind, (_the(one),))
    values, source = slots.get("other") or slots.get("others") or slots["second"]
    if name == "match":
        return Program(name, kind, (_the(one), _the(chosen(values, source))))
    if name == "another" and source != SCENE:
        return None
    if name == "another":
        return Program("exist", "", (chosen(values, Program("same", kind, (_the(one),))),))
    return Program("compare", name, (Program("count", "", (one,)), Program("count", "", (chosen(values, source),))))


def _the(objects: Program) -> Program:
    return Program("unique", "", (objects,))


def _match(wording: tuple[str, ...], words: tuple[str, ...]) -> Iterator[dict[str, Phrase | str]]:
    """What the slots of a wording hold, in every way in which it makes up the words."""
    if not wording or not words:
        if not wording and not words:
            yield {}
        return
    slot = wording[0].strip("{}")
    if slot == wording[0]:
        if words[0] == slot or (slot, words[0]) == ("a", "an"):
            yield from _match(wording[1:], words[1:])
        return
    for held, rest in _read_slot(slot, words):
        for slots in _match(wording[1:], rest):
            yield {slot: held, **slots}


def _read_slot(slot: str, words: tuple[str, ...]) -> Iterator[tuple[Phrase | Program | str, tuple[str, ...]]]:
    """What a slot may hold at the start of the words, and the words that are left."""
    if slot == "kind":
        for kind, names in KIND_WORDS.items():
            if words[0] in names:
                yield kind, words[1:]
    elif slot == "where":
        yield from _read_place(words)
    else:
        # The head before a place has no place of its own.
        yield from (read for read in _read_phrase(words) if slot != "heads" or read[0][1] == SCENE)


def _read_phrase(words: tuple[str, ...]) -> Iterator[tuple[Phrase, tuple[str, ...]]]:
    values, words = _read_adjectives(words)
    if not words or words[0] not in _NOUNS:
        return
    shape, words = _NOUNS[words[0]], words[1:]
    values |= {"shape": shape} if shape else {}
    yield (values, SCENE), words
    for link in _LINKS:
        if words[: len(link)] == link:
            yield from (((values, place), rest) for place, rest in _read_place(words[len(link) :]))


def _read_adjectives(words: tuple[str, ...]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The values that the adjectives at the start name, at most one of each kind, and the words that are left."""
    values: dict[str, str] = {}
    while words and words[0] in _ADJECTIVES and KIND_OF[_ADJECTIVES[words[0]]] not in values:
        value = _ADJECTIVES[words[0]]
        values[KIND_OF[value]], words = value, words[1:]
    return values, words


def _read_place(words: tuple[str, ...]) -> Iterator[tuple[Program, tuple[str, ...]]]:
    """Those that are "left of the ...", and the words that are left."""
    for relation, place in _PLACES:
        if words[: len(place)] == place:
            for (values, source), rest in _read_phrase(words[len(place) :]):
                yield Program("relate", relation, (_the(chosen(values, source)),)), rest


_NOUNS = {noun: shape for shape, nouns in NOUNS.items() for pair in nouns for noun in pair}
_ADJECTIVES = {adjective: value for value, adjectives in ADJECTIVES.items() for adjective in adjectives}
_LINKS = tuple(tuple(link.split()) for link in dict.fromkeys(sum(LINKS, ())))
_PLACES = tuple((relation, (*text.split(), "the")) for relation, texts in PLACES.items() for text in texts)
