"""A composite names the rule of every step: a pure function of the step, shared by all networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from .rules import LRP0, Epsilon, Gradient, Pass, Rule

KINDS = ("conv", "linear", "norm", "pool", "add", "product", "attention", "activation", "shape")
RULES_OF_SUMS = (LRP0, Epsilon)
"""What an addition or an average can follow: they have no weights that another rule could weigh."""

K = TypeVar("K")
V = TypeVar("V")


class FrozenDict(Mapping[K, V]):
    """A mapping that can be hashed, printed as a dict, and never changed."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[K, V] = {}) -> None:
        self._items = dict(items)

    def __getitem__(self, key: K) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and list(self._items.items()) == list(other.items())  # order counts

    def __hash__(self) -> int:
        return hash(tuple(self._items.items()))

    def __repr__(self) -> str:
        return repr(self._items)


@dataclass(frozen=True)
class Composite:
    """Which rule on which step.

    Precedence: ``first`` (the first executed affine steps that read the input), then ``by_name`` (glob on the layer's
    qualified name; the first pattern that fits), then ``by_depth`` (the affine steps in order, cut into as many equal
    parts as there are rules, the lowest first), then ``by_kind`` (see ``KINDS``), then ``default``.

    ``attention``: "attnlrp" (products share half each) or "cp" (the gate is a constant). ``bias``: "absorb" (what a
    bias takes is lost to the input and booked in the ledger), "ignore" (left out of the denominators) or "spread"
    (shared evenly by the inputs; Arras 2017).

    A recurrent layer such as an LSTM is two affine steps for each of its layers and directions, both by the name of its
    module: the map of the input of all moments, and the hidden map of all moments, which is never among the first. The
    sums inside follow the rule for additions, the gates are constants (Arras 2017).
    """

    default: Rule
    by_kind: Mapping[str, Rule] = FrozenDict()
    by_name: Mapping[str, Rule] = FrozenDict()
    first: Rule | None = None
    attention: str = "attnlrp"
    bias: str = "absorb"
    by_depth: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_kind", FrozenDict(self.by_kind))
        object.__setattr__(self, "by_name", FrozenDict(self.by_name))
        object.__setattr__(self, "by_depth", tuple(self.by_depth))
        for rule in self._rules():
            if not isinstance(rule, Rule):
                raise TypeError(f"A composite is made of rules such as lrp.Epsilon(), not {rule!r}.")
        for kind, rule in self.by_kind.items():
            if kind not in KINDS:
                raise ValueError(f"by_kind knows the kinds {', '.join(KINDS)}, not {kind!r}.")
            if kind in ("add", "pool") and not isinstance(rule, RULES_OF_SUMS):
                raise ValueError(f"by_kind: a step of kind {kind!r} follows LRP0 or Epsilon, not {rule}.")
            if kind in ("activation", "shape", "product", "attention") and not isinstance(rule, Pass):
                raise ValueError(f"by_kind: steps of kind {kind!r} have a fixed rule, {rule} cannot replace it.")
        if self.attention not in ("attnlrp", "cp"):
            raise ValueError(f"attention must be 'attnlrp' or 'cp', not {self.attention!r}.")
        if self.bias not in ("absorb", "ignore", "spread"):
            raise ValueError(f"bias must be 'absorb', 'ignore' or 'spread', not {self.bias!r}.")

    def _rules(self) -> Iterator[Rule]:
        yield self.default
        yield from self.by_kind.values()
        yield from self.by_name.values()
        yield from self.by_depth
        if self.first is not None:
            yield self.first

    @property
    def is_gradient(self) -> bool:
        """Whether this is the gradient x input baseline instead of LRP."""
        return isinstance(self.default, Gradient)

    def has(self, parameter: str) -> bool:
        """Whether any rule depends on the parameter, e.g. "gamma"; a slider that nothing reads can say so."""
        return any(rule.has(parameter) for rule in self._rules())

    def with_(self, **parameters: Any) -> Composite:
        """A copy with every rule that has the parameter changed, e.g. ``with_(gamma=0.4, epsilon=0.1)``.

        The epsilon inside a :class:`Gamma` stays as it was made. ``attention`` and ``bias`` may be given too. Raises
        ``TypeError`` for a name that no rule of LRP has.
        """
        own = {name: parameters.pop(name) for name in ("attention", "bias") if name in parameters}
        known = {name for rule in Rule.__subclasses__() for name in rule.parameters()}
        if unknown := sorted(set(parameters) - known):
            raise TypeError(f"with_ knows {', '.join(sorted(known))}, attention and bias, not {', '.join(unknown)}.")

        def changed(rule: Rule) -> Rule:
            mine = {name: value for name, value in parameters.items() if rule.has(name)}
            return replace(rule, **mine) if mine else rule  # type: ignore[type-var]

        return replace(
            self,
            default=changed(self.default),
            by_kind={kind: changed(rule) for kind, rule in self.by_kind.items()},
            by_name={name: changed(rule) for name, rule in self.by_name.items()},
            by_depth=tuple(map(changed, self.by_depth)),
            first=None if self.first is None else changed(self.first),
            **own,
        )

    def named(self, names: tuple[str, ...]) -> Rule | None:
        """The rule of the first ``by_name`` pattern that fits one of a step's names, or None."""
        rules = (r for pattern, r in self.by_name.items() if any(fnmatchcase(name, pattern) for name in names))
        return next(rules, None)

    def of_affine(self, names: tuple[str, ...], kind: str, depth: float, first: bool) -> Rule:
        """Rule of an affine step; ``depth`` in [0, 1) is its place among the affine steps, lowest first."""
        if first and self.first is not None:
            return self.first
        if (rule := self.named(names)) is not None:
            return rule
        if self.by_depth:
            return self.by_depth[int(depth * len(self.by_depth))]
        return self.by_kind.get(kind, self.default)

    def of_sum(self, names: tuple[str, ...], kind: str) -> Rule:
        """Rule of an addition, average or norm: epsilon with that of the default rule, unless named otherwise."""
        rule = self.named(names)
        if rule is None:
            rule = self.by_kind.get(kind, self.default)
        if isinstance(rule, RULES_OF_SUMS) or (kind == "norm" and isinstance(rule, Pass)):
            return rule
        return Epsilon(getattr(self.default, "epsilon", 1e-6), getattr(self.default, "relative", False))
