"""A gallery of small pictures to choose from."""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st
from PIL import Image, ImageOps

from pages.components.component import component

_component = component(__file__, '<div class="grid" role="group"></div>')


@dataclass(frozen=True)
class Thumbnail:
    """One small picture. name: what is reported when it is chosen. title: shown beside the pointer, and read out."""

    name: str
    title: str
    address: str


def thumbnail(name: str, title: str, picture: Image.Image, side: int = 144) -> Thumbnail:
    """A picture (RGB) cut to a square of `side` pixels, as JPEG in a `data:` address: nothing has to be fetched."""
    small = ImageOps.fit(picture, (side, side), Image.Resampling.BICUBIC)
    return Thumbnail(name, title, jpeg_address(small))


def jpeg_address(picture: Image.Image, quality: int = 80) -> str:
    """A picture (RGB) as JPEG in a `data:` address. For pictures to look at, where no pixel is counted."""
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def thumbnails(
    items: Sequence[Thumbnail], *, key: str, label: str, chosen: str | None, take: Callable[[str], None]
) -> None:
    """Show `items` as buttons in a grid.

    Args:
        items: At least one, no two with the same name.
        key: Unique among all widgets.
        label: What they are, for those who cannot see them.
        chosen: Name of the one that is marked.
        take: Called with the name of the one that was pressed, at the start of the run that follows.
    """

    def receive() -> None:
        """Pass on what the browser sent, if it is one of the names: a browser can send anything."""
        sent = st.session_state[key].get("pressed")
        if isinstance(sent, str) and sent in {item.name for item in items}:
            take(sent)

    _component(
        key=key,
        on_pressed_change=receive,
        data={
            "label": label,
            "items": [{"name": item.name, "title": item.title, "address": item.address} for item in items],
            "chosen": chosen,
        },
    )
