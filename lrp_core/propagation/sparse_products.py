"""Products with a constant sparse matrix, such as the edges of a graph: nothing is made dense.

What is not stored is no connection. Every rule works on the stored entries alone, and those are the inputs that flat
counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .linear_maps import LinearMap


@dataclass(frozen=True, eq=False)
class SparseProduct(LinearMap):
    """z = W x for x (J, F) where it stands on the left, else z = x W' + b for x (..., J); W (K, J) is sparse (COO)."""

    on_the_left: bool

    rows_are_alike = False

    @staticmethod
    def of(weight: Tensor, on_the_left: bool, bias: Tensor | None = None) -> SparseProduct:
        """For a matrix of any sparse layout."""
        return SparseProduct(weight.to_sparse(layout=torch.sparse_coo).coalesce(), bias, (), on_the_left)

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        z = self._applied(weight, x)
        return z if bias is None else z + bias

    def transpose(self, s: Tensor, weight: Tensor, x: Tensor) -> Tensor:
        return self._applied(weight.t(), s)

    def _applied(self, weight: Tensor, x: Tensor) -> Tensor:
        if self.on_the_left:
            return torch.sparse.mm(weight, x)
        return torch.sparse.mm(weight, x.reshape(-1, x.shape[-1]).t()).t().reshape(*x.shape[:-1], -1)


def is_sparse(tensor: object) -> bool:
    """Whether a tensor keeps only some of its entries."""
    return isinstance(tensor, Tensor) and tensor.layout != torch.strided
