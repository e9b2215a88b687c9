"""Where in the network it happened: relevance of each piece before every block, and of every attention head."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import streamlit as st

import lrp_core as lrp
from lrp_core import tokens
from pages.components.matrix_view import matrix_view
from pages.views.text_layers import head_outputs

SMALL, LARGE = 1.0, 1.5
"""Side of a cell in rem, of large matrices and of small ones."""
MANY = 12


@dataclass(frozen=True, eq=False)
class Where:
    """Of the question `asked`. stream: (rows, pieces), the answer on top. heads: (rows, heads), likewise.

    weights, relevance: of each row of `heads` the attention weights and what they got, (heads, queries, keys); where
    the rule gives them nothing, the latter is None.
    """

    asked: str
    pieces: tuple[str, ...]
    rows: tuple[str, ...]
    stream: np.ndarray
    head_rows: tuple[str, ...]
    heads: np.ndarray
    weights: tuple[np.ndarray, ...] = field(repr=False)
    relevance: tuple[np.ndarray | None, ...] = field(repr=False)


def where(
    tape: lrp.Tape, explanation: lrp.Explanation, pieces: tuple[str, ...], on_input: np.ndarray, asked: str
) -> Where:
    """What an explanation with layers says. on_input: (T,), what is coloured."""
    blocks = {
        name: tokens.by_token(relevance)
        for name, relevance in explanation.layers.items()
        if re.search(r"\.\d+$", name) and relevance.ndim == 3 and relevance.shape[:2] == (1, len(pieces))
    }
    numbered = list(enumerate(blocks.values(), 1))
    rows = {f"Before block {number}": values for number, values in numbered[1:]}
    heads = {}
    for number, (name, count) in enumerate(head_outputs(tape.steps), 1):
        relevance = explanation.layers.get(name)
        if relevance is not None and relevance.shape[:2] == (1, len(pieces)):
            heads[f"Block {number}"] = relevance[0].double().numpy().reshape(len(pieces), count, -1).sum((0, 2))
    weights = [_kept(one) for one in tape.attention_weights.values()]
    found: Mapping[str, object] = explanation.attention
    got = [_kept(explanation.attention[name]) if name in found else None for name in tape.attention_weights]
    return Where(
        asked,
        pieces,
        (*reversed(rows), "Words"),
        np.stack([*reversed(rows.values()), on_input]),
        tuple(reversed(heads)),
        np.stack([*reversed(heads.values())]) if heads else np.zeros((0, 0)),
        tuple(reversed(weights)),
        tuple(reversed(got)),
    )


def _kept(weights: object) -> np.ndarray:
    """Of one text, small: it stays with the visitor."""
    return np.asarray(weights[0].numpy(), np.float16)  # type: ignore[index]


def show(made: Where, page: str, colours: str) -> None:
    """The stream, the heads, and the attention of the head that was chosen."""
    side = SMALL if len(made.rows) > MANY else LARGE
    st.caption(
        "Across: the pieces that the model reads. Down: its blocks, from the answer to the words. All rows have one "
        "scale. Where a column fades and another lights up, attention has carried the reason from one piece to another."
    )
    left, right = st.columns((3, 2), gap="medium")
    with left:
        st.markdown("**Pieces, block by block**")
        _stream(made, page, colours, side)
    if made.heads.size:
        with right:
            chosen = _heads(made, page, colours, side)
        _pattern(made, page, colours, *chosen)


def _stream(made: Where, page: str, colours: str, side: float) -> None:
    matrix_view(
        made.stream,
        made.rows,
        made.pieces,
        key=f"{page}.stream",
        alt=f"Relevance for {made.asked} of each piece before every block",
        colours=colours,
        shared=True,
        cell=side,
    )


def _heads(made: Where, page: str, colours: str, side: float) -> tuple[int, int]:
    """Every head of every block; which of them is chosen."""
    st.markdown("**Attention heads**")
    st.caption("What each head handed on, all pieces together. Choose a cell to see where that head looked.")
    key = f"{page}.head"
    if st.session_state.get(key, (None,))[0] != made.head_rows:
        strongest = np.unravel_index(int(np.abs(made.heads).argmax()), made.heads.shape)
        st.session_state[key] = made.head_rows, (int(strongest[0]), int(strongest[1]))
    chosen = st.session_state[key][1]
    matrix_view(
        made.heads,
        made.head_rows,
        [f"{number}" for number in range(1, made.heads.shape[1] + 1)],
        key=f"{page}.heads",
        alt=f"Relevance for {made.asked} of every attention head",
        colours=colours,
        shared=True,
        cell=side,
        chosen=chosen,
        take=lambda row, column: st.session_state.update({key: (made.head_rows, (row, column))}),
    )
    return chosen


def _pattern(made: Where, page: str, colours: str, row: int, head: int) -> None:
    """Where one head looked, and what of that spoke for the answer."""
    st.markdown(f"**{made.head_rows[row]}, head {head + 1}**")
    st.caption("Down: the piece that looks. Across: the piece that it looks at.")
    got = made.relevance[row]
    shown = {"How much it looks": made.weights[row][head], "Relevance of that": None if got is None else got[head]}
    for (title, values), place in zip(shown.items(), st.columns(2, gap="medium"), strict=True):
        with place:
            st.markdown(title)
            if values is None:
                st.caption("This rule gives attention weights nothing: it never asks why a head looks there.")
                continue
            matrix_view(
                values.astype(float),
                made.pieces,
                made.pieces,
                key=f"{page}.pattern.{title}",
                alt=f"{title}: {made.head_rows[row]}, head {head + 1}, for {made.asked}",
                colours=colours,
                shared=True,
                cell=SMALL if len(made.pieces) > MANY else LARGE,
            )
