"""Does the network's probability follow when relevant words are deleted?

Words are deleted from the text itself, which is read again, as on the page. `<mask>` in their place would keep the
positions, but a network that has learned its task has never seen one, and answers to the gaps instead of to what is
missing; a shorter text is made of nothing but what it knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

import lrp_core as lrp
from lrp_core.evaluation import pictures as evaluation
from lrp_core.evaluation import words as word_evaluation
from models import text
from models.text.reading import Reading
from training.text import data as text_data

from ..picture_faithfulness import spread
from . import methods as text_methods
from .methods import Methods

FEWEST, MOST = 5, 40
"""Words of a text that are deleted one after the other."""

STEPS = 10
TEXTS_AT_ONCE = 20
SPARE = 3
"""So many times more texts are read than are to be deleted: the network does not get all right."""


def chosen_texts(net: Any, given: text_data.Texts, number: int, seed: int) -> tuple[list[Reading], np.ndarray]:
    """Texts that the network gets right, of `FEWEST` to `MOST` words, the classes in turn; and their classes.

    A text that may be either of two classes is right with both.
    """
    random = np.random.default_rng(seed)
    by_class = {int(label): np.flatnonzero(given.labels == label) for label in np.unique(given.labels)}
    found = _read(given.texts, spread(by_class, len(given.texts), random))
    rows, readings = map(list, zip(*islice(found, SPARE * number), strict=True))
    said = text_methods.probabilities(net, [read.ids[0].tolist() for read in readings]).argmax(1).numpy()
    wanted = given.wanted[rows]
    is_right = wanted[np.arange(len(rows)), said] == wanted.max(1)
    chosen = {int(label): np.flatnonzero(is_right & (said == label)) for label in np.unique(said[is_right])}
    places = spread(chosen, number, random)
    return [readings[place] for place in places], said[places]


def _read(texts: Sequence[str], rows: Iterable[int]) -> Iterator[tuple[int, Reading]]:
    """The texts with these numbers that have so many words and that the network reads to their end."""
    for row in rows:
        if len(texts[row].split()) <= MOST:
            with suppress(ValueError):  # nothing in it that the network knows
                read = text_methods.read(texts[row])
                if FEWEST <= len(read.words) <= MOST and read.cut is None:
                    yield row, read


def deletion(
    net: Any, readings: Sequence[Reading], classes: np.ndarray, methods: Methods
) -> dict[str, dict[str, Tensor]]:
    """What is left of a class' probability while words are deleted, per method: the "areas" (N, 2) under the curves
    with the most relevant first and the least, and the "ends" (N, 2): the probability with all words and with none."""

    def target(rows: Sequence[int]) -> lrp.Target:
        return lrp.Target.log_odds(classes[rows])

    relevance = text_methods.word_relevance(net, readings, target, methods)
    areas, ends = [], []
    for begin in range(0, len(readings), TEXTS_AT_ONCE):
        some = range(begin, min(begin + TEXTS_AT_ONCE, len(readings)))
        left, plans = [], []
        for row in some:
            words = len(readings[row].words)
            counts = evaluation.flip_counts(words, min(STEPS, words))
            most = evaluation.ranking(torch.stack([relevance[name][row] for name in methods]))
            kept = word_evaluation.left_over(torch.cat((most, most.flip(1))), counts)
            left.append([shortened(readings[row], one) for one in kept.flatten(0, 1)])
            plans.append(counts)
        scores = _scores(net, left, classes[list(some)])
        for score, counts in zip(scores, plans, strict=True):
            curves = score.reshape(2, len(methods), len(counts))
            areas.append(evaluation.area(curves, counts).T)
            ends.append(curves[0, :, [0, -1]])
    every = torch.stack(areas, 1), torch.stack(ends, 1)
    return {name: {"areas": every[0][place], "ends": every[1][place]} for place, name in enumerate(methods)}


def _scores(net: Any, texts: Sequence[Sequence[str]], classes: np.ndarray) -> list[Tensor]:
    """The probability of each text's class for its shortened versions; those that are alike are read once."""
    different = list(dict.fromkeys(one for some in texts for one in some))
    encoded = text.tokenizer().encode_batch(different)
    found = text_methods.probabilities(net, [one.ids[: text.LONGEST] for one in encoded])
    place = {one: row for row, one in enumerate(different)}
    return [
        found[[place[one] for one in some], int(label)].double() for some, label in zip(texts, classes, strict=True)
    ]


def shortened(read: Reading, kept: Tensor) -> str:
    """The text without the words that are not kept (W,), closed up."""
    parts, done = [], 0
    for word, stays in zip(read.words, kept.tolist(), strict=True):
        if not stays:
            parts.append(read.text[done : word.start])
            done = word.end
    return " ".join("".join((*parts, read.text[done:])).split())
