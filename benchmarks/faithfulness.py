"""Is the heatmap right? One table over all methods, and the figures as JSON for the model card.

python -m benchmarks.faithfulness photos            # 256 mosaics and 200 photos: an hour on one core for lite0
python -m benchmarks.faithfulness photos --network photos --mosaics 32 --flips 23 --out small.json
python -m benchmarks.faithfulness texts             # all bundled text networks: ten minutes on two idle cores
python -m benchmarks.faithfulness texts --network sentiment --sentences 100 --texts 20 --out small.json
python -m benchmarks.faithfulness scenes            # 1,200 questions about scenes: ten minutes on one core
python -m benchmarks.faithfulness language          # 218 prompts for the language model: half an hour on one core
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrp_core.evaluation import pictures as evaluation
from models import language, photos, text
from models.photos import networks as photo_networks
from models.photos.networks import BUNDLED, OURS
from models.photos.pictures import Crop, square
from models.scenes import answerer
from training import imagenet
from training.photos import data as photo_data
from training.text import data as text_data

from . import methods, picture_faithfulness, scene_truth
from .figures import DIGITS, described, table
from .language import truth as language_truth
from .picture_faithfulness import FEW, FILLS, GRID, STEPS, SURE
from .text import faithfulness as text_faithfulness
from .text import methods as text_methods

SEED = 0
LANGUAGE = language_truth.PROMPTS.parent


def of_photos(options: argparse.Namespace) -> dict[str, Any]:
    """Measure bundled photo networks on the test photos that each gets right, and keep what was written of others."""
    written = json.loads(options.out.read_text(encoding="utf-8")) if options.out.is_file() else {"networks": {}}
    data = photo_data.read_photos(options.data, only="test").test
    for name in options.network:
        try:
            written["networks"][name] = of_network(name, data, options)
        except FileNotFoundError as error:
            raise SystemExit(str(error)) from None
    networks = {name: written["networks"][name] for name in BUNDLED if name in written["networks"]}
    return {"seed": SEED, "explained": "the logit of the right class", "networks": networks}


def of_network(name: str, data: photo_data.Photos, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one of the bundled photo networks."""
    pictures, kinds = data
    net, network = photo_networks.load(name), photo_networks.network(name)

    def inputs(rows: Iterable[int]) -> Tensor:
        squares = (square(pictures[row], Crop(), network.share) for row in rows)
        return torch.cat([network.prepare(one) for one in squares])

    with torch.inference_mode():
        batches = np.array_split(np.arange(len(kinds)), -(-len(kinds) // 64))
        probabilities = torch.cat([net(inputs(rows)).softmax(1) for rows in batches])
    labels = wanted(name, probabilities, kinds)
    chosen = picture_faithfulness.confident(probabilities, labels, kinds)
    if len(chosen) < GRID**2:
        raise SystemExit(f"The network gets photos of only {len(chosen)} classes right; a mosaic needs {GRID**2}.")
    random = np.random.default_rng(SEED)
    rows = picture_faithfulness.mosaic_rows(chosen, options.mosaics, random)
    flipped = picture_faithfulness.spread(chosen, options.flips, random)

    def compared() -> methods.Methods:
        return methods.of_pictures(network.low, network.high, SEED)

    shares = picture_faithfulness.localisation(net, inputs, labels, rows, compared())
    x = inputs(flipped)
    curves = picture_faithfulness.flipping(net, x, labels[flipped], FILLS[options.fill](x), compared())
    every = np.concatenate([*chosen.values()])
    sure = probabilities.max(1).values.numpy()
    return {
        "photos": {
            "from": "the test photos that the network gets right",
            "confident_from": SURE,
            "or_the_surest_per_class": FEW,
            "candidates": len(every),
            "classes": len(chosen),
            "least_probability": round(float(sure[every].min()), DIGITS),
        },
        "localisation": {
            "measured": "share of the positive relevance in the right cell of a mosaic",
            "mosaics": len(rows),
            "cells": GRID**2,
            "chance": 1 / GRID**2,
            "methods": described(shares),
        },
        "flipping": {
            "measured": "area under the right class' probability over the share of patches replaced",
            "photos": len(flipped),
            "patch": picture_faithfulness.patch(x),
            "steps": STEPS,
            "fill": f"blur, {picture_faithfulness.blur(x):g} pixels" if options.fill == "blur" else "mean colour",
            "probability_at_the_end": round(curves["random"][:, 0, -1].mean().item(), DIGITS),
            **areas(curves, picture_faithfulness.units_of(x)[1]),
        },
    }


def wanted(name: str, probabilities: Tensor, kinds: np.ndarray) -> np.ndarray:
    """The class of the network that is right for each photo, (N,); -1 where what it says is not.

    Where several are right, as for a dog of which a network knows 116 kinds, it is the one that the network says.
    probabilities: (N, C); kinds: our class of each photo, (N,).
    """
    if name in OURS:
        return kinds
    said = probabilities.argmax(1).numpy()
    right = [imagenet.right(label) for label in photos.LABELS]
    return np.array([call if call in right[kind] else -1 for call, kind in zip(said.tolist(), kinds, strict=True)])


def areas(curves: dict[str, Tensor], counts: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Curves (N, 2, S) per method, the most relevant first and the least, to the areas under and between them."""
    under = {name: evaluation.area(curve, counts).unbind(1) for name, curve in curves.items()}
    return {
        "most_relevant_first": described({name: most for name, (most, _) in under.items()}, smallest=True),
        "least_relevant_first": described({name: least for name, (_, least) in under.items()}),
        "between": described({name: least - most for name, (most, least) in under.items()}),
    }


COLUMNS = {
    "localisation": ("localisation", "methods"),
    "most relevant first": ("flipping", "most_relevant_first"),
    "least relevant first": ("flipping", "least_relevant_first"),
    "between": ("flipping", "between"),
}


def columns_of_photos(report: dict[str, Any]) -> dict[str, Any]:
    """The columns of the table, by their titles."""
    return {
        f"{name}: {title}": found[part][key]
        for name, found in report["networks"].items()
        for title, (part, key) in COLUMNS.items()
    }


def of_texts(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the bundled text networks, and keep what was written of others of them."""
    written = json.loads(options.out.read_text(encoding="utf-8")) if options.out.is_file() else {"networks": {}}
    counts = (options.comments, options.sentences, options.texts)
    for name in options.network:
        try:
            measured = text_faithfulness.measure(name, options.weights, options.data, SEED, *counts)
        except FileNotFoundError as error:
            raise SystemExit(str(error)) from None
        written["networks"][name] = measured
    networks = {name: written["networks"][name] for name in text.LABELS if name in written["networks"]}
    return {"seed": SEED, "relevance_of_a_word": text_methods.RELEVANCE, "networks": networks}


def of_scenes(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the network that answers questions about scenes, where it is right."""
    try:
        net = answerer.load(options.weights)
        measured = scene_truth.measure(net, options.questions, scene_truth.of_scenes(SEED))
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from None
    return {"network": "vqa", "seed": SEED, **measured}


def of_language(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the language model on prompts whose deciding word is known, where it is right."""
    try:
        model = language.model(options.model)
        net = language.load(options.model)
        given = language_truth.prompts(model, most=options.prompts)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from None
    return {"network": options.model, "seed": SEED, **language_truth.measure(net, model, given, SEED)}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=sys.modules[__name__].__doc__.splitlines()[0])
    of = parser.add_subparsers(dest="of", required=True)
    pictures = of.add_parser("photos", help="the bundled photo networks")
    pictures.set_defaults(measure=of_photos, columns=columns_of_photos)
    pictures.add_argument("--network", choices=list(BUNDLED), nargs="+", default=["lite0", "photos"])
    pictures.add_argument("--data", type=Path, default=photo_data.FOLDER, help="folder of the photos")
    pictures.add_argument("--mosaics", type=int, default=256, help="mosaics of four photos")
    pictures.add_argument("--flips", type=int, default=200, help="photos that are flipped")
    pictures.add_argument("--fill", choices=list(FILLS), default="blur", help="what replaces a patch")
    pictures.add_argument("--out", type=Path, default=photos.ASSETS / "faithfulness.json")
    words = of.add_parser("texts", help="the bundled text networks")
    words.set_defaults(measure=of_texts, columns=text_faithfulness.columns)
    words.add_argument("--network", choices=list(text.LABELS), nargs="+", default=list(text.LABELS))
    words.add_argument("--weights", type=Path, default=text.ASSETS, help="folder of the networks' weights")
    words.add_argument("--data", type=Path, default=text_data.FOLDER, help="folder of the texts")
    words.add_argument("--comments", type=int, default=2000, help="comments with people's marks, of each part")
    words.add_argument("--sentences", type=int, default=2000, help="sentences with people's grades of their words")
    words.add_argument("--texts", type=int, default=200, help="texts of each network whose words are deleted")
    words.add_argument("--out", type=Path, default=text.ASSETS / "faithfulness.json")
    asked = of.add_parser("scenes", help="the bundled network that answers questions about scenes")
    asked.set_defaults(measure=of_scenes, columns=scene_truth.columns)
    asked.add_argument("--weights", type=Path, default=answerer.ASSETS, help="folder of the network's weights")
    asked.add_argument("--questions", type=int, default=1200, help="questions that it answers right")
    asked.add_argument("--out", type=Path, default=answerer.ASSETS / "faithfulness.json")
    spoken = of.add_parser("language", help="the language model")
    spoken.set_defaults(measure=of_language, columns=language_truth.columns)
    spoken.add_argument("--model", default=next(iter(language.KNOWN)), help="as the page calls it")
    spoken.add_argument("--prompts", type=int, default=218, help="prompts, of all kinds in turn")
    spoken.add_argument("--out", type=Path, default=LANGUAGE / "faithfulness.json")
    options = parser.parse_args()
    counts = {"mosaics", "flips", "comments", "sentences", "texts", "questions", "prompts"} & vars(options).keys()
    if min(getattr(options, count) for count in counts) < 1:
        parser.error(f"at least one of each: {', '.join(sorted(counts))}")
    return options


def main() -> None:
    options = _options()
    report = options.measure(options)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(table(options.columns(report)))


if __name__ == "__main__":
    main()
