"""Can the map be trusted to show what the walk carried? How much flowed, what was lost, and how far it grew.

A balance can close and the map mislead all the same: where pluses and minuses far above the score cancel (LRP-0 in deep
networks), or where nearly everything was damped and only a remainder is drawn. What biases took does not mislead: the
map shows where the evidence lies, and how much is theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..explanation import Explanation
from ..ledger import ABSORBERS

GROWN, SMALL = 4.0, 2.0
"""How many times more relevance than started may arrive; and what counts as the least, in units of logits: where a
network is undecided, evidence of both signs nearly cancels, and the map is right all the same."""

DAMPED = 1e-4
"""How little may arrive beside what epsilon kept. Every layer damps, so that the rest shrinks by decades: maps of texts
still say much at 1e-3 and are noise at 1e-6."""

LOST = 2.0
"""How much of the flow may be taken and given on the way: more than all of it means that absorbers work against each
other."""

GAP = 0.01
"""The share of the flow that the ledger may be unable to account for."""


@dataclass(frozen=True, eq=False)
class Flow:
    """What went through a walk. Tensors (B,) in float64; a sweep puts its axis in front."""

    started: Tensor
    """relevance put on the scores, both signs added: for a difference of two scores that of both"""
    positive: Tensor
    """the positive relevance of the input"""
    negative: Tensor
    """the negative relevance of the input, as a number above zero"""
    absorbed: Tensor
    """what did not arrive or came on top, over all absorbers of the ledger: their sizes added"""
    damped: Tensor
    """what epsilon took, its size"""
    gap: Tensor
    """what the ledger cannot account for, its size"""

    @property
    def flowed(self) -> Tensor:
        """What losses are to be compared with: the largest of what started and the two signs that arrived."""
        return torch.maximum(self.started, torch.maximum(self.positive, self.negative))

    @property
    def growth(self) -> Tensor:
        """How many times more relevance of either sign arrived than started, or than `SMALL` if less started."""
        return torch.maximum(self.positive, self.negative) / self.started.clamp(min=SMALL)

    @property
    def lost(self) -> Tensor:
        """The share of the flow that was absorbed; of `SMALL` if less flowed."""
        return self.absorbed / self.flowed.clamp(min=SMALL)

    @property
    def left(self) -> Tensor:
        """What arrived as a share of that and what epsilon kept, 0 to 1; 1 where there was neither."""
        arrived = torch.maximum(self.positive, self.negative)
        return 1 - _share(self.damped, arrived + self.damped)

    @property
    def gap_share(self) -> Tensor:
        """The share of the flow that the ledger cannot account for."""
        return _share(self.gap, self.flowed)


def flow(explanation: Explanation, shown: Tensor | np.ndarray[Any, Any] | None = None) -> Flow:
    """Add up what an explanation carried. The long sums are NumPy's, so that any thread may ask for them.

    shown: the map as it is drawn, (B, ...), such as pixels with their channels summed: pluses and minuses that cancel
    in it mislead nobody. Without it, each number of each input counts.
    """
    total = explanation.ledger.total
    axes, nothing = tuple(range(total.start.dim())), torch.zeros_like(total.start)
    maps = explanation.parts.values() if shown is None else (shown,)
    parts = [np.asarray(one.detach().cpu() if isinstance(one, Tensor) else one) for one in maps]
    rest = [tuple(range(len(axes), part.ndim)) for part in parts]
    signs = [
        [part.clip(*bounds).sum(over, dtype=np.float64) for part, over in zip(parts, rest, strict=True)]
        for bounds in ((0, None), (None, 0))
    ]
    positive, negative = (torch.as_tensor(np.abs(sum(found, np.zeros(nothing.shape)))) for found in signs)
    return Flow(
        started=explanation.start.double().abs().flatten(len(axes)).sum(-1),
        positive=positive,
        negative=negative,
        absorbed=sum((getattr(total, name).abs() for name in ABSORBERS), nothing),
        damped=total.epsilon.abs(),
        gap=total.gap.abs(),
    )


def doubts(flow: Flow) -> list[str]:
    """Why the map of each row would mislead: "gap", "grown", "lost", "damped", or nothing ("").

    The limits were chosen by what erasing does: `benchmarks.balance` measures maps on either side of them.
    """
    reasons = {
        "gap": flow.gap_share > GAP,
        "grown": flow.growth > GROWN,
        "lost": flow.lost > LOST,
        "damped": flow.left < DAMPED,
    }
    rows = zip(*(found.flatten().tolist() for found in reasons.values()), strict=True)
    return [next((name for name, holds in zip(reasons, row, strict=True) if holds), "") for row in rows]


def _share(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole > 0, part / whole.clamp(min=torch.finfo(whole.dtype).tiny), torch.zeros_like(part))
