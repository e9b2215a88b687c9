"""A text whose words, or pieces of them, are coloured by their relevance, with bars beside it.

Pointer, finger or arrow keys tell the value of a word; where it is allowed, a chosen word can be deleted or replaced.
Whatever the text holds, it is put on the page as text and never as markup.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st

from lrp_core import heatmap, tokens
from pages.components.component import component
from pages.settings.wording import MINUS, signed

_HTML = """
<div class="both">
  <div class="left">
    <p class="text" role="group" dir="auto"></p>
    <div class="editor" hidden>
      <span class="which" dir="auto"></span>
      <button type="button" class="delete">Delete</button>
      <span class="pair">
        <input type="text" dir="auto" placeholder="Other words" maxlength="100" autocomplete="off" spellcheck="false">
        <button type="button" class="replace">Replace</button>
      </span>
    </div>
    <output class="reading"></output>
    <div class="legend"><i></i><span></span><span></span><span></span></div>
  </div>
  <div class="right">
    <ol class="bars" role="list" aria-label="Words by relevance"></ol>
    <button type="button" class="all"></button>
    <p class="apart">Not on words</p>
    <ol class="sinks" role="list" aria-label="Not on words"></ol>
  </div>
</div>
<p class="others"></p>
"""
_component = component(__file__, _HTML, "legend")

MOST_BARS = 12
"""How many bars are shown until all are asked for: those of the strongest words."""

LONGEST_EDIT = 100


@dataclass(frozen=True)
class Part:
    """A word, or a piece of one. gap: what stands between it and the next. word, whole: number and text of its word."""

    text: str
    gap: str
    word: int
    whole: str


@dataclass(frozen=True)
class Edit:
    """What a visitor wants: word number `word` to be `new`, or gone where that is ""."""

    word: int
    new: str


def words_view(
    parts: Sequence[Part],
    values: np.ndarray,
    *,
    key: str,
    alt: str,
    colours: str = "red-white-blue",
    vmax: float | None = None,
    tag: str | None = None,
    unread: str = "",
    others: Sequence[tuple[str, float]] = (),
    sinks: Sequence[tuple[str, float]] = (),
    lead: tuple[str, float] | None = None,
    bars: bool = True,
    language: str = "",
    take: Callable[[Edit], None] | None = None,
    pick: Callable[[int], None] | None = None,
    asked: Collection[int] = (),
    until: int | None = None,
) -> None:
    """Show a text with its relevance.

    Args:
        parts: At least one, in reading order.
        values: Relevance of each, finite.
        key: Unique among all widgets.
        alt: What is shown, for those who cannot see it: class and rule.
        colours: A name that `lrp_core.heatmap.colour_table` knows.
        vmax: Relevance in the strongest colour; by default the largest.
        tag: Put on the text as `data-tag` together with the colours: tells a test which settings it sees.
        unread: The rest of the text, which the network did not read.
        others: Relevance that lies on no word, by name.
        sinks: The same as bars below those of the words, in their scale, where it is too much for a footnote.
        lead: What the network reads before the text, a name and its relevance: shown in front, and without a colour.
        bars: Draw bars, the legend and `others`, too.
        language: Of the text, as a tag ("ar"), or "" where nobody knows.
        take: Called with an edit at the start of the run that follows; without it words cannot be changed.
        pick: Called with the number of a word that was chosen, where words are to be asked about and not changed.
        asked: Numbers of the words that are asked about: they are framed.
        until: Only parts before this one have bars: what comes later has no relevance by its nature.
    """
    vmax = float(np.abs(values).max()) if vmax is None else vmax
    version = str(hash(tuple(parts)))
    *shades, paper = tokens.colours(np.array([*values, 0.0]), colours, vmax)
    longest = max([vmax, *(abs(value) for _, value in sinks)])
    drawn = tokens.colours(np.array([value for _, value in sinks]), colours, vmax or 1.0)
    grounds = list(zip(sinks, (background for background, _ in drawn), strict=True))

    def receive() -> None:
        """Pass on an edit, if what the browser sent is one: a browser can send anything."""
        if take and (found := _edit(st.session_state[key].get("edit"), parts, version)):
            take(found)

    def receive_pick() -> None:
        """Pass on a choice, if it is one of these words."""
        sent = st.session_state[key].get("picked")
        known = isinstance(sent, dict) and sent.get("version") == version and type(sent.get("word")) is int
        if pick and known and sent["word"] in {part.word for part in parts}:
            pick(sent["word"])

    _component(
        key=key,
        on_edit_change=receive,
        on_picked_change=receive_pick,
        data={
            "parts": [[part.text, part.gap, part.word, part.whole] for part in parts],
            "shades": shades,
            "said": [signed(value, 3) for value in values],
            "paper": paper,
            "unread": unread,
            "on_words": signed(values.sum(), 3),
            "others": [f"{name} {signed(value, 3)}" for name, value in others],
            "bars": _bars(values[:until], longest) if bars else [],
            "sinks": [[name, _length(value, longest), shade, signed(value, 3)] for (name, value), shade in grounds],
            "lead": lead and [lead[0], signed(lead[1], 3)],
            "legend": _legend(colours, vmax) if bars else None,
            "alt": alt,
            "tag": tag,
            "language": language,
            "version": version,
            "editable": take is not None,
            "pickable": pick is not None,
            "asked": [part.word in asked for part in parts],
        },
    )


def _bars(values: np.ndarray, vmax: float) -> list[tuple[int, float, bool]]:
    """For each bar, from most for to most against: its part, its length in -1..1, and whether it is a strong one."""
    order = np.argsort(-values, kind="stable")
    most = MOST_BARS if len(values) > MOST_BARS + 3 else len(values)  # a button for three more is not worth its place
    strong = set(np.argsort(-np.abs(values), kind="stable")[:most].tolist())
    return [(part, _length(values[part], vmax), part in strong) for part in order.tolist()]


def _length(value: float, longest: float) -> float:
    return round(float(np.clip(value / (longest or 1.0), -1, 1)), 4)


def _legend(colours: str, vmax: float) -> dict:
    table = heatmap.colour_table(colours)[::15]
    stops = ", ".join(f"rgb({r} {g} {b})" for r, g, b in table.tolist())
    return {"gradient": f"linear-gradient(to right, {stops})", "texts": [f"{MINUS}{vmax:.3g}", "0", f"+{vmax:.3g}"]}


def _edit(sent: object, parts: Sequence[Part], version: str) -> Edit | None:
    """The edit, unless it is none, or was meant for an earlier text: then its word may be another one by now."""
    if not isinstance(sent, dict) or sent.get("version") != version:
        return None
    word, new = sent.get("word"), sent.get("new")
    if (
        type(word) is int
        and word in {part.word for part in parts}
        and isinstance(new, str)
        and len(new) <= LONGEST_EDIT
    ):
        return Edit(word, new)
    return None
