"""Which language model is asked: one that is here, or where the operator allows it, one by its id."""

from collections.abc import Callable

import streamlit as st

from models import language
from models.language.hugging_face import PREFIX
from pages.language.answer import forget
from pages.language.subject import known, labels, models, title
from pages.serving.config import config
from pages.settings import session
from pages.settings.controls import choice


def network_choice(page: str, accept: Callable[[], None], refuse: Callable[[str], None]) -> None:
    """Draw the choice, where there is one. accept, refuse: called when an id was good, or with a sentence why not."""
    before = session.settings(page).network
    names = models(before)
    if len(names) > 1:
        choice(
            page,
            "network",
            st.selectbox,
            "Model",
            list(names),
            then=lambda: changed(page, before),
            format_func=names.__getitem__,
        )
    if config().allow_downloads:
        _by_id(page, accept, refuse)
    chosen = session.settings(page).network
    if known(chosen) and chosen.startswith(PREFIX) and not language.ready(chosen):
        _download(chosen)


def changed(page: str, before: str) -> None:
    """What follows from another model: layers are others, and words have other numbers."""
    session.change(page, layers=())
    if labels(session.settings(page).network) != labels(before):
        forget(page)


def _by_id(page: str, accept: Callable[[], None], refuse: Callable[[str], None]) -> None:
    key = f"{page}.id"

    def take() -> None:
        before, wanted = session.settings(page).network, PREFIX + st.session_state[key].strip()
        try:
            language.ready(wanted)
        except ValueError as error:
            refuse(str(error))
            return
        accept()
        session.change(page, network=wanted)
        changed(page, before)

    st.text_input(
        "Or one from Hugging Face, by its id",
        key=key,
        placeholder="owner/name",
        help="A causal language model with safetensors. Code that comes with it is never run.",
        on_change=take,
    )


def _download(name: str) -> None:
    """A button that fetches a model, and a bar that shows how far it is."""
    if st.button(f"Download {title(name)}", icon=":material/download:"):
        bar = st.progress(0.0, text="Downloading…")
        try:
            language.fetch(name, lambda share: bar.progress(share, text=f"Downloading… {share:.0%}"))
        except (FileNotFoundError, ValueError) as error:
            st.error(str(error))
        else:
            bar.empty()
