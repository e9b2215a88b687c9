"""A small network that answers questions about scenes: it reads the picture and the words, and relates the two.

Input: a picture, float32 (B, 3, 128, 128), normalised by `MEAN` and `STD`, and token ids (B, T), padded with `PAD`.
Output: (B, C) logits of `LABELS`. Convolutions describe each cell of the floor; a transformer reads the question into a
few notes; another one relates notes and cells, and in the end the cells vote.
"""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.scenes import question_reading
from models.scenes.drawing import SIDE
from models.scenes.question_grammar import vocabulary
from models.scenes.question_programs import ANSWERS
from models.scenes.question_reading import MOST_WORDS
from models.weights import bundled

LABELS = ANSWERS
"""What it can answer, in the order of its outputs."""

PAD = question_reading.PADDING
"""The token id that fills rows up to the longest question of a batch."""

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
"""Per channel, for pixels between 0 and 1."""

LOW = tuple((0 - mean) / std for mean, std in zip(MEAN, STD, strict=True))
HIGH = tuple((1 - mean) / std for mean, std in zip(MEAN, STD, strict=True))
"""Smallest and largest value of an input pixel, per channel: the bounds of the zB rule."""

WIDTH, HEADS = 128, 4
READING, RELATING = 3, 6
"""Numbers in each token, heads of each attention, and layers of the two transformers."""

NOTES = 4
"""What the question is read into: three groups of objects, in the order in which they are looked for, and the rest."""

CELL = 16
"""Side of a cell in pixels."""
ROWS = slice(2, 7)
"""The rows of cells in which objects have their middle: above and below is only wall and floor."""
COLUMNS = SIDE // CELL
CELLS = (ROWS.stop - ROWS.start) * COLUMNS

ASSETS = Path(__file__).parents[2] / "assets" / "scenes"
REMAKE = {"vqa": "python -m training.scenes"}


