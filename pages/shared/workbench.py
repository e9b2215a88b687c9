"""The middle of every page that explains something: input, result, explain panel, and the tabs below."""

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

import lrp_core as lrp
from pages.shared import (
    compare_tab,
    explaining,
    layers_tab,
    link,
    numbers_tab,
    reading_tab,
    result,
    session,
    sweep_tab,
)
from pages.shared.explain_panel import ExplainPanel
from pages.shared.explaining import Subject
from pages.shared.layer_plan import layer_plan
from pages.shared.settings import Offer, Settings

TABS = {
    "How to read this": reading_tab.show,
    "Layer by layer": layers_tab.show,
    "Sweep": sweep_tab.show,
    "Compare rules": compare_tab.show,
    "Numbers & code": numbers_tab.show,
}

Input = Callable[[], Subject | str]
"""Draws a page's own input. Returns what is to be explained, or one sentence why there is nothing yet."""


@st.fragment
def workbench(page: str, offer: Offer, labels: Sequence[str], draw_input: Input) -> None:
    """Draw everything between the title and the closing words, and keep it in step with the sliders.

    One fragment holds it all: a slider that moves reruns this function alone, and a run that is under way is never
    cut short by the next. The sliders come last, because mounting them tells the browser to send the next value.
    """
    left, middle, right = st.columns((7, 12, 7), gap="medium")
    panel = ExplainPanel(page, offer, labels)
    with left:
        subject = draw_input()
    settings = session.settings(page)
    known = isinstance(subject, Subject)
    with right:
        panel.draw(subject.probabilities if known else None, partial(layer_plan, subject) if known else None)
    try:
        if known:
            with middle:
                _result(subject, settings)
            _tabs(subject, _settled(page, settings, panel.held))
        else:
            middle.info(subject, icon=":material/draw:")
    except (ValueError, lrp.UnsupportedOp) as error:
        st.error(str(error))
    if not panel.held:
        link.write(page, offer)
    panel.mount_sliders()


def _result(subject: Subject, settings: Settings) -> None:
    explanation = explaining.explain(settings, subject)
    result.prediction(subject, settings)
    result.boxes(subject, settings, explanation)
    result.balance_line(explanation, settings)


def _tabs(subject: Subject, settings: Settings) -> None:
    tabs = st.tabs(list(TABS), key=f"{subject.page}.tabs", on_change="rerun")
    for tab, show in zip(tabs, TABS.values(), strict=True):
        if tab.open:
            with tab:
                show(subject, settings)


def _settled(page: str, settings: Settings, held: bool) -> Settings:
    """The settings for the tabs: those of the last release, so that they keep still while a slider moves."""
    if not held:
        st.session_state[f"{page}.settled"] = settings
    return st.session_state.get(f"{page}.settled", settings)
