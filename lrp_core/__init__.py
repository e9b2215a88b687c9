"""Layer-wise Relevance Propagation on a recorded forward pass.

>>> tape = lrp.record(model, x)
>>> explanation = tape.explain(lrp.presets.epsilon_plus(), lrp.Target.top())
>>> explanation.relevance, explanation.ledger.total
"""

from . import evaluation, heatmap, presets, propagation, tokens
from .composite import Composite
from .errors import UnsupportedOp
from .explanation import Explanation
from .ledger import Ledger
from .recording.record import record
from .registry import propagates
from .rules import LRP0, AlphaBeta, Epsilon, Flat, Gamma, Gradient, Pass, Rule, WSquare, ZBox, ZPlus
from .steps import Context, Outcome, Step
from .tape import Tape
from .target import Target

__all__ = [
    "LRP0",
    "AlphaBeta",
    "Composite",
    "Context",
    "Epsilon",
    "Explanation",
    "Flat",
    "Gamma",
    "Gradient",
    "Ledger",
    "Outcome",
    "Pass",
    "Rule",
    "Step",
    "Tape",
    "Target",
    "UnsupportedOp",
    "WSquare",
    "ZBox",
    "ZPlus",
    "evaluation",
    "heatmap",
    "presets",
    "propagates",
    "propagation",
    "record",
    "tokens",
]
