"""Layer by layer: how relevance looks inside the network, and where the score went on its way down."""

from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
import streamlit as st

import lrp_core as lrp
from lrp_core.ledger import ABSORBERS, Ledger
from pages.explaining import subject as explaining
from pages.explaining.subject import Subject
from pages.settings import session
from pages.settings.settings import Settings
from pages.settings.wording import plain, signed

FALLING, RISING, TOTAL = "#c2703a", "#7a6ad0", "#1f8f7a"
INK = ("#3a4446", "#c6d1d0")  # on a light and on a dark page; Plotly's own grey is too faint to read


def show(subject: Subject, settings: Settings) -> None:
    """The relevance at every layer, and the ledger as a waterfall."""
    dark = st.context.theme.type == "dark"
    asked = explaining.composite(settings, subject), explaining.target(settings, subject)

    def make() -> tuple[Any, go.Figure]:
        """Only pictures are kept, for a ledger or an explanation would keep the whole tape with it."""
        explanation = explaining.answer(settings, subject, layers=True)
        inside = subject.view.inside(subject, explanation, explaining.question(settings, subject))
        return inside, waterfall(explanation.ledger, subject.view.booked_under, dark)

    made, chart = session.remember(f"{subject.page}.layers", (subject.key, *asked, dark), make)
    st.caption(
        "Relevance starts as the score of the class and is handed down, layer by layer, until it reaches the input. "
        + subject.view.inside_words
    )
    subject.view.show_inside(made, page=subject.page, colours=settings.colours)
    st.markdown("**Where the score went**")
    st.plotly_chart(
        chart,
        key=f"{subject.page}.waterfall",
        config={"displayModeBar": False},
        alt="Waterfall of the score from the output to the input, and what each layer absorbed",
    )


def waterfall(
    ledger: Ledger, booked_under: Callable[[lrp.Step], str | None] = lambda step: step.name, dark: bool = False
) -> go.Figure:
    """The ledger as a picture: the score, what was absorbed of it on the way, and what reached the input.

    booked_under: the bar that a step belongs to; None: the same as the step above it. Neighbours share their bar.
    """
    total = ledger.total
    names, sizes, notes = ["Score"], [float(total.start[0])], ["put on the output"]
    for name, absorbed in _bars(ledger, booked_under):
        lost = sum(absorbed.values())
        if abs(lost) > 1e-6 * (abs(sizes[0]) or 1.0):
            names.append(name)
            sizes.append(-lost)
            notes.append("<br>".join(f"{key}: {value:.4g}" for key, value in absorbed.items() if value))
    names.append("Input")
    sizes.append(float(total.input[0]))
    notes.append("reached the input")
    figure = go.Figure(
        go.Waterfall(
            x=list(range(len(names))),  # positions, not names: a layer that is used twice keeps its two bars
            y=sizes,
            measure=["absolute", *["relative"] * (len(names) - 2), "total"],
            customdata=list(zip(names, notes, strict=True)),
            hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]}<extra>%{delta:+.4g}</extra>",
            text=[plain(sizes[0]), *map(_small, sizes[1:-1]), plain(sizes[-1])],
            textposition="outside",
            decreasing={"marker": {"color": FALLING}},
            increasing={"marker": {"color": RISING}},
            totals={"marker": {"color": TOTAL}},
        )
    )
    figure.update_xaxes(tickvals=list(range(len(names))), ticktext=names)
    figure.update_yaxes(title="Relevance", zeroline=True)
    figure.update_layout(height=320, margin={"t": 24, "b": 8, "l": 8, "r": 8}, showlegend=False)
    ink = INK[dark]
    figure.update_traces(textfont_color=ink)
    for axis in (figure.layout.xaxis, figure.layout.yaxis):
        axis.update(tickfont_color=ink, title_font_color=ink)
    return figure


def _bars(ledger: Ledger, booked_under: Callable[[lrp.Step], str | None]) -> list[tuple[str, dict[str, float]]]:
    """What each bar absorbed, by name, from the output down."""
    bars: list[tuple[str, dict[str, float]]] = []
    for row in ledger:
        absorbed = {key: float(getattr(row, key)[0]) for key in ABSORBERS}
        name = booked_under(row.step)
        if bars and name in (None, bars[-1][0]):
            bars[-1] = bars[-1][0], {key: value + absorbed[key] for key, value in bars[-1][1].items()}
        else:
            bars.append((name or row.step.op, absorbed))
    return bars


def _small(size: float) -> str:
    return signed(size, 2 if abs(size) >= 0.01 else 4)
