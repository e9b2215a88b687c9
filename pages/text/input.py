"""The text that is explained: a sample, or the visitor's own, and what was changed in it word by word.

A visitor's text lives in the session and nowhere else: no link carries it, nothing is stored. It is kept until a better
one comes: a page switch, a text that cannot be read, or a look at the samples do not lose it.
"""

import streamlit as st

from models.text import networks as text_networks
from models.text.reading import MAX_CHARACTERS
from pages.components.words_view import Edit
from pages.explaining.subject import Subject, remembered
from pages.settings import session
from pages.settings.controls import choice
from pages.settings.settings import NO_CLASS, OWN_INPUT
from pages.settings.wording import changed
from pages.text.subject import Sample, samples, text_subject
from pages.workbench.explain_panel import FRAGMENT
from pages.workbench.way_back import way_back

MOST_EDITS = 100


def chosen_sample(page: str) -> Sample | None:
    """The sample that is explained; None where it is the visitor's own text."""
    settings = session.settings(page)
    found = samples(settings.network)
    if settings.sample == OWN_INPUT and own(page):
        return None
    return found.get(settings.sample) or next(iter(found.values()))


def own(page: str) -> str:
    """The visitor's last own text that could be read, or ""."""
    return st.session_state.get(f"{page}.own", "")


def original(page: str) -> str:
    """The text before any word was changed."""
    sample = chosen_sample(page)
    return sample.text if sample else own(page)


def edits(page: str) -> tuple[str, ...]:
    """What the text became, one change after the other."""
    base, made = st.session_state.get(f"{page}.edits", ("", ()))
    return made if base == original(page) else ()


def keep(page: str, made: tuple[str, ...]) -> None:
    """Take these changes for those of the present text."""
    st.session_state[f"{page}.edits"] = original(page), made[-MOST_EDITS:]
    refuse(page, "")


def refuse(page: str, sentence: str) -> None:
    """Remember why the last thing that was asked for could not be done."""
    st.session_state[f"{page}.refused"] = sentence


def choose(page: str) -> None:
    """What follows from another text: its own class."""
    session.change(page, target=NO_CLASS, rather_than=NO_CLASS)
    keep(page, ())


def take(page: str, typed: str) -> None:
    """Take over what was typed as the visitor's own text; what cannot be read changes nothing else."""
    st.session_state[f"{page}.draft"] = typed
    try:
        text = text_networks.network(session.settings(page).network).read(typed).text
    except (FileNotFoundError, ValueError) as error:
        refuse(page, str(error))
        return
    st.session_state[f"{page}.own"] = text
    session.change(page, sample=OWN_INPUT)
    choose(page)


def choose_one(page: str) -> None:
    """Draw the samples of the present network, the language of each named."""
    found = samples(session.settings(page).network)
    choice(
        page,
        "sample",
        st.selectbox,
        "Sample",
        list(found),
        then=lambda: choose(page),
        format_func=lambda name: f"{found[name].language} · {found[name].title}",
        placeholder="Choose a sample",
    )


def type_one(page: str) -> None:
    """Draw the box for a text of one's own; each of its lines runs in the direction of its first letter."""
    st.html("<style>textarea { unicode-bidi: plaintext; }</style>")
    key, draft = f"{page}.typed", f"{page}.draft"
    st.session_state[key] = st.session_state.get(draft, "")
    st.text_area(
        "Your own text",
        key=key,
        height=140,
        placeholder="Type or paste a text in any language",
        help=f"At most {MAX_CHARACTERS:,} characters. It stays on this machine, and no link carries it.",
        on_change=lambda: take(page, st.session_state[key]),
    )
    # Without a change of its text the box reports nothing: the button brings back a text that a sample replaced.
    st.button(
        "Explain it", icon=":material/subdirectory_arrow_left:", on_click=lambda: take(page, st.session_state[key])
    )


def refused(page: str) -> None:
    """Say why the last text or change was not taken, until something else is."""
    sentence = st.session_state.get(f"{page}.refused")
    if sentence:
        st.warning(sentence, icon=":material/text_fields_alt:")


def edit(page: str, subject: Subject, wanted: Edit) -> None:
    """Delete or replace a word of what is shown."""
    reading = subject.view.reading
    word = reading.words[wanted.word]
    text = changed(reading.text, word.start, word.end, wanted.new)
    try:
        made = text_networks.network(subject.network).read(text).text
    except ValueError as error:
        refuse(page, f"This word stays. {error}")
    else:
        keep(page, (*edits(page), made))
    st.rerun(FRAGMENT)


def chosen_subject(page: str) -> Subject:
    """What the settings ask for, with what it was before it was changed. Errors: see `text_subject`."""
    name, sample = session.settings(page).network, chosen_sample(page)
    made = edits(page)
    asked = name, original(page), made[-1] if made else None

    def make() -> Subject:
        language = sample.tag if sample else ""
        before = text_subject(page, original(page), name, language) if made else None
        text = made[-1] if made else original(page)
        subject: Subject = text_subject(
            page,
            text,
            name,
            language,
            take=lambda wanted: edit(page, subject, wanted),
            below=lambda: way_back(bool(made), undo=lambda: keep(page, made[:-1]), original=lambda: keep(page, ())),
            before=before,
        )
        return subject

    return remembered(page, asked, make)
