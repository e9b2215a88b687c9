"""How a network for texts grows from the encoder: on labelled texts, seen through windows, keeping the best pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from models import text
from training.learning import decayed, rate_at
from training.text import splits as text_splits
from training.text.batches import encode, shuffled
from training.text.card import scores
from training.text.data import Texts
from training.text.teacher import Teacher, teacher

SEED = 0
TOKENS = 4096  # in a batch, padding included
WARM = 0.1
WHOLE = 2048  # pieces of a training text that windows are taken from


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    rate: the highest learning rate. hidden: the share of pieces that are hidden, so that no word is relied on alone.
    dropout: in the network. window: the fewest and the most pieces of a text that are seen at once. taught: the share
    of the texts of a pass that are joined from others and named by a teacher that counts words. cut: the share of the
    pieces that are cut in two.
    """

    passes: int
    rate: float = 4e-4
    hidden: float = 0.1
    dropout: float = 0.1
    window: tuple[int, int] = (text.LONGEST, text.LONGEST)
    taught: float = 0.0
    cut: float = 0.0


RECIPES = {
    "offensive": Recipe(4, cut=0.1),
    "topics": Recipe(8, rate=6e-4, hidden=0.2, taught=0.5, cut=0.2),
    "newsgroups": Recipe(6, rate=7e-4, dropout=0.0, window=(32, text.LONGEST), taught=0.5),
    "sentiment": Recipe(4),
}


def grown(name: str, encoder: nn.Module | None) -> nn.Module:
    """The network `name` with the encoder's weights below a fresh head; without an encoder all of it is fresh."""
    torch.manual_seed(SEED)
    net = text.network(name)
    if encoder is not None:
        net.roberta.load_state_dict(encoder.roberta.state_dict())
    return net


def surprise(logits: Tensor, wanted: Tensor, any_of: bool) -> Tensor:
    """Mean cross entropy; with `any_of` the network may spread what is wanted over its classes as it likes."""
    if not any_of:
        return F.cross_entropy(logits, wanted)
    return (logits.logsumexp(1) - logits.masked_fill(wanted == 0, -torch.inf).logsumexp(1)).mean()


def windows(ids: Sequence[list[int]], sizes: tuple[int, int], random: np.random.Generator) -> list[list[int]]:
    """A part of each text, of a random length within `sizes`, mostly short; half of them begin where the text does."""
    found = []
    for one in ids:
        size = int(np.exp(random.uniform(np.log(sizes[0]), np.log(sizes[1] + 1)))) - 2
        begin = int(random.integers(0, max(1, len(one) - 2 - size + 1))) if random.random() < 0.5 else 0
        found.append([text.START, *one[1:-1][begin : begin + size], text.END])
    return found


@dataclass(frozen=True)
class Course:
    """What a network learns from: texts, their ids, and a teacher of joined ones, if any."""

    data: Texts
    ids: list[list[int]]
    tokenizer: Tokenizer
    teacher: Teacher | None

    def lesson(self, recipe: Recipe, random: np.random.Generator) -> tuple[list[list[int]], Tensor]:
        """The ids of one pass, and the probability of each class that is wanted for each of them (N, C)."""
        chosen = random.permutation(len(self.ids))[round(recipe.taught * len(self.ids)) :]
        ids = windows([self.ids[row] for row in chosen], recipe.window, random)
        wanted = self.data.wanted[chosen]
        if self.teacher is not None:
            texts, named = self.teacher.lesson(len(self.ids) - len(chosen), random)
            ids, wanted = ids + encode(self.tokenizer, texts), np.concatenate((wanted, named))
        if recipe.cut:
            pairs = text_splits.ways(self.tokenizer)
            ids = [text_splits.cut(one, pairs, recipe.cut, random) for one in ids]
        return ids, torch.from_numpy(wanted)


def right(net: nn.Module, data: Texts, tokenizer: Tokenizer) -> float:
    """The share of texts that are called what they are; of what may be either, either."""
    calls = scores(net, data.texts, tokenizer).argmax(1).numpy()
    return float((data.wanted[np.arange(len(calls)), calls] > 0).mean())


def train(
    net: nn.Module,
    data: Texts,
    dev: Texts,
    tokenizer: Tokenizer,
    recipe: Recipe,
    any_of: bool,
    device: str,
    checkpoint: Path | None = None,
) -> nn.Module:
    """AdamW with a cosine schedule on batches of texts of like length; the weights of the pass that is best on `dev`.

    Goes on from the checkpoint, which is written after each pass, where there is one.
    """
    net = net.to(device)
    optimizer = decayed(net.requires_grad_(True), recipe.rate)
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = recipe.dropout
    begin, best = 0, {"right": -1.0}
    if checkpoint is not None and checkpoint.is_file():
        saved = torch.load(checkpoint, weights_only=True)
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
        begin, best = saved["passes"], saved["best"]
    course = Course(data, encode(tokenizer, data.texts, WHOLE), tokenizer, teacher(data) if recipe.taught else None)
    for number in range(begin, recipe.passes):
        random = np.random.default_rng(SEED + number)
        torch.manual_seed(SEED + number)
        ids, wanted = course.lesson(recipe, random)
        batches = shuffled(ids, TOKENS, random)
        losses = []
        net.train()
        for place, batch in enumerate(batches, 1):
            for group in optimizer.param_groups:
                group["lr"] = rate_at(number + place / len(batches), recipe.passes, recipe.rate, WARM)
            gaps = (torch.rand(batch.ids.shape) < recipe.hidden) & (batch.ids > text.UNKNOWN)
            holed = batch.ids.masked_fill(gaps, text.VOCABULARY - 1)
            with torch.autocast(device, torch.bfloat16):
                logits = net(holed.to(device), attention_mask=batch.mask.to(device)).logits
            loss = surprise(logits.float(), wanted[batch.rows].to(device), any_of)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
        share = right(net.eval(), dev, tokenizer)
        print(f"pass {number + 1} of {recipe.passes}: loss {np.mean(losses):.3f}, dev {share:.4f}", flush=True)
        if share > best["right"]:
            weights = {key: value.cpu().clone() for key, value in net.state_dict().items()}
            best = {"right": share, "pass": number + 1, "net": weights}
        if checkpoint is not None:
            _keep(checkpoint, {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "passes": number + 1,
                               "best": best})  # fmt: skip
    net.load_state_dict(best["net"])
    return net.cpu().eval().requires_grad_(False)


def _keep(path: Path, state: dict[str, Any]) -> None:
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def temperature(net: nn.Module, data: Texts, tokenizer: Tokenizer, any_of: bool) -> float:
    """What the scores are divided by so that probabilities mean what they say (Guo 2017)."""
    logits, wanted = scores(net, data.texts, tokenizer), torch.from_numpy(data.wanted)
    grid = torch.logspace(-1, 1, 201)
    return grid[torch.stack([surprise(logits / t, wanted, any_of) for t in grid]).argmin()].item()
