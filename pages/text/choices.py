"""What can be asked about a text: which text, of which network, and what has to be read before it is shown."""

import streamlit as st

from lrp_core import UnsupportedOp
from models.text import networks as text_networks
from models.text.hugging_face import PREFIX
from models.text.networks import BUNDLED, ENCODER
from pages.explaining.subject import Subject
from pages.serving.config import config
from pages.settings import session
from pages.settings.controls import choice
from pages.settings.settings import NO_CLASS, OWN_INPUT
from pages.text import input as text_input
from pages.text import subject as text_subject
from pages.text.subject import labels, networks, samples

FEW = 5
"""So many languages are named one by one."""


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
    except (ValueError, UnsupportedOp) as error:
        return str(error)


def network_choice(page: str) -> None:
    """Which network reads the text: one that is here, or where the operator allows it, one by its id."""
    before = session.settings(page).network
    names = networks(before)
    choice(
        page,
        "network",
        st.selectbox,
        "Network",
        list(names),
        then=lambda: changed(page, before),
        format_func=names.__getitem__,
    )
    if config().allow_downloads:
        by_id(page)
    chosen = session.settings(page).network
    if chosen in BUNDLED:
        st.caption(learned(chosen))
    if text_subject.known(chosen) and chosen.startswith(PREFIX) and not text_networks.ready(chosen):
        download(chosen)


def learned(name: str) -> str:
    """In which languages one of our own networks learned, and whose work it stands on."""
    spoken = text_networks.network(name).languages
    few = " and ".join(filter(None, (", ".join(spoken[:-1]), spoken[-1])))
    return (
        f"Learned in {few if len(spoken) <= FEW else f'{len(spoken)} languages'}. Its encoder, {ENCODER}, was "
        "pretrained by others in about 100 languages: try yours."
    )


def changed(page: str, before: str) -> None:
    """What follows from another network: layers, samples and classes are others, unless it is so by chance."""
    after = session.settings(page)
    session.change(page, layers=())
    if labels(after.network) != labels(before):
        session.change(page, target=NO_CLASS, rather_than=NO_CLASS)
    if after.sample != OWN_INPUT and after.sample not in samples(after.network):
        session.change(page, sample=next(iter(samples(after.network))))


def by_id(page: str) -> None:
    """Draw the field for the id of a network on the Hub."""
    key = f"{page}.id"

    def take() -> None:
        before, wanted = session.settings(page).network, PREFIX + st.session_state[key].strip()
        try:
            text_networks.ready(wanted)
        except ValueError as error:
            text_input.refuse(page, str(error))
            return
        text_input.refuse(page, "")
        session.change(page, network=wanted)
        changed(page, before)

    st.text_input(
        "Or one from Hugging Face, by its id",
        key=key,
        placeholder="owner/name",
        help="A sequence classifier with safetensors. Code that comes with it is never run.",
        on_change=take,
    )


def download(name: str) -> None:
    """A button that fetches a network, and a bar that shows how far it is."""
    if st.button(f"Download {text_subject.title(name)}", icon=":material/download:"):
        bar = st.progress(0.0, text="Downloading…")
        try:
            text_networks.fetch(name, lambda share: bar.progress(share, text=f"Downloading… {share:.0%}"))
        except (FileNotFoundError, ValueError) as error:
            st.error(str(error))
        else:
            bar.empty()


def note(page: str) -> bool:
    """Draw the note that stands before a sample, until it was read. Returns whether the sample is still hidden."""
    sample, seen = text_input.chosen_sample(page), f"{page}.noted"
    if sample is None or not sample.note or st.session_state.get(seen):
        return False
    st.warning(sample.note, icon=":material/warning:")
    st.button("Show such texts", on_click=lambda: st.session_state.update({seen: True}))
    return True
