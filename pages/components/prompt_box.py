"""A box for a text that is read while it is typed.

As with the sliders one value is on its way at a time: the next leaves the browser when Python has answered the last, so
that typing never piles up work, and what was typed last always arrives.
"""

from collections.abc import Callable

import streamlit as st

from pages.components.component import component

_HTML = """
<label for="box"></label>
<textarea id="box" rows="4" spellcheck="false" autocomplete="off"></textarea>
<p class="help"></p>
"""
_component = component(__file__, _HTML)
_LARGEST_SEQUENCE = 2**53 - 1  # the largest integer that survives the way through JavaScript
_LONGEST = 100_000
"""Characters that are taken over at all; what is too long to be read is said in a sentence, and shown no less."""


def prompt_box(label: str, *, key: str, text: str, placeholder: str, note: str, take: Callable[[str], None]) -> None:
    """Show the box.

    Args:
        label: Its name, which is read out.
        key: Unique among all widgets.
        text: What stands in it; a box in which somebody types keeps what was typed.
        placeholder: Shown while it is empty.
        note: A line below it.
        take: Called with what was typed, at the start of the run that follows.
    """

    def receive() -> None:
        """Take over what was typed, if it is a text at all: a browser can send anything."""
        sent = st.session_state[key].get("typed")
        if not isinstance(sent, dict):
            return
        typed, sequence = sent.get("text"), sent.get("sequence")
        if type(sequence) is int and 0 <= sequence <= _LARGEST_SEQUENCE:
            st.session_state[f"{key}:answered"] = sequence
        if isinstance(typed, str):
            take(typed[:_LONGEST])

    _component(
        key=key,
        on_typed_change=receive,
        data={
            "label": label,
            "text": text,
            "placeholder": placeholder,
            "note": note,
            "answered": st.session_state.get(f"{key}:answered"),
        },
    )
