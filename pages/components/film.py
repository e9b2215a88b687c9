"""A film of maps: a strip of small pictures, a large one, a slider and a play button, all inside the browser.

Of a text, the large picture is the text itself with its words coloured, and the small ones are stripes. Of a picture
with a question, the question's words stand below it.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrp_core import heatmap
from pages.components.component import component

_HTML = """
<div class="stage">
  <canvas role="img"></canvas><p class="words" role="img" dir="auto"></p>
  <div>
    <p class="title"></p>
    <p class="note"></p>
    <div class="controls"><button class="play" type="button">Play</button><input type="range" min="0" step="1"></div>
  </div>
</div>
<div class="strip" role="group"></div>
"""
_component = component(__file__, _HTML, "range")


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a film.

    relevance: (H, W), of words (1, W). vmax: relevance of the strongest colour. name: a few letters, under the small
    picture. title and note: shown beside the large picture. alt: for those who cannot see it. words: relevance (T,) of
    words that go with a picture, and that of their strongest colour.
    """

    relevance: np.ndarray
    vmax: float
    name: str
    title: str
    note: str
    alt: str
    words: tuple[np.ndarray, float] | None = None


def film(
    frames: Sequence[Frame],
    *,
    key: str,
    label: str,
    colours: str,
    words: Sequence[tuple[str, str]] = (),
    start: int = 0,
) -> None:
    """Show `frames`.

    Args:
        frames: At least one.
        key: Unique among all widgets.
        label: Names the slider.
        colours: A name that `lrp_core.heatmap.colour_table` knows.
        words: Those of a text, each with what stands between it and the next.
        start: The frame to begin with.
    """
    data = {
        "frames": [_packed(frame) for frame in frames],
        "table": base64.b64encode(heatmap.colour_table(colours).tobytes()).decode(),
        "label": label,
        "words": list(words),
        "start": start,
    }
    identity = hashlib.sha256(json.dumps(data).encode()).hexdigest()  # a rerun with the same film keeps its place
    _component(key=key, data=data | {"identity": identity})


def shades(relevance: np.ndarray, vmax: float) -> np.ndarray:
    """Positions in the colour table, uint8, as `lrp_core.heatmap.to_rgb` chooses them."""
    size = np.floor(127 * np.minimum(np.abs(relevance), vmax) / (vmax or 1.0) + 0.5).astype(int)
    return np.where(relevance >= 0, 128 + size, 127 - size).astype(np.uint8)


def _packed(frame: Frame) -> dict:
    rows, columns = frame.relevance.shape
    packed = base64.b64encode(shades(frame.relevance, frame.vmax).tobytes()).decode()
    texts = {"name": frame.name, "title": frame.title, "note": frame.note, "alt": frame.alt}
    words = base64.b64encode(shades(*frame.words).tobytes()).decode() if frame.words else None
    return {"rows": rows, "columns": columns, "shades": packed, "words": words} | texts
