"""Two live sliders over one picture, and a second page. `?cost=200` makes every answer take 200 ms."""

from threading import Event

import numpy as np
import streamlit as st

from pages.components.heatmap_view import heatmap_view
from pages.components.live_slider import LiveSlider

EPSILONS = np.geomspace(1e-3, 10, 61)
GAMMAS = np.linspace(0, 1, 41)
ROWS, COLUMNS = np.mgrid[-1:1:28j, -1:1:28j]


def picture(epsilon: float, gamma: float) -> np.ndarray:
    ring = np.exp(-((np.hypot(ROWS, COLUMNS) - 0.6) ** 2) / (0.02 + epsilon / 20))
    return (ring * np.where(COLUMNS + 0.3 * ROWS + gamma > 0.9, -1, 1)).astype(np.float32)


@st.fragment
def view(cost: float, locked: bool) -> None:
    epsilon = LiveSlider("epsilon", "epsilon (relative to each layer)", EPSILONS, index=20)
    gamma = LiveSlider("gamma", "gamma", GAMMAS, index=10, fmt=lambda value: f"{value:.3f}")
    controls = st.container()
    Event().wait(cost)  # stands for slow work on the server
    heatmap_view(
        picture(epsilon.value, gamma.value),
        key="map",
        alt=f"Relevance for class 0, epsilon {epsilon.value:.3g}",
        tag=f"{epsilon.index},{gamma.index}",
        width=280,
    )
    st.session_state["runs"] = st.session_state.get("runs", 0) + 1
    st.text(f"runs: {st.session_state['runs']}, held: {epsilon.held}")
    with controls:
        epsilon.mount(disabled="LRP-0 has no epsilon." if locked else None)
        gamma.mount()


def preset() -> None:
    st.button("Preset", on_click=lambda: LiveSlider.set_index("epsilon", 45))


def demo() -> None:
    cost = st.query_params.get("cost", "0")
    preset()
    view(int(cost) / 1000 if cost.isdigit() else 0.0, st.checkbox("LRP-0"))


def other() -> None:
    st.write("The other page")
    preset()


PAGES = [st.Page(demo, title="Demo", default=True), st.Page(other, title="Other", url_path="other")]
st.navigation(PAGES, position="top").run()  # as in app.py: the menu at the side is switched off
