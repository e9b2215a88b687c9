"""How much of a gate each value is: what lets a signal through, as attention weights do.

Of two factors CP-LRP gives all to the signal and nothing to the gate. The operation that a value comes from tells, also
where the gate has been scaled, reshaped, turned round (``1 - g``) or averaged since, or is made of several gates.
"""

from __future__ import annotations

from ..steps import Step

SURE = 3
GATES = {
    "softmax": 4,
    **dict.fromkeys(("sigmoid", "hardsigmoid"), SURE),
    **dict.fromkeys(("silu", "gelu", "relu", "elu"), 2),
    "tanh": 1,
}
"""operations that make a gate; of two factors, the higher one is the gate"""

SCALED = {"mul", "div", "gated", "add", "sub", "rsub", "neg"}
"""one gate and constants are still that gate"""

JOINED = SCALED | {"matmul", "bmm", "einsum", "mean", "sum"}
"""of sure gates alone, these make another"""


def find_gates(steps: list[Step]) -> None:
    """Set ``gate`` of every value, steps being in the order they ran."""
    for step in steps:
        gate = _gate_of(step)
        for value in step.outputs:
            value.gate = gate


def _gate_of(step: Step) -> int:
    if step.op in GATES:
        return GATES[step.op]
    inputs = [value for place, value in enumerate(step.inputs) if place not in step.silent or step.op == "gated"]
    gate = min((value.gate for value in inputs), default=0)
    if step.kind == "shape" or (step.op in SCALED and len(inputs) == 1):
        return gate
    joins = step.kind == "activation" or (step.op in JOINED and step.map is None)
    return gate if joins and gate >= SURE else 0
