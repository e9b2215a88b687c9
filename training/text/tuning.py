"""How a network for texts is tuned: its upper layers and its head learn from what the shared layers make of texts.

Pieces are left out at random, so that no word is relied on alone; where texts are few, parts of two are joined. The
running mean of the weights is kept, of the pass that is best on "dev".
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models import text
from training.learning import decayed, follow, rate_at
from training.text.lower import Lowered, batches, precision, through

SEED = 0
WARM = 0.1


@dataclass(frozen=True)
class Recipe:
    """How a network is tuned.

    rate: the highest learning rate. tokens: in a batch, padding included. left_out: the share of pieces that are left
    out of each text, at most. most: how many pieces of a text are read, at random where it has more. joined: the share
    of texts that are joined with a part of another. memory: of the running mean of the weights. dropout: in the layers.
    """

    passes: int
    rate: float = 2e-4
    tokens: int = 2048
    left_out: float = 0.15
    most: int = 512
    joined: float = 0.0
    memory: float = 0.998
    dropout: float = 0.1


RECIPES = {
    "offensive": Recipe(3),
    "topics": Recipe(4, left_out=0.3, joined=0.3),
    "newsgroups": Recipe(6, tokens=4096, left_out=0.5, most=224, joined=0.3),
    "sentiment": Recipe(2, rate=1.5e-4),
}


class Lesson(NamedTuple):
    """A batch: states (B, T, hidden), 1 where there is a piece (B, T), and the wanted probabilities (B, C)."""

    states: Tensor
    mask: Tensor
    wanted: Tensor


class Upper(nn.Module):
    """What of a network is tuned: the layers above the shared ones, and its head."""

    def __init__(self, net: nn.Module, dropout: float) -> None:
        super().__init__()
        self.layers, self.head = net.roberta.encoder.layer[text.SHARED :], net.classifier
        for module in self.modules():
            if isinstance(module, nn.Dropout):
                module.p = dropout
        for layer in self.layers:
            layer.attention.self.dropout.p = 0.0  # torch's quick attention has none

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Logits (B, C)."""
        return self.head(through(self.layers, states, mask)).float()


def surprise(logits: Tensor, wanted: Tensor, any_of: bool) -> Tensor:
    """Mean cross entropy; with `any_of` the network may spread what is wanted over its classes as it likes."""
    if not any_of:
        return F.cross_entropy(logits, wanted)
    return (logits.logsumexp(1) - logits.masked_fill(wanted == 0, -torch.inf).logsumexp(1)).mean()


def some(states: np.ndarray, share: float, most: int, random: np.random.Generator) -> np.ndarray:
    """A text without up to this share of its pieces, and of about `most` pieces at most; `<s>` stays."""
    keep = random.random(len(states)) < random.uniform(1 - share, 1) * min(1, most / len(states))
    keep[0] = True
    return states[keep]


def lessons(data: Lowered, wanted: np.ndarray, recipe: Recipe, random: np.random.Generator) -> Iterator[Lesson]:
    """Every text once, with pieces left out; some go on with a part of another, as much as is left out of them."""
    for rows in batches(data.lengths.clip(max=recipe.most), recipe.tokens, random):
        texts, goals = [some(data[row], recipe.left_out, recipe.most, random) for row in rows], wanted[rows]
        for place in np.flatnonzero(random.random(len(rows)) < recipe.joined):
            other, share = int(random.integers(len(rows))), random.uniform(0.2, 0.8)
            mine, theirs = (some(data[rows[one]], 0.0, recipe.most, random) for one in (place, other))
            own = mine[1:][random.random(len(mine) - 1) < share]
            more = theirs[1:][random.random(len(theirs) - 1) < 1 - share]
            if len(own) and len(more):
                texts[place] = np.concatenate((mine[:1], own, more))
                weight = len(own) / (len(own) + len(more))
                goals[place] = weight * wanted[rows[place]] + (1 - weight) * wanted[rows[other]]
        yield Lesson(*padded(texts), torch.from_numpy(goals))