def eyes(batch_norm: bool = False) -> nn.Sequential:
    """The convolutions: pictures (B, 3, 128, 128) to features (B, 128, 8, 8) that are not negative.

    batch_norm: as it is trained, with a normalisation behind each convolution; as it is shipped it has none.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = 3
    for stage, widths in enumerate(((32, 32), (64, 64), (128, 128), (128, 128)), 1):
        for number, width in enumerate(widths, 1):
            place, first = f"{stage}_{number}", channels == 3
            side = 5 if first else 3
            layers[f"conv{place}"] = nn.Conv2d(
                channels, width, side, 2 if first else 1, padding=side // 2, bias=not batch_norm
            )
            if batch_norm:
                layers[f"norm{place}"] = nn.BatchNorm2d(width)
            layers[f"relu{place}"] = nn.ReLU(inplace=True)
            channels = width
        if stage < 4:
            layers[f"pool{stage}"] = nn.MaxPool2d(2)
    return nn.Sequential(layers)


class Attention(nn.Module):
    """Self-attention of several heads over tokens (B, T, D)."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x: Tensor, seen: Tensor | None) -> Tensor:
        """seen: bool, of a shape that expands to (B, heads, T, T); None where every token sees every token."""
        q, k, v = (part(x).unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in (self.query, self.key, self.value))
        scores = (q * (WIDTH // HEADS) ** -0.5) @ k.transpose(-1, -2)
        if seen is not None:
            scores = scores.masked_fill(~seen, -torch.inf)
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """A layer of a transformer, each part of it behind its norm (pre-norm; Xiong 2020), with ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(WIDTH), Attention()
        self.norm2, self.dense1, self.dense2 = (
            nn.LayerNorm(WIDTH),
            nn.Linear(WIDTH, 4 * WIDTH),
            nn.Linear(4 * WIDTH, WIDTH),
        )

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        x = x + self.attention(self.norm1(x), seen)
        return x + self.dense2(F.relu(self.dense1(self.norm2(x))))


class Reader(nn.Module):
    """The question: token ids (B, T) to notes (B, `NOTES`, D)."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(len(vocabulary()) + 1, WIDTH, padding_idx=PAD)
        self.positions = nn.Embedding(MOST_WORDS + 1, WIDTH, padding_idx=PAD)
        self.notes = nn.Parameter(torch.randn(NOTES, WIDTH) * 0.5)
        self.layers = nn.ModuleList(Layer() for _ in range(READING))
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, words: Tensor) -> Tensor:
        there = words != PAD
        # Places count from 1 and come from the words, as in XLM-R: so what they do is seen as a part of its own.
        read = self.words(words) + self.positions(there.cumsum(1) * there)
        x = torch.cat([self.notes.expand(len(words), -1, -1), read], 1)
        seen = F.pad(there, (NOTES, 0), value=True)[:, None, None, :]
        for layer in self.layers:
            x = layer(x, seen)
        return self.norm(x[:, :NOTES])


class Relating(nn.Module):
    """Notes (B, `NOTES`, D) and cells (B, N, D) to logits (B, C)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer() for _ in range(RELATING))
        self.norm = nn.LayerNorm(WIDTH)
        self.votes, self.rest = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.dense, self.answer = nn.Linear(3 * WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, len(LABELS))

    def forward(self, notes: Tensor, cells: Tensor) -> Tensor:
        x = torch.cat([notes, cells], 1)
        for layer in self.layers:
            x = layer(x)
        return self.decide(self.norm(x))

    def decide(self, x: Tensor) -> Tensor:
        """From the normed tokens. Votes are added up, not averaged: so counting is easy."""
        votes = F.relu(self.votes(x[:, NOTES:])).sum(1)
        rest = F.relu(self.rest(x[:, NOTES - 1]))
        return self.answer(F.relu(self.dense(torch.cat([votes, rest], 1))))


class Answerer(nn.Module):
    """The whole network."""

    def __init__(self, batch_norm: bool = False) -> None:
        super().__init__()
        self.eyes = eyes(batch_norm)
        self.enter = nn.Linear(128, WIDTH)
        self.places = nn.Parameter(torch.randn(CELLS, WIDTH) * 0.5)
        self.reader, self.relating = Reader(), Relating()

    def forward(self, picture: Tensor, words: Tensor) -> Tensor:
        return self.relating(self.reader(words), self.look(picture))

    def look(self, picture: Tensor) -> Tensor:
        """The cells of the floor as tokens (B, `CELLS`, D), row by row."""
        return self.enter(self.features(picture)) + self.places

    def features(self, picture: Tensor) -> Tensor:
        """What the convolutions find in the cells of the floor, (B, `CELLS`, F)."""
        return self.eyes(picture)[:, :, ROWS].flatten(2).transpose(1, 2)


def network(batch_norm: bool = False) -> Answerer:
    """The architecture, with fresh weights. batch_norm: as in `eyes`."""
    return Answerer(batch_norm)


def load(folder: Path = ASSETS) -> Answerer:
    """The trained network: float32, eval mode, no gradients. Raises FileNotFoundError where the weights are missing."""
    with torch.device("meta"):
        net = network()
    return bundled.revive(net, "vqa", folder, REMAKE)


def model_card(folder: Path = ASSETS) -> dict[str, Any]:
    """What the network is, what it was trained on, and its measured figures. Errors as in `load`."""
    return bundled.card("vqa", folder, REMAKE)


def prepare(pixels: np.ndarray) -> Tensor:
    """The network's input (1, 3, 128, 128) for the pixels (128, 128, 3) uint8 of a rendered scene.

    Raises ValueError for pixels of another shape or kind.
    """
    pixels = np.asarray(pixels)
    if pixels.shape != (SIDE, SIDE, 3) or pixels.dtype != np.uint8:
        raise ValueError(f"pixels must be uint8 ({SIDE}, {SIDE}, 3), not {pixels.dtype} {tuple(pixels.shape)}.")
    return normalise(pixels[None])


def normalise(pixels: np.ndarray) -> Tensor:
    """The network's input (B, 3, H, W), in channels-last memory, from pixels (B, H, W, 3) uint8."""
    x = torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).float().div_(255)
    return x.sub_(torch.tensor(MEAN)[:, None, None]).div_(torch.tensor(STD)[:, None, None])


def encode(text: str) -> Tensor:
    """The network's other input, token ids (1, T) int64, for a typed question.

    Raises ValueError, one sentence, where the text is empty or too long, and where it has unknown words: it names them.
    """
    return torch.tensor([question_reading.read(text)])
