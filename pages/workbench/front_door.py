"""Every visit goes through `app.py`, also the very first one of a fresh server.

Until `st.navigation` has run once in a process, Streamlit takes a folder called `pages` for its older kind of app and
runs the page that the address names by itself: no page settings, and a sidebar instead of the menu.
"""

import runpy
from pathlib import Path

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

APP = Path(__file__).parents[2] / "app.py"


def enter() -> None:
    """To be called first on each page: goes back to `app.py` where Streamlit passed it by."""
    if PagesManager.uses_pages_directory:
        runpy.run_path(str(APP))
        st.stop()
