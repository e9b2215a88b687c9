"""One control, one setting: a widget that shows a setting of the page and changes it."""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from pages.settings import session


def choice(
    page: str,
    field: str,
    widget: Callable,
    label: str,
    options: Sequence,
    then: Callable[[], None] | None = None,
    **more: Any,
) -> None:
    """Draw `widget` (a selectbox, pills, ...) for the setting `field`, which takes one of `options`.

    `then` is called after the setting has changed, for what follows from it.
    """
    key = f"{page}.{field}"
    present = getattr(session.settings(page), field)
    st.session_state[key] = present if present in options else None
    widget(label, options, key=key, on_change=_take, args=(page, field, options, then), **more)


def switch(page: str, field: str, label: str, **more: Any) -> None:
    """Draw a toggle for the setting `field`."""
    key = f"{page}.{field}"
    st.session_state[key] = getattr(session.settings(page), field)
    st.toggle(label, key=key, on_change=_take, args=(page, field, (False, True)), **more)


def _take(page: str, field: str, options: Sequence, then: Callable[[], None] | None = None) -> None:
    """Store what was chosen, if it is an option at all.

    A browser can send anything, and a label that holds a probability may be out of date when it arrives.
    """
    value = st.session_state[f"{page}.{field}"]
    if value in options:
        session.change(page, **{field: value})
        if then:
            then()
