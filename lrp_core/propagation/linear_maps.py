"""The linear maps of affine steps, z = map(x, W) + b, each with its transpose. Rules need nothing else of a layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..rows import Rows, weighed
from .adjoint import adjoint
from .dense_products import linear, rows_alone
from .weights import of_entries

MANY = 8
"""vectors from which it is worth looking for zeros among them"""

VERY_MANY = 256
"""vectors from which looking for zeros costs nothing beside the product"""

PICTURE = 2**17
"""numbers of relevance from which a convolution of few input channels, such as a picture's, is quicker by columns"""

FEW = 1 / 2
"""part of the channels up to which it is worth picking them out"""


@dataclass(frozen=True, eq=False)
class LinearMap:
    """``sources`` are the model's own tensors behind weight and bias: the key of everything derived from them."""

    weight: Tensor
    bias: Tensor | None
    sources: tuple[Tensor, ...]

    output_axis = -1
    """axis of z that counts the outputs, along which the bias lies"""

    is_product = False
    """whether z is a product of matrices, so that a second map costs less than another weight"""

    rows_are_alike = True
    """whether what lies along the first axis of x is mapped alike, so that what holds for one holds for all"""

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """map(x, weight) + bias."""
        raise NotImplementedError

    def transpose(self, s: Tensor, weight: Tensor, x: Tensor) -> Tensor:
        """The transposed map of ``s`` (shaped like z), shaped like ``x``."""
        raise NotImplementedError

    def sample(self, x: Tensor) -> Tensor:
        """As much of x as shows how every output is fed."""
        return x[:1] if self.rows_are_alike and x.dim() > 1 else x

    def outputs_in(self, s: Tensor) -> Tensor:
        """The outputs for which there is anything in ``s``, in order."""
        if not s.numel():  # an expert that no token was sent to
            return s.new_zeros(0, dtype=torch.long)
        others = [axis for axis in range(s.dim()) if axis != self.output_axis % s.dim()]
        lowest, highest = (s.amin(others), s.amax(others)) if others else (s, s)
        return ((lowest != 0) | (highest != 0)).nonzero().flatten()

    def only(self, outputs: Tensor, s: Tensor) -> tuple[Tensor, LinearMap]:
        """``s`` and the map for these outputs only, where that makes the transposed map cheaper; else as they are."""
        return s, self

    def spread(self, s: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """``s`` (shaped like z), each shared out evenly over the inputs of its output: shaped like ``x``.

        And what outputs without any input keep, shaped so that it has the rows of ``s``.
        """
        every = of_entries(self.weight, torch.ones_like)
        count = self.forward(torch.ones_like(self.sample(x)), every)
        return self.transpose(s / count.masked_fill(count == 0, torch.inf), every, x), s * (count == 0)

    def along_outputs(self, vector: Tensor, dims: int) -> Tensor:
        """A vector over outputs, shaped to broadcast over a z of so many dimensions."""
        return vector if self.output_axis == -1 else vector.reshape(-1, *[1] * (dims - 2))

    def weighed(self, s: Tensor, vector: Tensor, rows: Rows) -> Tensor:
        """``s`` times a vector over outputs, summed: (B,) in float64."""
        if self.output_axis == -1:
            return weighed(s, vector, rows)
        if rows.count == 1:
            return torch.dot(s.sum([axis for axis in range(s.dim()) if axis != 1]), vector).double()[None]
        return weighed(s.sum(tuple(range(2, s.dim()))) if s.dim() > 2 else s, vector, rows)


class Dense(LinearMap):
    """z = x W' + b with x (..., J) and W (K, J)."""

    is_product = True

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return linear(x, weight, bias)

    def transpose(self, s: Tensor, weight: Tensor, x: Tensor) -> Tensor:
        """Vectors of zeros are left out: above the last attention, relevance is at one token of a text only.

        In a language model no word gives to those behind it: of many targets at many words half of all are zeros.
        """
        vectors = s.reshape(-1, s.shape[-1])
        count = len(vectors)
        if count == 1 and (alone := rows_alone(vectors, weight)) is not None:
            return alone.reshape(*s.shape[:-1], -1)
        if count < MANY or (count < VERY_MANY and vectors[-1].any()):
            return linear(s, weight.t())
        live = vectors.any(1).nonzero().flatten()
        if len(live) > (1 / 2 if count < VERY_MANY else 3 / 4) * count:
            return linear(s, weight.t())
        back = vectors.new_zeros(count, weight.shape[1])
        back[live] = linear(vectors[live], weight.t())
        return back.reshape(*s.shape[:-1], -1)

    def spread(self, s: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        return (s.sum(-1, keepdim=True) / x.shape[-1]).expand_as(x), torch.zeros_like(s)


@dataclass(frozen=True, eq=False)
class Conv(LinearMap):
    """Convolution or transposed convolution in 1, 2 or 3 dimensions."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    transposed: bool = False
    output_padding: tuple[int, ...] = (0,)
    groups: int = 1
    before: tuple[int, ...] = ()
    """zero padding put around x first (``F.pad`` order), for "same" padding that is not symmetric"""

    output_axis = 1

    @property
    def is_product(self) -> bool:  # type: ignore[override]
        """Whether it looks at one place at a time."""
        if self.transposed or self.groups > 1 or self.before or self.weight[0, 0].numel() > 1:
            return False
        return set(self.stride) == {1} and set(self.padding) == {0}

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if self.is_product:
            z = torch.matmul(weight.flatten(1), x.flatten(2)).view(len(x), -1, *x.shape[2:])
            return z if bias is None else z.add_(self.along_outputs(bias, z.dim()))
        if self.before:
            x = F.pad(x, self.before)
        arguments = (self.stride, self.padding, self.dilation, self.transposed, self.output_padding, self.groups)
        return torch.convolution(x, weight, bias, *arguments)

    def padded(self, sides: Sequence[int]) -> Conv | None:
        """The map of an input that is first given zeros around it (``F.pad`` order); None where it has no such place.

        What both sides have alike needs no copy of the input: the convolution does it.
        """
        n = len(self.stride)
        if self.transposed or len(sides) > 2 * n or min(sides, default=0) < 0:
            return None
        own = [side for size in reversed(self.padding) for side in (size, size)]
        total = [a + b + c for a, b, c in zip_longest(own, self.before, sides, fillvalue=0)]
        alike = [min(total[2 * axis : 2 * axis + 2]) for axis in range(n)]
        before = tuple(side - alike[place // 2] for place, side in enumerate(total))
        return replace(self, padding=tuple(reversed(alike)), before=before if any(before) else ())

    def only(self, outputs: Tensor, s: Tensor) -> tuple[Tensor, LinearMap]:
        """In groups, every channel of a convolution has a place of its own."""
        if self.groups > 1 or len(outputs) > FEW * s.shape[1]:
            return s, self
        weight = self.weight.index_select(1 if self.transposed else 0, outputs)
        bias = None if self.bias is None else self.bias[outputs]
        picked = s.movedim(1, -1)[..., outputs].movedim(-1, 1)  # which keeps channels last where they are
        return picked, replace(self, weight=weight, bias=bias, sources=())

    def transpose(self, s: Tensor, weight: Tensor, x: Tensor) -> Tensor:
        if self.is_product:
            return torch.matmul(weight.flatten(1).t(), s.flatten(2)).view(len(s), -1, *x.shape[2:])
        if self._feeds_on_few(weight, s):
            columns = torch.matmul(weight.flatten(1).t(), s.flatten(2))
            return F.fold(columns, x.shape[2:], weight.shape[2:], self.dilation, self.padding, self.stride)
        padded = x.new_empty(_with(self.before, x.shape)) if self.before else x
        arguments = (self.stride, self.padding, self.dilation, self.transposed, self.output_padding, self.groups)
        back = torch.ops.aten.convolution_backward(s, padded, weight, None, *arguments, (True, False, False))[0]
        return F.pad(back, tuple(-n for n in self.before)) if self.before else back  # a crop

    def _feeds_on_few(self, weight: Tensor, s: Tensor) -> bool:
        """Whether it reads so few numbers that one product and its columns take half the time of torch's own way."""
        if weight.dim() != 4 or self.transposed or self.groups > 1 or self.before or s.numel() < PICTURE:
            return False
        return weight.shape[1] <= 6 and weight[0].numel() <= 150

    def spread(self, s: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """All channels of a group are alike here: one of each is enough."""
        channels = x.shape[1] // self.groups
        one = x[:, ::channels]
        thin = replace(self, weight=torch.ones_like(self.weight[: self.groups, :1]), bias=None, sources=())
        back, kept = LinearMap.spread(thin, s.reshape(len(s), self.groups, -1, *s.shape[2:]).sum(2), one)
        return (back / channels).repeat_interleave(channels, 1), kept


def _with(sides: Sequence[int], shape: Sequence[int]) -> list[int]:
    """A shape with so much put around it (``F.pad`` order)."""
    added = [sides[place] + sides[place + 1] for place in range(0, len(sides), 2)]
    return [
        *shape[: len(shape) - len(added)],
        *map(sum, zip(shape[len(shape) - len(added) :], reversed(added), strict=True)),
    ]


class Diagonal(LinearMap):
    """z = g x + b per channel: a batch norm in eval mode."""

    output_axis = 1

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        z = x * self.along_outputs(weight, x.dim())
        return z if bias is None else z + self.along_outputs(bias, x.dim())

    def transpose(self, s: Tensor, weight: Tensor, x: Tensor) -> Tensor:
        return s * self.along_outputs(weight, s.dim())


@dataclass(frozen=True, eq=False)
class Contraction(LinearMap):
    """Any other operation that is linear in x for a fixed weight: einsum, const @ x, batched products."""

    operation: Callable[[Tensor, Tensor], Tensor]

    rows_are_alike = False

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        z = self.operation(x, weight)
        return z if bias is None else z + bias

    def transpose(self, s: Tensor, weight: Tensor, x: Tensor) -> Tensor:
        return adjoint(lambda leaf: self.operation(leaf, weight), [x], [s])[0]


def norm_scale(mean: Tensor, var: Tensor, gain: Tensor | None, shift: Tensor | None, eps: float) -> tuple[Any, Any]:
    """Gain and bias of a batch norm in eval mode as one affine map per channel."""
    scale = torch.rsqrt(var + eps)
    scale = scale if gain is None else scale * gain
    bias = -mean * scale
    return scale, bias if shift is None else bias + shift


def merge(layer: LinearMap, norm: Diagonal, cached: Callable[..., Tensor]) -> LinearMap | None:
    """The layer and the batch norm that follows it as one map, or None where they do not fit together.

    ``cached(name, sources, make)`` keeps the merged weight with the model.
    """
    if not isinstance(layer, Dense | Conv):
        return None
    gain = norm.weight.reshape(-1, *[1] * (layer.weight.dim() - 1))

    def scaled() -> Tensor:
        if not (isinstance(layer, Conv) and layer.transposed):
            return layer.weight * gain
        in_groups = layer.weight.reshape(
            layer.groups, -1, *layer.weight.shape[1:]
        )  # (groups, in / groups, out / groups, ...)
        return (in_groups * gain.reshape(layer.groups, 1, -1, *gain.shape[1:-1])).flatten(0, 1)

    sources = layer.sources + norm.sources if layer.sources and norm.sources else ()
    weight = cached("merged weight", sources, scaled)
    assert norm.bias is not None
    bias = norm.bias if layer.bias is None else layer.bias * norm.weight + norm.bias
    return replace(layer, weight=weight, bias=bias, sources=sources)
