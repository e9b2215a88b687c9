"""A scene to be changed by hand: click an object to choose it, click the floor to move it there; or do so by keys."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from pages.components.component import component

_HTML = """
<div class="stage" role="application" tabindex="0" aria-roledescription="scene"><img draggable="false"></div>
<p class="hint"></p>
<output></output>
"""
_component = component(__file__, _HTML, "heard", "stage")

MOST_STEPS = 50


@dataclass(frozen=True)
class Act:
    """What a hand did: `kind` is a key of `ACTS`."""

    kind: str
    x: float = 0.0
    y: float = 0.0


ACTS = {
    "point": (0.0, 1.0),  # at a place of the picture: shares of its width and height, from the upper left
    "step": (-float(MOST_STEPS), float(MOST_STEPS)),  # so many steps to the right and away
    "turn": (-1.0, 1.0),  # to the next object, or the one before
    "leave": (0.0, 0.0),  # choose none
    "delete": (0.0, 0.0),
}
"""What can be done, and between which limits its x and y lie."""


def scene_board(address: str, *, key: str, alt: str, chosen: str, hint: str, take: Callable[[Act], None]) -> None:
    """Show a scene.

    Args:
        address: Of its picture, which shows what is chosen, as a `data:` address.
        key: Unique among all widgets.
        alt: What there is to see.
        chosen: The object that is chosen, in words, or "".
        hint: What a hand can do now; below the picture.
        take: Called with what was done, at the start of the run that follows.
    """

    def receive() -> None:
        """Pass on what the browser sent, if it is an act at all: a browser can send anything."""
        sent: Any = st.session_state[key].get("act")
        if found := act(sent):
            st.session_state[f"{key}:answered"] = sent.get("number")
            take(found)

    _component(
        key=key,
        on_act_change=receive,
        data={
            "address": address,
            "alt": alt,
            "chosen": chosen,
            "hint": hint,
            "answered": st.session_state.get(f"{key}:answered"),
            "steps": MOST_STEPS,
        },
    )


def act(sent: Any) -> Act | None:
    """What the browser says was done, or None where that makes no sense."""
    if not isinstance(sent, dict) or not isinstance(sent.get("kind"), str) or sent["kind"] not in ACTS:
        return None
    low, high = ACTS[sent["kind"]]
    x, y = (sent.get(axis, 0.0) for axis in ("x", "y"))
    fits = all(type(value) in (int, float) and low <= value <= high for value in (x, y))
    return Act(sent["kind"], float(x), float(y)) if fits else None
