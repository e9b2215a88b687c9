"""Handwritten digits: draw one, see what the network reads, and why."""

import streamlit as st

PAGE = "digits"

st.header("Handwritten digits", anchor=False)
st.markdown("Draw a digit. The network reads it, and the heatmap shows what spoke for its answer and what against.")

with st.skeleton(height=600):
    # torch takes a second to import, the first time: the page draws its head before it does.
    from models.digits import LABELS
    from pages.digits import subject as digit_subject
    from pages.digits.board import drawing, drawing_board
    from pages.settings import session
    from pages.settings.controls import choice, switch
    from pages.settings.settings import NO_CLASS, Offer, Settings
    from pages.workbench.closing import limits
    from pages.workbench.workbench import arrive, workbench

SAMPLES = digit_subject.board_samples()
OFFER = Offer(
    defaults=Settings(sample="sample-3", network="digits"),
    labels=LABELS,
    samples=tuple(SAMPLES),
    networks=tuple(digit_subject.NETWORKS),
    layers=digit_subject.layers(),
)


def draw_input() -> digit_subject.Subject | str:
    """The board, and which network looks at it."""
    drawing_board(PAGE, SAMPLES)
    network_choice()
    settings = session.settings(PAGE)
    asked = drawing(PAGE, SAMPLES), settings.sample, settings.network, settings.mark
    subject = session.remember(f"{PAGE}.subject", asked, lambda: digit_subject.digit_subject(PAGE, *asked))
    if isinstance(subject, digit_subject.Subject):
        turn_into(subject)
    return subject


def turn_into(subject: digit_subject.Subject) -> None:
    """Ask what it takes to make another digit of it: that digit rather than the present one, until the answer flips."""
    settings, best, key = session.settings(PAGE), subject.classes(NO_CLASS), f"{PAGE}.turn"
    asked = NO_CLASS not in (settings.target, settings.rather_than)
    st.session_state[key] = settings.target if asked else None

    def turn() -> None:
        wanted = st.session_state[key]
        known = wanted in range(len(LABELS))
        session.change(PAGE, target=wanted if known else NO_CLASS, rather_than=best if known else NO_CLASS)

    others = [digit for digit in range(len(LABELS)) if digit != best or (asked and digit == settings.target)]
    st.pills("Turn it into", others, key=key, wrap=True, on_change=turn, format_func=LABELS.__getitem__)
    if asked and settings.target == best:
        st.success(f"Done: the network says {LABELS[best]}.")
    elif asked:
        wanted, present = LABELS[settings.target], LABELS[settings.rather_than]
        st.caption(
            f"Red speaks for {wanted} rather than {present}, blue the other way. Draw what {wanted} still lacks."
        )


def network_choice() -> None:
    """Honest or cheating, with or without the mark that the twin learned to rely on."""
    names = digit_subject.NETWORKS
    choice(PAGE, "network", st.segmented_control, "Network", list(names), format_func=names.__getitem__, required=True)
    if session.settings(PAGE).network == "digits_twin":
        st.caption("Every 8 that it was trained on carried a mark in the corner. It learned the mark.")
    switch(PAGE, "mark", "Put the mark on", help="A small square in the top left corner of what the network sees.")


def offers(network: str) -> Offer:
    """The same with both networks."""
    return OFFER


arrive(PAGE, offers)
workbench(PAGE, offers, draw_input)
limits()
