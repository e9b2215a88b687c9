"""The next words that a language model considers, as bars to be chosen: one is explained, another is its rival."""

from collections.abc import Callable, Sequence

import streamlit as st

from pages.components.component import component
from pages.settings.wording import percent

_component = component(__file__, '<ol role="list"></ol>')


def word_bars(
    names: Sequence[str],
    shares: Sequence[float],
    *,
    key: str,
    alt: str,
    chosen: int | None = None,
    rival: int | None = None,
    take: Callable[[int], None] | None = None,
) -> None:
    """Show one bar for each word.

    Args:
        names: One for each bar.
        shares: Probabilities, between 0 and 1.
        key: Unique among all widgets.
        alt: What the bars show, for those who cannot see them.
        chosen, rival: Positions of the word that is explained, and of the one that it is compared with.
        take: Called with the position of a bar that was chosen, at the start of the run that follows.
    """
    version = str(hash(tuple(names)))

    def receive() -> None:
        """Pass on a choice, if what the browser sent is one, and of these words: a browser can send anything."""
        sent = st.session_state[key].get("picked")
        if take and isinstance(sent, dict) and sent.get("version") == version:
            place = sent.get("place")
            if type(place) is int and 0 <= place < len(names):
                take(place)

    longest = max([*map(float, shares), 1e-9])
    _component(
        key=key,
        on_picked_change=receive,
        data={
            "names": list(names),
            "lengths": [float(share) / longest for share in shares],
            "texts": [percent(share) for share in shares],
            "chosen": chosen,
            "rival": rival,
            "alt": alt,
            "version": version,
            "open": take is not None,
        },
    )
