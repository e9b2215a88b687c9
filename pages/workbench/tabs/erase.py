"""What if I erase it? Evidence is taken away, and the answer watched; as much at random says what that is worth."""

from functools import partial

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from pages.components.live_slider import LiveSlider
from pages.explaining import erasing
from pages.explaining import subject as explaining
from pages.explaining.erasing import AGAINST, CHANCE, FOR, Curves, Eraser
from pages.explaining.subject import Subject
from pages.settings import session
from pages.settings.settings import Settings
from pages.settings.wording import literal, percent
from pages.workbench.explain_panel import FRAGMENT

ORDERS = {"Strongest for it": FOR, "Strongest against it": AGAINST, "At random": CHANCE}
"""What can be erased first, and the row of the curves that it is."""

HAND = "By hand"
START = 0.1
"""The share that is erased at first."""

SLICE_S, PAUSE_S = 0.5, 0.3
RED, BLUE, GREY = "#c0392b", "#2f6fb3", "rgba(128, 128, 128, 0.35)"
INK = ("#3a4446", "#c6d1d0")  # on a light and on a dark page


def show(subject: Subject, settings: Settings) -> None:
    """The input with evidence gone, beside the curves of what the network says then."""
    eraser = session.remember(f"{subject.page}.eraser", subject.key, lambda: subject.view.eraser(subject))
    if eraser is None:
        st.info("There is too little here to take something away.")
        return
    heat = subject.view.heat(explaining.explain(settings, subject))
    wanted = subject.classes(settings.target)
    first, way = _choices(subject, eraser)
    relevance = eraser.relevance(heat)
    asked = subject.key, explaining.composite(settings, subject), explaining.target(settings, subject), way
    curves: Curves = session.remember(f"{subject.page}.erased", asked, lambda: erasing.planned(relevance, eraser.most))
    probability = partial(_probability, subject, wanted)
    erasing.fill(curves, eraser, way, probability, SLICE_S)
    if curves.done < 1:
        st.fragment(_go_on, run_every=PAUSE_S)(curves, eraser, way, probability)
        return
    label = literal(subject.labels[wanted])
    if first == HAND:
        _by_hand(subject, eraser, way, heat, label, wanted, curves)
    else:
        _by_rank(subject, eraser, way, heat, label, ORDERS[first], curves)


def _choices(subject: Subject, eraser: Eraser) -> tuple[str, str]:
    """What is erased first, and what stands in its place."""
    page, left, right = subject.page, *st.columns(2)
    ways = list(eraser.fills)
    hands = [HAND] if eraser.unit == "patches" else []
    keys = {f"{page}.erase.first": [*ORDERS, *hands], f"{page}.erase.fill": ways}
    for key, options in keys.items():
        if st.session_state.get(key) not in options:
            st.session_state[key] = options[0]
    of_first, of_fill = keys
    with left:
        first = st.segmented_control("Erase first", keys[of_first], key=of_first, required=True)
    with right:
        way = st.segmented_control(
            "In its place", ways, format_func=eraser.fills.__getitem__, key=of_fill, required=True
        )
    return first, way


def _probability(subject: Subject, wanted: int, inputs: erasing.Inputs) -> np.ndarray:
    return subject.chances(inputs)[:, wanted]


def _go_on(curves: Curves, eraser: Eraser, way: str, probability: erasing.Probability) -> None:
    """Some questions more. Between two slices every other wish is served, and leaving the tab ends it."""
    erasing.fill(curves, eraser, way, probability, SLICE_S)
    st.progress(curves.done, text=f"{curves.done:.0%} of the answers are here. You may go on meanwhile.")
    if curves.done == 1:
        st.rerun()


@st.fragment
def _by_rank(
    subject: Subject, eraser: Eraser, way: str, heat: np.ndarray, label: str, order: int, curves: Curves
) -> None:
    """The slider, live: the picture is the work of a moment, and the answers are known."""
    units = len(curves.orders[0])
    shares = [100 * count / units for count in curves.counts]
    start = int(np.abs(np.array(shares) - 100 * START).argmin())
    slider = LiveSlider(f"{subject.page}.erase.share", "Erased", shares, index=start, fmt="{:.0f} %")
    point = slider.index
    left, right = st.columns(2, gap="medium")
    with left:
        place = st.container()
        eraser.show(
            curves.taken(order, point),
            way,
            heat,
            key=f"{subject.page}.erase.board",
            take=partial(_take_over, subject.page),
        )
    with right:
        _draw(subject, curves, label, order, point, eraser.unit)
        chance = curves.found[CHANCE:, point]
        shown = chance.mean() if order == CHANCE else curves.found[order, point]
        what = {FOR: "the strongest for it", AGAINST: "the strongest against it", CHANCE: "some at random"}[order]
        st.markdown(
            f"Without {curves.counts[point]} of {units} {eraser.unit}, {what}, **{label}** has "
            f"**{percent(shown)}**; before it had {percent(curves.found[FOR, 0])}. {_chance(chance)}"
        )
        st.caption(
            "If the map is right, the red curve falls at once and the blue one holds. A picture or text with holes is "
            "an odd one: what stands in the place of the evidence changes the answer, too."
        )
        name = f"lrp-{subject.page}-erased.csv"
        st.download_button("Numbers (CSV)", _csv(curves, eraser.unit), name, "text/csv", on_click="ignore")
    with place:
        slider.mount()


