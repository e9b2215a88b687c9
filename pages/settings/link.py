"""The address of a page carries its settings: opening it restores them, and it can be copied.

The address is only written when no slider is held: every write becomes an entry in the browser's history.
"""

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import streamlit as st

from pages.settings import session
from pages.settings.settings import OWN_INPUT, PARAMETERS, Offer, Offers, from_query, to_query


def arrive(page: str, offers: Offers) -> bool:
    """Take over the settings that the address asks for, once for each new address. Returns whether it did.

    An address without settings changes nothing, so coming back through the menu keeps everything. A new address
    replaces all settings but the visitor's own input, which no address can bring back.
    """
    asked = {name: value for name, value in st.query_params.to_dict().items() if name in PARAMETERS}
    offer = offers(asked.get("network", ""))
    session.begin(page, offer.defaults)
    if not asked or asked == st.session_state.get(f"{page}.address"):
        return False
    present = session.settings(page)
    wanted, unreadable = from_query(asked, offer)
    if present.sample == OWN_INPUT and not {"sample", "crop"} & set(asked):
        wanted = replace(wanted, sample=OWN_INPUT, crop=present.crop)
    st.session_state[f"{page}.settings"] = wanted
    st.session_state[f"{page}.address"] = asked
    st.session_state[f"{page}.unreadable"] = (wanted, unreadable)
    return True


def note(page: str) -> None:
    """Say which parts of the address made no sense, until the visitor changes something."""
    wanted, unreadable = st.session_state.get(f"{page}.unreadable", (None, []))
    if unreadable and wanted == session.settings(page):
        parts = ", ".join(f"*{name}*" for name in unreadable)
        st.info(f"This link asks for something that is not here ({parts}). The default is shown instead.")


def add(page: str, **fields: Any) -> None:
    """Change some settings as if the link had asked for them: what it asked for in vain stays named."""
    wanted, unreadable = st.session_state.get(f"{page}.unreadable", (None, []))
    arrived = wanted == session.settings(page)
    session.change(page, **fields)
    if arrived:
        st.session_state[f"{page}.unreadable"] = (session.settings(page), unreadable)


def write(page: str, offer: Offer) -> None:
    """Bring the address in line with the settings."""
    wanted = to_query(session.settings(page), offer)
    present = st.query_params.to_dict()
    others = {name: value for name, value in present.items() if name not in PARAMETERS}
    st.session_state[f"{page}.address"] = wanted
    if present != others | wanted:
        st.query_params.from_dict(others | wanted)


def copy_button(page: str, offer: Offer) -> None:
    """A button that opens the link, ready to be copied."""
    settings = session.settings(page)
    parts = urlsplit(st.context.url or "")
    query = urlencode(to_query(settings, offer), safe=":,")
    with st.popover("Copy link", icon=":material/link:"):
        st.code(urlunsplit((parts.scheme, parts.netloc, parts.path, query, "")), language=None, wrap_lines=True)
        if offer.scenes:
            st.caption("It restores the scene, the question, the rule, its parameters, the answer and the colours.")
            st.caption("It carries a question because that has only words that the network knows.")
        else:
            st.caption("It restores the rule, its parameters, the class, the sample, the network and the colours.")
            st.caption("It never carries your own drawing, picture or text, nor what you changed in a sample.")
