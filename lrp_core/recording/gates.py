"""How much of a gate each value is: what lets a signal through, as attention weights do.

Of two factors CP-LRP gives all to the signal and nothing to the gate. The operation that a value comes from tells, also
where the gate has been scaled, reshaped, turned round (``1 - g``) or averaged since, or is made of several gates.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..steps import Step, found

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

PICKS = {"topk", "sort", "amax", "max"}
"""these pick some of the numbers: gates that are picked are gates"""

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
    if "softmax" in step.memo:  # written out by the model
        return GATES["softmax"]
    if step.map is not None:
        return GATES["softmax"] if step.inputs[0].gate == GATES["softmax"] and _mixes_heads(step) else 0
    silent = step.silent if step.op != "gated" else ()
    gates = [value.gate for place, value in enumerate(step.inputs) if place not in silent]
    gate = min(gates, default=0)
    if not gate or step.kind == "shape" or step.op in PICKS or (step.op in SCALED and len(gates) == 1):
        return gate
    return gate if gate >= SURE and (step.kind == "activation" or step.op in JOINED) else 0


def _mixes_heads(step: Step) -> bool:
    """Whether an affine step mixes the attention weights of several heads, as "talking heads" do (Shazeer 2020).

    It does where what is weighed first is still first, along an axis of the same length. A step that sums up along the
    axis of a softmax weighs numbers of its own.
    """
    path, ends = [step], [step.outputs[0]]
    while (producer := path[-1].inputs[0].producer) is not None and producer.op != "softmax":
        if len(producer.inputs) != 1:
            return False
        ends.append(path[-1].inputs[0])
        path.append(producer)
    weights = path[-1].inputs[0]
    if producer is None:
        return False
    axis = producer.memo["axis"]
    mark = torch.zeros(weights.shape, dtype=weights.dtype, device=weights.available().device)
    mark.select(axis, 0).fill_(1.0)
    for passed, end in zip(reversed(path), reversed(ends), strict=True):
        if passed.map is not None:
            mark = passed.map.forward(mark, passed.map.weight)
        elif passed.kind == "shape":
            mark = found(passed.again(mark), Tensor)[passed.outputs.index(end)]
    length = weights.shape[axis]
    along = (place for place, size in enumerate(mark.shape) if size == length > 1)
    return bool(mark.any()) and any(not mark.narrow(place, 1, length - 1).any() for place in along)
