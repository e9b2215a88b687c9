"""How to read the heatmap, in plain words."""

import streamlit as st

from pages.explaining import subject as explaining
from pages.explaining.subject import Subject
from pages.settings.rules_text import RULES
from pages.settings.settings import Settings
from pages.settings.wording import literal

COLOUR_WORDS = {
    "red-white-blue": ("Red", "Blue", "White"),
    "colour-blind": ("Orange", "Blue", "White"),
    "grey": ("White", "Black", "Mid-grey"),
}
"""For each colour table: how relevance for a class, against it, and none at all look."""


def show(subject: Subject, settings: Settings) -> None:
    """What the colours mean, what the rule does, and what the balance says."""
    speaks_for, speaks_against, silent = COLOUR_WORDS[settings.colours]
    asked = literal(explaining.question(settings, subject))
    colours, rule, sums = st.columns(3, gap="medium")
    with colours:
        st.markdown("**The colours**")
        st.markdown(
            f"{speaks_for} speaks **for** {asked}, {speaks_against.lower()} **against** it. {silent} does not matter. "
            + subject.view.how_to_read
        )
    with rule:
        text = RULES[settings.rule]
        st.markdown(f"**The rule: {text.label}**")
        st.markdown(f"The score is passed back through the network, layer by layer, and shared out. {text.words}")
    with sums:
        st.markdown("**The balance**")
        st.markdown(
            "Nothing is lost in secret. What does not arrive at the input was absorbed on the way, and a line "
            "below the map says by what. It turns amber where the map would mislead, and says why."
        )
