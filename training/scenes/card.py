"""The network that answers questions about scenes as it is shipped: calibrated, written, measured; and its card."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from models.scenes import FEWEST, MOST, answerer
from models.scenes.drawing import backdrop
from models.scenes.questions import FAMILIES
from training.calibration import calibration_error
from training.scenes import data as vqa_data
from training.scenes.data import Pack

TEST, NEW_WORDINGS, CALIBRATION = range(1000), range(1000, 2000), range(2000, 2500)
"""Seeds of held-out scenes: for the wordings of training, for other wordings, and for the temperature."""

BATCH = 64
PAIRS = 10
MANY_OBJECTS, LONG, HIGH_COUNT = 7, 18, 4
"""From how many objects a scene is full, from how many words a question is long, and what counts as a high count."""

LIMITS = [
    "It knows questions made of its own words about scenes drawn by this project only. Photos, and questions of another"
    " kind, get an answer, too: a meaningless one.",
    "A probability is no promise: a confident answer may be wrong.",
    "It does not notice where a question makes no sense, such as one about “the red ball” where there are two.",
    f"Scenes have {FEWEST} to {MOST} objects in training; emptier ones are new to it.",
]
LICENCE = (
    "Weights: BSD-3-Clause, as the project. Scenes and questions are drawn and written by the project itself, after the"
    " manner of CLEVR (Johnson 2017); they hold nothing of CLEVR's."
)


def write(net: answerer.Answerer, out: Path, made: dict[str, Any]) -> dict[str, Any]:
    """Calibrate the network and write its weights and its card. made: what the card says of how it was made."""
    out.mkdir(parents=True, exist_ok=True)
    centre(net)
    divisor = temperature(net, vqa_data.make(CALIBRATION, FAMILIES))
    with torch.no_grad():
        net.relating.answer.weight.div_(divisor)
        net.relating.answer.bias.div_(divisor)
    save_file({key: value.half().contiguous() for key, value in net.state_dict().items()}, out / "vqa.safetensors")
    return write_card(out, made | {"temperature": round(divisor, 3)})


@torch.no_grad()
def centre(net: answerer.Answerer) -> None:
    """Let the scores of all answers sum to zero. No probability changes, for softmax does not see what all share.

    An explanation of a score does: without this, most of it tells what speaks for and against all answers alike.
    """
    answer = net.relating.answer
    answer.weight.sub_(answer.weight.mean(0))
    answer.bias.sub_(answer.bias.mean())


def write_card(out: Path, made: dict[str, Any]) -> dict[str, Any]:
    """Measure the written weights and write their card."""
    written = card(answerer.load(out), out, made)
    text = json.dumps(written, indent=2, ensure_ascii=False) + "\n"
    (out / "vqa.json").write_text(text, encoding="utf-8")
    return written


def temperature(net: answerer.Answerer, pack: Pack) -> float:
    """What the scores are divided by so that probabilities mean what they say (Guo 2017)."""
    logits, answers = scores(net, pack), torch.from_numpy(pack.answer)
    grid = torch.logspace(-1, 1, 201)
    return grid[torch.stack([F.cross_entropy(logits / t, answers) for t in grid]).argmin()].item()


def scores(net: answerer.Answerer, pack: Pack) -> Tensor:
    """Logits (Q, C) for all questions of a pack."""
    words, found = torch.from_numpy(pack.words), []
    with torch.inference_mode():
        for begin in range(0, len(words), BATCH):
            rows = slice(begin, begin + BATCH)
            own, scene = np.unique(pack.scene[rows], return_inverse=True)
            cells = net.look(answerer.normalise(pack.pictures[own]))[torch.from_numpy(scene)]
            found.append(net.relating(net.reader(words[rows]), cells))
    return torch.cat(found)


def card(net: answerer.Answerer, out: Path, made: dict[str, Any]) -> dict[str, Any]:
    """The card, with the figures of `net`, the file that was written."""
    return {
        "name": "vqa",
        "title": "Questions about scenes",
        "task": "Answers a question in plain English about a picture of a few solids: whether something is there, how"
        " many, of which size, colour, material or shape, and what lies left or right, in front or behind.",
        "input": "(B, 3, 128, 128), red, green, blue between 0 and 1, less 0.5, divided by 0.25; and token ids (B, T)"
        " of the question's words, padded with 0.",
        "output": f"(B, {len(answerer.LABELS)}) logits: " + ", ".join(answerer.LABELS) + ".",
        "architecture": f"Eight convolutions describe {answerer.CELLS} cells of the floor; a transformer of"
        f" {answerer.READING} layers reads the question into {answerer.NOTES} notes, another of {answerer.RELATING}"
        " layers relates notes and cells; then what each cell votes is added up, and two dense layers answer. "
        "ReLU throughout; batch normalisation was folded into the convolutions after training.",
        "parameters": sum(p.numel() for p in net.parameters()),
        "file_bytes": (out / "vqa.safetensors").stat().st_size,
        **made,
        "held_out": f"{len(TEST):,} scenes with a question of each family in the wordings of training, and"
        f" {len(NEW_WORDINGS):,} more in wordings that training never used. Scenes of seeds below"
        f" {vqa_data.FIRST_SEED:,} were not trained on.",
        **measure(net),
        "limits": LIMITS,
        "licence": LICENCE,
        "remade_by": answerer.REMAKE["vqa"],
    }


def measure(net: answerer.Answerer) -> dict[str, Any]:
    """The figures: overall, per family, per hops, and where it fails."""
    test, reworded = vqa_data.make(TEST, FAMILIES), vqa_data.make(NEW_WORDINGS, FAMILIES, "test")
    probabilities = scores(net, test).softmax(1)
    calls, new_calls = probabilities.argmax(1).numpy(), scores(net, reworded).argmax(1).numpy()
    hit, new_hit = calls == test.answer, new_calls == reworded.answer
    direct = np.isin(test.family, [FAMILIES.index(name) for name in ("attribute", "existence")])
    blank = scores(net, _blank(test)).argmax(1).numpy() == test.answer
    return {
        "measured": {
            "questions": len(hit),
            "accuracy": _share(hit),
            "attribute_and_existence_right": _share(hit[direct]),
            "questions_in_new_wordings": len(new_hit),
            "accuracy_in_new_wordings": _share(new_hit),
            "expected_calibration_error": round(calibration_error(probabilities, torch.from_numpy(test.answer)), 4),
            "accuracy_on_an_empty_floor": _share(blank),
        },
        "per_family": {
            name: _line(hit, new_hit, test.family == place, reworded.family == place)
            for place, name in enumerate(FAMILIES)
        },
        "per_hops": {
            name: _line(hit, new_hit, test.hops == hops, reworded.hops == hops)
            for hops, name in enumerate(("none", "one", "two"))
        },
        "blind_spots": blind_spots(test, hit),
        "confusions": confusions(calls, test.answer),
    }


def _line(hit: np.ndarray, new_hit: np.ndarray, rows: np.ndarray, new_rows: np.ndarray) -> dict[str, Any]:
    return {"questions": int(rows.sum()), "right": _share(hit[rows]), "in_new_wordings": _share(new_hit[new_rows])}


def _blank(pack: Pack) -> Pack:
    """The same questions about a picture of nothing but floor: what the words alone give away."""
    floor = np.broadcast_to((backdrop() + 0.5).astype(np.uint8), pack.pictures.shape)
    return replace(pack, pictures=floor)


def blind_spots(test: Pack, hit: np.ndarray) -> dict[str, dict[str, Any]]:
    """Where it is wrong more often: kinds of questions, each with its number and the share that is right."""
    objects = (test.features[..., 0] > 0).sum(1)[test.scene]
    words = (test.words != answerer.PAD).sum(1)
    numbers = [answerer.LABELS.index(str(number)) for number in range(HIGH_COUNT, MOST + 1)]
    groups = test.members.sum(2)
    compared = test.family == FAMILIES.index("comparison")
    kinds = {
        f"the answer is {HIGH_COUNT} or more": np.isin(test.answer, numbers),
        "groups are compared that differ by one": compared & (abs(groups[:, -1] - groups[:, -2]) == 1),
        "it takes two steps in space": test.hops == 2,
        f"there are {MANY_OBJECTS} or {MOST} objects": objects >= MANY_OBJECTS,
        f"the question has {LONG} words or more": words >= LONG,
    }
    return {name: {"questions": int(rows.sum()), "right": _share(hit[rows])} for name, rows in kinds.items()}


def confusions(calls: np.ndarray, answers: np.ndarray) -> list[dict[str, Any]]:
    """The pairs of answers that are confused most often: what is right, what was said, how many questions."""
    wrong = calls != answers
    pairs, counts = np.unique(np.stack([answers[wrong], calls[wrong]]), axis=1, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:PAIRS]
    return [
        {"is": answerer.LABELS[pairs[0, i]], "called": answerer.LABELS[pairs[1, i]], "questions": int(counts[i])}
        for i in order
    ]


def _share(hits: np.ndarray) -> float | None:
    """The share of true values; None where there are none."""
    return round(float(np.mean(hits)), 4) if len(hits) else None
