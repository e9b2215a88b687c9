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
    ways = [("Gallery", photo_input.choose_one), ("Your own picture", photo_input.bring_one)]
    if photo_input.on_phone():
        ways.reverse()
    for tab, (_, draw) in zip(st.tabs([title for title, _ in ways]), ways, strict=True):
        with tab:
            draw(PAGE)
    below_the_gallery = st.container()
    network_choice(PAGE)
    subject = chosen_subject(PAGE)
    with below_the_gallery:
        two_things(PAGE, subject)
    return subject


arrive(PAGE, offer)
workbench(PAGE, offer, draw_input)
limits()
