"""What a visitor asks of which scene, and what that was before it was changed bit by bit.

A change keeps what was asked at first, so that both can be seen side by side. Something else that is asked, a new scene
or a link leave it behind.
"""

from typing import Any

import streamlit as st

from pages.settings import session
from pages.settings.settings import NO_CLASS

Asked = tuple[str, str]
"""A scene, as `models.scenes.editing` encodes it, and a question."""

MOST_CHANGES = 1000


def present(page: str) -> Asked:
    """What is asked now."""
    settings = session.settings(page)
    return settings.scene, settings.question


def past(page: str) -> tuple[Asked, ...]:
    """What was asked before each change, the first one first; empty where nothing was changed."""
    of, kept = st.session_state.get(f"{page}.past", (None, ()))
    return kept if of == present(page) else ()


def ask(page: str, **fields: Any) -> None:
    """Ask something else: another scene, another question. It has its own answers, and nothing to compare with."""
    session.change(page, **fields, target=NO_CLASS, rather_than=NO_CLASS)
    _keep(page, ())


def change(page: str, **fields: Any) -> None:
    """Change the scene or the question, and keep what was asked before."""
    before, kept = present(page), past(page)
    session.change(page, **fields)
    if present(page) != before:
        kept = (*kept, before)
    _keep(page, kept[-MOST_CHANGES:])


def undo(page: str) -> None:
    """Take the last change back."""
    _back(page, len(past(page)) - 1)


def original(page: str) -> None:
    """Take all changes back."""
    _back(page, 0)


def alone(page: str) -> None:
    """Go on without what was asked at first."""
    _keep(page, ())


def refuse(page: str, sentence: str) -> None:
    """Remember why the last thing that was asked for could not be done; a change that can be takes that away."""
    st.session_state[f"{page}.refused"] = sentence


def refused(page: str) -> str:
    """Why the last thing that was asked for could not be done, or ""."""
    return st.session_state.get(f"{page}.refused", "")


def _back(page: str, number: int) -> None:
    kept = past(page)
    if kept:  # a button may be pressed that is about to go
        scene, question = kept[number]
        session.change(page, scene=scene, question=question)
        _keep(page, kept[:number])


def _keep(page: str, kept: tuple[Asked, ...]) -> None:
    st.session_state[f"{page}.past"] = present(page), kept
    refuse(page, "")
