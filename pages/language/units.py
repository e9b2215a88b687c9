"""What is coloured as one: pieces of words, words, sentences, lines, or what an own mark divides."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lrp_core import tokens
from pages.components.words_view import Part
from pages.views.text_view import TextView

OWN = "Own mark"
UNITS = ("Pieces", "Words", "Sentences", "Lines", OWN)
_ENDS = (".", "!", "?", "…", "。", "！", "？", "؟")
_SHORT = {"Mr", "Mrs", "Ms", "Dr", "St", "Prof"}
"""What a full stop makes short: no sentence ends there."""


def grouped(
    view: TextView, of_pieces: np.ndarray, how: str, mark: str = ""
) -> tuple[list[Part], np.ndarray, list[int]]:
    """The parts that are coloured, numbered; their relevance (N,); and the first word of each.

    of_pieces: relevance of all pieces that are read, special ones included, (T,).
    """
    of_words = [piece.word for piece in view.reading.pieces]
    if how == "Pieces":
        shown = [place for place, word in enumerate(of_words) if word is not None]
        made = [replace(part, word=number) for number, part in enumerate(view.coloured(pieces=True))]
        return made, of_pieces[shown], [of_words[place] for place in shown]
    heat = tokens.by_group(of_pieces, of_words, len(view.reading.words))
    words = view.coloured(pieces=False)
    starts = _starts(words, how, mark)
    parts, values = [], []
    for number, (first, end) in enumerate(zip(starts, [*starts[1:], len(words)], strict=True)):
        inside = words[first:end]
        text = "".join(part.text + part.gap for part in inside[:-1]) + inside[-1].text
        parts.append(Part(text, inside[-1].gap, number, text))
        values.append(float(heat[first:end].sum()))
    return parts, np.array(values), starts


def words_within(starts: Sequence[int], count: int) -> list[range]:
    """The words in each part, by the first word of each; pieces of one word all have that word. count: of all words."""
    ends = [next((later for later in starts[part + 1 :] if later > start), count) for part, start in enumerate(starts)]
    return [range(start, end) for start, end in zip(starts, ends, strict=True)]


def _starts(words: Sequence[Part], how: str, mark: str) -> list[int]:
    """The number of the word with which each part begins."""

    def ends(number: int) -> bool:
        part = words[number]
        if how == "Sentences":
            short = part.text == "." and number > 0 and words[number - 1].text in _SHORT
            return (part.text.endswith(_ENDS) and not short) or "\n" in part.gap
        if how == "Lines":
            return "\n" in part.gap
        if how == OWN:
            return bool(mark.strip()) and mark.strip() in part.text
        return True

    return [0, *(number for number in range(1, len(words)) if ends(number - 1))]
