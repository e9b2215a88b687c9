"""The closing words of every page: what a heatmap does not show, and the notice on the method's patent."""

import streamlit as st

LIMITS = (
    "**Not causality.** What is red took part in the score; whether the score would fall without it is open.",
    "**Not correctness.** A wrong answer has a map too, and it may look just as sensible.",
    "**One input only.** It says nothing about how the network treats other inputs.",
    "**One rule only.** Another rule shares out the same score differently; compare several before you conclude.",
)

LICENCE = (
    "The code is free software under the BSD 3-Clause licence. The weights that we trained are, too; those that others "
    "pretrained keep their own licence. The model cards above name who trained what, on which data, and its licence."
)

PATENT = (
    "Layer-wise Relevance Propagation is patented. It is free for personal and scientific use; for any other use, ask "
    "the holders of the patent."
)


def limits() -> None:
    """What this does not show."""
    st.subheader("What this does not show", anchor=False)
    with st.grid("auto", min_column_width=220):
        for limit in LIMITS:
            st.markdown(limit)
