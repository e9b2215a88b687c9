"""Continue: the model goes on with the prompt, and every word that it says can be asked about."""

import time

import numpy as np
import streamlit as st

from models.text.reading import Reading
from pages.components.matrix_view import matrix_view
from pages.components.words_view import words_view
from pages.explaining import subject as explaining
from pages.explaining.subject import Subject
from pages.language import telling
from pages.language.telling import Telling
from pages.language.units import OWN, UNITS, grouped, words_within
from pages.language.view import PromptView
from pages.settings.settings import Settings
from pages.settings.wording import literal, percent, signed

MOST = 40
SLICE_S, PAUSE_S = 0.4, 0.1
"""How long the model talks before other work of its visitor may pass, and how soon it goes on."""
AT_ONCE = 4
"""Words of the matrix that are explained in one walk."""
CELLS = {"Small": 0.75, "Medium": 1.25, "Large": 2.0}


def show(subject: Subject, settings: Settings) -> None:
    """The choices, the text, the reasons of a word, and the matrix of all."""
    page = subject.page
    count, temperature, seed = _choices(page)
    asked = subject.key, temperature, seed, count
    now = telling.present(page, asked, subject)
    end = time.monotonic() + SLICE_S
    while not now.over and len(now.said) < count and time.monotonic() < end:
        telling.tell(now, temperature, seed)
    talking = not now.over and len(now.said) < count
    if talking:
        st.fragment(_go_on, run_every=PAUSE_S)(now, temperature, seed, count)
        return
    if not now.said:
        st.info("The model ends the text here: it says nothing more.")
        return
    if now.over:
        st.caption("The model ended the text here.")
    _asked(now, settings)


def _choices(page: str) -> tuple[int, float, int]:
    """How many pieces, at which temperature, and with which seed."""
    first, second, third = st.columns(3, gap="medium")
    count = first.select_slider(
        "Pieces of words to say", [5, 10, 20, MOST], value=10, key=f"{page}.count", persist_state="session"
    )
    temperature = second.select_slider(
        "Temperature",
        [0.0, 0.3, 0.5, 0.7, 1.0, 1.3],
        key=f"{page}.temperature",
        persist_state="session",
        format_func=lambda value: "0, always the likeliest" if value == 0 else f"{value:g}",
        help="0: always the likeliest word. 1: a word as often as it is likely. Above: bolder.",
    )
    seed = third.number_input(
        "Seed",
        0,
        9999,
        1,
        key=f"{page}.seed",
        persist_state="session",
        disabled=temperature == 0,
        help="Another seed draws other words; the same one draws the same again.",
    )
    return count, float(temperature), int(seed) if temperature else 0


def _go_on(now: Telling, temperature: float, seed: int, count: int) -> None:
    """Some words more. Between two slices every other wish is served, and leaving the tab ends it."""
    end = time.monotonic() + SLICE_S
    while not now.over and len(now.said) < count and time.monotonic() < end:
        telling.tell(now, temperature, seed)
    if now.said:
        st.markdown(literal(now.reading().text) + " …")
    st.progress(len(now.said) / count, text=f"{len(now.said)} of {count}. You may go on meanwhile.")
    if now.over or len(now.said) >= count:
        st.rerun()


