"""Does the alarm of the balance line mean anything? Maps on either side of its limits, and what erasing does to each.

python -m benchmarks.balance                        # digits, photos, scenes, film reviews and topics: ten minutes
python -m benchmarks.balance --networks digits --inputs 10

An alarm is right if the maps that raise it are worse: if erasing by them tells less. Of each input the class that the
network names is explained under ordinary rules and under careless ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import lrp_core as lrp
from lrp_core import tokens
from lrp_core.evaluation import flow as flows
from lrp_core.evaluation import pictures as evaluation
from models import digits, text
from models.digits import drawing
from models.photos import gallery
from models.photos import networks as photo_networks
from models.photos.pictures import Crop, square
from models.scenes import answerer
from training.text import data as text_data

from . import picture_faithfulness, scene_truth
from .text import deletion as text_deletion
from .text import methods as text_methods

PICTURES, TEXTS = ("digits", "photos", "photos_twin", "lite0"), ("sentiment", "topics")
SEED = 0
STEPS = 6

Found = tuple[str, str, float]
"""Of one map: the rule, why it is doubted ("" if it is not), and the area between the curves of erasing."""


def rules(low: Any, high: Any) -> Mapping[str, lrp.Composite]:
    """Ordinary rules and careless ones, for pictures."""
    presets = lrp.presets
    box = presets.epsilon_gamma_box(low, high, 1e-3, 0.25)
    return {
        "recommended": box,
        "recommended, bias spread": box.with_(bias="spread"),
        "z+": presets.z_plus(),
        "alpha2-beta1": presets.alpha_beta(2.0, 1.0),
        "gamma 0.25": presets.gamma(0.25),
        "gamma 0.01": presets.gamma(0.01),
        **{f"epsilon {epsilon:g}, relative": presets.epsilon(epsilon, relative=True) for epsilon in (0.01, 0.25, 30)},
        "LRP-0": presets.lrp0(),
        "gradient x input": presets.gradient_times_input(),
    }


def text_rules() -> Mapping[str, lrp.Composite]:
    """The same for texts."""
    presets = lrp.presets
    return {
        "AttnLRP": presets.attn_lrp(),
        "CP-LRP": presets.cp_lrp(),
        **{f"epsilon {epsilon:g}, relative": presets.epsilon(epsilon, relative=True) for epsilon in (0.01, 0.1, 3)},
        "gamma 0.25": presets.gamma(0.25),
        "z+": presets.z_plus(),
        "gradient x input": presets.gradient_times_input(),
    }


def of_pictures(name: str, number: int) -> Iterator[Found]:
    """The maps of a digit or photo network, of its samples or of the gallery's pictures."""
    net, low, high, inputs = _pictures(name)
    for x in inputs[:number]:
        tape, composites = lrp.record(net, x), rules(low, high)
        label = int(tape.scores.argmax())
        explained = {rule: tape.explain(one, lrp.Target.logit(label)) for rule, one in composites.items()}
        doubts = [flows.doubts(flows.flow(one, one.relevance.sum(1)))[0] for one in explained.values()]
        paper = name == "digits"
        side = x.shape[-1] // (14 if paper else picture_faithfulness.PATCHES)
        blank = torch.zeros_like(x) if paper else evaluation.blurred(x, side)
        score = picture_faithfulness.probability(net, label)
        areas = between(x, blank, side, score, [one.relevance for one in explained.values()])
        yield from zip(explained, doubts, areas, strict=True)


def _pictures(name: str) -> tuple[nn.Module, Any, Any, list[Tensor]]:
    """A network, its bounds of zB, and its inputs."""
    if name == "digits":
        inputs = [digits.prepare(drawing.rasterize(sample.strokes)) for sample in drawing.samples()]
        return digits.load(), 0.0, 1.0, inputs
    network = photo_networks.network(name)
    shown = [photo for photo in gallery.photos() if photo.case(network.labels).kind in ("plain", "two")]
    return (
        photo_networks.load(name),
        network.low,
        network.high,
        [network.prepare(square(photo.open(), Crop(), network.share)) for photo in shown],
    )


def scene_rules() -> Mapping[str, lrp.Composite]:
    """The same for scenes."""
    presets, name, box = lrp.presets, scene_truth.BOXED, lrp.ZBox(answerer.LOW, answerer.HIGH)
    recommended = lrp.Composite(lrp.Gamma(0.25), by_name={name: box}, attention="attnlrp")
    return {"recommended": recommended, "gamma 0.01": presets.gamma(0.01)} | text_rules()


