"""What the model says: the words that may come next, one of them to be explained and one to be its rival."""

import numpy as np
import streamlit as st

from pages.components.word_bars import word_bars
from pages.components.words_view import words_view
from pages.explaining import subject as explaining
from pages.explaining.subject import Subject
from pages.language.subject import described
from pages.serving import engine
from pages.settings import session
from pages.settings.settings import NO_CLASS, RUNNER_UP, Settings
from pages.settings.wording import literal, percent
from pages.workbench.workbench import Answer

SHOWN = 10


def headline(subject: Subject) -> None:
    """Which word is the likeliest, and which comes after it."""
    first, second = np.argsort(-subject.probabilities, kind="stable")[:2].tolist()
    said = [f"{literal(subject.labels[one])} ({percent(subject.probabilities[one])})" for one in (first, second)]
    st.subheader(f"Next word: {said[0]}, then {said[1]}", anchor=False)


def next_words(subject: Subject, settings: Settings) -> None:
    """The likeliest words as bars; where the prompt was changed, beside what they were before."""
    if subject.before is None:
        _bars(subject, settings)
        return
    before, after = st.columns(2, gap="medium")
    with before:
        st.markdown("**Before**")
        _heat(subject.before, subject, settings)
        _bars(subject.before, settings, before=True)
    with after:
        st.markdown("**After**")
        _bars(subject, settings)


def _heat(before: Subject, subject: Subject, settings: Settings) -> None:
    """What spoke for the same words before the prompt was changed."""
    asked = explaining.composite(settings, before), explaining.target(settings, subject)

    def make() -> np.ndarray:
        explanation = engine.compute(lambda: before.record().explain(*asked), before.threads)
        return before.view.heat(explanation)

    heat = session.remember(f"{before.page}.before", (before.key, *asked), make)
    words_view(
        before.view.coloured(pieces=False),
        heat,
        key=f"{before.page}.words.before",
        alt=f"Before: {before.view.describe(heat, explaining.question(settings, subject), 'the same rule')}",
        colours=settings.colours,
        bars=False,
    )


def _bars(subject: Subject, settings: Settings, before: bool = False) -> None:
    page = subject.page
    wanted, rival = subject.classes(settings.target), subject.rival(settings)
    ranked = np.argsort(-subject.probabilities, kind="stable")[:SHOWN].tolist()
    extra = [one for one in (wanted, rival) if one is not None and one not in ranked]
    places = [*ranked[: SHOWN - len(extra)], *extra]

    def take(place: int) -> None:
        choose(page, places[place], wanted)

    names = [subject.labels[one] for one in places]
    word_bars(
        names,
        subject.probabilities[places],
        key=f"{page}.next.before" if before else f"{page}.next",
        alt=f"The likeliest next words; the first is {names[0]}, {percent(subject.probabilities[places[0]])}",
        chosen=places.index(wanted),
        rival=places.index(rival) if rival is not None else None,
        take=None if before else take,
    )
    if not before:
        _other_word(subject, wanted)


def choose(page: str, index: int, wanted: int) -> None:
    """Take a word as the one that is explained, or right after such a choice as its rival."""
    turn = f"{page}.turn"
    if st.session_state.get(turn) == "rival" and index != wanted:
        session.change(page, rather_than=index)
        st.session_state[turn] = "word"
    else:
        session.change(page, target=index, rather_than=RUNNER_UP)
        st.session_state[turn] = "rival"


def _other_word(subject: Subject, wanted: int) -> None:
    """A field for a word that is not among the likeliest."""
    page, key = subject.page, f"{subject.page}.other"
    turn = st.session_state.get(f"{page}.turn")

    def take() -> None:
        typed = st.session_state[key]
        st.session_state[key] = ""
        st.session_state[f"{page}.unknown"] = ""
        if not typed.strip():
            return
        try:
            choose(page, described(subject.network).word(typed), wanted)
        except ValueError as error:
            st.session_state[f"{page}.unknown"] = str(error)

    hint = "Now click the word to compare it with." if turn == "rival" else "Click the word to explain."
    left, right = st.columns((3, 2), vertical_alignment="center")
    left.caption(f"{hint} *Why {literal(subject.labels[wanted])}?* alone would mostly light the last word.")
    with right:
        st.text_input(
            "Another word",
            key=key,
            placeholder="Another word",
            label_visibility="collapsed",
            on_change=take,
        )
    if sentence := st.session_state.get(f"{page}.unknown"):
        st.warning(sentence, icon=":material/spellcheck:")


def forget(page: str) -> None:
    """What follows from another prompt: its own next words."""
    session.change(page, target=NO_CLASS, rather_than=RUNNER_UP)
    st.session_state[f"{page}.turn"] = "word"
    st.session_state[f"{page}.unknown"] = ""


ANSWER = Answer(headline, next_words)
