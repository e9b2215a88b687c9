"""Products of many vectors with one large weight, z = x W' + b, by the library that is quickest at them.

oneDNN reads a transposed weight as it lies, and needs no copy of it. On AMD's Zen 4 its products took 65 to 90 % of the
time of MKL's, which torch takes by itself; the longer the text, the less there is to gain. torch offers it by an
operator that is not public: where it is missing, or the tensors are not of its kind, the public one does the same.

Weights packed ahead would save it another tenth, but they need as much memory again, and would not know that somebody
has written to ``weight.data`` since.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LARGE = 2**18
"""numbers in a weight from which the quicker library makes up for its longer way"""

SEVERAL = 4
"""vectors from which a product is more than reading the weight"""

TURNED = range(12, 65)
"""numbers of vectors for which (W x')' is quicker than x W'"""

FEW = 1 / 4
"""part of the rows of a weight up to which picking them out beats reading all of them, even in two threads"""

_ONEDNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch._C._has_mkldnn else None


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """z (..., K) = x W' + b for x (..., J) and a weight W (K, J), which may lie transposed; without autograd."""
    if _ONEDNN is None or weight.numel() < LARGE or x.numel() < SEVERAL * x.shape[-1] or not _suits(x, weight, bias):
        return F.linear(x, weight, bias)
    if x.numel() // x.shape[-1] in TURNED and weight.is_contiguous():
        return _turned(x, weight, bias)
    return _ONEDNN(x, weight, bias, "none", [], "")


def rows_alone(s: Tensor, weight: Tensor) -> Tensor | None:
    """s W for one vector s (1, K) and a large weight (K, J), by the rows for which there is anything in s: (1, J).

    Such a product costs what reading the weight costs. Behind a ReLU, and for a target of one class, few rows count.
    None where that is no gain.
    """
    if weight.numel() < LARGE or not weight.is_contiguous() or weight.device.type != "cpu":
        return None
    rows = s[0].nonzero().flatten()
    if len(rows) > FEW * len(weight):
        return None
    start = rows.new_zeros(1)
    return F.embedding_bag(rows, weight, start, mode="sum", per_sample_weights=s[0, rows])


def _turned(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The product with its sides exchanged: of two factors oneDNN rearranges the second, here the smaller one."""
    assert _ONEDNN is not None
    z = x.new_empty(*x.shape[:-1], len(weight))
    turned = _ONEDNN(weight, x.reshape(-1, x.shape[-1]), None, "none", [], "").t().view(z.shape)
    return z.copy_(turned) if bias is None else torch.add(turned, bias, out=z)


def _suits(*tensors: Tensor | None) -> bool:
    """Whether these are plain float32 tensors of the processor."""
    given = [t for t in tensors if t is not None]
    return all(t.dtype == torch.float32 and t.layout == torch.strided and t.device.type == "cpu" for t in given)
