"""A board to draw on: canvas, Undo, Clear, and samples that land on it as strokes.

The strokes in the session are the truth, the canvas in the browser is a view of them. Streamlit drops the canvas on
a page switch, so it is given its strokes again whenever it does not hold them: after a switch, Undo, Clear or a
sample. While the visitor draws, it is never given anything, or it would redraw under the pen.
"""

from collections.abc import Mapping

import streamlit as st
from streamlit_drawable_canvas import st_canvas

from models.digits.drawing import CANVAS, Sample, Stroke, from_canvas, to_canvas
from pages.settings import session
from pages.settings.controls import choice
from pages.settings.settings import OWN_INPUT

PAPER, INK = "#ffffff", "#14181a"
PEN = 20
"""Width of the pen in canvas pixels: the strokes of MNIST are about as bold."""

Drawing = tuple[Stroke, ...]


def drawing(page: str, samples: Mapping[str, Sample]) -> Drawing:
    """The strokes that are to be explained: those of the chosen sample, or the visitor's own."""
    chosen = session.settings(page).sample
    return samples[chosen].strokes if chosen != OWN_INPUT else st.session_state.get(f"{page}.strokes", ())


def drawing_board(page: str, samples: Mapping[str, Sample]) -> None:
    """Draw the board. `samples` are offered below the canvas, by name."""
    _canvas(page, drawing(page, samples))
    with st.container(horizontal=True, gap="small"):
        st.button("Undo", icon=":material/undo:", on_click=lambda: _keep(page, drawing(page, samples)[:-1]))
        st.button("Clear", icon=":material/delete:", on_click=lambda: _keep(page, ()))
    choice(
        page,
        "sample",
        st.pills,
        "Or take a sample",
        list(samples),
        format_func=lambda name: "/".join(map(str, samples[name].digits)),
        wrap=True,
    )


def _canvas(page: str, strokes: Drawing) -> None:
    key, held, seed = f"{page}.canvas", f"{page}.canvas.held", f"{page}.canvas.seed"
    if key not in st.session_state or st.session_state.get(held) != strokes:
        visit = st.session_state.get(seed, {}).get("visit", 0) + 1  # the widget redraws when its drawing differs
        st.session_state[seed] = to_canvas(strokes, INK) | {"visit": visit}
        st.session_state[held] = strokes
    st_canvas(
        stroke_width=PEN,
        stroke_color=INK,
        background_color=PAPER,
        width=CANVAS,
        height=CANVAS,
        initial_drawing=st.session_state[seed],
        key=key,
        on_change=lambda: _take(page, key, held),
    )


def _take(page: str, key: str, held: str) -> None:
    """The browser reports a drawing: one more stroke, or only the one it was given."""
    reported = (st.session_state[key].get("drawing") or {}).get("raw")
    strokes = from_canvas(reported)
    if not _alike(strokes, st.session_state[held]):
        st.session_state[held] = strokes
        _keep(page, strokes)


def _alike(a: Drawing, b: Drawing) -> bool:
    """Whether two drawings differ by rounding only."""
    return len(a) == len(b) and all(
        len(one.points) == len(other.points)
        and all(abs(x - u) < 1 and abs(y - v) < 1 for (x, y), (u, v) in zip(one.points, other.points, strict=True))
        for one, other in zip(a, b, strict=True)
    )


def _keep(page: str, strokes: Drawing) -> None:
    st.session_state[f"{page}.strokes"] = strokes
    session.change(page, sample=OWN_INPUT)
