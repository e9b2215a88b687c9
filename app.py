"""The entry: `streamlit run app.py`. Page settings and navigation, nothing else."""

import streamlit as st

st.set_page_config(page_title="LRP lab", page_icon="assets/icon.svg", layout="wide")
st.navigation(
    [
        st.Page(
            "pages/home/page.py",
            title="Home",
            icon=":material/home:",
            default=True,
            help="What this laboratory is, and a live example of each page.",
        ),
        st.Page(
            "pages/digits/page.py",
            title="Handwritten digits",
            icon=":material/draw:",
            url_path="digits",
            help="Draw a digit and see which strokes speak for the network's answer.",
        ),
        st.Page(
            "pages/photos/page.py",
            title="Photos",
            icon=":material/photo_camera:",
            url_path="photos",
            help="Bring a photo and see which parts of it speak for the network's answer.",
        ),
        st.Page(
            "pages/text/page.py",
            title="Text",
            icon=":material/notes:",
            url_path="text",
            help="Take a sentence or type one and see which words speak for the network's answer.",
        ),
        st.Page(
            "pages/questions/page.py",
            title="Question answering",
            icon=":material/forum:",
            url_path="question_answering",
            help="Ask about a scene and see which objects and which words speak for the network's answer.",
        ),
        st.Page(
            "pages/language/page.py",
            title="Language models",
            icon=":material/edit_note:",
            url_path="language",
            help="Begin a sentence and see which of its words speak for one next word rather than another.",
        ),
    ],
    position="top",
).run()
