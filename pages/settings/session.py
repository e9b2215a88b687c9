"""What the app remembers of one visitor: the settings of each page, and the last result of each costly step.

The settings are the one truth. Widgets are drawn from them and report changes to them, so a page switch, which makes
Streamlit forget its widgets, loses nothing.
"""

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any, TypeVar

import streamlit as st

from pages.settings.settings import Settings

T = TypeVar("T")


def begin(page: str, defaults: Settings) -> None:
    """Give `page` its default settings if this visitor has not been there yet."""
    st.session_state.setdefault(f"{page}.settings", defaults)


def settings(page: str) -> Settings:
    """The present settings of `page`."""
    return st.session_state[f"{page}.settings"]


def change(page: str, **fields: Any) -> None:
    """Change some settings of `page`."""
    st.session_state[f"{page}.settings"] = replace(settings(page), **fields)


def remember(name: str, key: Hashable, make: Callable[[], T]) -> T:
    """`make()`, or its last result if it was made for the same `key`.

    One result is kept per `name`, so a session stays small however long it lasts. Meant for what is made from a
    visitor's input; what all visitors share belongs in `st.cache_resource`.
    """
    slot = f"remembered.{name}"
    if slot not in st.session_state or st.session_state[slot][0] != key:
        st.session_state[slot] = (key, make())
    return st.session_state[slot][1]
