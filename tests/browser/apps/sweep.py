"""A sweep whose slices are so short that each picture takes one of its own, and a button that must not wait for it."""

import numpy as np
import streamlit as st
import torch

from pages.explaining.subject import Subject
from pages.settings import session
from pages.settings.settings import Settings
from pages.views.picture_view import PictureView
from pages.workbench.tabs import sweep as sweep_tab

sweep_tab.SLICE_S = 0.0

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(48, 4))
x = torch.rand(1, 1, 6, 6)
view = PictureView(np.zeros((6, 6), np.uint8))
subject = Subject("demo", "net", model.eval().requires_grad_(False), (x,), tuple("abcd"), view, "")


@st.fragment
def page() -> None:
    session.begin("demo", Settings())
    presses = st.session_state.setdefault("presses", 0)
    if st.button("Press"):
        presses = st.session_state.presses = presses + 1
    st.text(f"Pressed {presses} times")
    sweep_tab.show(subject, session.settings("demo"))


page()
