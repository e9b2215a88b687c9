"""A picture with the square that the network sees, which can be moved and resized: mouse, finger or keyboard."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from pages.components.component import component
from pages.settings.settings import SMALLEST_CROP, is_crop

_HTML = """
<div class="stage">
  <img draggable="false">
  <div class="square" role="application" tabindex="0" aria-roledescription="movable square">
    <i data-corner="nw"></i><i data-corner="ne"></i><i data-corner="sw"></i><i data-corner="se"></i>
  </div>
</div>
<div class="foot">
  <span class="hint"></span>
  <button type="button" class="smaller" aria-label="Smaller" title="Smaller">\N{MINUS SIGN}</button>
  <button type="button" class="larger" aria-label="Larger" title="Larger">+</button>
</div>
<output></output>
"""
_component = component(__file__, _HTML, "heard", "stage")


def crop_view(
    address: str,
    size: tuple[int, int],
    crop: tuple[int, int, int],
    *,
    key: str,
    alt: str,
    share: float,
    take: Callable[[tuple[int, int, int]], None],
) -> None:
    """Show a picture, and on it the square.

    Args:
        address: Of the picture, as a `data:` address.
        size: Its width and height.
        crop: x, y and size of the square in per cent, as `models.photos.pictures.Crop` takes them.
        key: Unique among all widgets.
        alt: What the picture shows.
        share: The part of the shorter side that a square of size 100 covers.
        take: Called with the new crop when the square is let go, at the start of the run that follows.
    """

    def receive() -> None:
        """Take over what the browser sent, if it is a crop at all: a browser can send anything."""
        sent: Any = st.session_state[key].get("crop")
        if isinstance(sent, dict) and is_crop(found := (sent.get("x"), sent.get("y"), sent.get("size"))):
            st.session_state[f"{key}:answered"] = sent.get("number")
            take(found)

    width, height = size
    _component(
        key=key,
        on_crop_change=receive,
        data={
            "address": address,
            "width": width,
            "height": height,
            "alt": alt,
            "share": share,
            "smallest": SMALLEST_CROP,
            "answered": st.session_state.get(f"{key}:answered"),
            **dict(zip(("x", "y", "size"), crop, strict=True)),
        },
    )
