"""From settings to a map: which composite and target they mean, and the tape that explains the present input.

This module brings torch, which takes a second to import: pages import it after they have drawn themselves.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch

import lrp_core as lrp
from pages.explaining.view import View
from pages.serving import engine, tapes
from pages.settings import session
from pages.settings.rules_text import RULES, Recommended
from pages.settings.settings import NO_CLASS, RUNNER_UP, Settings

T = TypeVar("T")

RULE_OF: dict[str, lrp.Rule] = {
    "lrp0": lrp.LRP0(),
    "epsilon": lrp.Epsilon(relative=True),
    "gamma": lrp.Gamma(),
    "zplus": lrp.ZPlus(),
    "a2b1": lrp.AlphaBeta(alpha=2.0, beta=1.0),
    "wsquare": lrp.WSquare(),
    "flat": lrp.Flat(),
}
"""The rule behind each key of `rules_text.LAYER_RULES`, before the sliders set its parameters."""

PROBABILITIES, LOGARITHMS = ("softmax", "sigmoid", "hardsigmoid"), ("log_softmax", "logsigmoid")
"""Read-outs that give probabilities, and those that give their logarithms."""


@dataclass(frozen=True, eq=False)
class Subject:
    """What is explained: one input to one network, in numbers, to look at, in words and in code.

    page: the page it belongs to. network: name of the model. inputs: as the model gets them, one row in each.
    labels: one per class. view: how the input and its relevance are shown.
    code: Python lines that make `model` and what `arguments` names: the inputs, as a call is written.
    recommended: the key in `RECOMMENDED` of what is recommended for it.
    bounds: smallest and largest value of an input, one per channel, where the zB rule is to know them.
    bounded: the layer that they are for, where other layers read an input that has no such bounds.
    threads: how many threads of torch the network works best with.
    exclusive: it is of one class alone; else each class has a probability of its own.
    before: what it was before the visitor changed it, to be compared with.
    """

    page: str
    network: str
    model: torch.nn.Module
    inputs: tuple[torch.Tensor, ...]
    labels: tuple[str, ...]
    view: "View[Subject]"
    code: str
    arguments: str = "x"
    recommended: str = "recommended"
    bounds: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    bounded: str = ""
    threads: int = 1
    exclusive: bool = True
    before: "Subject | None" = None

    @cached_property
    def key(self) -> Hashable:
        """Tells two subjects apart."""
        return self.network, self.view.key, *(x.numpy().tobytes() for x in self.inputs)

    @property
    def x(self) -> torch.Tensor:
        """The first input."""
        return self.inputs[0]

    @property
    def tape(self) -> lrp.Tape:
        """The recorded run of the model: kept for this visitor as long as the server has room. Keep it nowhere else."""
        return tapes.tape(self)

    def record(self) -> lrp.Tape:
        """A run of the model, recorded; to be called in the engine's thread."""
        return lrp.record(self.model, *self.inputs)

    def use(self, work: Callable[[lrp.Tape], T]) -> T:
        """`work(tape)`, done in the engine's thread. One walk for each call: other visitors come in between."""
        return tapes.use(self, work)

    @cached_property
    def first_layer(self) -> str:
        """The name of the first layer with weights that the input with bounds went through."""
        return self.bounded or next(step.name for step in self.tape.steps if step.kind in ("conv", "linear"))

    @cached_property
    def scores(self) -> np.ndarray:
        """What relevance starts from, (1, C): the model's output, or what that is before a final sigmoid or softmax."""
        return self.tape.scores.numpy()

    @cached_property
    def readout(self) -> str | None:
        """The sigmoid, softmax or the like in which the model ends, as `lrp.Tape.readout` names it."""
        return self.tape.readout

    @cached_property
    def probabilities(self) -> np.ndarray:
        """One per class: the model's own, where it ends in them.

        Else softmax of the scores, or where classes do not exclude each other, the sigmoid of each.
        """
        return self._chances(self.tape.output, self.tape.scores)[0]

    def _chances(self, output: torch.Tensor, scores: torch.Tensor) -> np.ndarray:
        last = (self.readout or "").rpartition(" ")[2]
        if last in PROBABILITIES:
            return output.numpy()
        if last in LOGARITHMS:
            return output.exp().numpy()
        return (torch.softmax(scores, 1) if self.exclusive else torch.sigmoid(scores)).numpy()

    def chances(self, inputs: Callable[[], tuple[torch.Tensor, ...]]) -> np.ndarray:
        """The probabilities (K, C) for other inputs of K rows, which are made and read in the engine's thread."""
        readout = self.readout  # asked for here: it may have to record, in that thread

        def answers() -> np.ndarray:
            if readout:
                tape = lrp.record(self.model, *inputs())
                return self._chances(tape.output, tape.scores)
            with torch.inference_mode():
                found = self.model(*inputs())
            scores = getattr(found, "logits", found)
            return self._chances(scores, scores)

        return engine.compute(answers, self.threads)

    def label(self, index: int) -> str:
        """The class in words; `NO_CLASS` means the one that the network ranks first."""
        return self.labels[self.classes(index)]

    def classes(self, index: int) -> int:
        """The class index, with `NO_CLASS` replaced by the one that the network ranks first."""
        return int(self.probabilities.argmax()) if index == NO_CLASS else index

    def rival(self, settings: Settings) -> int | None:
        """The class that the chosen one is compared with, None for none."""
        wanted, rival = self.classes(settings.target), settings.rather_than
        if rival == RUNNER_UP:
            first, second = np.argsort(-self.probabilities, kind="stable")[:2].tolist()
            return second if wanted == first else first
        return None if rival in (NO_CLASS, wanted) else rival


