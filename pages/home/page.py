"""Home: what this is, a live card for each page, the networks behind them, and the terms of use."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import streamlit as st

from pages.workbench.closing import LICENCE, PATENT, limits

st.title("Why did the network say that?", anchor=False)
st.markdown(
    "Layer-wise Relevance Propagation (LRP) takes a network's answer apart: it shows, number by number, which parts of "
    "the input spoke for it and which against."
)

with st.skeleton(height=420):
    # torch takes a second to import, the first time: the page draws its head before it does.
    from lrp_core import heatmap
    from models import digits, language, photos, scenes, text
    from models.photos import networks as photo_networks
    from models.text import networks as text_networks
    from pages.components.heatmap_view import strongest
    from pages.components.words_view import Part, words_view
    from pages.digits.subject import NETWORKS, board_samples, digit_subject
    from pages.explaining import subject as explaining
    from pages.explaining.subject import Subject
    from pages.home.model_card import (
        faithfulness,
        show_faithfulness,
        show_model_card,
        show_object_faithfulness,
        show_prompt_faithfulness,
        show_word_faithfulness,
    )
    from pages.photos import subject as photo_subject
    from pages.questions import subject as question_subject
    from pages.settings.rules_text import RULES
    from pages.settings.settings import Settings
    from pages.settings.wording import literal
    from pages.text import subject as text_subject
    from pages.views.picture_view import framed
    from pages.workbench import result

CARD_SAMPLE = "3-or-8-open-waist"

Pictures = tuple[str, str, str, str, str]
"""Input and heatmap as addresses of pictures, what the heatmap shows, the class, the balance."""


def explained(subject: Subject, settings: Settings) -> Pictures:
    """What a card shows, computed by `lrp_core`."""
    explanation = explaining.explain(settings, subject)
    relevance = subject.view.heat(explanation)
    asked = explaining.question(settings, subject)
    return (
        heatmap.data_uri(framed(subject.view.rgb)),
        heatmap.data_uri(framed(heatmap.to_rgb(relevance, vmax=strongest(relevance)))),
        heatmap.alt_text(relevance, asked, "the recommended rule"),
        asked,
        result.balance_of(explanation).text,
    )


@st.cache_data(max_entries=1, show_spinner=False)
def digit_pictures() -> Pictures:
    """A drawing between two digits."""
    strokes = board_samples()[CARD_SAMPLE].strokes
    return explained(digit_subject("home", strokes, CARD_SAMPLE, "digits", mark=False), Settings())


@st.cache_data(max_entries=1, show_spinner=False)
def photo_pictures() -> Pictures:
    """The photo with which its page begins."""
    settings = photo_subject.offer("").defaults
    picture = photo_subject.gallery_photos()[settings.sample].open()
    subject = photo_subject.photo_subject(
        "home", picture, settings.sample, settings.network, settings.crop, settings.mark
    )
    return explained(subject, settings)


@st.cache_data(max_entries=1, show_spinner="Reading a sentence…")
def text_words() -> tuple[list[Part], list[float], str, str, str]:
    """The sentence with which the page on texts begins: words, relevance, what it shows, the class, the balance."""
    settings = text_subject.offer("").defaults
    sample = text_subject.all_samples()[settings.sample]
    subject = text_subject.text_subject("home", sample.text, settings.network, sample.tag)
    explanation = explaining.explain(settings, subject)
    heat, asked = subject.view.heat(explanation), explaining.question(settings, subject)
    alt = subject.view.describe(heat, asked, RULES[settings.rule].label)
    return subject.view.coloured(pieces=False), heat.tolist(), alt, asked, result.balance_of(explanation).text


@st.cache_data(max_entries=1, show_spinner=False)
def question_parts() -> tuple[Pictures, list[Part], list[float], str]:
    """The scene with which the page on questions begins, and the words of the question with their relevance."""
    settings = question_subject.offer().defaults
    subject = question_subject.question_subject("home", question_subject.FIRST)
    view, explanation = subject.view, explaining.explain(settings, subject)
    pictures = explained(replace(subject, view=view.picture), settings)
    heat = view.text.heat(explanation)
    alt = view.text.describe(heat, pictures[3], RULES[settings.rule].label)
    return pictures, view.text.coloured(pieces=False), heat.tolist(), alt


def show_pictures(pictures: Callable[[], Pictures], shown: str) -> None:
    """An input and its heatmap. `shown`: what the input is."""
    picture, heat, alt, label, balance = pictures()
    side_by_side(picture, heat, alt, shown)
    st.caption(f"Left: {shown[0].lower()}{shown[1:]}. Right: why the network calls it {label}. {balance}.")


def side_by_side(picture: str, heat: str, alt: str, shown: str) -> None:
    """An input and its heatmap, without a word."""
    left, right = st.columns(2, wrap=False)
    left.image(picture, width="stretch", alt=f"{shown}, as the network sees it")
    right.image(heat, width="stretch", alt=alt)


def show_question() -> None:
    """A scene, its heatmap, and the words of the question in their colours."""
    (picture, heat, alt, label, balance), parts, values, spoken = question_parts()
    side_by_side(picture, heat, alt, "A scene")
    words_view(parts, np.array(values), key="home.question", alt=spoken, bars=False, language="en")
    st.caption(f"A scene and a question: why the network answers {label}. {balance}.")


def show_words() -> None:
    """A sentence in the colours of its words."""
    parts, heat, alt, label, balance = text_words()
    words_view(parts, np.array(heat), key="home.words", alt=alt, bars=False, language="en")
    st.caption(f"A sentence about a film: why the network calls it {literal(label)}. {balance}.")


@st.cache_data(max_entries=1, show_spinner=False)
def prompt_example() -> dict:
    """The prompt with which the page on language models begins, explained beforehand: the model is loaded there."""
    return json.loads((language.ASSETS / "example.json").read_text(encoding="utf-8"))


def show_prompt() -> None:
    """A prompt in the colours of its words."""
    found = prompt_example()
    ends = [*(start for _, start, _ in found["words"][1:]), len(found["text"])]
    parts = [
        Part(word, found["text"][end:following], number, word)
        for number, ((word, _, end), following) in enumerate(zip(found["words"], ends, strict=True))
    ]
    heat = np.array(found["relevance"])
    strongest_word = parts[int(heat.argmax())].text
    alt = f"Words for {found['asked']}: the strongest is {strongest_word}"
    words_view(parts, heat, key="home.prompt", alt=alt, bars=False, language="en")
    st.caption(f"The beginning of a sentence: why a language model goes on with *{found['asked']}*.")


def card(title: str, show: Callable[[], None], page: str, invitation: str, icon: str) -> None:
    """A page's card: a real explanation, and the way there."""
    with st.container(border=True, height="stretch"):
        st.subheader(title, anchor=False)
        try:
            show()
        except FileNotFoundError as error:
            st.error(f"This card cannot be shown. {error}")
            return
        st.page_link(page, label=invitation, icon=icon)


