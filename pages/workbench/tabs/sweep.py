"""Sweep: the same heatmap for some twenty values of gamma or epsilon, all computed at once."""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import streamlit as st

from pages.components.film import Frame, film
from pages.components.heatmap_view import strongest
from pages.explaining import subject as explaining
from pages.explaining.subject import Subject
from pages.settings import session
from pages.settings.settings import Settings, nearest
from pages.settings.wording import plain, signed

VALUES = {
    "gamma": (0, 0.02, 0.04, 0.06, 0.1, 0.14, 0.2, 0.26, 0.34, 0.44, 0.56, 0.7, 0.86, 1, 1.5, 2, 3, 4.5, 7, 10),
    "epsilon": (
        *(1e-6, 1e-5, 1e-4, 1e-3, 3.2e-3, 5.6e-3, 0.01, 0.018, 0.032, 0.056),
        *(0.1, 0.18, 0.32, 0.56, 1, 1.8, 3.2, 5.6, 7.5, 10),
    ),
}


SLICE_S, PAUSE_S = 0.5, 0.1
"""How long a sweep computes before it lets other work of its visitor pass, and how soon it goes on."""


def show(subject: Subject, settings: Settings) -> None:
    """A film over one parameter of the present rule."""
    parameters = [name for name in VALUES if name in settings.parameters]
    if not parameters:
        st.info("This rule has neither gamma nor epsilon. Choose *Recommended* to sweep one.")
        return
    key = f"{subject.page}.sweep.parameter"
    if st.session_state.get(key) not in parameters:
        st.session_state[key] = parameters[0]
    name = st.segmented_control("Sweep over", parameters, format_func=str.capitalize, key=key, required=True)
    values = tuple(float(value) for value in VALUES[name])
    start = replace(settings, **{name: values[0]})  # the result does not depend on where the slider stands
    asked = subject.key, explaining.composite(start, subject), explaining.target(start, subject), name
    made: list[Frame] = session.remember(f"{subject.page}.sweep", asked, list)
    fill(made, subject, settings, name, values, SLICE_S)
    if len(made) < len(values):
        st.fragment(_go_on, run_every=PAUSE_S)(made, subject, settings, name, values)
        return
    film(
        made,
        key=f"{subject.page}.film.sweep",
        label=name.capitalize(),
        colours=settings.colours,
        words=subject.view.words,
        start=nearest(values, getattr(settings, name)),
    )
    st.caption("Every picture has its own scale, so that its shape can be seen; the numbers beside it tell the size.")


def _go_on(made: list[Frame], subject: Subject, settings: Settings, name: str, values: Sequence[float]) -> None:
    """One more slice of a long sweep. Between two of them every other wish is served, and leaving the tab ends it."""
    fill(made, subject, settings, name, values, SLICE_S)
    st.progress(len(made) / len(values), text=f"{len(made)} of {len(values)} pictures. You may go on meanwhile.")
    if len(made) == len(values):
        st.rerun()


def fill(
    made: list[Frame],
    subject: Subject,
    settings: Settings,
    name: str,
    values: Sequence[float],
    seconds: float,
) -> None:
    """Add the frames that `made` still lacks, one for each value of "gamma" or "epsilon", until time is up."""
    end = time.monotonic() + seconds
    for value in values[len(made) :]:
        at = replace(settings, **{name: value})
        made.append(frame(subject, at, name, value))
        if time.monotonic() > end:
            return


def frame(subject: Subject, settings: Settings, name: str, value: float) -> Frame:
    """The picture for one value of the parameter."""
    explanation, asked = explaining.answer(settings, subject), explaining.question(settings, subject)
    relevance = subject.view.heat(explanation)
    (part, first), *others = subject.view.split(relevance).items()
    vmax = strongest(first)
    words, scales = None, f"{vmax:.2g}"
    for other, values in others:  # a question beside a picture
        words = values, strongest(values)
        scales += f" on {part}, {words[1]:.2g} on {other}"
    gains, losses = relevance[relevance > 0].sum(), relevance[relevance < 0].sum()
    start = float(explanation.ledger.total.start.numpy()[0])
    return Frame(
        np.atleast_2d(first),
        vmax,
        name=f"{value:g}",
        title=f"{name.capitalize()} {value:g}",
        note=f"For {asked}: {signed(gains)}\nAgainst it: {signed(losses)}\n"
        f"On the {subject.view.parts}: {plain(gains + losses)} of {plain(start)}\n"
        f"The strongest colour stands for {scales}",
        alt=subject.view.describe(relevance, asked, f"{name} {value:g}"),
        words=words,
    )
