"""One affine step z = Wx + b with the relevance at its output: everything that the rules ask for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..message import Message
from ..steps import Context, Step, is_nonnegative
from . import winograd
from .linear_maps import Conv, LinearMap
from .ratios import is_rectified, tiny, visible_output
from .weights import negative, of_entries, positive

OTHER = {"positive": "negative", "negative": "positive"}


@dataclass(frozen=True, eq=False)
class Share:
    """``scale * s`` relevance for each unit of the contributions in ``part``: "all", "positive" or "negative".

    With a ``boost`` all contributions count, those in ``part`` 1 + boost times.
    """

    part: str
    s: Tensor
    scale: float = 1.0
    boost: float = 0.0
    gaps: bool = False
    """whether to look for outputs without any relevance: a convolution leaves out their channels"""


class Layer:
    """The step, its relevance, and what follows from both; the costly quantities are methods."""

    def __init__(self, step: Step, message: Message, context: Context) -> None:
        x, map_ = step.inputs[0].tensor, step.map
        assert x is not None and map_ is not None
        self.step, self.message, self.context = step, message, context
        self.x, self.map = x, map_
        self.rectified = is_rectified(step, message)
        self.counts_bias = map_.bias is not None and context.composite.bias != "ignore"
        """whether the bias belongs to the denominators"""
        self.z_is_recorded = map_.bias is None or self.counts_bias
        """whether the denominator of LRP-0 is the recorded z itself"""
        self.is_simple = self.rectified and self.z_is_recorded
        """below a ReLU, 0 <= z <= p + b+ wherever there is relevance: one ratio, and no division by zero"""

    @property
    def only_positive_inputs(self) -> bool:
        """Whether no input is negative: known below a ReLU, else looked up once."""
        if "nonnegative" not in self.step.memo:
            known = is_nonnegative(self.step.inputs[0])
            self.step.memo["nonnegative"] = known or bool((self.x >= 0).all())
        return bool(self.step.memo["nonnegative"])

    def weight(self, part: str, boost: float = 0.0, map_: LinearMap | None = None) -> Tensor:
        """W, W+ or W-, or W + boost W+ or W-. Only W+ is kept with the model: W- is quickly made."""
        map_ = map_ or self.map
        if part == "all":
            return map_.weight
        if part == "negative":
            own = negative(map_.weight)
        else:
            own = self.context.weights.get(part, map_.sources, lambda: positive(map_.weight))
        return torch.add(map_.weight, own, alpha=boost) if boost else own

    @property
    def is_quick(self) -> bool:
        """Whether the map may go by Winograd's tiles: below a ReLU no share is larger than its coefficient."""
        return self.is_simple and winograd.suits(self.map, self.x)

    def kernel(self, part: str) -> Tensor:
        """W or W+, transformed for tiles, kept with the model.

        A write to ``weight.data`` is not counted by torch, and here W itself would go by an old kernel: so sums of the
        weight are compared, which takes a hundredth of what tiles save.
        """
        weight = self.map.weight
        sums = tuple(weight.flatten(1).sum(1).tolist())

        def make() -> Tensor:
            return winograd.transformed(weight if part == "all" else positive(weight))

        return self.context.weights.get(f"{part} tiles", self.map.sources, make, sums)

    def _pulled_by_tiles(self, share: Share) -> Tensor:
        if not share.boost:
            return winograd.pulled(share.s, self.kernel(share.part))
        return winograd.pulled(share.s, self.kernel("all"), self.kernel("positive"), share.boost)

    def bias(self, part: str, boost: float = 0.0) -> Tensor | None:
        """b, b+ or b-, or b + boost b+ or b-; b+ is kept like W+."""
        bias = self.map.bias
        if bias is None or part == "all":
            return bias
        if part == "negative":
            own = negative(bias)
        else:
            own = self.context.weights.get("positive bias", self.map.sources, lambda: positive(bias))
        return torch.add(bias, own, alpha=boost) if boost else own

    def contributions(self, part: str) -> Tensor:
        """p + b+ or n + b-: the sum of the positive or the negative contributions of each output."""
        bias = self.bias(part) if self.counts_bias else None
        if self.only_positive_inputs:
            return self.map.forward(self.x, self.weight(part), bias)
        direct = self.map.forward(positive(self.x), self.weight(part), bias)
        return direct + self.map.forward(negative(self.x), self.weight(OTHER[part]))

    def z(self) -> Tensor:
        """The denominator of LRP-0, where relevance can see it."""
        z = visible_output(self.step, self.message)
        if self.map.bias is None or self.z_is_recorded:
            return z
        return z - self.map.along_outputs(self.map.bias, z.dim())

    def p_floored(self) -> Tensor:
        """p + b+ (without b+ where the bias is ignored), at least :func:`tiny`, which stands for zero."""
        floor = tiny(self.x.dtype)
        return self.step.kept(("positive", self.counts_bias), lambda: self.contributions("positive").clamp_(min=floor))

    def p_above_z(self) -> Tensor:
        """p + b+ where the layer is simple, by a quicker way than :meth:`p_floored` where there is one.

        Always by the same way, whatever else is kept: the same question has the same answer to the last digit.
        """
        if not self.only_positive_inputs:
            return self.step.kept("positive by sizes", self._p_by_sizes)
        return self._p_by_tiles() if self.is_quick else self.p_floored()

    def _p_by_sizes(self) -> Tensor:
        """Of inputs of both signs: p + b+ = (z + |W| |x| + |b|) / 2, one map in place of two.

        Nothing is lost to rounding, as no summand is negative where z is not.
        """
        map_, cache, floor = self.map, self.context.weights, tiny(self.x.dtype)
        half = cache.get("half sizes", map_.sources, lambda: of_entries(map_.weight, torch.abs) / 2)
        rest = None if map_.bias is None else map_.bias.abs() / 2 + floor
        p = map_.forward(self.x.abs(), half, rest).add_(self.z(), alpha=0.5)
        return p.clamp_(min=floor) if rest is None else p

    def _p_by_tiles(self) -> Tensor:
        """It may come out below z, which is never true."""

        def by_tiles() -> Tensor:
            p = winograd.convolved(self.x, self.kernel("positive"), self.bias("positive"))
            return torch.maximum(p, self.z(), out=p).clamp_(min=tiny(p.dtype))

        return self.step.kept("positive by tiles", by_tiles)

    def p(self) -> Tensor:
        """p + b+ (without b+ where the bias is ignored)."""
        p = self.p_floored()
        return p.masked_fill(p <= tiny(self.x.dtype), 0.0)

    def n(self) -> Tensor:
        """n + b- (without b- where the bias is ignored).

        float64 computes it, being asked for exactness; float32 takes z - p, where rounding noise counts as zero. With
        rectified relevance it is right only where z > 0.
        """
        if self.x.dtype == torch.float64:
            return self.step.kept(("negative", self.counts_bias), lambda: self.contributions("negative"))
        p = self.p_floored()
        difference = self.z() - p
        return difference.masked_fill_(difference > -32 * torch.finfo(p.dtype).eps * p, 0.0)

    def back(self, share: Share) -> Tensor | None:
        """The transposed map of a share: relevance per unit of x. None where there is no relevance to share."""
        s, map_ = share.s, self.map
        if share.gaps:
            live = map_.outputs_in(s)
            if not len(live):
                return None
            s, map_ = map_.only(live, s)
        if share.part != "all" and map_.is_product and not self.only_positive_inputs:
            return self._split(s, share)
        if self.is_quick and share.part != "negative":
            direct = self._pulled_by_tiles(share)
        else:
            direct = map_.transpose(s, self.weight(share.part, share.boost, map_), self.x)
        if share.part == "all" or self.only_positive_inputs:
            return direct
        other = map_.transpose(s, self.weight(OTHER[share.part], share.boost, map_), self.x)
        return torch.where(self.x >= 0, direct, other)

    def _split(self, s: Tensor, share: Share) -> Tensor:
        """The same for a dense layer whose inputs have both signs, from W' s and W+' s alone, as W- = W - W+.

        To make W + boost W+ would cost as much as these products, until there are hundreds of vectors.
        """
        if isinstance(self.map, Conv):
            whole, plus = self.map.transpose(s, self._joined_weights(1), self.x).chunk(2, 1)
        else:
            whole, plus = self._transposed(s, "all"), self._transposed(s, "positive")
        if share.boost:
            up = torch.add(whole, plus, alpha=share.boost)
            down = torch.add(whole * (1 + share.boost), plus, alpha=-share.boost)
        else:
            up, down = plus, whole - plus
        return torch.where((self.x >= 0) == (share.part == "positive"), up, down)

    def back_of_two(self, up: Tensor, down: Tensor, boost: float) -> Tensor:
        """The transposed maps of two shares of a dense layer together: ``up`` "positive" and ``down`` "negative".

        With W- = W - W+ three products do: where x >= 0 it is W' (up + (1 + boost) down) + boost W+' (up - down),
        where x < 0 it is W' ((1 + boost) up + down) - boost W+' (up - down).
        """
        if isinstance(self.map, Conv) and self.only_positive_inputs:
            both = torch.cat([torch.add(up, down, alpha=1 + boost), (up - down).mul_(boost)], 1)
            return self.map.transpose(both, self._joined_weights(0), self.x)
        plus = self._transposed(up - down, "positive").mul_(boost)
        direct = self._transposed(torch.add(up, down, alpha=1 + boost), "all").add_(plus)
        if self.only_positive_inputs:
            return direct
        other = self._transposed(torch.add(down, up, alpha=1 + boost), "all").sub_(plus)
        return torch.where(self.x >= 0, direct, other)

    def _joined_weights(self, axis: int) -> Tensor:
        """W and W+ of a convolution of single places, one behind the other: kept, as they are small."""
        weight = self.map.weight
        make = lambda: torch.cat([weight, positive(weight)], axis)  # noqa: E731
        return self.context.weights.get(f"with positive, axis {axis}", self.map.sources, make)

    def _transposed(self, s: Tensor, part: str) -> Tensor:
        return self.map.transpose(s, self.weight(part), self.x)
