"""The explain panel: which class, which rule, epsilon, gamma, and how to show it. The same on every page."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import streamlit as st

from pages.components.live_slider import LiveSlider
from pages.settings import link, session
from pages.settings.controls import choice
from pages.settings.rules_text import RULES
from pages.settings.settings import (
    COLOURS,
    EPSILONS,
    GAMMAS,
    NO_CLASS,
    OPACITIES,
    RUNNER_UP,
    TOPS,
    VIEWS,
    Offer,
    Settings,
    nearest,
)
from pages.settings.wording import percent

TOP_CLASSES = 5
"""How many classes are offered first, with the most probable on top."""

MOST_CLASSES, LISTED = 2000, 100
"""Of more classes than this only the most probable are listed, so many: browsers get the list again and again."""


FRAGMENT = "workbench"
"""The fragment that the panel belongs to: it follows when a slider is let go."""


class _Slider(LiveSlider):
    """While it is held only the fragment it is mounted in runs; when it is let go, the whole workbench."""

    def _receive(self) -> None:
        super()._receive()
        if not self.held:
            st.rerun(FRAGMENT)


class ExplainPanel:
    """Draws the controls. The two sliders report while they move, so they are mounted last: see `mount_sliders`.

    Args:
        page: Whose settings it shows and changes.
        offer: What the page offers.
    """

    def __init__(self, page: str, offer: Offer) -> None:
        self.page, self.offer = page, offer
        defaults = offer.defaults
        self.epsilon = _Slider(
            f"{page}.slider.epsilon", "Epsilon", EPSILONS, index=nearest(EPSILONS, defaults.epsilon), fmt="{:g}"
        )
        self.gamma = _Slider(f"{page}.slider.gamma", "Gamma", GAMMAS, index=nearest(GAMMAS, defaults.gamma), fmt="{:g}")
        self.read_sliders()

    @staticmethod
    def follow_settings(page: str) -> None:
        """Move the sliders to where the settings say, after a link changed those."""
        settings = session.settings(page)
        LiveSlider.set_index(f"{page}.slider.epsilon", nearest(EPSILONS, settings.epsilon))
        LiveSlider.set_index(f"{page}.slider.gamma", nearest(GAMMAS, settings.gamma))

    def read_sliders(self) -> Settings:
        """Take over where the sliders stand, and return the settings."""
        session.change(self.page, epsilon=self.epsilon.value, gamma=self.gamma.value)
        return session.settings(self.page)

    def draw(self, probabilities: np.ndarray | None, open_plan: Callable[[], None] | None) -> None:
        """Draw the panel. Without probabilities (nothing to explain yet) classes are offered in their own order."""
        self._classes(probabilities)
        self._select("rule", "Rule", list(self.offer.rules), lambda rule: RULES[rule].label)
        rule = RULES[session.settings(self.page).rule]
        st.caption(rule.words)
        with st.container(horizontal=True, gap="small"):
            with st.popover("Formula", icon=":material/function:"):
                st.latex(rule.formula)
                st.markdown(rule.legend)
                st.caption(f"Source: {rule.source}.")
            layers = session.settings(self.page).layers
            fixed = open_plan is None or session.settings(self.page).rule == "gxi"
            name = f"Per layer ({len(layers)} changed)" if layers else "Per layer…"
            if st.button(name, icon=":material/layers:", disabled=fixed) and open_plan:
                open_plan()
        self._slots = st.container()
        self._display()
        link.copy_button(self.page, self.offer)

    def mount_sliders(self) -> None:
        """Put the sliders in their place; to be called when everything else has been drawn."""
        settings = session.settings(self.page)
        label = RULES[settings.rule].label
        with self._slots:
            for name, slider in (("epsilon", self.epsilon), ("gamma", self.gamma)):
                slider.mount(disabled=None if name in settings.parameters else f"{label} has no {name}.")

    def _classes(self, probabilities: np.ndarray | None) -> None:
        labels = self.offer.labels
        if probabilities is None:
            order = self.offer.classes
            names = {index: self._searchable(index) for index in order}
            first = "The most likely class"
        else:
            order = self._ranked(probabilities)
            names = {index: f"{self._searchable(index)} · {percent(probabilities[index])}" for index in order}
            first = f"The most likely: {labels[order[0]]} · {percent(probabilities[order[0]])}"
        self._select(
            "target", "Class", [NO_CLASS, *order], ({NO_CLASS: first} | names).__getitem__, help="Type to search."
        )
        none = {NO_CLASS: "—"} | ({RUNNER_UP: "The runner-up"} if self.offer.contrasts else {})
        self._select("rather_than", "… rather than", [*none, *order], (none | names).__getitem__)

    def _ranked(self, probabilities: np.ndarray) -> list[int]:
        """The most probable classes first, then all others in their own order; of very many only some."""
        ranked = np.argsort(-probabilities, kind="stable").tolist()
        if len(ranked) <= MOST_CLASSES:
            return [*ranked[:TOP_CLASSES], *sorted(ranked[TOP_CLASSES:])]
        settings = session.settings(self.page)
        chosen = [one for one in (settings.target, settings.rather_than) if one in self.offer.classes]
        return list(dict.fromkeys([*ranked[:LISTED], *chosen]))

    def _searchable(self, index: int) -> str:
        """A class with the other words that people may search for."""
        also = self.offer.also[index] if self.offer.also else ""
        return f"{self.offer.labels[index]} ({also})" if also else self.offer.labels[index]

    def _display(self) -> None:
        views = self.offer.views
        *view, colours = st.columns(2 if views else 1)
        if views:
            with view[0]:
                self._select("view", "Show", list(views), VIEWS.__getitem__)
        with colours:
            self._select("colours", "Colours", list(COLOURS), COLOURS.__getitem__)
        chosen = session.settings(self.page).view
        if chosen in ("overlay", "both"):
            self._per_cent("opacity", "Opacity", OPACITIES)
        if chosen == "top":
            self._per_cent("top", "Strongest pixels", TOPS)

    def _select(self, field: str, label: str, options: list, format_func: Callable[[Any], str], **more: Any) -> None:
        choice(self.page, field, st.selectbox, label, options, format_func=format_func, **more)

    def _per_cent(self, field: str, label: str, options: Sequence[int]) -> None:
        choice(self.page, field, st.select_slider, label, options, format_func=lambda share: f"{share} %")
