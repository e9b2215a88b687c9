"""Question answering: ask about a scene, see the answer, and where in the picture and in the words it came from."""

import streamlit as st

PAGE = "questions"

st.header("Question answering", anchor=False)
st.markdown(
    "The network looks at a scene and reads a question about it. The colours show which parts of the picture and which "
    "words spoke for its answer."
)

with st.skeleton(height=600):
    # torch takes a second to import, the first time: the page draws its head before it does.
    from pages.questions import input as question_input
    from pages.questions import subject as question_subject
    from pages.workbench.closing import limits
    from pages.workbench.workbench import arrive, workbench

    arrive(PAGE, question_subject.offer)

workbench(PAGE, question_subject.offer, lambda: question_input.draw_input(PAGE))
limits()