first, second = st.columns(2, gap="medium")
third, fourth = st.columns(2, gap="medium")
fifth, _ = st.columns(2, gap="medium")
with first:
    card(
        "Handwritten digits",
        lambda: show_pictures(digit_pictures, "A drawing between 3 and 8"),
        "pages/digits/page.py",
        "Draw your own",
        ":material/draw:",
    )
with second:
    card(
        "Photos",
        lambda: show_pictures(photo_pictures, "A photo"),
        "pages/photos/page.py",
        "Bring your own",
        ":material/photo_camera:",
    )
with fourth:
    card(
        "Question answering",
        show_question,
        "pages/questions/page.py",
        "Ask your own",
        ":material/forum:",
    )
with fifth:
    card(
        "Language models",
        show_prompt,
        "pages/language/page.py",
        "Begin a sentence",
        ":material/edit_note:",
    )

st.subheader("How to read a heatmap", anchor=False)
steps, rest = st.columns(2, gap="large")
with steps:
    st.markdown(
        "1. The network gives every class a **score**; the highest wins.\n"
        "2. That score is **handed back** through the network, layer by layer, until it reaches the input.\n"
        "3. **Red** parts of the input spoke for the class, **blue** parts against it, **white** parts did not matter."
    )
with rest:
    st.markdown(
        "Nothing is lost in secret: below every heatmap stands a balance. It says how much of the score arrived at the "
        "input, and what took the rest on its way."
    )
    st.markdown(
        "No request leaves this machine. What you draw, type or bring is kept for your visit only and never stored."
    )

limits()

st.subheader("The networks", anchor=False)
for read, names in (
    (digits.model_card, NETWORKS),
    (photo_networks.model_card, photo_networks.BUNDLED),
    (text.model_card, text_networks.BUNDLED),
    (lambda name: scenes.model_card(), scenes.REMAKE),
    (language.model_card, language.KNOWN),
):
    for name in names:
        try:
            show_model_card(read(name))
        except FileNotFoundError as error:
            st.error(str(error))
if measured := faithfulness(photos.ASSETS):
    show_faithfulness(measured, photo_networks.BUNDLED)
if measured := faithfulness(text.ASSETS):
    show_word_faithfulness(measured, text_networks.BUNDLED)
if measured := faithfulness(scenes.ASSETS):
    show_object_faithfulness(measured)
if measured := faithfulness(language.ASSETS):
    show_prompt_faithfulness(measured)

st.subheader("Licence and patent", anchor=False)
st.markdown(LICENCE)
st.markdown(PATENT)

with third:  # last, because transformers takes seconds to import, the first time
    card("Text", show_words, "pages/text/page.py", "Type your own", ":material/notes:")
