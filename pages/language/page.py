"""Language models: a prompt, the words that may come next, and which words of the prompt speak for one of them."""

import streamlit as st

PAGE = "language"

st.header("Language models: why this word rather than that?", anchor=False)
st.markdown(
    "A language model reads a text and says how likely each word is to come next. The colours show which words of the "
    "prompt speak for one next word rather than for another."
)

with st.skeleton(height=600):
    # torch takes a second to import, the first time: the page draws its head before it does.
    from pages.language import answer, tabs
    from pages.language import input as language_input
    from pages.language import subject as language_subject
    from pages.workbench.closing import limits
    from pages.workbench.workbench import arrive, workbench

    arrive(PAGE, language_subject.offer)
    language_input.settle(PAGE)

workbench(PAGE, language_subject.offer, lambda: language_input.draw_input(PAGE), tabs.TABS, answer.ANSWER)
limits()
