"""A question as words that are coloured, and changed one by one."""

import re

from models.scenes import answerer
from models.scenes.question_grammar import articles
from models.text.reading import Piece, Reading, Word
from pages.settings.wording import changed

_WORD = re.compile(r"\w(?:\S*\w)?")
"""A word as `models.question_reading.split` finds it: without the punctuation at its ends."""


def reading(text: str) -> Reading:
    """The question as the network reads it, word by word. ValueError, one sentence, where it cannot be read."""
    ids = answerer.encode(text)
    spans = [match.span() for match in _WORD.finditer(text)]
    spans[0] = (0, spans[0][1])  # what stands before the first word is shown with it
    words = tuple(Word(text[start:end], start, end) for start, end in spans)
    pieces = tuple(Piece(word.text, word.start, word.end, False, number) for number, word in enumerate(words))
    return Reading(text, ids, pieces, words, None)


def replaced(read: Reading, number: int, new: str) -> str:
    """The question with another word in place of that one, or without it, and with the articles that go with it."""
    word = read.words[number]
    return articles(changed(read.text, word.start, word.end, new.strip()))