def of_scenes(_: str, number: int) -> Iterator[Found]:
    """The maps of the network on scenes, of questions that it answers right; the picture is erased."""
    net, composites = answerer.load(), scene_rules()
    seeds = range(scene_truth.FIRST_SCENE, scene_truth.FIRST_SCENE + number)
    right = scene_truth.answered_right(net, list(scene_truth.asked(seeds)))
    for asked in [asked for asked in right if asked.masks["relevant"].any()][:number]:
        x, words = scene_truth.inputs([asked])
        tape, target = lrp.record(net, x, words), lrp.Target.logit(asked.answer)
        explained = {rule: tape.explain(one, target) for rule, one in composites.items()}
        doubts = [flows.doubts(flows.flow(one, _shown(one)))[0] for one in explained.values()]
        side = picture_faithfulness.patch(x)
        score = answer_probability(net, words, asked.answer)
        areas = between(x, evaluation.blurred(x, side), side, score, [one.relevance for one in explained.values()])
        yield from zip(explained, doubts, areas, strict=True)


def _shown(explanation: lrp.Explanation) -> Tensor:
    """What the page shows of a scene and a question: pixels, and words."""
    words = torch.from_numpy(tokens.parts(explanation)["word"])
    return torch.cat((explanation.relevance.sum(1).flatten().double(), words))[None]


def answer_probability(net: nn.Module, words: Tensor, answer: int) -> Callable[[Tensor], Tensor]:
    """The probability of one answer to a question, pictures (N, C, H, W) to (N,)."""
    return lambda x: net(x, words.expand(len(x), -1)).softmax(1)[:, answer]


def between(
    x: Tensor, blank: Tensor, side: int, score: Callable[[Tensor], Tensor], maps: Sequence[Tensor]
) -> list[float]:
    """The area between the curves with the least and with the most relevant erased first, of each map (1, C, H, W).

    blank: what stands where x is erased, in patches of `side` pixels.
    """
    units = evaluation.patches(*x.shape[2:], side)
    counts = evaluation.flip_counts(int(units.max()) + 1, STEPS)
    most = [evaluation.ranking(evaluation.unit_relevance(one, units)) for one in maps]
    rankings = torch.cat([both for one in most for both in (one, one.flip(1))])
    with torch.inference_mode():
        curves = torch.stack(list(evaluation.flipping(score, x, blank, rankings, units, counts)), 1)
    least, best = evaluation.area(curves, counts).reshape(-1, 2).flip(1).unbind(1)
    return (least - best).tolist()


def of_texts(name: str, number: int) -> Iterator[Found]:
    """The maps of a text network, of test texts that it gets right."""
    net, composites = text.load(name), text_rules()
    data = text_data.read(name, text_data.FOLDER, "test")
    readings, classes = text_deletion.chosen_texts(net, data, number, SEED)
    doubts: dict[str, list[str]] = {rule: [] for rule in composites}
    for read, label in zip(readings, classes, strict=True):
        tape = lrp.record(net, read.ids)
        for rule, one in composites.items():
            explained = tape.explain(one, lrp.Target.log_odds(int(label)))
            words = text_methods.of_words(explained.relevance.sum(2)[0], read)
            doubts[rule] += flows.doubts(flows.flow(explained, words[None]))
    for rule, found in text_deletion.deletion(net, readings, classes, composites).items():
        areas = (found["areas"][:, 1] - found["areas"][:, 0]).tolist()
        yield from zip([rule] * len(areas), doubts[rule], areas, strict=True)


def table(name: str, found: Sequence[Found]) -> str:
    """Per rule how many maps are doubted and why, and what erasing says; then both sides of the alarm together."""
    lines = [f"| {name} | doubted | why | erasing |", "|---|---|---|---|"]
    for rule in dict.fromkeys(one[0] for one in found):
        doubts, areas = zip(*(one[1:] for one in found if one[0] == rule), strict=True)
        share = np.mean([bool(doubt) for doubt in doubts])
        lines.append(f"| {rule} | {share:.0%} | {', '.join(sorted({*doubts} - {''}))} | {np.mean(areas):.3f} |")
    for title, doubted in (("all without alarm", False), ("all with alarm", True)):
        areas = [area for _, doubt, area in found if bool(doubt) is doubted]
        lines.append(f"| **{title}** | {len(areas)} maps | | **{np.mean(areas) if areas else float('nan'):.3f}** |")
    return "\n".join(lines)


READERS: Mapping[str, Callable[[str, int], Iterator[Found]]] = {
    **dict.fromkeys(PICTURES, of_pictures),
    "scenes": of_scenes,
    **dict.fromkeys(TEXTS, of_texts),
}
"""By the name of the network, what yields its maps; they take the name, and how many inputs at most."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=list(READERS), default=list(READERS))
    parser.add_argument("--inputs", type=int, default=30, help="of each network, at most")
    options = parser.parse_args()
    for name in options.networks:
        try:
            print(table(name, list(READERS[name](name, options.inputs))), end="\n\n", flush=True)
        except FileNotFoundError as error:
            print(f"{name} is left out: {error}", end="\n\n", flush=True)


if __name__ == "__main__":
    main()
