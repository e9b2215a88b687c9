"""The question: one that is suggested, one of a visitor's own, or this one with a word changed."""

import streamlit as st

from models.scenes import Scene, questions
from models.scenes.question_grammar import LONGEST
from pages.components.words_view import Edit
from pages.explaining.subject import Subject, remembered
from pages.questions import history, scene_input
from pages.questions.subject import question_subject
from pages.questions.wording import reading, replaced
from pages.settings import session
from pages.workbench.explain_panel import FRAGMENT
from pages.workbench.way_back import way_back

TABS = ("Ask", "Change one word", "Change the scene")


def draw_input(page: str) -> Subject | str:
    """The scene and the question; or one sentence why there is nothing to explain."""
    scene_input.board(page)
    _follow_the_hand(page)
    ask, word, scene = st.tabs(TABS, key=f"{page}.ways", on_change="rerun")
    with ask:
        type_one(page)
        suggestions(page)
    with word:
        one_word(page)
    with scene:
        scene_input.editor(page)
    sentence = history.refused(page)
    if sentence:
        st.warning(sentence, icon=":material/help:")
    st.caption(
        "Photos cannot be brought here: the network was trained on drawn scenes like this one and on nothing else."
    )
    return chosen_subject(page)


def _follow_the_hand(page: str) -> None:
    """Turn to what can be done with an object when one is chosen in the picture."""
    index, seen = scene_input.chosen(page), f"{page}.thing.seen"
    if index is not None and st.session_state.get(seen) is None:
        st.session_state[f"{page}.ways"] = TABS[2]
    st.session_state[seen] = index


def take(page: str, typed: str) -> None:
    """Ask what was typed, if the network can read it; else nothing of what is shown is lost."""
    st.session_state[f"{page}.draft"] = history.present(page), typed
    try:
        text = reading(" ".join(typed.split())).text
    except ValueError as error:
        history.refuse(page, str(error))
    else:
        history.ask(page, question=text)


def type_one(page: str) -> None:
    """Draw the field for a question of one's own; it shows what is asked until something is typed."""
    key, (_, asked) = f"{page}.typed", history.present(page)
    of, draft = st.session_state.get(f"{page}.draft", (None, ""))
    st.session_state[key] = draft if of == history.present(page) else asked
    st.text_input(
        "Your question",
        key=key,
        placeholder="Is there a red cube?",
        help=f"In English, with at most {LONGEST} characters. A word that the network does not know is named.",
        on_change=lambda: take(page, st.session_state[key]),
    )


def suggestions(page: str) -> None:
    """Draw questions that can be asked of the scene, one of each kind."""
    now, (_, asked) = scene_input.scene(page), history.present(page)
    texts = [question.text for question in suggested(page, now)]
    key = f"{page}.suggested"
    st.session_state[key] = asked if asked in texts else None

    def chosen() -> None:
        if st.session_state[key] in texts:
            history.ask(page, question=st.session_state[key])

    st.radio("Suggested questions", texts, index=None, key=key, on_change=chosen)


def suggested(page: str, now: Scene) -> tuple[questions.Question, ...]:
    """The questions that are suggested: the same for the same scene."""
    return session.remember(f"{page}.suggestions", now, lambda: questions.suggested(now, now.seed))


def one_word(page: str) -> None:
    """Draw the ways to change one word so that it can still be asked of the scene."""
    now, (_, asked) = scene_input.scene(page), history.present(page)
    found = session.remember(f"{page}.neighbours", (now, asked), lambda: neighbours(asked, now))
    st.caption("Both answers stay, side by side. A word can also be changed where it is coloured: choose it there.")
    if not found:
        st.caption("No word of this question can be changed so that the answer would be known.")
        return
    key = f"{page}.word"
    st.session_state[key] = None

    def chosen() -> None:
        if st.session_state[key] in found:
            history.change(page, question=st.session_state[key])

    st.radio("The question with one word changed", found, index=None, key=key, on_change=chosen)


def neighbours(asked: str, now: Scene) -> list[str]:
    """The question with one word changed, in every way that makes sense."""
    try:
        question = questions.asked(asked, now)
    except ValueError:
        return []
    return [other.text for other in questions.neighbours(question, now)] if question else []


def edit(page: str, subject: Subject, wanted: Edit) -> None:
    """Delete or replace a word where it is coloured."""
    try:
        text = reading(replaced(subject.view.question, wanted.word, wanted.new)).text
    except ValueError as error:
        history.refuse(page, f"This word stays. {error}")
    else:
        history.change(page, question=text)
    st.rerun(FRAGMENT)


def chosen_subject(page: str) -> Subject:
    """What the settings ask for, with what it was before it was changed. Errors: see `question_subject`."""
    asked, kept = history.present(page), history.past(page)
    before = kept[0] if kept else None

    def make() -> Subject:
        subject: Subject = question_subject(
            page,
            asked,
            take=lambda wanted: edit(page, subject, wanted),
            below=lambda: way_back(
                bool(history.past(page)),
                undo=lambda: history.undo(page),
                original=lambda: history.original(page),
                alone=lambda: history.alone(page),
            ),
            before=before,
        )
        return subject

    return remembered(page, (asked, before), make)
