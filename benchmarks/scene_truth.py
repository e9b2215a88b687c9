"""Relevance beside the objects that an answer depends on: questions about scenes, whose truth is known to the pixel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor

import lrp_core as lrp
from lrp_core.evaluation import masks as mask_evaluation
from models import scenes
from models.scenes import answerer, questions
from models.scenes.questions import FAMILIES, Question

from .figures import DIGITS, described
from .methods import noise

Baseline = Callable[[Tensor], Tensor]
Methods = Mapping[str, lrp.Composite | Baseline]

GAMMAS = (0.05, 0.1, 0.25, 1.0)
BOXED = "eyes.conv1_1"
"""The layer that sees the pixels."""

MEASURES = {"mass": mask_evaluation.mass_accuracy, "rank": mask_evaluation.rank_accuracy}
TRUTHS = ("relevant", "touched")
POOLINGS = ("sum,pos", "l2-norm-sq")
"""What the page shows, and what Arras 2022 recommends."""

AT_ONCE = 16

FIRST_SCENE = 1_000_000
"""Its seed: training begins far above, and what the card measures lies below."""
ROUNDS = 10
"""So often more scenes are drawn where too few questions were answered right."""


@dataclass(frozen=True, eq=False)
class Asked:
    """A question, the pixels (H, W, 3), the masks (H, W) of what is relevant and touched, its answer's index."""

    question: Question
    pixels: np.ndarray
    masks: Mapping[str, np.ndarray]
    answer: int


def of_scenes(seed: int) -> Methods:
    """Every method that is compared. What shares denominators on a tape stands together.

    "zB, gamma": zB on the first convolution and gamma on the others, beneath attention by the epsilon rule.
    """
    presets = lrp.presets
    attn, cp = presets.attn_lrp(), presets.cp_lrp()
    return {
        "AttnLRP": attn,
        "AttnLRP, zB": _boxed(attn),
        **{f"AttnLRP, zB, gamma {gamma:g}": _boxed(attn, lrp.Gamma(gamma)) for gamma in GAMMAS},
        "AttnLRP, zB, z+": _boxed(attn, lrp.ZPlus()),
        "CP-LRP": cp,
        "CP-LRP, zB": _boxed(cp),
        **{f"CP-LRP, zB, gamma {gamma:g}": _boxed(cp, lrp.Gamma(gamma)) for gamma in GAMMAS},
        "CP-LRP, zB, z+": _boxed(cp, lrp.ZPlus()),
        "CP-LRP, zB, alpha2-beta1": _boxed(cp, lrp.AlphaBeta(2.0, 1.0)),
        **{f"epsilon {epsilon:g}, relative": presets.epsilon(epsilon, relative=True) for epsilon in (0.01, 0.1)},
        **{f"gamma {gamma:g} everywhere": presets.gamma(gamma) for gamma in (0.1, 0.25)},
        **{f"AttnLRP, zB, gamma {gamma:g} everywhere": _boxed(presets.gamma(gamma)) for gamma in (0.1, 0.25)},
        **{f"CP-LRP, zB, gamma {gamma:g} everywhere": _boxed(presets.gamma(gamma), cp=True) for gamma in (0.1, 0.25)},
        "gradient x input": presets.gradient_times_input(),
        "random": noise(seed),
    }


def _boxed(composite: lrp.Composite, conv: lrp.Rule | None = None, cp: bool = False) -> lrp.Composite:
    """With zB on the layer that sees the pixels, another rule on the other convolutions, attention by CP-LRP."""
    by_kind = {"conv": conv} if conv else {}
    box = {BOXED: lrp.ZBox(answerer.LOW, answerer.HIGH)}
    attention = "cp" if cp else composite.attention
    return lrp.Composite(composite.default, by_kind=by_kind, by_name=box, attention=attention)


def asked(seeds: Sequence[int]) -> Iterator[Asked]:
    """A fair question of each family about each of these scenes, where the scene allows one."""
    for seed in seeds:
        scene = scenes.random_scene(seed)
        drawn = scenes.render(scene)
        for question in questions.make(scene, Random(seed), FAMILIES):
            masks = {truth: drawn.masks[list(getattr(question, truth))].any(0) for truth in TRUTHS}
            yield Asked(question, drawn.pixels, masks, answerer.LABELS.index(question.answer))


