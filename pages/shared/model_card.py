"""A model card on the page: what a network is, how well it does, and where it fails."""

from typing import Any

import streamlit as st


def show_model_card(card: dict[str, Any]) -> None:
    """Draw one card as an expander; `card` is what a module of `models` returns."""
    with st.expander(card["title"], icon=":material/badge:"):
        st.markdown(card["task"])
        st.table({"Measured": map(_words, card["measured"]), "Figure": map(_figure, card["measured"].values())})
        st.markdown(f"**Built** {card['architecture']} {card['parameters']:,} parameters.")
        st.markdown(f"**Trained on** {card['training']}")
        st.markdown(f"**Measured on** {card['held_out']}")
        st.markdown("**Limits**\n" + "\n".join(f"- {limit}" for limit in card["limits"]))
        st.caption(card["licence"])
        st.caption(f"Remake it with `{card['remade_by']}`.")


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _figure(value: float) -> str:
    """Shares are written in per cent, counts as they are."""
    return f"{value:.2%}".replace("%", " %") if isinstance(value, float) else f"{value:,}"
