"""Where the rows of a batch lie in a tensor, and sums over each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

SMALL = 2**18
"""numbers up to which one float32 sum keeps its digits"""


@dataclass(frozen=True, slots=True)
class Rows:
    """A tensor read in order is ``outer`` blocks, each with ``count`` rows of equal length: (outer, count, rest).

    Batch first is ``outer`` 1; sequence first, (L, B, E), is L; heads before the batch, (H * B, L, E), is H.
    Tokens on their way to an expert come from any row: ``owners`` then names the row of each entry of the first axis.
    """

    count: int
    outer: int = 1
    owners: tuple[int, ...] | None = None

    def entries(self, shape: Sequence[int], device: Any = None) -> Tensor | int:
        """How many numbers of a tensor of this shape each row has: one for all, or (B,)."""
        total = torch.Size(shape).numel()
        if self.owners is None:
            return total // self.count
        sizes = torch.bincount(torch.tensor(self.owners, dtype=torch.long, device=device), minlength=self.count)
        return sizes.clamp(min=1) * (total // len(self.owners))

    def spread(self, per_row: Tensor, shape: Sequence[int]) -> Tensor:
        """One number per row, (B,), repeated so that it broadcasts over a tensor of this shape."""
        if self.owners is not None:
            return per_row[list(self.owners)].reshape(-1, *[1] * (len(shape) - 1))
        if self.outer == 1 and shape[0] % self.count == 0:  # else an axis of one entry lies before the rows
            return per_row.repeat_interleave(shape[0] // self.count).reshape(-1, *[1] * (len(shape) - 1))
        return per_row.reshape(1, -1, 1).expand(self.outer, self.count, _rest(shape, self)).reshape(tuple(shape))


def _rest(shape: Sequence[int], rows: Rows) -> int:
    return torch.Size(shape).numel() // (rows.outer * rows.count)


def row_sums(tensor: Tensor, rows: Rows, weights: Tensor | None = None) -> Tensor:
    """Sum of ``tensor`` (times ``weights``, same shape) over each row: (B,) in float64.

    Long rows are summed in pieces, so that float32 keeps its digits. A complex number counts as its two parts.
    """
    if not tensor.numel():
        return tensor.new_zeros(rows.count, dtype=torch.float64)
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
        weights = None if weights is None else torch.view_as_real(weights.resolve_conj())
    if rows.owners is not None:
        return _sums_of_owners(tensor if weights is None else tensor * weights, rows)
    tensor, weights = in_memory_order(tensor, weights)
    if rows.count == 1:
        flat, others = tensor.reshape(-1), None if weights is None else weights.reshape(-1)
        if flat.numel() <= SMALL:
            return _sum(flat, others).double()[None]
        pieces = torch.split(flat, SMALL)
        sums = map(_sum, pieces, [None] * len(pieces) if others is None else torch.split(others, SMALL))
        return torch.stack([*sums]).sum(dtype=torch.float64)[None]
    if weights is not None and weights.stride(0) == 0 and rows.outer == 1 and len(tensor) == rows.count:
        return _sums_alike(tensor, weights[0])  # the same for every row: a view, of which none makes a copy
    long = tensor.dim() > 3 and rows.outer == 1
    shape = (rows.outer, rows.count, -1, tensor.shape[-1] * tensor.shape[-2] if long else _rest(tensor.shape, rows))
    if weights is None:
        per_piece = tensor.reshape(shape).sum(3)
    else:
        per_piece = torch.einsum("obpn,obpn->obp", tensor.reshape(shape), weights.reshape(shape))
    return per_piece.sum((0, 2), dtype=torch.float64)


def _sums_alike(tensor: Tensor, weights: Tensor) -> Tensor:
    flat, others = tensor.reshape(len(tensor), -1), weights.reshape(-1)
    pieces = zip(torch.split(flat, SMALL, 1), torch.split(others, SMALL), strict=True)
    return torch.stack([torch.mv(piece, other) for piece, other in pieces]).sum(0, dtype=torch.float64)


def _sum(flat: Tensor, weights: Tensor | None) -> Tensor:
    return flat.sum() if weights is None else torch.dot(flat, weights)


def _sums_of_owners(tensor: Tensor, rows: Rows) -> Tensor:
    of_entries = tensor.flatten(1).sum(1, dtype=torch.float64) if tensor.dim() > 1 else tensor.double()
    owners = torch.tensor(rows.owners, dtype=torch.long, device=tensor.device)
    return of_entries.new_zeros(rows.count).index_add_(0, owners, of_entries)


def weighed(s: Tensor, vector: Tensor, rows: Rows) -> Tensor:
    """``s`` (..., K) times ``vector`` (K,), summed over each row: (B,) in float64."""
    if rows.count == 1:
        of_outputs = s.reshape(-1, len(vector)).sum(0) if s.numel() != len(vector) else s.reshape(-1)
        return torch.dot(of_outputs, vector).double()[None]
    if rows.owners is not None:
        return row_sums(s * vector, rows)
    if s.shape != (rows.count, len(vector)):
        s = s.reshape(rows.outer, rows.count, -1, len(vector)).sum((0, 2))
    return torch.mv(s, vector).double()


def in_memory_order(tensor: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Both with the channels last where they lie so in memory, so that a sum need not copy them."""
    if tensor.dim() != 4 or tensor.is_contiguous() or not tensor.is_contiguous(memory_format=torch.channels_last):
        return tensor, weights
    return tensor.permute(0, 2, 3, 1), None if weights is None else weights.permute(0, 2, 3, 1)
