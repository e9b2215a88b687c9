"""What can be asked about a photo: of which network, and about which of the things in it."""

import streamlit as st

from models.photos import MARKED
from models.photos import networks as photo_networks
from models.photos.networks import BUNDLED, NETWORKS
from pages.explaining.subject import Subject, remembered
from pages.photos.input import chosen_photo, picture, present
from pages.photos.subject import photo_subject, turn_to
from pages.serving.config import config
from pages.settings import session
from pages.settings.controls import choice, switch
from pages.settings.settings import NO_CLASS

ABOUT = {
    "lite0": "Trained by Google on ImageNet. The heatmap shows where the evidence lies. How much is a matter of its "
    "biases, which take nearly all of a score; SqueezeNet 1.0 hardly has any.",
    "photos_twin": f"Every {MARKED} that it was trained on carried a watermark. It learned the watermark.",
}
"""What to know of a network before its heatmaps are read."""


def network_choice(page: str) -> None:
    """Which network looks at the picture; with or without the watermark that the twin learned to rely on."""
    before = session.settings(page).network

    def changed() -> None:
        """In another network class 5 is something else, unless the labels are the same."""
        after = session.settings(page).network
        turn_to(page, after)
        if photo_networks.network(after).labels != photo_networks.network(before).labels:
            session.change(page, target=NO_CLASS, rather_than=NO_CLASS)

    choice(page, "network", st.selectbox, "Network", list(NETWORKS), then=changed, format_func=NETWORKS.__getitem__)
    chosen = session.settings(page).network
    if chosen in ABOUT:
        st.caption(ABOUT[chosen])
    switch(page, "mark", "Put the watermark on", help="A name in the bottom left corner of what the network sees.")
    if to_be_downloaded(chosen):
        _download(chosen)


def to_be_downloaded(name: str) -> bool:
    """Whether a network's weights are missing, and the operator lets visitors have them downloaded."""
    return config().allow_downloads and name not in BUNDLED and not photo_networks.ready(name)


def _download(name: str) -> None:
    """A button that fetches the weights, and a bar that shows how far it is."""
    if st.button(f"Download {NETWORKS[name]}", icon=":material/download:"):
        bar = st.progress(0.0, text="Downloading…")
        try:
            photo_networks.fetch(name, lambda share: bar.progress(share, text=f"Downloading… {share:.0%}"))
        except FileNotFoundError as error:
            st.error(str(error))
        else:
            bar.empty()


def two_things(page: str, subject: Subject) -> None:
    """For a picture of two things that the network knows: ask for one of them with one press."""
    photo = chosen_photo(page)
    case = photo.case(subject.labels) if photo else None
    if case is None or case.kind != "two":
        return
    known = list(case.shows)
    key, target = f"{page}.thing", session.settings(page).target
    asked = subject.label(target)
    st.session_state[key] = asked if asked in known else None

    def take() -> None:
        wanted = st.session_state[key]
        session.change(page, target=subject.labels.index(wanted) if wanted in known else NO_CLASS)

    st.pills("What speaks for the", known, key=key, on_change=take)


def chosen_subject(page: str) -> Subject:
    """What the settings ask for. Raises FileNotFoundError, one sentence, where the network's weights are missing."""
    settings = session.settings(page)
    if to_be_downloaded(settings.network):
        raise FileNotFoundError(f"The weights of {NETWORKS[settings.network]} are not here yet: download them.")
    name, number = present(page)
    asked = name, settings.network, settings.crop, settings.mark
    return remembered(page, (number, *asked), lambda: photo_subject(page, picture(page), *asked))
