"""Are the words right? All measurements on the bundled text networks, as one report.

What is measured is in `text_truth.py` (people's marks and grades) and `text_deletion.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lrp_core.evaluation import words as word_evaluation
from models import text
from training.text import data as text_data

from ..figures import DIGITS, described, described_draws
from . import deletion as text_deletion
from . import methods as text_methods
from . import truth as text_truth

DRAWS, DRAWS_AT_ONCE = 1000, 50

COLUMNS = {
    "spans: area per comment": ("spans", "area_per_comment"),
    "area over all": ("spans", "area_over_all"),
    "F1": ("spans", "f1"),
    "grades: sign": ("grades", "sign"),
    "order": ("grades", "order"),
    "deletion": ("deletion", "between"),
}


def measure(
    name: str, weights: Path, data: Path, seed: int, comments: int, sentences: int, texts: int
) -> dict[str, Any]:
    """The report on one network. comments, sentences, texts: how many at most are read, graded and deleted.

    Raises FileNotFoundError where there are no weights.
    """
    net = text.load(name, weights)

    def compared() -> text_methods.Methods:
        return text_methods.of_texts(seed)

    report: dict[str, Any] = {}
    if name == "offensive":
        dev, test = (text_truth.comments(data, part, comments) for part in ("dev", "test"))
        report["spans"] = _spans(text_truth.spans(net, dev, test, compared()), test, len(dev), seed)
        composites = {wanted: compared()[wanted] for wanted in ("AttnLRP", "CP-LRP")}
        report["targets"] = {
            "measured": "the area per comment on the dev part, for other scores that may be explained",
            "methods": {
                wording: described(areas) for wording, areas in text_truth.targets(net, dev, composites).items()
            },
        }
    if name == "sentiment":
        graded, labels = text_truth.graded(data, sentences)
        report["grades"] = _grades(text_truth.grades(net, graded, labels, compared()), seed)
    chosen, classes = text_deletion.chosen_texts(net, text_data.read(name, data, "test"), texts, seed)
    report["deletion"] = _deletion(text_deletion.deletion(net, chosen, classes, compared()), chosen)
    return report


def _spans(
    found: Mapping[str, Mapping[str, Any]], test: Sequence[text_truth.Comment], dev: int, seed: int
) -> dict[str, Any]:
    first = next(iter(found.values()))
    weights = _weights(int(first["comment"].max()) + 1, seed)

    def over_all(one: Mapping[str, Any]) -> Tensor:
        parts = (rows[:, one["comment"]] for rows in weights.split(DRAWS_AT_ONCE))
        return torch.cat([word_evaluation.weighted_roc_auc(one["words"], one["marked"], part) for part in parts])

    return {
        "measured": "agreement of relevance with the characters of English comments that people marked as toxic",
        "explained": next(iter(text_truth.TOXIC)),
        "comments": len(test),
        "comments_with_words_of_both_kinds": len(first["auc"]),
        "comments_for_the_thresholds": dev,
        "share_of_words_marked": round(first["marked"].double().mean().item(), DIGITS),
        "chance": 0.5,
        "f1_of_marking_nothing": round(sum(not one.marked.any() for one in test) / len(test), DIGITS),
        "area_per_comment": described(_each(found, "auc")),
        "area_over_all": described_draws({name: over_all(one) for name, one in found.items()}),
        "f1": described(_each(found, "f1")),
        "thresholds": {name: _finite(one["threshold"]) for name, one in found.items()},
    }


def _grades(found: Mapping[str, Mapping[str, Tensor]], seed: int) -> dict[str, Any]:
    first = next(iter(found.values()))
    weights = _weights(len(first["of"]), seed)
    return {
        "measured": "agreement of relevance with people's grades of single words, in sentences that are got right",
        "explained": "positive less negative",
        "sentences": len(first["of"]),
        "words_with_a_side": int(first["of"].sum()),
        "sentences_with_words_of_different_grades": len(first["order"]),
        "sign": described_draws(
            {name: (weights @ one["right"].double()) / (weights @ one["of"].double()) for name, one in found.items()}
        ),
        "order": described(_each(found, "order")),
    }


def _deletion(found: Mapping[str, Mapping[str, Tensor]], chosen: Sequence[Any]) -> dict[str, Any]:
    first = next(iter(found.values()))
    start, end = first["ends"].mean(0).tolist()
    most, least = ({name: one["areas"][:, side] for name, one in found.items()} for side in (0, 1))
    return {
        "measured": "area under the class' probability over the share of words deleted from the text",
        "explained": "log-odds of the class that the network names rightly",
        "texts": len(chosen),
        "words_per_text": round(sum(len(read.words) for read in chosen) / len(chosen), 1),
        "steps": text_deletion.STEPS,
        "probability_at_the_start": round(start, DIGITS),
        "probability_at_the_end": round(end, DIGITS),
        "most_relevant_first": described(most, smallest=True),
        "least_relevant_first": described(least),
        "between": described({name: least[name] - most[name] for name in found}),
    }


def columns(report: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The columns of the table, by their titles, for the networks that were measured."""
    return {
        f"{name}, {title}": figures[part][key]
        for title, (part, key) in COLUMNS.items()
        for name, figures in report["networks"].items()
        if part in figures
    }


def _weights(number: int, seed: int) -> Tensor:
    """How often each of so many texts counts: once, and then as a bootstrap draws them, (1 + DRAWS, number)."""
    once = torch.ones(1, number, dtype=torch.float64)
    return torch.cat((once, word_evaluation.redraws(number, DRAWS, seed)))


def _each(found: Mapping[str, Mapping[str, Any]], key: str) -> dict[str, Tensor]:
    return {name: one[key] for name, one in found.items()}


def _finite(value: float) -> float | None:
    return None if value == float("inf") else round(value, DIGITS)
