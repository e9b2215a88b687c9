"""Home: what this is, a live card for each page, the networks behind them, and the terms of use."""

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
    from models.digits import model_card
    from pages.shared import explaining, result
    from pages.shared.digit_subject import NETWORKS, board_samples, digit_subject
    from pages.shared.model_card import show_model_card
    from pages.shared.settings import Settings

CARD_SAMPLE = "3-or-8-open-waist"


@st.cache_data(max_entries=1, show_spinner=False)
def digit_pictures() -> tuple[str, str, str, str, str]:
    """The card's digit and its heatmap as addresses of pictures, what the heatmap shows, the class, the balance."""
    strokes = board_samples()[CARD_SAMPLE].strokes
    subject = digit_subject("home", strokes, CARD_SAMPLE, "digits", mark=False)
    settings = Settings()
    explanation = explaining.explain(settings, subject)
    relevance = explaining.heat(explanation)
    return (
        heatmap.data_uri(result.framed(result.picture(subject))),
        heatmap.data_uri(result.framed(heatmap.to_rgb(relevance))),
        heatmap.alt_text(relevance, explaining.question(settings, subject), "the recommended rule"),
        explaining.question(settings, subject),
        result.balance_of(explanation).text,
    )


def digit_card() -> None:
    """The card of the digits page, with a heatmap computed by `lrp_core`."""
    with st.container(border=True):
        st.subheader("Handwritten digits", anchor=False)
        try:
            drawn, heat, alt, label, balance = digit_pictures()
        except FileNotFoundError as error:
            st.error(f"This card cannot be shown. {error}")
            return
        left, right = st.columns(2, wrap=False)
        left.image(drawn, width="stretch", alt="A drawing between 3 and 8, as the network sees it")
        right.image(heat, width="stretch", alt=alt)
        st.caption(f"Left: a drawing between 3 and 8. Right: why the network calls it {label}. {balance}.")
        st.page_link("pages/digits.py", label="Draw your own", icon=":material/draw:")


card, reading = st.columns(2, gap="large")
with card:
    digit_card()
with reading:
    st.subheader("How to read a heatmap", anchor=False)
    st.markdown(
        "1. The network gives every class a **score**; the highest wins.\n"
        "2. That score is **handed back** through the network, layer by layer, until it reaches the input.\n"
        "3. **Red** parts of the input spoke for the class, **blue** parts against it, **white** parts did not matter."
    )
    st.markdown(
        "Nothing is lost in secret: below every heatmap stands a balance. It says how much of the score arrived at the "
        "input, and what took the rest on its way."
    )
    st.markdown("No request leaves this machine. What you draw is kept for your visit only and never stored.")

limits()

st.subheader("The networks", anchor=False)
for name in NETWORKS:
    try:
        show_model_card(model_card(name))
    except FileNotFoundError as error:
        st.error(str(error))

st.subheader("Licence and patent", anchor=False)
st.markdown(LICENCE)
st.markdown(PATENT)
