"""Layer by layer: how relevance looks inside the network, and where the score went on its way down."""

import math

import numpy as np
import plotly.graph_objects as go
import streamlit as st

import lrp_core as lrp
from lrp_core import heatmap
from lrp_core.ledger import ABSORBERS, Ledger
from pages.shared import explaining, session
from pages.shared.explaining import Subject
from pages.shared.film import Frame, film
from pages.shared.heatmap_view import strongest
from pages.shared.settings import Settings
from pages.shared.wording import plain, signed

FALLING, RISING, TOTAL = "#c2703a", "#7a6ad0", "#1f8f7a"
INK = ("#3a4446", "#c6d1d0")  # on a light and on a dark page; Plotly's own grey is too faint to read


def show(subject: Subject, settings: Settings) -> None:
    """A film of the relevance at every layer, and the ledger as a waterfall."""
    dark = st.context.theme.type == "dark"
    asked = explaining.composite(settings, subject), explaining.target(settings, subject)

    def make() -> tuple[list[Frame], go.Figure]:
        """Only pictures are kept, for a ledger or an explanation would keep the whole tape with it."""
        explanation = explaining.answer(settings, subject, layers=True)
        return frames(explanation, explaining.question(settings, subject)), waterfall(explanation.ledger, dark)

    made, chart = session.remember(f"{subject.page}.layers", (subject.key, *asked, dark), make)
    st.caption(
        "Relevance starts as the score of the class and is handed down, layer by layer, until it reaches the input. "
        "Convolutions are shown as the sum over their channels, dense layers as a block of cells."
    )
    film(made, key=f"{subject.page}.film.layers", label="Layer", colours=settings.colours)
    st.markdown("**Where the score went**")
    st.plotly_chart(
        chart,
        key=f"{subject.page}.waterfall",
        config={"displayModeBar": False},
        alt="Waterfall of the score from the output to the input, and what each layer absorbed",
    )


def frames(explanation: lrp.Explanation, asked: str) -> list[Frame]:
    """One frame for the relevance at the input of each layer, from the output down to the network's input."""
    made = []
    for name, relevance in reversed(explanation.layers.items()):
        values = relevance[0].numpy()
        plane = flat(values)
        vmax = strongest(plane)
        gains, losses = values[values > 0].sum(), values[values < 0].sum()
        made.append(
            Frame(
                plane,
                vmax,
                name=name,
                title=f"Into {name}: {' × '.join(map(str, values.shape))} numbers",
                note=f"For {asked}: {signed(gains)}\nAgainst it: {signed(losses)}\nSum: {signed(gains + losses)}\n"
                f"The strongest colour stands for {vmax:.2g}",
                alt=heatmap.alt_text(plane, asked, f"at the input of layer {name}"),
            )
        )
    return made


def flat(values: np.ndarray) -> np.ndarray:
    """A layer as a picture: (C, H, W) summed over channels, (N,) wrapped into a block as square as possible."""
    if values.ndim == 3:
        return values.sum(0)
    values = values.ravel()
    columns = math.ceil(math.sqrt(values.size))
    rows = math.ceil(values.size / columns)
    return np.pad(values, (0, rows * columns - values.size)).reshape(rows, columns)


def waterfall(ledger: Ledger, dark: bool = False) -> go.Figure:
    """The ledger as a picture: the score, what every layer absorbed of it, and what reached the input."""
    total = ledger.total
    names, sizes, notes = ["Score"], [float(total.start[0])], ["put on the output"]
    for row in ledger:
        absorbed = {key: float(getattr(row, key)[0]) for key in ABSORBERS}
        lost = sum(absorbed.values())
        if abs(lost) > 1e-6 * (abs(sizes[0]) or 1.0):
            names.append(row.step.name or row.step.op)
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


def _small(size: float) -> str:
    return signed(size, 2 if abs(size) >= 0.01 else 4)
