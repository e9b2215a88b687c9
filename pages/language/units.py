"""What is coloured as one: words, sentences, lines, or what an own mark divides."""

from collections.abc import Sequence

import numpy as np

from pages.components.words_view import Part
from pages.views.text_view import TextView

OWN = "Own mark"
UNITS = ("Words", "Sentences", "Lines", OWN)
_ENDS = (".", "!", "?", "…", "。", "！", "？", "؟")


def grouped(view: TextView, heat: np.ndarray, how: str, mark: str = "") -> tuple[list[Part], np.ndarray, list[int]]:
    """The parts that are coloured, their relevance (N,), and the first word of each. heat: of the words, (W,)."""
    words = view.coloured(pieces=False)
    starts = _starts(words, how, mark)
    parts, values = [], []
    for number, (first, end) in enumerate(zip(starts, [*starts[1:], len(words)], strict=True)):
        inside = words[first:end]
        text = "".join(part.text + part.gap for part in inside[:-1]) + inside[-1].text
        parts.append(Part(text, inside[-1].gap, number, text))
        values.append(float(heat[first:end].sum()))
    return parts, np.array(values), starts


def _starts(words: Sequence[Part], how: str, mark: str) -> list[int]:
    """The number of the word with which each part begins."""

    def ends(part: Part) -> bool:
        if how == "Sentences":
            return part.text.endswith(_ENDS) or "\n" in part.gap
        if how == "Lines":
            return "\n" in part.gap
        if how == OWN:
            return bool(mark.strip()) and mark.strip() in part.text
        return True

    return [0, *(number for number in range(1, len(words)) if ends(words[number - 1]))]