def _take(page: str, gone: np.ndarray) -> None:
    """From now on by hand, beginning with what was gone already."""
    st.session_state[f"{page}.erase.gone"] = gone
    st.session_state[f"{page}.erase.first"] = HAND


def _take_over(page: str, gone: np.ndarray) -> None:
    """The same from within the slider's fragment, which knows nothing of the choices above it."""
    _take(page, gone)
    st.rerun(FRAGMENT)


def _by_hand(
    subject: Subject, eraser: Eraser, way: str, heat: np.ndarray, label: str, wanted: int, curves: Curves
) -> None:
    """What a hand has rubbed out, and as much at random beside it."""
    page, units = subject.page, len(curves.orders[0])
    gone = st.session_state.get(f"{page}.erase.gone")
    if gone is None or len(gone) != units:
        gone = np.zeros(units, bool)

    def answers() -> tuple[float, np.ndarray]:
        taken = np.concatenate([gone[None], erasing.by_chance(gone)])
        found = np.empty(len(taken))
        for rows, inputs in eraser.batches(taken, way):
            found[rows] = _probability(subject, wanted, inputs)
        return float(found[0]), found[1:]

    left, right = st.columns(2, gap="medium")
    with left:
        eraser.show(gone, way, heat, key=f"{page}.erase.board", take=partial(_take, page))
        st.caption("Drag over the picture to erase; begin on an erased patch to bring it back. Keys: arrows and space.")
        back = partial(_take, page, np.zeros(units, bool))
        st.button("Bring all back", disabled=not gone.any(), key=f"{page}.erase.back", on_click=back)
    with right:
        now, chance = session.remember(f"{page}.erase.hand", (subject.key, way, wanted, gone.tobytes()), answers)
        share = eraser.relevance(heat)[gone].clip(min=0).sum() / max(eraser.relevance(heat).clip(min=0).sum(), 1e-12)
        st.metric(f"Probability of {label}", percent(now), f"{percent(curves.found[FOR, 0])} before", delta_color="off")
        st.markdown(
            f"{int(gone.sum())} of {units} {eraser.unit} are erased. On them lay {share:.0%} of what spoke for it. "
            + (_chance(chance) if gone.any() else "")
        )


def _chance(found: np.ndarray) -> str:
    lowest, highest = percent(found.min()), percent(found.max())
    if lowest == highest:
        return f"With as much erased at random it has {lowest} each time."
    return f"With as much erased at random it has {percent(found.mean())} on average, between {lowest} and {highest}."


def _csv(curves: Curves, unit: str) -> str:
    """The curves as a table: a line for each point."""
    chance = [f"random {number + 1}" for number in range(len(curves.orders) - CHANCE)]
    lines = [",".join([f"{unit} erased", "strongest for", "strongest against", *chance])]
    lines += [
        ",".join([str(count), *(f"{value:.6g}" for value in row)])
        for count, row in zip(curves.counts, curves.found.T, strict=True)
    ]
    return "\n".join(lines) + "\n"


def _draw(subject: Subject, curves: Curves, label: str, order: int, point: int, unit: str) -> None:
    """The probability over the share that is erased, with the band of chance."""
    x = [100 * count / len(curves.orders[0]) for count in curves.counts]
    chance, ink = 100 * curves.found[CHANCE:], INK[st.context.theme.type == "dark"]
    figure = go.Figure()
    band = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    figure.add_scatter(x=x, y=chance.min(0), showlegend=False, **band)
    figure.add_scatter(
        x=x, y=chance.max(0), fill="tonexty", fillcolor=GREY, name=f"at random, {len(chance)} times", **band
    )
    figure.add_scatter(
        x=x, y=chance.mean(0), showlegend=False, mode="lines", line={"color": GREY, "width": 2}, name="mean"
    )
    for row, name, colour, dash in ((FOR, "strongest for", RED, "solid"), (AGAINST, "strongest against", BLUE, "dash")):
        line = {"color": colour, "width": 3, "dash": dash}
        figure.add_scatter(x=x, y=100 * curves.found[row], name=name, mode="lines", line=line)
    shown = chance.mean(0) if order == CHANCE else 100 * curves.found[order]
    figure.add_scatter(
        x=[x[point]], y=[shown[point]], mode="markers", showlegend=False, hoverinfo="skip",
        marker={"size": 12, "color": ink, "symbol": "circle-open", "line": {"width": 3}},
    )  # fmt: skip
    axis = {"tickfont_color": ink, "title_font_color": ink, "ticksuffix": " %"}
    figure.update_xaxes(title=f"{unit.capitalize()} erased", **axis)
    figure.update_yaxes(title=f"Probability of {label}", range=[-2, 102], **axis)
    legend = {"orientation": "h", "y": 1.12, "font_color": ink}
    figure.update_layout(height=300, margin={"t": 8, "b": 8, "l": 8, "r": 8}, legend=legend)
    st.plotly_chart(
        figure,
        key=f"{subject.page}.erase.curves",
        config={"displayModeBar": False},
        alt=f"Probability of {label} while {unit} are erased: {percent(shown[point] / 100)} at {x[point]:.0f} %",
    )
