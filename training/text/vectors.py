"""Vectors of word pieces by counting their neighbours: what the encoder's training starts from.

The positive pointwise mutual information of pieces that stand near each other, in few dimensions by a singular value
decomposition (Levy & Goldberg 2014). Seconds, where learning the same by filling gaps takes thousands of steps.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from models import text

WINDOW = 10  # pieces to either side
SMOOTHING = 0.75  # frequent neighbours count for less (Levy 2015)
SPREAD = 0.04  # standard deviation of the vectors


def counted(joined: Tensor, kinds: int) -> Tensor:
    """How often pieces stand within `WINDOW` of each other, (kinds, kinds). joined: (N,), 0 where none is counted."""
    counts = torch.zeros(kinds * kinds)
    for distance in range(1, WINDOW + 1):
        left, right = joined[:-distance], joined[distance:]
        places = (left * kinds + right)[(left > 0) & (right > 0)]
        counts.index_add_(0, places, torch.ones(len(places)))
    counts = counts.view(kinds, kinds)
    return counts + counts.T


def vectors(ids: Sequence[Sequence[int]], size: int) -> Tensor:
    """A vector for each piece, (V, size); zeros for special ones and for those that were never seen."""
    gap = [text.PAD] * WINDOW
    joined = torch.tensor([one for line in ids for one in (*line, *gap)])
    known, joined = joined.where(joined > text.UNKNOWN, 0).unique(return_inverse=True)
    information = counted(joined, len(known))
    seen = information.sum(1).clamp_min(1)
    smooth = seen**SMOOTHING
    information.mul_(smooth.sum()).div_(seen[:, None]).div_(smooth).clamp_min_(1).log_()
    torch.manual_seed(0)
    left, strength, _ = torch.svd_lowrank(information, min(size, len(known)), niter=2)
    some = left * strength.sqrt()
    found = torch.zeros(text.VOCABULARY, size)
    found[known, : left.shape[1]] = some / some.std() * SPREAD
    return found
