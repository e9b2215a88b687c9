"""Sweep: the same heatmap for some twenty values of gamma or epsilon, all computed at once."""

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

import lrp_core as lrp
from lrp_core import heatmap
from pages.shared import engine, explaining, session
from pages.shared.explaining import Subject
from pages.shared.film import Frame, film
from pages.shared.settings import Settings, nearest
from pages.shared.wording import plain, signed

VALUES = {
    "gamma": (0, 0.02, 0.04, 0.06, 0.1, 0.14, 0.2, 0.26, 0.34, 0.44, 0.56, 0.7, 0.86, 1, 1.5, 2, 3, 4.5, 7, 10),
    "epsilon": (
        *(1e-6, 1e-5, 1e-4, 1e-3, 3.2e-3, 5.6e-3, 0.01, 0.018, 0.032, 0.056),
        *(0.1, 0.18, 0.32, 0.56, 1, 1.8, 3.2, 5.6, 7.5, 10),
    ),
}


def show(subject: Subject, settings: Settings) -> None:
    """A film over one parameter of the present rule."""
    parameters = [name for name in VALUES if name in settings.parameters]
    if not parameters:
        st.info("This rule has neither gamma nor epsilon. Choose *Recommended*, *Gamma* or *Epsilon* to sweep one.")
        return
    key = f"{subject.page}.sweep.parameter"
    if st.session_state.get(key) not in parameters:
        st.session_state[key] = parameters[0]
    name = st.segmented_control("Sweep over", parameters, format_func=str.capitalize, key=key, required=True)
    values = tuple(float(value) for value in VALUES[name])
    start = replace(settings, **{name: values[0]})  # the result does not depend on where the slider stands
    swept = session.remember(
        f"{subject.page}.sweep",
        (subject.key, explaining.composite(start), explaining.target(start, subject), name),
        lambda: sweep(subject, start, name, values),
    )
    film(
        frames(swept, name, values, explaining.question(settings, subject)),
        key=f"{subject.page}.film.sweep",
        label=name.capitalize(),
        colours=settings.colours,
        start=nearest(values, getattr(settings, name)),
    )
    st.caption("Every picture has its own scale, so that its shape can be seen; the numbers beside it tell the size.")


def sweep(subject: Subject, settings: Settings, name: str, values: Sequence[float]) -> lrp.Explanation:
    """Explanations for all values of "gamma" or "epsilon", with the values as leading axis."""
    composite, target, tape = explaining.composite(settings), explaining.target(settings, subject), subject.tape
    if name == "epsilon" and composite.has("gamma"):
        # A sweep changes every epsilon, also the one inside the gamma rule, which the slider leaves at zero.
        each = [explaining.composite(replace(settings, epsilon=value)) for value in values]
        return engine.compute(lambda: lrp.Explanation.stacked([tape.explain(one, target) for one in each]))
    return engine.compute(lambda: tape.sweep(composite, target, **{name: list(values)}))


def frames(swept: lrp.Explanation, name: str, values: Sequence[float], asked: str) -> list[Frame]:
    """One frame for each value of the parameter."""
    made = []
    for at, value in enumerate(values):
        relevance = heatmap.channel_sum(swept.relevance[at, 0])
        vmax = heatmap.scale(relevance).vmax
        gains, losses = relevance[relevance > 0].sum(), relevance[relevance < 0].sum()
        made.append(
            Frame(
                relevance,
                vmax,
                name=f"{value:g}",
                title=f"{name.capitalize()} {value:g}",
                note=f"For {asked}: {signed(gains)}\nAgainst it: {signed(losses)}\n"
                f"On the input: {plain(gains + losses)} of {plain(float(swept.ledger.total.start[at, 0]))}\n"
                f"The strongest colour stands for {vmax:.2g}",
                alt=heatmap.alt_text(relevance, asked, f"{name} {value:g}"),
            )
        )
    return made
