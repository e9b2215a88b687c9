"""What a walk that kept all shows of the inside of a network: layers, blocks and attention."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from .message import Message
from .propagation.attention import attending, of_weights, weights_of
from .steps import Step, Value
from .walk import Trace


def layers_of(steps: tuple[Step, ...], blocks: Mapping[str, tuple[Step, Value]], trace: Trace) -> Mapping[str, Tensor]:
    """At the input of each layer, and before the first layer of each block what is on the stream that it reads."""
    streams: dict[Step, dict[str, Value]] = {}
    for name, (step, value) in blocks.items():
        streams.setdefault(step, {})[name] = value
    found: dict[str, Message | None] = {}
    for step in steps:
        found |= {name: trace.at(value) for name, value in streams.get(step, {}).items()}
        messages = trace.passages[step].messages if step.is_layer and step in trace.passages else None
        if messages:
            found[step.name] = messages[0]
    return {name: own(message) for name, message in found.items() if message is not None}


def attention_of(steps: tuple[Step, ...], trace: Trace) -> Mapping[str, Tensor]:
    """Relevance of attention weights, by the module that attends."""
    found: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    shares = trace.attention == "attnlrp" and not trace.gradient
    for step in steps if shares else ():
        for message in (trace.passages[step].arrived if step in trace.passages else None) or ():
            relevance = None if message is None else of_weights(step, message)
            if relevance is not None:
                name = attending(step)
                count = counts[name] = counts.get(name, 0) + 1
                found[name if count == 1 else f"{name}#{count}"] = relevance
    return found


def weights_of_attention(steps: tuple[Step, ...]) -> Mapping[str, Tensor]:
    """Attention weights themselves, (B, heads, queries, keys), by the module that attends, in the order they ran."""
    found: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    for step in steps:
        weights = weights_of(step) if step.kind == "attention" else None
        if weights is not None:
            name = attending(step)
            count = counts[name] = counts.get(name, 0) + 1
            found[name if count == 1 else f"{name}#{count}"] = weights
    return found


def own(message: Message) -> Tensor:
    """Relevance that the caller may write to: the walk that is kept does not share it."""
    relevance = message.relevance
    if relevance.is_complex():  # that of a complex number is the sum of what its two parts have
        return relevance.real + relevance.imag
    return relevance.clone() if message.value is None else relevance