def padded(texts: list[np.ndarray]) -> tuple[Tensor, Tensor]:
    """States (B, T, hidden) float32 with zeros behind shorter texts, and the mask (B, T)."""
    joined = torch.zeros(len(texts), max(map(len, texts)), texts[0].shape[1])
    mask = torch.zeros(joined.shape[:2])
    for row, one in enumerate(texts):
        joined[row, : len(one)] = torch.from_numpy(one.astype(np.float32))
        mask[row, : len(one)] = 1
    return joined, mask


def logits(upper: Upper, data: Lowered, tokens: int = 4096) -> Tensor:
    """Of every text, (N, C)."""
    found, device = [], next(upper.parameters()).device
    order = []
    with torch.inference_mode(), precision(device.type):
        for rows in batches(data.lengths, tokens, np.random.default_rng(SEED)):
            states, mask = padded([data[row] for row in rows])
            found.append(upper(states.to(device), mask.to(device)).cpu())
            order.append(rows)
    sorted_back = np.argsort(np.concatenate(order))
    return torch.cat(found)[sorted_back]


def right(found: Tensor, wanted: np.ndarray) -> float:
    """The share of texts that are called what they are; of what may be either, either."""
    calls = found.argmax(1).numpy()
    return float((wanted[np.arange(len(calls)), calls] > 0).mean())


def train(
    net: nn.Module, data: Lowered, wanted: np.ndarray, dev: Lowered, dev_wanted: np.ndarray, recipe: Recipe,
    any_of: bool, device: str, checkpoint: Path,
) -> nn.Module:  # fmt: skip
    """AdamW with a cosine schedule. Goes on from the checkpoint, which is written after each pass, where there is one.

    wanted: probability of each class (N, C). any_of: classes that are wanted alike are as good as each other.
    """
    torch.manual_seed(SEED)
    upper = Upper(net, recipe.dropout).to(device)
    mean = deepcopy(upper).eval().requires_grad_(False)
    optimizer = decayed(upper.requires_grad_(True), recipe.rate)
    parts, begin, best, step = {"upper": upper, "mean": mean, "optimizer": optimizer}, 0, {"right": -1.0}, 0
    if checkpoint.is_file():
        saved = torch.load(checkpoint, weights_only=True)
        begin, best, step = (saved.pop(key) for key in ("passes", "best", "step"))
        for key, state in saved.items():
            parts[key].load_state_dict(state)
    for number in range(begin, recipe.passes):
        random = np.random.default_rng(SEED + number)
        torch.manual_seed(SEED + number)
        losses, seen = [], 0
        upper.train()
        for lesson in lessons(data, wanted, recipe, random):
            seen += len(lesson.wanted)
            for group in optimizer.param_groups:
                group["lr"] = rate_at(number + seen / len(data), recipe.passes, recipe.rate, WARM)
            with precision(device):
                found = upper(lesson.states.to(device), lesson.mask.to(device))
            loss = surprise(found, lesson.wanted.to(device), any_of)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(upper.parameters(), 1.0)
            optimizer.step()
            follow(mean, upper, step, recipe.memory)
            step += 1
            losses.append(loss.item())
            if len(losses) % 200 == 0:
                print(f"  {seen / len(data):.2f}: loss {np.mean(losses[-200:]):.3f}", flush=True)
        share = right(logits(mean, dev), dev_wanted)
        print(f"pass {number + 1} of {recipe.passes}: loss {np.mean(losses):.3f}, dev {share:.4f}", flush=True)
        if share > best["right"]:
            weights = {key: value.cpu().clone() for key, value in mean.state_dict().items()}
            best = {"right": share, "pass": number + 1, "mean": weights}
        _keep(checkpoint, {key: part.state_dict() for key, part in parts.items()}
              | {"passes": number + 1, "best": best, "step": step})  # fmt: skip
    Upper(net, 0.0).load_state_dict(best["mean"])
    return net.cpu().eval().requires_grad_(False)


def _keep(path: Path, state: dict[str, Any]) -> None:
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def temperature(found: Tensor, wanted: Tensor, any_of: bool) -> float:
    """What logits (N, C) are divided by so that probabilities mean what they say (Guo 2017)."""
    grid = torch.logspace(-1, 1, 201)
    return grid[torch.stack([surprise(found / t, wanted, any_of) for t in grid]).argmin()].item()
