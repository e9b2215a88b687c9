"""Weights in few bits: four for the word table and the shared layers, eight for the layers of each network.

Four bits as in GGML's Q4_0: 32 weights of a row share a scale; a weight is (number - 8) * scale, number 0 to 15.
Eight bits: all weights of a row share a scale; a weight is number * scale, number -127 to 127.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK = 32


class Packed4(NamedTuple):
    """A matrix in 4 bits. nibbles: (rows, blocks, 16) uint8, of which byte j holds the numbers of weight j (low half)
    and j + 16 (high half) of its block. scales: (rows, blocks) float16."""

    nibbles: Tensor
    scales: Tensor


class Packed8(NamedTuple):
    """A matrix in 8 bits. numbers: (rows, columns) int8. scales: (rows, 1) float32."""

    numbers: Tensor
    scales: Tensor


def pack4(weights: Tensor) -> Packed4:
    """The matrix (rows, columns) in 4 bits: the largest weight of each block is met, but for the scale's rounding.

    Raises ValueError where columns are no multiple of 32.
    """
    rows, columns = weights.shape
    if columns % BLOCK:
        raise ValueError(f"Rows of {columns} weights cannot be cut into blocks of {BLOCK}.")
    blocks = weights.float().view(rows, columns // BLOCK, BLOCK)
    largest = blocks.gather(2, blocks.abs().argmax(2, keepdim=True))
    scales = (largest / -8).half()
    numbers = torch.where(scales == 0, 8, blocks / scales.float() + 8).round().clamp(0, 15).to(torch.uint8)
    low, high = numbers.chunk(2, 2)
    return Packed4(low | (high << 4), scales.squeeze(2))


def unpack4(packed: Packed4) -> Tensor:
    """The matrix, (rows, columns) float32."""
    numbers = torch.cat((packed.nibbles & 15, packed.nibbles >> 4), 2).float() - 8
    return (packed.scales.float()[..., None] * numbers).flatten(1)


def pack8(weights: Tensor) -> Packed8:
    """The matrix (rows, columns) in 8 bits: the largest weight of each row is met."""
    scales = weights.float().abs().amax(1, keepdim=True) / 127
    numbers = torch.where(scales == 0, 0, weights.float() / scales).round().to(torch.int8)
    return Packed8(numbers, scales)


def unpack8(packed: Packed8) -> Tensor:
    """The matrix, (rows, columns) float32."""
    return packed.numbers.float() * packed.scales


class PackedEmbedding(nn.Module):
    """A word table in 4 bits, of which only the rows that are looked up are ever unpacked.

    Takes ids (...) and gives vectors (..., columns) float32, as `nn.Embedding` does. Raises IndexError for an id that
    there is not.
    """

    def __init__(self, packed: Packed4) -> None:
        super().__init__()
        self.register_buffer("nibbles", packed.nibbles)
        self.register_buffer("scales", packed.scales)

    @property
    def num_embeddings(self) -> int:
        return len(self.scales)

    @property
    def embedding_dim(self) -> int:
        return self.scales.shape[1] * BLOCK

    def forward(self, ids: Tensor) -> Tensor:
        rows, places = ids.unique(return_inverse=True)
        # index_select, since brackets would count a negative id from the end.
        found = Packed4(self.nibbles.index_select(0, rows), self.scales.index_select(0, rows))
        return F.embedding(places, unpack4(found))

    def extra_repr(self) -> str:
        return f"{self.num_embeddings}, {self.embedding_dim}, 4 bits"
