"""The inside of a network that reads texts: relevance of each piece at every block, and of each attention head."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

import lrp_core as lrp
from lrp_core import tokens


@dataclass(frozen=True, eq=False)
class Inside:
    """Of the question `asked`. blocks: (rows, pieces). heads: of each block with attention, (heads, pieces)."""

    asked: str
    rows: tuple[str, ...]
    blocks: np.ndarray
    heads: dict[str, np.ndarray]


def inside(
    steps: Sequence[lrp.Step], explanation: lrp.Explanation, input_name: str, on_input: np.ndarray, asked: str
) -> Inside:
    """What an explanation with layers says of the blocks and heads, from the output down to the input.

    Args:
        steps: Of the tape.
        explanation: Made with `layers=True`.
        input_name, on_input: A last row, (T,): what is coloured.
        asked: The question, in words.
    """
    pieces = len(on_input)
    made: dict[str, np.ndarray] = {}
    for name in narrows(steps):
        relevance = explanation.layers.get(name)
        if relevance is not None and relevance.ndim == 3 and relevance.shape[1] == pieces:
            made[title(name)] = tokens.by_token(relevance)  # of several in one block the last: what it hands on
    heads = {}
    for name, count in head_outputs(steps):
        relevance = explanation.layers.get(name)
        if relevance is not None and relevance.shape[:2] == (1, pieces):
            heads[title(name)] = relevance[0].double().numpy().reshape(pieces, count, -1).sum(2).T
    rows = list(reversed(made.items()))
    return Inside(
        asked,
        (*(f"After {name.lower()}" for name, _ in rows), input_name),
        np.stack([*(values for _, values in rows), on_input]),
        dict(reversed(heads.items())),
    )


def narrows(steps: Sequence[lrp.Step]) -> list[str]:
    """The layers through whose input everything has to pass, in the order they ran: there the whole relevance is seen.

    Elsewhere a sum leads part of it around the layer.
    """
    found: list[str] = []
    readers: dict[int, int] = {}
    waiting = {id(value) for value in steps[-1].outputs}
    for step in reversed(steps):
        if not step.reached or not waiting & {id(value) for value in step.outputs}:
            continue
        waiting -= {id(value) for value in step.outputs}
        for value in step.inputs:
            waiting.add(id(value))
            readers[id(value)] = readers.get(id(value), 0) + 1
        if step.is_layer and len(waiting) == 1 and readers[id(step.inputs[0])] == 1:
            found.append(step.name)
    return found[::-1]


def head_outputs(steps: Sequence[lrp.Step]) -> Iterator[tuple[str, int]]:
    """The layers that mix what attention heads found, each with their number: its inputs are the heads' outputs."""
    count = 0
    for step in steps:
        if step.kind == "attention" and len(step.output_shape) == 4:
            count = step.output_shape[1]
        elif count and step.is_layer:
            yield step.name, count
            count = 0


def title(layer: str) -> str:
    """The block that a layer belongs to, in words: "roberta.encoder.layer.0.output.dense" is in "Block 1"."""
    name, _, again = layer.partition("#")
    number = re.search(r"\.(\d+)\.", name)
    *parents, own = name.split(".")
    block = f"Block {int(number[1]) + 1}" if number else (parents or [own])[-1].replace("_", " ").capitalize()
    return f"{block} ({again})" if again else block
