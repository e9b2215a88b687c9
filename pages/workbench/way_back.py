"""What takes the visitor's changes of words back."""

from collections.abc import Callable

import streamlit as st

Act = Callable[[], None]


def way_back(changed: bool, *, undo: Act, original: Act, alone: Act | None = None) -> None:
    """Draw the buttons that take changes back; where there are none yet, say how to make some.

    alone: keeps the change and lets go of what it is compared with, where that can be.
    """
    if not changed:
        st.caption("Choose a word to delete or replace it, and see what the network says then.")
        return
    with st.container(horizontal=True, gap="small"):
        st.button("Undo", icon=":material/undo:", on_click=undo)
        st.button("Original", icon=":material/restart_alt:", on_click=original)
        if alone:
            st.button("Stop comparing", icon=":material/close:", on_click=alone)
