"""Remake the network that answers questions about scenes.

    python -m training.scenes [packs questions pictures together write] [--packs N] [--checkpoint DIR] [--out DIR]

Without names, all stages in this order: scenes and questions are made; the words and the relating are learned on
descriptions in place of pictures; the convolutions learn to describe; both are joined and learn on; and the weights
(float16) are written with the model card and the figures measured on the written file. An interrupted stage goes on
from the checkpoint folder, which later stages need.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from models.scenes import answerer
from models.scenes.questions import FAMILIES
from training.learning import decayed, follow, rate_at
from training.scenes import card as vqa_card
from training.scenes import data as vqa_data
from training.scenes.data import Pack
from training.scenes.lessons import Lessons, batch_of, forgetful

SEED = 0
PACKS = {"questions": 18, "pictures": 18, "together": 11}
RATES = {"questions": 1e-3, "pictures": 2e-3, "together": 4e-4}
QUESTIONS, PICTURES, SCENES = 128, 32, 16
"""In a batch: questions on descriptions, pictures to describe, and scenes with all their questions."""
AVERAGING = 0.998
"""The shipped weights are a running mean of the trained ones."""
CHECKED = 128
"""Held-out scenes on which progress is measured."""

Loss = Callable[[Lessons, Pack, Tensor], Tensor]


def from_descriptions(lessons: Lessons, pack: Pack, rows: Tensor) -> Tensor:
    """The loss on questions with these numbers where descriptions stand for pictures."""
    batch = batch_of(pack, rows, pictures=False)
    return lessons.loss(forgetful(batch.words), lessons.imagined(batch)[batch.scene], batch)


def descriptions(lessons: Lessons, pack: Pack, rows: Tensor) -> Tensor:
    """The loss of the descriptions of scenes with these numbers."""
    features, cells = (torch.from_numpy(part[rows.numpy()]) for part in (pack.features, pack.cells))
    return lessons.described(lessons.net.features(answerer.normalise(pack.pictures[rows.numpy()])), features, cells)


def from_pictures(lessons: Lessons, pack: Pack, rows: Tensor) -> Tensor:
    """The loss on all questions about scenes with these numbers."""
    batch = batch_of(pack, torch.from_numpy(np.flatnonzero(np.isin(pack.scene, rows.numpy()))), pictures=True)
    cells, wrong = lessons.seen(batch)
    return lessons.loss(forgetful(batch.words), cells[batch.scene], batch) + 0.3 * wrong


def batches(stage: str, pack: Pack, random: torch.Generator) -> Iterator[Tensor]:
    """The numbers of the questions or scenes of each batch, every one once."""
    number = len(pack.answer) if stage == "questions" else len(pack.cells)
    size = {"questions": QUESTIONS, "pictures": PICTURES, "together": SCENES}[stage]
    return iter(torch.randperm(number, generator=random)[: max(1, number // size) * size].split(size))


LOSSES: dict[str, Loss] = {"questions": from_descriptions, "pictures": descriptions, "together": from_pictures}


def learn(stage: str, lessons: Lessons, packs: int, folder: Path, passes: int, size: int) -> Lessons:
    """AdamW with a cosine schedule; returns the running mean of the weights."""
    mean = copy.deepcopy(lessons).requires_grad_(False)
    optimizer = decayed(lessons.train(), RATES[stage])
    parts, begin, path = {"net": lessons, "mean": mean, "optimizer": optimizer}, 0, folder / f"{stage}_half_way.pt"
    if path.is_file():
        saved = torch.load(path, weights_only=True)
        begin = saved.pop("done")
        for key, state in saved.items():
            parts[key].load_state_dict(state)
    held_out = vqa_data.make(range(CHECKED), FAMILIES)
    steps = packs * passes * sum(1 for _ in batches(stage, vqa_data.pack(0, folder / "packs", size), torch.Generator()))
    step = begin * steps // (packs * passes)
    for done in range(begin, packs * passes):
        pack, losses, started = vqa_data.pack(done % packs, folder / "packs", size), [], time.perf_counter()
        torch.manual_seed(SEED + done)  # of noise and of words that are left out
        for rows in batches(stage, pack, torch.Generator().manual_seed(SEED + done)):
            for group in optimizer.param_groups:
                group["lr"] = rate_at(min(step, steps), steps, RATES[stage], 0.05)
            with torch.autocast("cpu", torch.bfloat16):
                loss = LOSSES[stage](lessons, pack, rows)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(lessons.parameters(), 1.0)
            optimizer.step()
            step += 1
            follow(mean, lessons, step, AVERAGING)
            losses.append(loss.item())
        took, score = time.perf_counter() - started, progress(stage, mean, held_out)
        print(
            f"{stage}: {done + 1} of {packs * passes} packs, loss {np.mean(losses):.3f}, {took:.0f} s, {score}",
            flush=True,
        )
        torch.save({key: part.state_dict() for key, part in parts.items()} | {"done": done + 1}, path)
    return mean


@torch.inference_mode()
def progress(stage: str, lessons: Lessons, held_out: Pack) -> str:
    """How well it does on held-out scenes, in words."""
    lessons.eval()
    if stage == "pictures":
        everything = torch.arange(len(held_out.cells))
        return f"held out {descriptions(lessons, held_out, everything):.3f}, {named(lessons, held_out):.3f} all right"
    batch = batch_of(held_out, torch.arange(len(held_out.answer)), pictures=stage == "together")
    cells = lessons.seen(batch)[0] if stage == "together" else lessons.imagined(batch)
    hit = (lessons.relate(batch.words, cells[batch.scene]).answer.argmax(1) == batch.answer).numpy()
    by_family = [f"{name} {hit[held_out.family == place].mean():.3f}" for place, name in enumerate(FAMILIES)]
    by_hops = [f"{hops} hops {hit[held_out.hops == hops].mean():.3f}" for hops in (1, 2)]
    return ", ".join([*by_family, *by_hops])


def named(lessons: Lessons, held_out: Pack) -> float:
    """Share of the held-out objects all of whose values the convolutions tell right."""
    told = lessons.describe(lessons.net.features(answerer.normalise(held_out.pictures)))
    told = told.gather(1, torch.from_numpy(held_out.cells)[..., None].expand(-1, -1, vqa_data.FEATURES))
    there = torch.from_numpy(held_out.features)
    sizes = [len(values) for values in vqa_data.NUMBER_OF.values()]
    pairs = zip(told[..., 1:-2].split(sizes, 2), there[..., 1:-2].split(sizes, 2), strict=True)
    right = torch.stack([one.argmax(2) == other.argmax(2) for one, other in pairs]).all(0)
    return right[there[..., 0] > 0].float().mean().item()


def folded(net: answerer.Answerer) -> answerer.Answerer:
    """The same network without batch norm, merged into the convolutions."""
    plain, state = answerer.network(), net.state_dict()
    for name, layer in net.eyes.named_children():
        if isinstance(layer, nn.Conv2d):
            norm = getattr(net.eyes, name.replace("conv", "norm"))
            weight, bias = fuse_conv_bn_weights(
                layer.weight, None, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
            )
            state[f"eyes.{name}.weight"], state[f"eyes.{name}.bias"] = weight.detach(), bias.detach()
    plain.load_state_dict({key: value for key, value in state.items() if not key.startswith("eyes.norm")})
    return plain


def fresh() -> Lessons:
    torch.manual_seed(SEED)
    return Lessons(answerer.network(batch_norm=True))


def joined(folder: Path) -> Lessons:
    """What the first two stages learned apart, in one."""
    words, eyes = (torch.load(folder / f"{stage}.pt", weights_only=True) for stage in ("questions", "pictures"))
    lessons = fresh()
    looking = ("net.eyes.", "describe.")
    lessons.load_state_dict({key: (eyes if key.startswith(looking) else words)[key] for key in words})
    lessons.join()
    lessons.net = folded(lessons.net)
    return lessons


def write(folder: Path, out: Path, packs: int, size: int) -> None:
    """The finished network, without the heads of its lessons, and its card."""
    net = answerer.network()
    state = torch.load(folder / "together.pt", weights_only=True)
    net.load_state_dict({key[4:]: value for key, value in state.items() if key.startswith("net.")})
    questions = sum(len(vqa_data.pack(number, folder / "packs", size).answer) for number in range(packs))
    made = {
        "training": f"{packs * size:,} random scenes and {questions:,} questions about them, with the objects that each"
        " question is about; words and relations first on descriptions of scenes, then on pictures.",
        "trained_on": f"{torch.get_num_threads()} CPU core(s)",
    }
    written = vqa_card.write(net.eval().requires_grad_(False), out, made)
    print(json.dumps(written["measured"], indent=2))


def main() -> None:
    stages = ("packs", "questions", "pictures", "together", "write")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*", metavar="stage", help=f"what to do (default: all of {', '.join(stages)})")
    parser.add_argument(
        "--packs", type=int, default=PACKS, help=f"packs of {vqa_data.SCENES} scenes (default: {PACKS})"
    )
    parser.add_argument("--size", type=int, default=vqa_data.SCENES, help="scenes in a pack")
    parser.add_argument("--passes", type=int, default=1, help="passes over the packs (default: 1)")
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of packs, states and finished stages")
    parser.add_argument("--out", type=Path, default=answerer.ASSETS, help="folder for weights and card")
    options = parser.parse_args()
    unknown = set(options.stages) - set(stages)
    if unknown:
        parser.error(f"there is no stage {', '.join(sorted(unknown))}; the choice is {', '.join(stages)}")
    packs = options.packs or max(PACKS.values())
    for stage in options.stages or stages:
        if stage == "packs":
            for number in range(packs):
                vqa_data.pack(number, options.checkpoint / "packs", options.size)
        elif stage == "write":
            write(options.checkpoint, options.out, packs, options.size)
        else:
            start = joined(options.checkpoint) if stage == "together" else fresh()
            some = options.packs or PACKS[stage]
            mean = learn(stage, start, some, options.checkpoint, options.passes, options.size)
            torch.save(mean.state_dict(), options.checkpoint / f"{stage}.pt")
