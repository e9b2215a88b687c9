"""The tape: one recorded forward pass, to be explained as often and as variously as one likes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import overload

import torch
from torch import Tensor

from .blocks import inputs_of_blocks
from .composite import Composite
from .conditional import conditions, walk_through
from .errors import UnsupportedOp
from .explanation import Explanation, thin
from .inside import attention_of, layers_of, own, weights_of_attention
from .ledger import Ledger
from .limits import Budget
from .many import Together, fit_together
from .message import Message
from .modes import plain_arithmetic
from .propagation.ratios import Denominator
from .propagation.refusals import reason
from .propagation.weights import WeightCache
from .rows import Rows
from .rules import Rule
from .steps import Step, Value
from .target import Target
from .walk import Passage, Plan, Trace, walk, widest

Through = Mapping[str, Sequence[int] | int]
"""layers by name, and the channels of each that relevance has to pass"""


@dataclass(eq=False)
class Tape:
    """Made by :func:`lrp_core.record`. Safe to share between threads."""

    steps: tuple[Step, ...]
    """the operations that lead from an input to the output, in the order they ran"""
    _output: Value
    output: Tensor
    """what the model returned, the batch axis in front: (B,), (B, C), (B, T, C), (B, C, H, W), ..."""
    scores: Tensor
    """what relevance starts from, shaped like ``output``: the output itself, or where that ends in a read-out (a
    sigmoid, a softmax, ...) the value before it. What the model does to the shape behind a read-out is done to the
    scores as well: of ``softmax(z, 1)[:, 1]`` they are ``z[:, 1]``. -infinity where the model masks a class"""
    readout: str | None
    """the read-out in which the model ends, or None: "sigmoid", "softmax", "log_softmax", "logsigmoid", "hardsigmoid"
    or "softplus"; several in a row are written as "softmax then sigmoid", the first one first"""
    _parts: dict[str, Value]
    _weights: WeightCache
    _block_names: frozenset[str] = frozenset()
    _budget: Budget = field(default_factory=Budget)
    _last: Trace | None = None
    _planned: tuple[Composite, Plan] | None = None

    def __post_init__(self) -> None:
        for step in self.steps:
            step.budget = self._budget
        self._zero = torch.zeros(len(self.scores), dtype=torch.float64, device=self.scores.device)
        self._started = self.scores if self.readout is None else without_masked(self.scores)
        self._depth = _depth_of(self.steps)
        self._raw = _raw_values(self.steps)
        self._widest = widest(self.steps)

    @property
    def limit(self) -> int:
        """Bytes that may be kept beside the recorded pass, to answer the next question faster."""
        return self._budget.limit

    @limit.setter
    def limit(self, nbytes: int) -> None:
        self._budget.limit = nbytes

    @property
    def nbytes(self) -> int:
        """Bytes held: the recorded pass, denominators and the last walk. Weights are the model's."""
        tensors = [v.tensor for step in self.steps for v in (*step.inputs, *step.outputs) if v.tensor is not None]
        tensors += [self.output, self._started]
        kept = [item for step in self.steps for item in step.memo.values()]
        tensors += [item for item in kept if isinstance(item, Tensor)]
        tensors += [item.divisor for item in kept if isinstance(item, Denominator)]
        if self._last is not None:
            tensors += [message.coefficient for message in self._last.held]
        storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
        return sum(storages.values())

    @property
    def attention_weights(self) -> Mapping[str, Tensor]:
        """The weights of each attention, (B, heads, queries, keys), by the module that attends."""
        return weights_of_attention(self.steps)

    def unsupported(self) -> tuple[Step, ...]:
        """The steps that have no rule; while there is one, :meth:`explain` raises :class:`UnsupportedOp`."""
        return tuple(step for step in self.steps if step.operation is None and step.reached)

    def plan(self, composite: Composite) -> Plan:
        """Each step with the rule that the composite gives it; None where the operation has only one way."""
        _check(composite, Composite, "composite", "lrp.presets.epsilon(1e-6)")
        kept = self._planned
        if kept is not None and kept[0] == composite:
            return kept[1]
        depth, raw = self._depth, self._raw
        for pattern in composite.by_name:
            if not any(fnmatchcase(name, pattern) for step in self.steps for name in (step.name, step.layer)):
                raise ValueError(f"by_name: no layer of this model fits the pattern {pattern!r}.")

        def rule_of(step: Step) -> Rule | None:
            names = (step.name, step.layer)
            if composite.is_gradient:
                return composite.default
            if step in depth:
                return composite.of_affine(names, step.kind, depth[step], raw[step.inputs[0]])
            if not step.reached:
                return None
            if "masking" in step.memo:
                return None
            if (
                step.kind in ("add", "norm")
                or (step.kind == "linear" and "complex" in step.memo)
                or (step.kind == "pool" and "winners" not in step.memo)
            ):
                return composite.of_sum(names, step.kind)
            return None

        made = tuple((step, rule_of(step)) for step in self.steps)
        self._planned = composite, made  # a single assignment, so threads see old or new
        return made

    @overload
    def explain(
        self, composite: Composite, target: Target, *, layers: bool = False, through: Through | None = None
    ) -> Explanation: ...

    @overload
    def explain(
        self, composite: Composite, target: Sequence[Target], *, layers: bool = False, through: Through | None = None
    ) -> list[Explanation]: ...

    def explain(
        self,
        composite: Composite,
        target: Target | Sequence[Target],
        *,
        layers: bool = False,
        through: Through | None = None,
    ) -> Explanation | list[Explanation]:
        """Share the target's score (see ``scores``) over the inputs by the composite's rules.

        Runs no forward operation; what the last call computed above the highest changed rule is used again. Several
        targets in a list give as many explanations, of a text in one walk where that is quicker.

        ``layers=True`` also gives the relevance at the input of every layer, that of the stream between the blocks of
        the network (see :class:`Explanation`), and that of attention weights.

        ``through`` names layers and their channels, such as ``{"features.10": [42]}``: only relevance that passes these
        is followed, all other is booked as "masked" (Achtibat 2023). A channel is a filter of a convolution, a feature
        of a dense layer or a norm (last axis), or a head of the module that attends. Of several layers relevance passes
        each, so that layers side by side leave nothing; of a layer called twice it passes one call or both, and
        ``name#2`` is the second alone. The maps of all channels sum to what passes the layer.

        Raises :class:`UnsupportedOp` before anything is computed, and ``ValueError`` for a class, an entry, a layer or
        a channel that is not there.
        """
        if isinstance(target, list | tuple):
            return self._explain_each(composite, target, layers, through)
        _check(target, Target, "target", "lrp.Target.top()")
        assert isinstance(target, Target)
        plan = self.plan(composite)
        self._refuse_unsupported()
        with plain_arithmetic():
            by = (composite, self._weights, self._zero)
            if through is None:
                start, again, keep = self._begin(composite, target, layers)
                trace = walk(plan, self._widest, self._output, start, target, *by, again, keep)
                self._keep(trace)
            else:
                chosen, start = conditions(self.steps, through), self._start(target)
                trace = walk_through(plan, self._widest, self._output, start, target, *by, chosen, layers)
            parts = {name: self._relevance_of(value, trace) for name, value in self._parts.items()}
            arrived = (trace.arrived[value].total for value in self._parts.values() if value in trace.arrived)
            total = sum(arrived, self._zero)
            return Explanation(
                parts=parts,
                _start=thin(start.coefficient, self._started),
                layers=layers_of(self.steps, self._blocks, trace) if layers else {},
                attention=attention_of(self.steps, trace) if layers else {},
                ledger=Ledger(
                    tuple(passage.row for passage in trace.passages.values()), start.total, total, self._zero
                ),
            )

    def _explain_each(
        self, composite: Composite, targets: Sequence[Target], layers: bool, through: Through | None
    ) -> list[Explanation]:
        """One walk for all, in parts that fit in memory, where that is quicker; else one after the other."""
        if not targets:
            raise ValueError("The list of targets is empty; give at least one, such as [lrp.Target.top()].")
        for target in targets:
            _check(target, Target, "targets in a list", "lrp.Target.top()")
        plan = self.plan(composite)
        apart = layers or through is not None or len(targets) == 1
        if apart or not fit_together(self.steps, self.scores, composite):
            return [self.explain(composite, target, layers=layers, through=through) for target in targets]
        self._refuse_unsupported()
        with plain_arithmetic():
            together = Together(plan, self._output, composite, self._weights, self._parts)
            chunks = together.in_chunks(targets)
            return [made for some in chunks for made in together.explain(map(self._start, some))]

    def sweep(self, composite: Composite, target: Target, **parameter: Sequence[float]) -> Explanation:
        """Many values of one parameter, e.g. ``sweep(composite, target, gamma=[0, 0.1, 0.2])``.

        Everything in the Explanation has a leading axis of G values; what does not depend on the parameter is
        computed once.
        """
        if len(parameter) != 1:
            raise TypeError("sweep takes the values of one parameter, e.g. gamma=[0, 0.1, 0.2].")
        ((name, values),) = parameter.items()
        if not len(values):
            raise ValueError(f"sweep needs at least one value of {name}.")
        if not composite.has(name):
            raise ValueError(f"No rule of this composite depends on {name}, so there is nothing to sweep.")
        return Explanation.stacked([self.explain(composite.with_(**{name: v}), target) for v in values])

    def _refuse_unsupported(self) -> None:
        for step in self.unsupported():
            before = [s.name for s in self.steps[: step.index] if s.is_layer]
            place = f"after layer {before[-1]!r}" if before else "before the first layer"
            raise UnsupportedOp(
                f"The operation {step.op!r} ({step.name}, {place}) has no propagation rule in this form"
                f"{reason(step.op)}; register one "
                f"with the decorator @lrp_core.propagates({step.op!r}, kind=...) and record again."
            )

    def _relevance_of(self, value: Value, trace: Trace) -> Tensor:
        if value in trace.arrived:
            return own(trace.arrived[value])
        return torch.zeros(value.shape, dtype=self.scores.dtype, device=self.scores.device)

    @cached_property
    def _blocks(self) -> Mapping[str, tuple[Step, Value]]:
        return inputs_of_blocks(self.steps, self._block_names)

    def _begin(self, composite: Composite, target: Target, layers: bool) -> tuple[Message, dict[Step, Passage], str]:
        """Relevance of the output, the passages of the last walk if this one starts like it, and what to keep.

        Once somebody has looked at the layers, walks keep what there is to see of them: it will be asked for again.
        The tape lets go of the last walk, so that what this one replaces is freed on the way and not only at the end.
        """
        last, self._last = self._last, None
        if last is None:
            again: dict[Step, Passage] = {}
        else:
            usable = last.fits(composite, target) and (
                not layers or last.shows(value for _, value in self._blocks.values())
            )
            again = dict(last.passages) if usable else {}
        keep_all = (layers and not again) or (last is not None and last.keeps_all)
        start = last.start if last is not None and again else self._start(target)
        return start, again, "all" if keep_all else "crossings"

    def _start(self, target: Target) -> Message:
        """Relevance v * z of the scores z; masked ones have none."""
        v = target.on(self.scores)
        if self._started is not self.scores and (v * self.scores.isinf()).any():
            raise ValueError("The target asks for a score that the model masks: it is -infinity, and has no relevance.")
        return Message(v, self._started, Rows(len(self.scores)))

    def _keep(self, trace: Trace) -> None:
        """Keep the walk for the next one, if its coefficients fit; a single assignment, so threads see old or new."""
        size = sum(message.coefficient.nbytes for message in trace.held)
        self._last = trace if self._budget.fits(size) else None


def _depth_of(steps: tuple[Step, ...]) -> dict[Step, float]:
    """The place of each affine step among them, in [0, 1), lowest first."""
    affine = [step for step in steps if step.is_affine]
    return {step: place / len(affine) for place, step in enumerate(affine)}


def _raw_values(steps: tuple[Step, ...]) -> dict[Value, bool]:
    """For each value, whether no affine step lies between it and the input."""
    raw = {value: value.part is not None for step in steps for value in (*step.inputs, *step.outputs)}
    for step in steps:
        if not step.is_affine and all(raw[value] for value in step.inputs):
            raw |= dict.fromkeys(step.outputs, True)
    return raw


def without_masked(scores: Tensor) -> Tensor:
    """The scores, with 0 in place of -infinity; no copy is made where there is none."""
    masked = scores == -torch.inf
    return scores.masked_fill(masked, 0.0) if masked.any() else scores


def _check(value: object, wanted: type, what: str, example: str) -> None:
    if not isinstance(value, wanted):
        raise TypeError(f"The {what} must be a {wanted.__name__}, such as {example}, not {type(value).__name__}.")
