"""The shared lower layers, run once: what they make of every text is kept, since they never change.

The networks differ in their upper layers only, so that a pass over the data costs a third of what it would.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models import text
from training.text.batches import in_order

TOKENS = 4096  # in a batch, padding included


@dataclass(frozen=True)
class Lowered:
    """What the shared layers make of texts. states: (all pieces, hidden) float16, on disk. starts: (N + 1,)."""

    states: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        """Of one text: (T, hidden)."""
        return self.states[self.starts[row] : self.starts[row + 1]]

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.starts)


def precision(device: str) -> torch.autocast:
    """bf16 where it is quick: on a GPU, and on processors that have it. Elsewhere it would cost a factor of eight."""
    quick = device == "cuda" or torch.cpu.get_capabilities().get("avx512_bf16", False)
    return torch.autocast(device, torch.bfloat16, enabled=quick)


def attended(mask: Tensor) -> Tensor:
    """What attention adds to its scores, (B, 1, 1, T), from 1 where there is a piece, (B, T)."""
    return (1.0 - mask.float())[:, None, None, :] * torch.finfo(torch.float32).min


def through(layers: Sequence[nn.Module], states: Tensor, mask: Tensor) -> Tensor:
    """States (B, T, hidden) after some layers of the encoder."""
    added = attended(mask).to(torch.bfloat16 if torch.is_autocast_enabled(states.device.type) else states.dtype)
    for layer in layers:
        states = layer(states, added)
    return states


def lowered(net: nn.Module, ids: Sequence[Sequence[int]], path: Path, device: str) -> Lowered:
    """Run the shared layers of `net`, or take what was kept at `path` when they ran on as many pieces before."""
    starts = np.concatenate(([0], np.cumsum([len(one) for one in ids])))
    shape, done = (int(starts[-1]), net.config.hidden_size), path.with_suffix(".done")
    if done.is_file() and done.read_text() == str(shape):
        return Lowered(np.memmap(path, np.float16, "r", shape=shape), starts)
    states = np.memmap(path, np.float16, "w+", shape=shape)
    net = net.to(device).eval()
    with torch.inference_mode(), precision(device):
        for number, batch in enumerate(in_order(ids, TOKENS), 1):
            found = net.roberta.embeddings(batch.ids.to(device))
            found = through(net.roberta.encoder.layer[: text.SHARED], found, batch.mask.to(device)).cpu().half().numpy()
            for row, one in zip(batch.rows, found, strict=True):
                states[starts[row] : starts[row + 1]] = one[: starts[row + 1] - starts[row]]
            if number % 100 == 0:
                print(f"{path.stem}: {number} batches", flush=True)
    states.flush()
    done.write_text(str(shape))
    return Lowered(states, starts)


def batches(lengths: np.ndarray, tokens: int, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Rows of texts in batches of at most so many pieces, texts of like length together, in random order."""
    noisy = lengths * random.uniform(0.9, 1.1, len(lengths))
    order, found, batch = np.argsort(noisy, kind="stable"), [], []
    for row in order:
        if batch and (len(batch) + 1) * max(lengths[row], lengths[batch].max()) > tokens:
            found.append(np.array(batch))
            batch = []
        batch.append(int(row))
    found.append(np.array(batch))
    for place in random.permutation(len(found)):
        yield found[place]