def inputs(some: Sequence[Asked]) -> tuple[Tensor, Tensor]:
    """Pictures (B, 3, 128, 128) and token ids (B, T), padded to the longest."""
    words = [answerer.encode(one.question.text)[0] for one in some]
    padded = torch.nn.utils.rnn.pad_sequence(words, batch_first=True, padding_value=answerer.PAD)
    return answerer.normalise(np.stack([one.pixels for one in some])), padded


def answered_right(net: Any, some: Sequence[Asked]) -> list[Asked]:
    """Those of the questions that the network answers right."""
    right = []
    with torch.inference_mode():
        for begin in range(0, len(some), 4 * AT_ONCE):
            part = some[begin : begin + 4 * AT_ONCE]
            said = net(*inputs(part)).argmax(1).tolist()
            right += [one for one, answer in zip(part, said, strict=True) if one.answer == answer]
    return right


def accuracies(net: Any, some: Sequence[Asked], methods: Methods) -> dict[str, dict[str, dict[str, Tensor]]]:
    """Mass and rank accuracy (N,) of the picture's relevance for the given answers, per pooling and truth, and method.

    Keys: "mass, relevant, sum,pos" and so on, then the method. Every mask must hold a pixel.
    """
    found: dict[str, dict[str, list[Tensor]]] = {}
    for begin in range(0, len(some), AT_ONCE):
        part = some[begin : begin + AT_ONCE]
        picture, words = inputs(part)
        masks = {truth: torch.from_numpy(np.stack([one.masks[truth] for one in part])) for truth in TRUTHS}
        tape, target = lrp.record(net, picture, words), lrp.Target.logit([one.answer for one in part])
        for name, method in methods.items():
            is_composite = isinstance(method, lrp.Composite)
            relevance = tape.explain(method, target).relevance if is_composite else method(picture)
            for pooling in POOLINGS:
                pixels = mask_evaluation.pooled(relevance, pooling)
                for truth, mask in masks.items():
                    for measure, measured in MEASURES.items():
                        values = found.setdefault(f"{measure}, {truth}, {pooling}", {}).setdefault(name, [])
                        values.append(measured(pixels, mask))
    return {key: {name: torch.cat(parts) for name, parts in by_name.items()} for key, by_name in found.items()}


def measure(net: Any, number: int, methods: Methods) -> dict[str, Any]:
    """The report on so many questions about held-out scenes, of those that the network answers right.

    Raises ValueError where it answers too few.
    """
    every: list[Asked] = []
    right: list[Asked] = []
    some = -(-number // len(FAMILIES))
    for begin in range(FIRST_SCENE, FIRST_SCENE + ROUNDS * some, some):
        fresh = list(asked(range(begin, begin + some)))
        every += fresh
        right += answered_right(net, fresh)
        chosen = [one for one in right if one.masks["relevant"].any()][:number]
        if len(chosen) == number:
            break
    else:
        raise ValueError(f"The network answers only {len(right)} of {len(every)} questions right: too few.")
    found = accuracies(net, chosen, methods)
    families = {name: sum(one.question.family == name for one in chosen) for name in FAMILIES}
    return {
        "explained": "the logit of the right answer; of the relevance, what arrives at the picture",
        "questions": number,
        "of_each_family": families,
        "scenes": f"random scenes from seed {FIRST_SCENE:,} on, none of them trained on",
        "left_out": "questions that were answered wrong, and those to which no object is relevant",
        "answered_right": round(len(right) / len(every), DIGITS),
        "right_without_relevant_objects": sum(not one.masks["relevant"].any() for one in right),
        "chance": {
            truth: round(float(np.mean([one.masks[truth].mean() for one in chosen])), DIGITS) for truth in TRUTHS
        },
        **{
            measure: {
                truth: {pooling: described(found[f"{measure}, {truth}, {pooling}"]) for pooling in POOLINGS}
                for truth in TRUTHS
            }
            for measure in MEASURES
        },
        "by_family": {
            name: {
                method: round(
                    values[torch.tensor([one.question.family == name for one in chosen])].mean().item(), DIGITS
                )
                for method, values in found["mass, relevant, sum,pos"].items()
            }
            for name, count in families.items()
            if count
        },
    }


def columns(report: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The columns of the table, by their titles."""
    return {
        f"{measure} on {truth}, {pooling}": report[measure][truth][pooling]
        for measure in MEASURES
        for truth in TRUTHS
        for pooling in POOLINGS
    }
