"""The answer: relevance of the input, of the layers on the way, and the books."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from . import ledger as books
from .ledger import Ledger


@dataclass(frozen=True, eq=False)
class Explanation:
    """Tensors carry the model's dtype; those of a sweep have a leading axis of G values."""

    parts: Mapping[str, Tensor]
    """relevance of each input or embedding, by name, in the order of the model's arguments"""
    _start: Tensor
    layers: Mapping[str, Tensor]
    """relevance at the input of each layer, by its name, in the order they ran; empty unless asked for

    Among them each block that reads one tensor, by the name of its module, such as ``model.layers.7``,
    ``roberta.encoder.layer.3`` or ``layer1.0``: a module made of layers, in a list or beside others of its kind. What
    its layers read is the stream, and this is all of its relevance, that around the block included: with what was
    absorbed above it is the whole start. A layer or block that is called again has ``#2`` behind its name."""
    attention: Mapping[str, Tensor]
    """relevance of the attention weights, (B, heads, queries, keys), by the module that attends (for XLM-R
    ``roberta.encoder.layer.0.attention.self``), in the order they ran; empty unless layers are asked for, and in
    CP-LRP, which gives the weights nothing"""
    ledger: Ledger
    """where the relevance of every step went"""

    @property
    def start(self) -> Tensor:
        """Relevance put on the scores, v * z; shaped like ``tape.scores`` and the model's output."""
        return self._start.to_dense() if self._start.is_sparse else self._start

    @property
    def relevance(self) -> Tensor:
        """Relevance of the input, shaped like it; of the first one where there are several (see ``parts``)."""
        return next(iter(self.parts.values()))

    @staticmethod
    def stacked(explanations: Sequence[Explanation]) -> Explanation:
        """One Explanation with a leading axis; layers and attention are not kept."""
        return Explanation(
            parts={name: torch.stack([e.parts[name] for e in explanations]) for name in explanations[0].parts},
            _start=torch.stack([e.start for e in explanations]),
            layers={},
            attention={},
            ledger=books.stack([e.ledger for e in explanations]),
        )


def thin(v: Tensor, scores: Tensor) -> Tensor:
    """v * z, without its zeros where it is large and nearly all are: one word of fifty thousand at one of sixty."""
    if v.numel() >= 2**18:
        places = v.nonzero().t()
        if 8 * places.shape[1] <= v.numel():
            values = v[tuple(places)] * scores[tuple(places)]
            return torch.sparse_coo_tensor(places, values, v.shape, is_coalesced=True, check_invariants=False)
    return v * scores
