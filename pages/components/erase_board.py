"""A picture whose patches a hand can rub out and bring back: mouse, finger or keyboard."""

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import streamlit as st

from pages.components.component import component

_HTML = """
<div class="stage">
  <canvas role="img"></canvas>
  <div class="cells" role="application" tabindex="0" aria-roledescription="eraser"></div>
  <i class="cell" hidden></i>
</div>
<output></output>
"""
_component = component(__file__, _HTML, "heard", "stage")


def erase_board(
    rgb: np.ndarray,
    taken: np.ndarray,
    grid: tuple[int, int],
    *,
    side: int,
    key: str,
    alt: str,
    take: Callable[[np.ndarray], None],
) -> None:
    """Show a picture, and take from a hand which of its patches are to be gone.

    Args:
        rgb: The picture with the patches already gone, (H, W, 3) uint8.
        taken: Which patches are gone, (rows * columns,) of bool.
        grid: How many rows and columns of patches there are.
        side: Of a patch, in pixels of the picture; those at the end may be smaller.
        key: Unique among all widgets.
        alt: What the picture shows.
        take: Called with the patches that are to be gone, like `taken`, at the start of the run that follows.
    """

    def receive() -> None:
        """Take over what the browser sent, if it is a list of patches at all: a browser can send anything."""
        sent: Any = st.session_state[key].get("gone")
        cells = sent.get("cells") if isinstance(sent, dict) else None
        if not isinstance(cells, list) or not all(type(one) is int and 0 <= one < len(taken) for one in cells):
            return
        st.session_state[f"{key}:answered"] = sent.get("number")
        gone = np.zeros(len(taken), bool)
        gone[cells] = True
        take(gone)

    _component(
        key=key,
        on_gone_change=receive,
        data={
            "height": rgb.shape[0],
            "width": rgb.shape[1],
            "rgb": base64.b64encode(np.ascontiguousarray(rgb).tobytes()).decode(),
            "rows": grid[0],
            "columns": grid[1],
            "side": side,
            "gone": np.flatnonzero(taken).tolist(),
            "alt": alt,
            "answered": st.session_state.get(f"{key}:answered"),
        },
    )
