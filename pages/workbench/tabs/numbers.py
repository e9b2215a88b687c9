"""Numbers & code: the figures behind the picture, the script that remakes it, and the files to take home."""

import numpy as np
import streamlit as st

from pages.explaining import subject as explaining
from pages.explaining.snippet import snippet
from pages.explaining.subject import Subject
from pages.explaining.view import File
from pages.settings.settings import Settings
from pages.settings.wording import signed
from pages.workbench.result import balance_of


def show(subject: Subject, settings: Settings) -> None:
    """Sums, downloads and code."""
    explanation = explaining.explain(settings, subject)
    relevance = subject.view.heat(explanation)
    peak, place = subject.view.peak(relevance)
    figures = {
        "For the class": signed(relevance[relevance > 0].sum(), 3),
        "Against it": signed(relevance[relevance < 0].sum(), 3),
        f"Sum on the {subject.view.parts}": signed(relevance.sum(), 3),
        peak: signed(relevance.flat[np.abs(relevance).argmax()], 3),
    }
    with st.grid(4, min_column_width=140):
        for name, figure in figures.items():
            st.metric(name, figure, help=place if name == peak else None)
    st.caption(f"{balance_of(explanation).text}.")
    with st.container(horizontal=True):
        for file in subject.view.files(subject, settings, explanation):
            _download(file)
    st.markdown("**The script that remakes this map**")
    st.caption(f"Run it in the folder of this project. {subject.view.code_note}")
    code = snippet(subject, explaining.composite(settings, subject), explaining.target(settings, subject))
    st.code(code, wrap_lines=True)
    _download(File("Script (PY)", f"lrp_{subject.page}.py", "text/x-python", lambda: code))


def _download(file: File) -> None:
    st.download_button(
        file.label,
        file.content,
        file.name,
        file.mime,
        on_click="ignore",
        icon=":material/download:",
        key=f"get.{file.name}",
    )
