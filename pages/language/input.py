"""The prompt that is explained: a sample, or the visitor's own, and what was changed in it word by word.

A visitor's prompt lives in the session and nowhere else: no link carries it, nothing is stored. It is kept until a
better one comes: a page switch, a text that cannot be read, or a look at the samples do not lose it.
"""

import streamlit as st

from lrp_core import UnsupportedOp
from models.language import LONGEST
from models.text.reading import MAX_CHARACTERS
from pages.components.prompt_box import prompt_box
from pages.components.words_view import Edit
from pages.explaining.subject import Subject, remembered
from pages.language import choices
from pages.language.answer import forget
from pages.language.subject import Sample, described, prompt_subject, samples, word
from pages.settings import link, session
from pages.settings.controls import choice
from pages.settings.settings import NO_CLASS, OWN_INPUT, RUNNER_UP
from pages.settings.wording import changed
from pages.workbench.explain_panel import FRAGMENT
from pages.workbench.way_back import way_back

MOST_EDITS = 100


def draw_input(page: str) -> Subject | str:
    """Which model goes on with which prompt; or one sentence why there is nothing to explain."""
    choices.network_choice(page, lambda: refuse(page, ""), lambda sentence: refuse(page, sentence))
    listed, mine = st.tabs(["Samples", "Your own prompt"])
    with listed:
        choose_one(page)
    with mine:
        type_one(page)
    if sentence := st.session_state.get(f"{page}.refused"):
        st.warning(sentence, icon=":material/text_fields_alt:")
    try:
        return chosen_subject(page)
    except (ValueError, UnsupportedOp) as error:
        return str(error)


def settle(page: str) -> None:
    """Ask a sample's own question, its word rather than its rival, unless a link or a visitor asked for another."""
    settings, sample = session.settings(page), chosen_sample(page)
    asked = settings.network, settings.sample
    if st.session_state.get(f"{page}.settled") == asked:
        return
    st.session_state[f"{page}.settled"] = asked
    if sample and (settings.target, settings.rather_than) == (NO_CLASS, RUNNER_UP):
        wanted, rival = word(settings.network, sample.word), word(settings.network, sample.rival)
        if wanted is not None and rival is not None:
            link.add(page, target=wanted, rather_than=rival)


def chosen_sample(page: str) -> Sample | None:
    """The sample that is explained; None where it is the visitor's own prompt."""
    settings = session.settings(page)
    if settings.sample == OWN_INPUT and own(page):
        return None
    return samples().get(settings.sample) or next(iter(samples().values()))


def own(page: str) -> str:
    """The visitor's last own prompt that could be read, or ""."""
    return st.session_state.get(f"{page}.own", "")


def original(page: str) -> str:
    """The prompt before any word was changed."""
    sample = chosen_sample(page)
    return sample.text if sample else own(page)


def edits(page: str) -> tuple[str, ...]:
    """What the prompt became, one change after the other."""
    base, made = st.session_state.get(f"{page}.edits", ("", ()))
    return made if base == original(page) else ()


def keep(page: str, made: tuple[str, ...]) -> None:
    """Take these changes for those of the present prompt."""
    st.session_state[f"{page}.edits"] = original(page), made[-MOST_EDITS:]
    refuse(page, "")


def refuse(page: str, sentence: str) -> None:
    """Remember why the last thing that was asked for could not be done."""
    st.session_state[f"{page}.refused"] = sentence


def choose(page: str) -> None:
    """What follows from another sample: its own question."""
    forget(page)
    st.session_state[f"{page}.settled"] = None
    keep(page, ())
    settle(page)


def take(page: str, typed: str) -> None:
    """Take over what was typed as the visitor's own prompt; what cannot be read changes nothing else."""
    st.session_state[f"{page}.draft"] = typed
    try:
        text = described(session.settings(page).network).read(typed).text
    except (FileNotFoundError, ValueError) as error:
        refuse(page, str(error))
        return
    if (text, OWN_INPUT) != (own(page), session.settings(page).sample):
        st.session_state[f"{page}.own"] = text
        session.change(page, sample=OWN_INPUT)
        forget(page)
    keep(page, ())


def choose_one(page: str) -> None:
    """Draw the samples, and what a class may be asked about the present one."""
    found = samples()
    choice(
        page,
        "sample",
        st.selectbox,
        "Sample",
        list(found),
        then=lambda: choose(page),
        format_func=lambda name: found[name].title,
        placeholder="Choose a sample",
    )
    sample = chosen_sample(page)
    if sample:
        st.markdown(f":material/school: {sample.question}")
        with st.expander("What to look for"):
            st.markdown(sample.answer)


def type_one(page: str) -> None:
    """Draw the box for a prompt of one's own, which is read while it is typed."""
    prompt_box(
        "Your own prompt",
        key=f"{page}.typed",
        text=st.session_state.get(f"{page}.draft", ""),
        placeholder="Begin a sentence and stop before its next word",
        note=f"Read while you type: {LONGEST} pieces of words, {MAX_CHARACTERS:,} characters at most. Control and "
        "Enter explain it once more. It stays on this machine, and no link carries it.",
        take=lambda typed: take(page, typed),
    )


def edit(page: str, subject: Subject, wanted: Edit) -> None:
    """Delete or replace a word of what is shown."""
    reading = subject.view.reading
    old = reading.words[wanted.word]
    text = changed(reading.text, old.start, old.end, wanted.new)
    try:
        made = described(subject.network).read(text).text
    except ValueError as error:
        refuse(page, f"This word stays. {error}")
    else:
        keep(page, (*edits(page), made))
    st.rerun(FRAGMENT)


def chosen_subject(page: str) -> Subject:
    """What the settings ask for, with what it was before it was changed. Errors: see `prompt_subject`."""
    name, made = session.settings(page).network, edits(page)
    asked = name, original(page), made[-1] if made else None

    def make() -> Subject:
        before = prompt_subject(page, original(page), name) if made else None
        if before:
            _ = before.probabilities  # now, while its tape is in the visitor's place
        subject: Subject = prompt_subject(
            page,
            made[-1] if made else original(page),
            name,
            take=lambda wanted: edit(page, subject, wanted),
            below=lambda: way_back(bool(made), undo=lambda: keep(page, made[:-1]), original=lambda: keep(page, ())),
            before=before,
        )
        return subject

    return remembered(page, asked, make)
