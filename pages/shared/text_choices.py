"""What can be asked about a text: which text, of which network, and what has to be read before it is shown."""

import streamlit as st

from models import text_networks
from pages.shared import session, text_input
from pages.shared.controls import choice
from pages.shared.explaining import Subject
from pages.shared.settings import NO_CLASS, OWN_INPUT
from pages.shared.text_subject import networks, samples


def draw_input(page: str) -> Subject | str:
    """Which network reads which text; or one sentence why there is nothing to explain."""
    network_choice(page)
    listed, mine = st.tabs(["Samples", "Your own text"])
    with listed:
        text_input.choose_one(page)
        hidden = note(page)
    with mine:
        text_input.type_one(page)
    text_input.refused(page)
    if hidden:
        return "This sample waits behind a note, on the left."
    try:
        return text_input.chosen_subject(page)
    except ValueError as error:
        return str(error)


def network_choice(page: str) -> None:
    """Which network reads the text, and the languages that it learned."""
    before = session.settings(page).network
    names = networks()

    def changed() -> None:
        """Layers, samples and classes are others, unless it is so by chance."""
        after = session.settings(page)
        session.change(page, layers=())
        if text_networks.network(after.network).labels != text_networks.network(before).labels:
            session.change(page, target=NO_CLASS, rather_than=NO_CLASS)
        if after.sample != OWN_INPUT and after.sample not in samples(after.network):
            session.change(page, sample=next(iter(samples(after.network))))

    choice(page, "network", st.selectbox, "Network", list(names), then=changed, format_func=names.__getitem__)


def note(page: str) -> bool:
    """Draw the note that stands before a sample, until it was read. Returns whether the sample is still hidden."""
    sample, seen = text_input.chosen_sample(page), f"{page}.noted"
    if sample is None or not sample.note or st.session_state.get(seen):
        return False
    st.warning(sample.note, icon=":material/warning:")
    st.button("Show such texts", on_click=lambda: st.session_state.update({seen: True}))
    return True
