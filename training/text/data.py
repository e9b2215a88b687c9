"""Texts and labels for the text networks, read from the CSV files of `FOLDER`."""

import csv
import gzip
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from models import text

FOLDER = Path("../shared/data/text")


class Texts(NamedTuple):
    """Texts, the probability of each class for each of them (N, C), and their languages."""

    texts: list[str]
    wanted: np.ndarray
    languages: list[str]

    @property
    def labels(self) -> np.ndarray:
        """The likeliest class of each, (N,)."""
        return self.wanted.argmax(1)


def rows(folder: Path, name: str) -> Iterator[dict[str, str]]:
    """The lines of a file, as dictionaries. Raises SystemExit with one sentence where it is missing."""
    path = folder / f"{name}.csv.gz"
    if not path.is_file():
        raise SystemExit(f"{path} is missing: give the folder of the texts with --data.")
    csv.field_size_limit(sys.maxsize)
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


JOINED = (
    (r"-lrb-", "("), (r"-rrb-", ")"), (r"``|''", '"'), (r" (n't|'(?:s|m|re|ve|ll|d))\b", r"\1"),
    (r" ([.,;:!?%)\]…]|\.\.\.)", r"\1"), (r"([(\[$#]) ", r"\1"), (r"\b(can) (not)\b", r"\1\2"), (r" +", " "),
)  # fmt: skip


def written(tokens: str) -> str:
    """A sentence of the treebank as people write it: "do n't bother ." becomes "don't bother."."""
    for pattern, replacement in JOINED:
        tokens = re.sub(pattern, replacement, tokens, flags=re.IGNORECASE)
    return tokens.strip()


GRADES = {"very negative": 0.0, "negative": 0.25, "neutral": 0.5, "positive": 0.75, "very positive": 1.0}


def read(name: str, folder: Path, part: str) -> Texts:
    """The texts of "train", "dev" or "test" for the network `name`, and what it should say of them."""
    return {"offensive": _offensive, "topics": _topics, "newsgroups": _newsgroups, "sentiment": _sentiment}[name](
        folder, part
    )


def _offensive(folder: Path, part: str) -> Texts:
    """Posts. GermEval does not tell hate from offence: its offensive posts are to be either, as the network likes."""
    found = [row for row in rows(folder, "offensive") if row["split"] == part]
    chances = {"neither": (1.0, 0.0, 0.0), "offensive": (0.0, 1.0, 0.0), "hate": (0.0, 0.0, 1.0)}
    wanted = [
        (0.0, 0.5, 0.5) if row["source"] == "germeval2018" and row["label"] == "offensive" else chances[row["label"]]
        for row in found
    ]
    return Texts([row["text"] for row in found], np.array(wanted, np.float32), [row["lang"] for row in found])


def _topics(folder: Path, part: str) -> Texts:
    return _classes("topics", [row for row in rows(folder, "sib200_30languages") if row["split"] == part])


def _newsgroups(folder: Path, part: str) -> Texts:
    """Posts, by date. They come in two parts: every tenth of the older ones serves as "dev"."""
    found = [row for row in rows(folder, "newsgroups20") if row["split"] == ("test" if part == "test" else "train")]
    if part != "test":
        found = [row for number, row in enumerate(found) if (number % 10 == 0) == (part == "dev")]
    return _classes("newsgroups", found)


def _classes(name: str, found: list[dict[str, str]]) -> Texts:
    labels = [text.LABELS[name].index(row["label"]) for row in found]
    return Texts(
        [row["text"] for row in found],
        np.eye(len(text.LABELS[name]), dtype=np.float32)[labels],
        [row["lang"] for row in found],
    )


def _sentiment(folder: Path, part: str) -> Texts:
    """To learn from: sentences and all their phrases in five grades. To be measured: sentences that take a side."""
    files = ("sst5_sentences", "sst5_phrases") if part == "train" else ("sst5_sentences",)
    found = [row for name in files for row in rows(folder, name) if row["split"] == part]
    if part != "train":
        found = [row for row in found if row["label"] != "neutral"]
    positive = np.array([GRADES[row["label"]] for row in found], np.float32)
    if part != "train":
        positive = positive.round()
    texts = [written(row["text"]) for row in found]
    return Texts(texts, np.stack((1 - positive, positive), 1), ["en"] * len(texts))
