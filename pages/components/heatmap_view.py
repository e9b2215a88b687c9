"""A heatmap on a canvas that tells the value under the pointer, a finger or the arrow keys.

Unlike an image element it needs no second request and never shows an empty frame between two updates, so it can
follow a `LiveSlider`. The colours are those of `lrp_core.heatmap`, computed there and sent as pixels: what is on the
screen equals what is downloaded.
"""

import base64
from typing import Literal

import numpy as np
from PIL import Image

from lrp_core import heatmap
from pages.components.component import component

_HTML = """
<div class="map" role="application" tabindex="0" aria-roledescription="heatmap"
     aria-label="Heatmap values: move with the arrow keys">
  <canvas role="img"></canvas><div class="cell" hidden></div>
</div>
<div class="legend" hidden><canvas role="presentation"></canvas><span></span><span></span><span></span></div>
<output class="reading"></output>
"""
_component = component(__file__, _HTML, "legend")


def heatmap_view(
    relevance: np.ndarray,
    *,
    key: str,
    alt: str,
    colours: str = "red-white-blue",
    vmax: float | None = None,
    tag: str | None = None,
    underlay: np.ndarray | None = None,
    opacity: float = 1.0,
    top: float | None = None,
    lit: np.ndarray | None = None,
    legend: bool = False,
    width: int | Literal["stretch"] = "stretch",
) -> None:
    """Show `relevance` (H, W) as a picture, one pixel per value.

    Args:
        relevance: Shape (H, W), finite.
        key: Unique among all widgets.
        alt: What the picture shows, for those who cannot see it: class and rule.
        colours: A name that `lrp_core.heatmap.colour_table` knows.
        vmax: Relevance drawn in the strongest colour; by default what `strongest` says.
        tag: Put on the canvas as `data-tag` together with the pixels: tells a test which settings it sees.
        underlay: Grey picture (H, W), floats in 0..1 or uint8, that shows through where `opacity` is below 1.
        opacity: How far the strongest relevance covers the underlay; see `over`.
        top: Colour only this percentage of the pixels, those that speak most for the target.
        lit: Picture (H, W, 3) uint8 to be shown instead of the relevance, see `only_what_counts`; needs `top`.
        legend: Draw the colour bar with -vmax, 0 and +vmax below.
        width: In CSS pixels, or "stretch" to fill the container.
    """
    relevance = np.asarray(relevance)
    if relevance.ndim != 2:
        raise ValueError(f"A heatmap has two axes, (H, W), not shape {relevance.shape}.")
    if vmax is None:
        vmax = strongest(relevance)
    _component(
        key=key,
        width=width,
        data={
            "rows": relevance.shape[0],
            "columns": relevance.shape[1],
            "rgb": _base64(pixels(relevance, colours, vmax, underlay, opacity, top, lit)),
            "values": _base64(relevance.astype("<f4")),
            "alt": alt,
            "tag": tag,
            "legend": _legend(colours, vmax, bool(np.abs(relevance).max() > vmax)) if legend else None,
        },
    )


def pixels(
    relevance: np.ndarray,
    colours: str,
    vmax: float,
    underlay: np.ndarray | None = None,
    opacity: float = 1.0,
    top: float | None = None,
    lit: np.ndarray | None = None,
) -> np.ndarray:
    """The picture that `heatmap_view` puts on the screen, (H, W, 3) uint8: for downloads that must look the same."""
    if lit is not None and top is not None:
        return only_what_counts(lit, relevance, top)
    heat = heatmap.to_rgb(relevance, colours, vmax)
    if underlay is None:
        ground = heatmap.to_rgb(np.zeros_like(relevance), colours, vmax)
    else:
        grey = underlay if underlay.dtype == np.uint8 else np.round(255 * np.clip(underlay, 0, 1)).astype(np.uint8)
        ground = np.repeat(grey[..., None], 3, axis=2)
    if top is not None:
        return np.where(heatmap.top_mask(relevance, top)[..., None], heat, ground)
    return heat if underlay is None else over(ground, heat, relevance, vmax, opacity)


def over(ground: np.ndarray, heat: np.ndarray, relevance: np.ndarray, vmax: float, opacity: float) -> np.ndarray:
    """A heatmap laid over a picture, both (H, W, 3) uint8.

    The stronger the relevance, the more it covers: evenly laid on, the white of what does not matter would bleach the
    picture. The square root lets weak relevance be seen at all.
    """
    strength = np.minimum(np.abs(relevance) / (vmax or 1.0), 1)
    share = (opacity * np.sqrt(strength))[..., None]
    return (share * heat + (1 - share) * ground).round().astype(np.uint8)


SMOOTHING = 32
"""Relevance is averaged over blocks of about a thirty-second of the side before the strongest parts are chosen."""

DIM = 0.35
"""How much light is left to the part of a picture that does not count."""


def only_what_counts(picture: np.ndarray, relevance: np.ndarray, percent: float) -> np.ndarray:
    """A picture (H, W, 3) uint8 in which only the strongest `percent` % keep their colours; the rest is grey and dim.

    Relevance (H, W) is smoothed before the choice (averaged over small blocks, and interpolated between them): single
    pixels compete by chance, and chosen one by one they would lie over the picture like pepper.
    """
    fine = Image.fromarray(relevance.astype(np.float32))
    smooth = fine.reduce(max(1, max(fine.size) // SMOOTHING)).resize(fine.size, Image.Resampling.BICUBIC)
    grey = DIM * np.asarray(Image.fromarray(picture).convert("L"), np.float32)
    chosen = heatmap.top_mask(np.asarray(smooth), percent)[..., None]
    return np.where(chosen, picture, grey.round().astype(np.uint8)[..., None])


MANY_PIXELS, CLIPPED = 10_000, 0.5
"""A map of more pixels than that draws this percentage of them, the strongest, alike."""


def strongest(relevance: np.ndarray) -> float:
    """The relevance that is drawn in the strongest colour: the largest |relevance| of a small map.

    Among many pixels a few extreme ones would leave everything else too pale to be seen; the legend tells of it.
    """
    return heatmap.scale(relevance, 100 - CLIPPED if relevance.size > MANY_PIXELS else 100).vmax


def _legend(colours: str, vmax: float, clipped: bool) -> dict:
    least, most = ("≤ ", "≥ ") if clipped else ("", "")
    texts = [f"{least}\N{MINUS SIGN}{vmax:.3g}", "0", f"{most}+{vmax:.3g}"]
    return {"rgb": _base64(heatmap.colour_table(colours)), "texts": texts}


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array)).decode()
