"""Numbers & code: the figures behind the picture, the script that remakes it, and the files to take home."""

import csv
import io
from collections.abc import Callable

import numpy as np
import streamlit as st

import lrp_core as lrp
from lrp_core import heatmap
from pages.shared import explaining
from pages.shared.explaining import Subject
from pages.shared.heatmap_view import pixels, strongest
from pages.shared.result import balance_of, views
from pages.shared.settings import Settings
from pages.shared.snippet import snippet
from pages.shared.wording import signed


def show(subject: Subject, settings: Settings) -> None:
    """Sums, downloads and code."""
    explanation = explaining.explain(settings, subject)
    relevance = explaining.heat(explanation)
    row, column = np.unravel_index(np.abs(relevance).argmax(), relevance.shape)
    figures = {
        "For the class": signed(relevance[relevance > 0].sum(), 3),
        "Against it": signed(relevance[relevance < 0].sum(), 3),
        "Sum on the input": signed(relevance.sum(), 3),
        "Strongest pixel": signed(relevance[row, column], 3),
    }
    with st.grid(4, min_column_width=140):
        for name, figure in figures.items():
            st.metric(name, figure, help=f"Row {row}, column {column}" if name == "Strongest pixel" else None)
    st.caption(f"{balance_of(explanation).text}.")
    name = f"lrp-{subject.page}"
    with st.container(horizontal=True):
        _download("Picture (PNG)", lambda: png(subject, settings, relevance), f"{name}.png", "image/png")
        _download("Numbers (NPZ)", lambda: npz(subject, explanation), f"{name}.npz", "application/octet-stream")
        _download("Table (CSV)", lambda: table(relevance), f"{name}.csv", "text/csv")
    st.markdown("**The script that remakes this map**")
    st.caption("Run it in the folder of this project. It loads your own input from the NPZ file above.")
    code = snippet(subject.code, explaining.composite(settings, subject), explaining.target(settings, subject))
    st.code(code, wrap_lines=True)
    _download("Script (PY)", lambda: code, f"{name.replace('-', '_')}.py", "text/x-python")


def png(subject: Subject, settings: Settings, relevance: np.ndarray) -> bytes:
    """The heatmap as it is seen on the page, the first one of two, enlarged to about 560 pixels."""
    view = next(iter(views(subject, settings).values()))
    rgb = pixels(relevance, settings.colours, strongest(relevance), **view)
    return heatmap.png_bytes(rgb, zoom=max(1, 560 // rgb.shape[0]))


def npz(subject: Subject, explanation: lrp.Explanation) -> bytes:
    """Input, relevance (both shaped like the input), scores, and what was put on them, as NumPy arrays."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        input=subject.x.numpy(),
        relevance=explanation.relevance.numpy(),
        scores=subject.scores,
        start=explanation.start.numpy(),
    )
    return buffer.getvalue()


def table(relevance: np.ndarray) -> str:
    """The heatmap as text: one line per pixel row."""
    text = io.StringIO()
    csv.writer(text).writerows([f"{value:.9g}" for value in row] for row in relevance)
    return text.getvalue()


def _download(label: str, data: Callable[[], bytes | str], file_name: str, mime: str) -> None:
    st.download_button(
        label, data, file_name, mime, on_click="ignore", icon=":material/download:", key=f"get.{file_name}"
    )