def _asked(now: Telling, settings: Settings) -> None:
    """Why the words that were chosen were said."""
    page, reading = now.subject.page, now.reading()
    made_of = telling.spoken(now, reading)
    words = list(made_of)
    key = f"{page}.span"
    span = st.session_state.get(key)
    if span is None or not set(span) <= set(words):
        span = words[0], words[0]
    how, separator = _units(page)

    slider = f"{key}.{span[0]}.{span[1]}"  # another span is another slider: it starts where that is

    def stretch() -> None:
        st.session_state[key] = tuple(st.session_state[slider])

    chosen = [word for word in words if span[0] <= word <= span[1]]
    phrase = reading.text[reading.words[chosen[0]].start : reading.words[chosen[-1]].end]
    found = telling.reasons(now, reading, settings, chosen, made_of)
    of_pieces = np.sum(list(found.values()), axis=0)
    said = [now.said[place] for word in chosen for place in made_of[word]]
    rivals = " ".join(now.subject.labels[one.rival] for one in said)
    st.markdown(
        f"Why **{literal(phrase)}** ({percent(float(np.prod([one.probability for one in said])))}) rather than "
        f"{literal(rivals)}? Click what the model said to ask about it."
    )
    view = PromptView(reading)
    parts, values, places = grouped(view, of_pieces, how, separator)

    within = [[word for word in inside if word in made_of] for inside in words_within(places, len(reading.words))]

    def pick(part: int) -> None:
        if within[part]:
            st.session_state[key] = within[part][0], within[part][-1]

    words_view(
        parts,
        values,
        key=f"{page}.story.words",
        alt=f"Words for {phrase} rather than {rivals}: the strongest is {parts[int(np.abs(values).argmax())].text}",
        colours=settings.colours,
        tag=f"{phrase} {how}",
        pick=pick,
        until=sum(place <= _last_read(now, reading, made_of[chosen[-1]][-1]) for place in places),
        asked=[part for part, inside in enumerate(within) if inside and set(inside) <= set(chosen)],
    )
    if len(words) > 1:
        st.select_slider(
            "Explain from … to …",
            words,
            value=span,
            key=slider,
            format_func=lambda word: reading.words[word].text,
            on_change=stretch,
        )
    _matrix(now, reading, settings, made_of)


def _last_read(now: Telling, reading: Reading, said: int) -> int:
    """The last word of which the model had read anything when it said this piece."""
    return max((piece.word for piece in reading.pieces[: now.begin + said] if piece.word is not None), default=0)


def _units(page: str) -> tuple[str, str]:
    """What is coloured as one, and the mark that divides it where a visitor wants an own one."""
    left, right = st.columns((3, 1), vertical_alignment="bottom")
    how = left.segmented_control(
        "Coloured as one", UNITS, key=f"{page}.units", persist_state="session", default="Words", required=True
    )
    separator = ""
    if how == OWN:
        separator = right.text_input("Divided by", ",", key=f"{page}.separator", persist_state="session", max_chars=20)
    return how, separator


def _matrix(now: Telling, reading: Reading, settings: Settings, made_of: dict[int, list[int]]) -> None:
    """Every word that was said by every word before it, on demand."""
    page, words = now.subject.page, list(made_of)
    if not st.toggle(
        "All words at once", key=f"{page}.matrix.on", persist_state="session", help="Explains every word: some seconds."
    ):
        return
    end = time.monotonic() + SLICE_S
    composite = explaining.composite(settings, now.subject)
    done = now.reasons.get((composite, len(now.said)), {})
    missing = [word for word in words if word not in done]
    while missing and time.monotonic() < end:
        telling.reasons(now, reading, settings, missing[:AT_ONCE], made_of)
        missing = missing[AT_ONCE:]
    if missing:
        st.fragment(_explain_on, run_every=PAUSE_S)(now, reading, settings, made_of)
        return
    of_pieces = telling.reasons(now, reading, settings, words, made_of)
    found = {word: telling.on_words(of_pieces[word], reading) for word in words}
    size = st.segmented_control(
        "Cells", list(CELLS), key=f"{page}.cells", persist_state="session", default="Medium", required=True
    )
    matrix_view(
        np.stack([found[word] for word in words]),
        [reading.words[word].text for word in words],
        [word.text for word in reading.words],
        key=f"{page}.story.matrix",
        alt="Relevance of every word for each word that the model said",
        colours=settings.colours,
        cell=CELLS[size],
    )
    strongest = max(words, key=lambda word: np.abs(found[word]).max())
    peak = int(np.abs(found[strongest]).argmax())
    st.caption(
        "Down: what the model said. Across: what stood before it. Each row has its own scale. The strongest of all: "
        f"{literal(reading.words[peak].text)} for {literal(reading.words[strongest].text)}, "
        f"{signed(float(found[strongest][peak]))}."
    )


def _explain_on(now: Telling, reading: Reading, settings: Settings, made_of: dict[int, list[int]]) -> None:
    words = list(made_of)
    done = now.reasons.get((explaining.composite(settings, now.subject), len(now.said)), {})
    missing = [word for word in words if word not in done]
    telling.reasons(now, reading, settings, missing[:AT_ONCE], made_of)
    left = max(0, len(missing) - AT_ONCE)
    st.progress(1 - left / len(words), text=f"{len(words) - left} of {len(words)} words. You may go on meanwhile.")
    if not left:
        st.rerun()
