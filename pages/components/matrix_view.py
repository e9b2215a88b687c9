"""A matrix of relevance with names on both sides: pieces of a text across, blocks of a network down.

A table, so that it can be read without eyes; pointer, finger or arrow keys tell the value of a cell. Each row has its
own scale, so that its shape can be seen, unless all share one.
"""

from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st

from lrp_core import tokens
from pages.components.component import component
from pages.settings.wording import signed

_HTML = """
<div class="frame"><table><thead></thead><tbody></tbody></table></div>
<output class="reading"></output>
"""
_component = component(__file__, _HTML)


def matrix_view(
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    key: str,
    alt: str,
    colours: str,
    from_right: bool = False,
    shared: bool = False,
    cell: float = 1.5,
    chosen: tuple[int, int] | None = None,
    take: Callable[[int, int], None] | None = None,
) -> None:
    """Show `values` (R, C).

    Args:
        values: Finite.
        rows, columns: Their R and C names.
        key: Unique among all widgets.
        alt: What is shown: class and rule.
        colours: A name that `lrp_core.heatmap.colour_table` knows.
        from_right: The columns run from right to left, as the text does.
        shared: All rows have one scale.
        cell: How wide and high a cell is, in rem.
        chosen: Row and column of a cell that is framed.
        take: Called with row and column of a cell that was chosen, at the start of the run that follows.
    """
    version = str(hash((tuple(rows), tuple(columns))))
    most = float(np.abs(values).max()) if shared and values.size else None

    def receive() -> None:
        """Pass on a choice, if what the browser sent is a cell of this matrix: a browser can send anything."""
        sent = st.session_state[key].get("picked")
        if take and isinstance(sent, dict) and sent.get("version") == version:
            row, column = sent.get("row"), sent.get("column")
            inside = type(row) is int and 0 <= row < len(rows) and type(column) is int and 0 <= column < len(columns)
            if inside:
                take(row, column)

    _component(
        key=key,
        on_picked_change=receive,
        data={
            "rows": list(rows),
            "columns": list(columns),
            "shades": [[background for background, _ in tokens.colours(row, colours, most)] for row in values],
            "said": [[signed(value, 3) for value in row] for row in values],
            "alt": alt,
            "from_right": from_right,
            "cell": cell,
            "chosen": chosen,
            "version": version,
            "open": take is not None,
        },
    )
