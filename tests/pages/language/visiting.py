"""What a visitor of the page does and sees, without a browser."""

from pathlib import Path
from unittest.mock import patch

import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.explaining import subject as explaining
from pages.explaining.subject import Subject

APP = Path(__file__).parents[3] / "app.py"


def clear():
    st.cache_resource.clear()
    st.cache_data.clear()


def settings(app: AppTest):
    return app.session_state["language.settings"]


def shown(app: AppTest) -> Subject:
    return app.session_state["remembered.language.subject"][1]


def says(app: AppTest) -> str:
    return next((block.value for block in app.subheader if block.value.startswith("Next word: ")), "")


def warnings(app: AppTest) -> str:
    return " ".join(block.value for block in app.warning)


def in_session(app: AppTest, act, *values) -> AppTest:
    """What a component's message does, which this kind of test cannot send, and the run after it."""

    with patch.object(st, "session_state", app.session_state):
        act(*values)
    return app.run()


def opened(app: AppTest, tab: str, done) -> AppTest:
    """The tab, once what it does slice by slice is done."""
    app.session_state["language.tabs"] = tab
    for _ in range(100):
        app.run()
        assert not app.exception and not app.error
        if done(app):
            return app
    raise AssertionError(f"{tab} is never done")


def told(app: AppTest):
    if "language.telling" not in app.session_state:
        return None
    return app.session_state["language.telling"]


def question(app: AppTest, one: Subject):
    return explaining.composite(settings(app), one), explaining.target(settings(app), one)
