"""What is known to be true of a question about a scene: the right answer, and which objects it is about."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.scenes import Scene, questions


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right (None: nobody can say), in words, and the indices of the objects in question."""

    words: str
    right: bool | None = None
    relevant: tuple[int, ...] = ()


def verdict(question: str, scene: Scene, answer: str) -> Verdict:
    """Judge the network's answer by what is in the scene."""
    try:
        known = questions.asked(question, scene)
    except ValueError as error:
        return Verdict(f"{error} So no answer is right, but the network has to give one.")
    if known is None:
        return Verdict(
            "Whether that is right is not known: the network knows the words, but it was trained on other questions."
        )
    if known.answer == answer:
        return Verdict("That is right.", True, known.relevant)
    return Verdict(f"That is wrong. The right answer is {known.answer}.", False, known.relevant)


def shares(pixels: np.ndarray, masks: np.ndarray, indices: Sequence[int]) -> tuple[float, float]:
    """The share of the positive relevance (H, W) that lies on these objects, and the share of the picture they cover.

    The first is the relevance mass accuracy of CLEVR-XAI (Arras 2022); 0 where nothing speaks for the answer.
    masks: bool (N, H, W), as in `models.scenes.Rendering`.
    """
    there = masks[list(indices)].any(0)
    positive = np.maximum(pixels, 0)
    total = float(positive.sum())
    return float(positive[there].sum()) / total if total else 0.0, float(there.mean())


def named(scene: Scene, indices: Sequence[int]) -> str:
    """Objects in words: "the small red matte cube and the large blue shiny ball"."""
    names = [f"the {scene.things[index]}" for index in indices]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
