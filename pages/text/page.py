"""Text: take a sample or type your own, see what the network says of it, and which words made it say that."""

import streamlit as st

PAGE = "text"

st.header("Text", anchor=False)
st.markdown("The network reads a text and says what it takes it for. The colours show which words spoke for that.")

with st.skeleton(height=600):
    # torch and transformers take seconds to import, the first time: the page draws its head before they do.
    from pages.text import choices as text_choices
    from pages.text import subject as text_subject
    from pages.workbench.closing import limits
    from pages.workbench.workbench import arrive, workbench

    arrive(PAGE, text_subject.offer)

workbench(PAGE, text_subject.offer, lambda: text_choices.draw_input(PAGE))
limits()
