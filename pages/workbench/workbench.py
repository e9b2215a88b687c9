"""The middle of every page that explains something: input, result, explain panel, and the tabs below."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import lrp_core as lrp
from pages.explaining import subject as explaining
from pages.explaining.subject import Subject
from pages.serving import queue
from pages.settings import link, session
from pages.settings.settings import Offers, Settings
from pages.workbench import result
from pages.workbench.explain_panel import FRAGMENT, ExplainPanel
from pages.workbench.layer_plan import layer_plan
from pages.workbench.tabs import compare as compare_tab
from pages.workbench.tabs import erase as erase_tab
from pages.workbench.tabs import layers as layers_tab
from pages.workbench.tabs import numbers as numbers_tab
from pages.workbench.tabs import reading as reading_tab
from pages.workbench.tabs import sweep as sweep_tab

TABS = {
    "How to read this": reading_tab.show,
    "What if I erase it?": erase_tab.show,
    "Layer by layer": layers_tab.show,
    "Sweep": sweep_tab.show,
    "Compare rules": compare_tab.show,
    "Numbers & code": numbers_tab.show,
}

Input = Callable[[], Subject | str]
"""Draws a page's own input. Returns what is to be explained, or one sentence why there is nothing yet."""

Show = Callable[[Subject, Settings], None]


@dataclass(frozen=True)
class Answer:
    """How a page says what the network answered: in a headline above the map, and in bars below it."""

    headline: Callable[[Subject], None] = result.headline
    bars: Show = result.probabilities


ORDINARY = Answer()


def arrive(page: str, offers: Offers) -> None:
    """Take over what the address asks for, the places of the sliders included."""
    if link.arrive(page, offers):
        ExplainPanel.follow_settings(page)


@st.fragment(key=FRAGMENT)
def workbench(
    page: str,
    offers: Offers,
    draw_input: Input,
    tabs: Mapping[str, Show] = TABS,
    answer: Answer = ORDINARY,
) -> None:
    """Draw everything between the title and the closing words. tabs: those below, by their titles.

    Two fragments, because runs of one fragment wait for each other while runs of the whole page cut each other short.
    This one answers every choice. The one within redraws only the heatmap, for as long as a slider moves; when it is
    let go, this one follows.
    """
    offer = offers(session.settings(page).network)
    link.note(page)
    left, middle, right = st.columns((7, 12, 7), gap="medium")
    panel = ExplainPanel(page, offer)
    with queue.announced(middle):
        with left:
            try:
                subject = draw_input()
            except FileNotFoundError as error:
                subject = f"{error} The other pages work."
        known = subject if isinstance(subject, Subject) else None
        with right:
            panel.draw(known.probabilities if known else None, partial(layer_plan, known) if known else None)
        with middle:
            if known:
                answer.headline(known)
                places = [*known.view.boxes(known, session.settings(page)), st.container()]
                answer.bars(known, session.settings(page))
            else:
                st.info(subject)
                places = []
    _live(known, panel, places)
    if known:
        _tabs(known, session.settings(page), tabs)
    link.write(page, offer)


@st.fragment
def _live(subject: Subject | None, panel: ExplainPanel, places: Sequence[DeltaGenerator]) -> None:
    """The heatmaps and the balance, in step with the sliders. Those come last: mounting them asks for the next."""
    settings = panel.read_sliders()
    if subject:
        *maps, below = places
        try:
            with queue.announced(below):
                explanation = explaining.explain(settings, subject)
            subject.view.fill(subject, settings, explanation, maps)
            with below:
                result.balance_line(explanation, settings, subject.view.heat(explanation))
                result.readout_line(subject)
        except (ValueError, lrp.UnsupportedOp) as error:
            below.error(str(error))
    panel.mount_sliders()


def _tabs(subject: Subject, settings: Settings, shown: Mapping[str, Show]) -> None:
    tabs = st.tabs(list(shown), key=f"{subject.page}.tabs", on_change="rerun")
    for tab, show in zip(tabs, shown.values(), strict=True):
        if tab.open:
            with tab, queue.announced(tab):
                try:
                    show(subject, settings)
                except (ValueError, lrp.UnsupportedOp) as error:
                    st.error(str(error))
