"""Relevance beside what people say of words: those that they marked in comments as toxic, and the grades that they gave
to words of film reviews."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import lrp_core as lrp
from lrp_core.evaluation import words as word_evaluation
from models import text
from models.text.reading import Reading
from training.text import data as text_data

from . import methods as text_methods
from .methods import Methods

NEITHER = text.LABELS["offensive"].index("neither")
POSITIVE, NEGATIVE = (text.LABELS["sentiment"].index(label) for label in ("positive", "negative"))

TOXIC: Mapping[str, tuple[float, lrp.Target]] = {
    "log-odds of offensive or hateful": (-1.0, lrp.Target.log_odds(NEITHER)),
    "mean of offensive and hateful less neither": (-1.0, lrp.Target.one_vs_rest(NEITHER)),
    "neither, negative": (-1.0, lrp.Target.logit(NEITHER)),
    "offensive less neither": (1.0, lrp.Target.difference(1, NEITHER)),
}
"""What may be explained where people marked what is toxic: a factor and a target. The first is measured in full."""


@dataclass(frozen=True, eq=False)
class Comment:
    """A comment, and which of its characters people marked (C,)."""

    read: Reading
    marked: Tensor

    @property
    def spans(self) -> list[tuple[int, int]]:
        return [(word.start, word.end) for word in self.read.words]


@dataclass(frozen=True, eq=False)
class Graded:
    """A sentence, and the words of it that people graded by themselves: their numbers (G,) and grades (G,), -0.5 for
    very negative to 0.5 for very positive."""

    read: Reading
    words: Tensor
    grades: Tensor


def comments(folder: Path, part: str, number: int) -> list[Comment]:
    """The first so many comments of a part, those that are read at all."""
    found = []
    for row in text_data.rows(folder, "toxic_spans"):
        if row["split"] == part and len(found) < number:
            marked = torch.zeros(len(row["text"]), dtype=torch.bool)
            marked[ast.literal_eval(row["spans"])] = True
            found.append(Comment(text_methods.read(row["text"]), marked))
    return found


def graded(folder: Path, number: int) -> tuple[list[Graded], np.ndarray]:
    """So many sentences of the test part that take a side, with the grades of their words; and their labels."""
    grades = {
        row["text"].casefold(): text_data.GRADES[row["label"]] - 0.5
        for row in text_data.rows(folder, "sst5_phrases")
        if " " not in row["text"]
    }
    given = text_data.read("sentiment", folder, "test")
    found = []
    for line in given.texts[:number]:
        read = text_methods.read(line)
        folded = [word.text.casefold() for word in read.words]
        known = [(place, grades[word]) for place, word in enumerate(folded) if word in grades]
        places, values = torch.tensor(known, dtype=torch.float64).reshape(-1, 2).unbind(1)
        found.append(Graded(read, places.long(), values))
    return found, given.labels[:number]


def spans(net: Any, dev: Sequence[Comment], test: Sequence[Comment], methods: Methods) -> dict[str, dict[str, Any]]:
    """How well relevance finds what people marked, per method.

    "auc": per comment that has words of both kinds (N,); "f1": per comment (M,), at the "threshold" chosen on dev;
    "words", "marked", "comment": of all words of those comments, for the area over all of them.
    """
    sign, target = next(iter(TOXIC.values()))
    found, chosen = (
        text_methods.word_relevance(net, [comment.read for comment in some], lambda rows: target, methods, sign)
        for some in (test, dev)
    )
    truth, both = _truth(test)
    owner = torch.cat([torch.full((len(truth[row]),), place) for place, row in enumerate(both)])
    report = {}
    for name, relevance in found.items():
        on_dev = [_over_characters(values, one) for values, one in zip(chosen[name], dev, strict=True)]
        threshold, _ = word_evaluation.best_threshold(on_dev, [comment.marked for comment in dev])
        report[name] = {
            "auc": torch.tensor([word_evaluation.roc_auc(relevance[row], truth[row]) for row in both]),
            "f1": torch.tensor(
                [
                    word_evaluation.span_f1(_over_characters(values, one), one.marked, threshold)
                    for values, one in zip(relevance, test, strict=True)
                ]
            ),
            "threshold": threshold,
            "words": torch.cat([relevance[row] for row in both]),
            "marked": torch.cat([truth[row] for row in both]),
            "comment": owner,
        }
    return report


def _truth(some: Sequence[Comment]) -> tuple[list[Tensor], list[int]]:
    """The marked words of each comment, (W,) bool, and the numbers of the comments that have words of both kinds."""
    truth = [word_evaluation.marked_words(comment.marked, comment.spans) for comment in some]
    return truth, [row for row, marks in enumerate(truth) if marks.any() and not marks.all()]


def _over_characters(relevance: Tensor, comment: Comment) -> Tensor:
    return word_evaluation.over_characters(relevance, comment.spans, len(comment.marked))


def targets(net: Any, dev: Sequence[Comment], methods: Methods) -> dict[str, dict[str, Tensor]]:
    """The area per comment of dev (N,), for each target in `TOXIC` and each method."""
    truth, both = _truth(dev)
    readings = [dev[row].read for row in both]
    report = {}
    for wording, (sign, target) in TOXIC.items():
        found = text_methods.word_relevance(net, readings, lambda rows, target=target: target, methods, sign)
        report[wording] = {
            name: torch.tensor(
                [word_evaluation.roc_auc(values, truth[row]) for values, row in zip(relevance, both, strict=True)]
            )
            for name, relevance in found.items()
        }
    return report


def grades(net: Any, sentences: Sequence[Graded], labels: np.ndarray, methods: Methods) -> dict[str, dict[str, Tensor]]:
    """Sign and order of relevance beside people's grades of single words, per method, for the sentences got right.

    "right" and "of": how many words with a side have its sign, and how many there are, per sentence (N,); "order":
    Spearman's correlation per sentence that has words of different grades (M,).
    """
    said = text_methods.probabilities(net, [one.read.ids[0].tolist() for one in sentences]).argmax(1).numpy()
    right = [one for one, is_right in zip(sentences, said == labels, strict=True) if is_right]
    target = lrp.Target.difference(POSITIVE, NEGATIVE)
    found = text_methods.word_relevance(net, [one.read for one in right], lambda rows: target, methods)
    report = {}
    for name, relevance in found.items():
        pairs = [(values[one.words], one.grades) for values, one in zip(relevance, right, strict=True)]
        signs = [word_evaluation.right_signs(*pair) for pair in pairs]
        ordered = [pair for pair in pairs if len(pair[1].unique()) > 1]
        report[name] = {
            "right": torch.tensor([one.sum() for one in signs]),
            "of": torch.tensor([len(one) for one in signs]),
            "order": torch.tensor([word_evaluation.rank_correlation(*pair) for pair in ordered]),
        }
    return report
