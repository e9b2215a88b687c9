"""Compare rules: the same question answered by several rules, in one scale, with how much they agree."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import streamlit as st

import lrp_core as lrp
from pages.components.heatmap_view import strongest
from pages.explaining import subject as explaining
from pages.explaining.subject import Subject
from pages.serving import engine
from pages.settings import session
from pages.settings.rules_text import RECOMMENDED, RULES, offered
from pages.settings.settings import Settings
from pages.settings.wording import plain
from pages.workbench.result import balance_of

FEWEST, MOST = 2, 6

FAINTEST = 0.1
"""A map whose strongest value is a smaller share of the scale than this looks blank."""


def show(subject: Subject, settings: Settings) -> None:
    """Maps of the chosen rules side by side, and the rank correlation of each pair."""
    on_offer = offered(subject.recommended)
    key = f"{subject.page}.compare.rules"
    saved = f"{subject.page}.compared"
    st.session_state[key] = st.session_state.setdefault(saved, [on_offer[0], *RECOMMENDED[on_offer[0]].compared])
    chosen = st.pills(
        f"Rules to compare ({FEWEST} to {MOST})",
        on_offer,
        selection_mode="multi",
        format_func=lambda rule: RULES[rule].label,
        key=key,
        on_change=lambda: st.session_state.update({saved: st.session_state[key]}),
    )
    if not FEWEST <= len(chosen) <= MOST:
        st.info(f"Choose {FEWEST} to {MOST} rules.")
        return
    chosen = [rule for rule in on_offer if rule in chosen]
    maps, times, lines = {}, {}, {}
    for rule in chosen:
        maps[rule], times[rule], lines[rule] = _explained(subject, replace(settings, rule=rule, layers=()))
    asked = explaining.question(settings, subject)
    split = {rule: subject.view.split(relevance) for rule, relevance in maps.items()}
    names = list(split[chosen[0]])
    scales = {rule: {name: strongest(parts[name]) for name in names} for rule, parts in split.items()}
    shared = {name: max(scale[name] for scale in scales.values()) for name in names}
    if st.toggle(
        "One scale for all",
        legible(scales.values(), shared),
        key=f"{subject.page}.compare.one_scale",
        help="Off: each map has its own strongest colour, so that its shape can be seen beside a much stronger one.",
    ):
        scales = dict.fromkeys(chosen, shared)
    with st.grid(len(chosen), min_column_width=subject.view.narrowest):
        for rule in chosen:
            with st.container():
                st.markdown(f"**{RULES[rule].label}**")
                subject.view.small(
                    maps[rule],
                    key=f"{subject.page}.compare.{rule}",
                    alt=subject.view.describe(maps[rule], asked, RULES[rule].label),
                    colours=settings.colours,
                    vmax=scales[rule],
                )
                strong = [f"{size:.2g}" + (f" on {name}" if names[1:] else "") for name, size in scales[rule].items()]
                st.caption(
                    f"{lines[rule]}. The strongest colour stands for {' and '.join(strong)}. Took {times[rule]:.1f} ms."
                )
    st.caption("Epsilon and gamma as in the panel.")
    for name in names:
        st.markdown("**Rank correlation**" + (f" · {name}" if names[1:] else ""))
        st.caption(
            f"1: both rules order the {name} alike. 0: their orders have nothing in common. −1: one is the reverse."
        )
        table = {"Rule": [RULES[rule].label for rule in chosen]}
        for column in chosen:
            table[RULES[column].label] = [
                plain(rank_correlation(split[row][name], split[column][name])) for row in chosen
            ]
        st.table(table, hide_index=True)


def legible(scales: Iterable[Mapping[str, float]], shared: Mapping[str, float]) -> bool:
    """Whether every map that is not all zero still shows in the shared scale of its part."""
    return all(not size or size >= FAINTEST * shared[name] for scale in scales for name, size in scale.items())


def _explained(subject: Subject, settings: Settings) -> tuple[np.ndarray, float, str]:
    """Map, milliseconds and balance line of one rule."""
    asked = explaining.composite(settings, subject), explaining.target(settings, subject)

    def timed() -> tuple[lrp.Explanation, float]:
        tape = subject.record()  # a fresh one: what an earlier rule left behind would help the next
        start = time.perf_counter()
        explanation = tape.explain(*asked)
        return explanation, 1000 * (time.perf_counter() - start)

    def make() -> tuple[np.ndarray, float, str]:
        explanation, spent = engine.compute(timed, subject.threads)
        return subject.view.heat(explanation), spent, balance_of(explanation).text

    return session.remember(f"{subject.page}.compare.{settings.rule}", (subject.key, *asked), make)


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation of two maps of one shape; ties share the mean rank. 0 if one is constant."""
    x, y = (_ranks(values.ravel()) for values in (a, b))
    x, y = x - x.mean(), y - y.mean()
    size = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / size) if size else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    _, group, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[group]
