"""Is it faithful? Words are deleted from the prompt one by one, and the lead of the explained word is watched."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import plotly.graph_objects as go
import streamlit as st
import torch

from lrp_core.evaluation import pictures as evaluation
from lrp_core.evaluation import words as word_evaluation
from pages.explaining import subject as explaining
from pages.explaining.subject import Subject
from pages.language.subject import described
from pages.serving import engine
from pages.settings import session
from pages.settings.settings import Settings
from pages.settings.wording import literal, signed
from pages.views.erasers import shortened

RANDOM = 8
"""Orders by chance that the order by relevance is compared with."""
STEPS = 10
SLICE_S, PAUSE_S = 0.5, 0.1
AT_ONCE = 8
"""Prompts that are read in one go."""
FOR, AGAINST, CHANCE = "#c0392b", "#2f6fb3", "rgba(128, 128, 128, 0.35)"
INK = ("#3a4446", "#c6d1d0")  # on a light and on a dark page


@dataclass(eq=False)
class Curves:
    """texts (orders, steps): the prompt with ever more words deleted. leads: of those that were read, in logits."""

    counts: tuple[int, ...]
    texts: tuple[tuple[str, ...], ...]
    leads: dict[str, float] = field(default_factory=dict)

    @property
    def missing(self) -> list[str]:
        """The prompts that were not read yet, each once."""
        every = dict.fromkeys(text for row in self.texts for text in row)
        return [text for text in every if text not in self.leads]

    def values(self) -> np.ndarray:
        """(orders, steps), once nothing is missing."""
        return np.array([[self.leads[text] for text in row] for row in self.texts])


def show(subject: Subject, settings: Settings) -> None:
    """The curves, drawn when all prompts were read."""
    wanted, rival = subject.classes(settings.target), subject.rival(settings)
    asked = subject.key, explaining.composite(settings, subject), explaining.target(settings, subject)
    heat = subject.view.heat(explaining.explain(settings, subject))
    if len(heat) < 3:
        st.info("The prompt is too short: it takes three words at least.")
        return
    curves: Curves = session.remember(f"{subject.page}.curves", asked, lambda: planned(subject, heat))
    fill(curves, subject, wanted, rival, SLICE_S)
    if curves.missing:
        st.fragment(_go_on, run_every=PAUSE_S)(curves, subject, wanted, rival)
        return
    _draw(curves, explaining.question(settings, subject), st.context.theme.type == "dark")


def planned(subject: Subject, heat: np.ndarray) -> Curves:
    """What is to be read: the strongest words deleted first, the weakest first, and in orders by chance."""
    words = len(heat)
    counts = tuple(count for count in evaluation.flip_counts(words, min(STEPS, words)) if count < words)
    generator = torch.Generator().manual_seed(0)
    by_relevance = evaluation.ranking(torch.from_numpy(heat.copy())[None])
    orders = torch.cat(
        [by_relevance, by_relevance.flip(1), *(torch.randperm(words, generator=generator)[None] for _ in range(RANDOM))]
    )
    kept = word_evaluation.left_over(orders, counts)
    return Curves(
        counts, tuple(tuple(shortened(subject.view.reading, row.tolist()) for row in order) for order in kept)
    )


def fill(curves: Curves, subject: Subject, wanted: int, rival: int | None, seconds: float) -> None:
    """Read prompts that are missing until time is up: those of one length together."""
    end = time.monotonic() + seconds
    read = described(subject.network).read
    ids = {text: read(text).ids for text in curves.missing}
    while ids:
        length = next(iter(ids.values())).shape[1]
        some = [text for text, one in ids.items() if one.shape[1] == length][:AT_ONCE]
        together = torch.cat([ids.pop(text) for text in some])

        def leads(together: torch.Tensor = together) -> list[float]:
            with torch.inference_mode():
                logits = subject.model(together)
            found = logits[:, wanted]
            return (found if rival is None else found - logits[:, rival]).tolist()

        curves.leads |= dict(zip(some, engine.compute(leads, subject.threads), strict=True))
        if time.monotonic() > end:
            return


def _go_on(curves: Curves, subject: Subject, wanted: int, rival: int | None) -> None:
    """Some prompts more. Between two slices every other wish is served, and leaving the tab ends it."""
    fill(curves, subject, wanted, rival, SLICE_S)
    done, left = len(curves.leads), len(curves.missing)
    st.progress(done / (done + left), text=f"{done} of {done + left} prompts were read. You may go on meanwhile.")
    if not left:
        st.rerun()


def _draw(curves: Curves, asked: str, dark: bool) -> None:
    values = curves.values()
    most, least, chance = values[0], values[1], values[2:]
    st.caption(
        f"The lead in logits of {literal(asked)} while words are deleted. If the map is faithful, it falls at once "
        "when the strongest words go first (red), and holds when the weakest do (blue). Grey: between the lowest and "
        f"the highest of {RANDOM} orders by chance."
    )
    x = list(curves.counts)
    figure = go.Figure()
    band = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    figure.add_scatter(x=x, y=chance.min(0), showlegend=False, **band)
    figure.add_scatter(x=x, y=chance.max(0), fill="tonexty", fillcolor=CHANCE, name="by chance", **band)
    figure.add_scatter(x=x, y=most, name="strongest first", line={"color": FOR, "width": 3})
    figure.add_scatter(x=x, y=least, name="weakest first", line={"color": AGAINST, "width": 3, "dash": "dash"})
    ink = INK[dark]
    figure.update_xaxes(title="Words deleted", dtick=max(1, x[-1] // 10), tickfont_color=ink, title_font_color=ink)
    figure.update_yaxes(title="Lead in logits", tickfont_color=ink, title_font_color=ink)
    figure.update_layout(
        height=320, margin={"t": 8, "b": 8, "l": 8, "r": 8}, legend={"orientation": "h", "y": 1.1, "font_color": ink}
    )
    gap = _area(least, x) - _area(most, x)
    by_chance = [_area(one, x) for one in chance]
    st.plotly_chart(
        figure,
        key="language.curves",
        config={"displayModeBar": False},
        alt=f"Lead of {asked} while words are deleted: on average {signed(gap)} higher with the weakest first",
    )
    st.markdown(
        f"On average the lead is **{signed(gap)}** higher with the weakest first than with the strongest first. By "
        f"chance it would be 0; two orders by chance differ by up to {max(by_chance) - min(by_chance):.2f} here."
    )
    st.caption("A shorter prompt may be an odd one, to which the model answers oddly: one prompt proves little.")


def _area(curve: np.ndarray, counts: Sequence[int]) -> float:
    return evaluation.area(torch.from_numpy(curve), counts).item()
