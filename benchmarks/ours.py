"""The rows as `lrp_core` runs them.

"First" records and explains on a fresh tape; the positive parts of the weights are cached per model and are there
from the second visitor on. "Moved" explains on an existing tape with one setting changed to a value not seen before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import lrp_core as lrp

from .contest import (
    ALPHA_BETA,
    BOX,
    EPSILON,
    EPSILON_MOVED,
    EPSILON_PLUS,
    FAMILY,
    FIRST_LAYER,
    GAMMA_MOVED,
    SWEEP,
    TARGET_MOVED,
    Job,
    Makers,
    Network,
)

TOP = lrp.Target.top()
STEP = 1e-4
"""Each run moves its setting by so much: no run asks for what an earlier one has already answered."""


def makers(network: Network) -> Makers:
    box = lrp.presets.epsilon_gamma_box(network.low, network.high, epsilon=1e-2, gamma=0.25)
    alpha_beta = lrp.Composite(lrp.Epsilon(1e-6), by_kind={"conv": lrp.AlphaBeta(2.0, 1.0)})
    box_bounds = (replace(box, first=lrp.ZBox(network.low - n * STEP, network.high)) for n in count(1))
    return {
        EPSILON: lambda: _first(network, lrp.presets.epsilon(1e-6)),
        EPSILON_PLUS: lambda: _first(network, lrp.presets.epsilon_plus(1e-6)),
        BOX: lambda: _first(network, box),
        ALPHA_BETA: lambda: _first(network, alpha_beta),
        GAMMA_MOVED: lambda: _moved(network, box, ((box.with_(gamma=0.25 + n * STEP), TOP) for n in count(1))),
        TARGET_MOVED: lambda: _moved(network, box, ((box, lrp.Target.logit(n % network.classes)) for n in count())),
        EPSILON_MOVED: lambda: _moved(network, box, ((box.with_(epsilon=1e-2 + n * STEP), TOP) for n in count(1))),
        FAMILY: lambda: _switched(network, box),
        SWEEP: lambda: _swept(network, box),
        FIRST_LAYER: lambda: _moved(network, box, ((composite, TOP) for composite in box_bounds)),
    }


def _first(network: Network, composite: lrp.Composite) -> Job:
    return Job(lambda: lrp.record(network.model, network.x).explain(composite, TOP))


def _moved(network: Network, start: lrp.Composite, settings: Iterator[tuple[lrp.Composite, lrp.Target]]) -> Job:
    tape = lrp.record(network.model, network.x)
    tape.explain(start, TOP)
    return Job(lambda: tape.explain(*next(settings)))


def _switched(network: Network, box: lrp.Composite) -> Job:
    """From gamma and box to z+, each time with another epsilon on the dense layers."""
    tape = lrp.record(network.model, network.x)
    epsilons = (1e-2 + n * STEP for n in count())
    return Job(
        run=lambda: tape.explain(lrp.presets.epsilon_plus(next(epsilons)), TOP),
        prepare=lambda: tape.explain(box.with_(epsilon=next(epsilons)), TOP),
    )


def _swept(network: Network, box: lrp.Composite) -> Job:
    tape = lrp.record(network.model, network.x)
    tape.explain(box, TOP)
    starts = count(1)

    def sweep() -> object:
        start = 0.1 + next(starts) * STEP
        return tape.sweep(box, TOP, gamma=[start + n / 16 for n in range(16)])

    return Job(sweep)
