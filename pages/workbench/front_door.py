"""Every visit goes through `app.py`, also the very first one of a fresh server.

Until `st.navigation` has run once in a process, Streamlit takes a folder called `pages` for its older kind of app: it
looks for the page that the address names among the scripts that lie in that folder itself, and says "Page not found"
where there is none. So each page has a small script there, named after its address, which comes here.
"""

import runpy
from pathlib import Path

import streamlit as st

APP = Path(__file__).parents[2] / "app.py"


def enter() -> None:
    """Run `app.py` in place of the script that calls this."""
    runpy.run_path(str(APP))
    st.stop()
