"""A teacher that counts words, and texts joined from parts of others for it to name: more to learn from than there is.

A logistic regression on counted words needs few texts and tells right where a network of this size that reads as few
does not yet. The network learns the teacher's answers (Hinton 2015) on as many new texts as it likes, beside the labels
of the real ones.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion

from training.text.baseline import features
from training.text.data import Texts

STRENGTH = 10.0
SHARE = (0.2, 0.8)  # of a text, at least and at most, that goes into a joined one
MOST_WORDS = 60  # of a part
UNSPACED = {"jpn_Jpan", "zho_Hans"}  # languages written without spaces, where characters count as words


@dataclass(frozen=True)
class Teacher:
    """A logistic regression on counted words, and the texts that it learned from."""

    data: Texts
    features: FeatureUnion
    fit: LogisticRegression

    def lesson(self, count: int, random: np.random.Generator) -> tuple[list[str], np.ndarray]:
        """So many joined texts, and the probability of each class for each of them (N, C)."""
        texts = joined(self.data, count, random)
        return texts, self.fit.predict_proba(self.features.transform(texts)).astype(np.float32)


def teacher(data: Texts) -> Teacher:
    """Learns the labels of `data`, of which each class must have one."""
    counted = features()
    fit = LogisticRegression(C=STRENGTH, max_iter=200, tol=1e-3)
    return Teacher(data, counted, fit.fit(counted.fit_transform(data.texts), data.labels))


def joined(data: Texts, count: int, random: np.random.Generator) -> list[str]:
    """So many texts, each from parts of two texts of one language."""
    rows = defaultdict(list)
    for row, language in enumerate(data.languages):
        rows[language].append(row)
    found = []
    for first in random.integers(len(data.texts), size=count):
        language = data.languages[first]
        second = rows[language][random.integers(len(rows[language]))]
        gap = "" if language in UNSPACED else " "
        found.append(" ".join(_part(data.texts[row], gap, random) for row in (first, second)))
    return found


def _part(text: str, gap: str, random: np.random.Generator) -> str:
    words = text.split(gap) if gap else list(text)
    size = min(MOST_WORDS, max(1, round(len(words) * random.uniform(*SHARE))))
    begin = random.integers(len(words) - size + 1)
    return gap.join(words[begin : begin + size])
