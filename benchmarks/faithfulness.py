"""Is the heatmap right? One table over all methods, and the figures as JSON for the model card.

python -m benchmarks.faithfulness photos            # 256 mosaics and 200 photos: some minutes on two cores
python -m benchmarks.faithfulness photos --mosaics 32 --flips 23 --out small.json
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

from lrp_core import evaluation
from models import photos
from training import photo_data

from . import methods, picture_faithfulness
from .picture_faithfulness import BLUR, FEW, FILLS, GRID, PATCH, STEPS, SURE

SEED = 0
DIGITS = 4  # of the figures that are written


def of_photos(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the bundled photo network on the test photos that it gets right."""
    net = photos.load(options.network)
    pictures, labels = photo_data.read_photos(options.data, only="test").test

    def inputs(rows: Iterable[int]) -> Tensor:
        return photos.normalise(photo_data.middles([pictures[row] for row in rows]))

    with torch.inference_mode():
        batches = np.array_split(np.arange(len(labels)), -(-len(labels) // 64))
        probabilities = torch.cat([net(inputs(rows)).softmax(1) for rows in batches])
    chosen = picture_faithfulness.confident(probabilities, labels)
    if len(chosen) < GRID**2:
        raise SystemExit(f"The network gets photos of only {len(chosen)} classes right; a mosaic needs {GRID**2}.")
    random = np.random.default_rng(SEED)
    rows = picture_faithfulness.mosaic_rows(chosen, options.mosaics, random)
    flipped = picture_faithfulness.spread(chosen, options.flips, random)

    def compared() -> methods.Methods:
        return methods.of_pictures(photos.LOW, photos.HIGH, SEED)

    shares = picture_faithfulness.localisation(net, inputs, labels, rows, compared())
    x = inputs(flipped)
    curves = picture_faithfulness.flipping(net, x, labels[flipped], FILLS[options.fill](x), compared())
    every = np.concatenate([*chosen.values()])
    sure = probabilities.max(1).values.numpy()
    return {
        "network": options.network,
        "seed": SEED,
        "explained": "the logit of the right class",
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
            "patch": PATCH,
            "steps": STEPS,
            "fill": f"blur, {BLUR:g} pixels" if options.fill == "blur" else "mean colour",
            "probability_at_the_end": round(curves["random"][:, 0, -1].mean().item(), DIGITS),
            **areas(curves, picture_faithfulness.units_of(x)[1]),
        },
    }


def areas(curves: dict[str, Tensor], counts: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Curves (N, 2, S) per method, the most relevant first and the least, to the areas under and between them."""
    under = {name: evaluation.area(curve, counts).unbind(1) for name, curve in curves.items()}
    return {
        "most_relevant_first": described({name: most for name, (most, _) in under.items()}, smallest=True),
        "least_relevant_first": described({name: least for name, (_, least) in under.items()}),
        "between": described({name: least - most for name, (most, least) in under.items()}),
    }


def described(values: dict[str, Tensor], smallest: bool = False) -> dict[str, Any]:
    """Values (N,) per method to their mean and its 95 % interval, and how far the method is behind the best one.

    All methods saw the same photos, so the difference to the best one is known better than either: an interval of
    ``behind`` that holds 0 says that the two cannot be told apart.
    """
    sign = -1 if smallest else 1
    best = max(values, key=lambda name: sign * values[name].mean().item())
    return {
        name: _figures(value) | {"behind": _figures(sign * (values[best] - value))} for name, value in values.items()
    }


def _figures(values: Tensor) -> dict[str, float]:
    summary = evaluation.summary(values)
    return {key: round(getattr(summary, key), DIGITS) for key in ("mean", "low", "high")}


COLUMNS = {
    "localisation": ("localisation", "methods"),
    "most relevant first": ("flipping", "most_relevant_first"),
    "least relevant first": ("flipping", "least_relevant_first"),
    "between": ("flipping", "between"),
}


def table(report: dict[str, Any]) -> str:
    """One line per method, its means and 95 % intervals; bold where the best method is not told apart from it."""
    columns = [report[part][key] for part, key in COLUMNS.values()]
    lines = ["| method | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(_cell(column[name]) for column in columns) + " |" for name in columns[0]]
    return "\n".join(lines)


def _cell(figures: dict[str, Any]) -> str:
    text = f"{figures['mean']:.3f}"
    bold = f"**{text}**" if figures["behind"]["low"] <= 0 else text
    return f"{bold} ({figures['low']:.3f} to {figures['high']:.3f})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=sys.modules[__name__].__doc__.splitlines()[0])
    of = parser.add_subparsers(dest="of", required=True)
    pictures = of.add_parser("photos", help="the bundled photo network")
    pictures.set_defaults(measure=of_photos)
    pictures.add_argument("--network", choices=list(photos.REMAKE), default="photos")
    pictures.add_argument("--data", type=Path, default=photo_data.FOLDER, help="folder of the photos")
    pictures.add_argument("--mosaics", type=int, default=256, help="mosaics of four photos")
    pictures.add_argument("--flips", type=int, default=200, help="photos that are flipped")
    pictures.add_argument("--fill", choices=list(FILLS), default="blur", help="what replaces a patch")
    pictures.add_argument("--out", type=Path, default=photos.ASSETS / "faithfulness.json")
    options = parser.parse_args()
    if min(options.mosaics, options.flips) < 1:
        parser.error("at least one mosaic and one flipped photo")
    return options


def main() -> None:
    options = _options()
    report = options.measure(options)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(table(report))


if __name__ == "__main__":
    main()