def remembered(page: str, asked: Hashable, make: Callable[[], Subject]) -> Subject:
    """The page's subject, made anew when something else is asked.

    It has answered once: a network that fails does so here, where it costs a sentence and not the page.
    """
    subject = session.remember(f"{page}.subject", asked, make)
    _ = subject.probabilities
    return subject


def composite(settings: Settings, subject: Subject) -> lrp.Composite:
    """The composite that the settings stand for, with the rules chosen layer by layer on top.

    A rule chosen for the first layer replaces zB there.
    """
    if settings.rule == "gxi":
        return lrp.presets.gradient_times_input()
    return _untuned(settings, subject).with_(gamma=settings.gamma, epsilon=settings.epsilon)


def _untuned(settings: Settings, subject: Subject) -> lrp.Composite:
    by_name = {name: RULE_OF[rule] for name, rule in settings.layers}
    text = RULES[settings.rule]
    if not isinstance(text, Recommended):
        return lrp.Composite(RULE_OF[text.on_layers or settings.rule], by_name=by_name, attention=text.attention)
    boxed = text.boxed and subject.bounds is not None and not (by_name and subject.first_layer in by_name)
    box = lrp.ZBox(*subject.bounds) if boxed else None
    if box and subject.bounded:
        by_name, box = by_name | {subject.bounded: box}, None
    return lrp.Composite(
        RULE_OF[text.dense],
        by_kind={"conv": RULE_OF[text.conv]} if text.conv else {},
        by_name=by_name,
        first=box,
        attention=text.attention,
        bias=text.bias,
    )


def target(settings: Settings, subject: Subject) -> lrp.Target:
    """What is explained: a class, or a class rather than another."""
    wanted, rival = subject.classes(settings.target), subject.rival(settings)
    return lrp.Target.logit(wanted) if rival is None else lrp.Target.difference(wanted, rival)


def question(settings: Settings, subject: Subject) -> str:
    """What the map answers, in words: "3" or "3 rather than 8"."""
    wanted, rival = subject.classes(settings.target), subject.rival(settings)
    label = subject.labels[wanted]
    return label if rival is None else f"{label} rather than {subject.labels[rival]}"


def explain(settings: Settings, subject: Subject) -> lrp.Explanation:
    """The explanation that the settings ask for. Only what changed since the last one is computed again."""
    return tapes.explanation(subject, (composite(settings, subject), target(settings, subject)))


def answer(settings: Settings, subject: Subject, layers: bool = False) -> lrp.Explanation:
    """An explanation that nobody keeps, for more pictures than the heatmap. `layers`: with the relevance of each."""
    asked = composite(settings, subject), target(settings, subject)
    return subject.use(lambda tape: tape.explain(*asked, layers=layers))


def tag(settings: Settings, subject: Subject) -> str:
    """Rule, parameters and question in one line: tells a test which settings it sees."""
    return f"{settings.rule} {settings.epsilon:g} {settings.gamma:g} {question(settings, subject)}"
