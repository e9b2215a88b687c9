"""Photos: choose one or bring your own, see what the network recognises, and where the evidence lies."""

import streamlit as st

PAGE = "photos"

st.header("Photos", anchor=False)
st.markdown("The network names what it sees. The heatmap shows which parts of the picture spoke for that, and against.")

with st.skeleton(height=600):
    # torch takes a second to import, the first time: the page draws its head before it does.
    from pages.explaining.subject import Subject
    from pages.photos import input as photo_input
    from pages.photos.choices import chosen_subject, network_choice, two_things
    from pages.photos.subject import offer
    from pages.workbench.closing import limits
    from pages.workbench.workbench import arrive, workbench


def draw_input() -> Subject | str:
    """The picture and its square, and which network looks at it."""
    photo_input.square(PAGE)
    gallery, mine = st.tabs(["Gallery", "Your own picture"])
    with gallery:
        photo_input.choose_one(PAGE)
    with mine:
        photo_input.bring_one(PAGE)
    below_the_gallery = st.container()
    network_choice(PAGE)
    subject = chosen_subject(PAGE)
    with below_the_gallery:
        two_things(PAGE, subject)
    return subject


arrive(PAGE, offer)
workbench(PAGE, offer, draw_input)
limits()
