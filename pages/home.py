"""Home: what this is, a live card for each page, the networks behind them, and the terms of use."""

from collections.abc import Callable

import streamlit as st

from pages.shared import front_door
from pages.shared.closing import LICENCE, PATENT, limits

front_door.enter()

st.title("Why did the network say that?", anchor=False)
st.markdown(
    "Layer-wise Relevance Propagation (LRP) takes a network's answer apart: it shows, number by number, which parts of "
    "the input spoke for it and which against."
)

with st.skeleton(height=420):
    # torch takes a second to import, the first time: the page draws its head before it does.
    from lrp_core import heatmap
    from models import digits, photos
    from models.photo_networks import BUNDLED
    from pages.shared import explaining, photo_subject, result
    from pages.shared.digit_subject import NETWORKS, board_samples, digit_subject
    from pages.shared.explaining import Subject
    from pages.shared.heatmap_view import strongest
    from pages.shared.model_card import faithfulness, show_faithfulness, show_model_card
    from pages.shared.picture_view import framed
    from pages.shared.settings import Settings

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
    settings = photo_subject.offer("photos").defaults
    picture = photo_subject.gallery_photos()[settings.sample].open()
    subject = photo_subject.photo_subject(
        "home", picture, settings.sample, settings.network, settings.crop, settings.mark
    )
    return explained(subject, settings)


def card(title: str, pictures: Callable[[], Pictures], shown: str, page: str, invitation: str, icon: str) -> None:
    """A page's card: a real heatmap, and the way there. `shown`: what the input is."""
    with st.container(border=True):
        st.subheader(title, anchor=False)
        try:
            picture, heat, alt, label, balance = pictures()
        except FileNotFoundError as error:
            st.error(f"This card cannot be shown. {error}")
            return
        left, right = st.columns(2, wrap=False)
        left.image(picture, width="stretch", alt=f"{shown}, as the network sees it")
        right.image(heat, width="stretch", alt=alt)
        st.caption(f"Left: {shown[0].lower()}{shown[1:]}. Right: why the network calls it {label}. {balance}.")
        st.page_link(page, label=invitation, icon=icon)


first, second = st.columns(2, gap="large")
with first:
    card(
        "Handwritten digits",
        digit_pictures,
        "A drawing between 3 and 8",
        "pages/digits.py",
        "Draw your own",
        ":material/draw:",
    )
with second:
    card("Photos", photo_pictures, "A photo", "pages/photos.py", "Bring your own", ":material/photo_camera:")

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
        "No request leaves this machine. What you draw and the pictures you bring are kept for your visit only and "
        "never stored."
    )

limits()

st.subheader("The networks", anchor=False)
for read, names in ((digits.model_card, NETWORKS), (photos.model_card, BUNDLED)):
    for name in names:
        try:
            show_model_card(read(name))
        except FileNotFoundError as error:
            st.error(str(error))
measured = faithfulness(photos.ASSETS)
if measured:
    show_faithfulness(measured)

st.subheader("Licence and patent", anchor=False)
st.markdown(LICENCE)
st.markdown(PATENT)
