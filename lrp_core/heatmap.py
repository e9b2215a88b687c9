"""Relevance as a picture: positive and negative in two colours of equal strength, zero in a neutral one.

Every colour table is symmetric, so that +r and -r are equally far from neutral to the eye, and each entry is chosen by
the value divided by `vmax` alone: two maps drawn with one `vmax` can be compared. Needs NumPy and Pillow only; takes
arrays and torch tensors alike.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Array = npt.NDArray[Any]

# Each table: OKLCh colours (lightness, chroma, hue in degrees) at zero, half way and the end, for + and for -.
_ANCHORS = {
    "red-white-blue": (
        ((1.0, 0.0, 27.0), (0.66, 0.19, 27.0), (0.40, 0.16, 27.0)),
        ((1.0, 0.0, 257.0), (0.66, 0.15, 257.0), (0.40, 0.14, 257.0)),
    ),
    "colour-blind": (  # orange-white-blue: blue against yellow is what people who confuse red and green see best
        ((1.0, 0.0, 60.0), (0.70, 0.16, 60.0), (0.46, 0.11, 60.0)),
        ((1.0, 0.0, 257.0), (0.70, 0.13, 257.0), (0.46, 0.16, 257.0)),
    ),
    "grey": (  # white is positive, black negative, mid-grey zero
        ((0.56, 0.0, 0.0), (0.78, 0.0, 0.0), (1.0, 0.0, 0.0)),
        ((0.56, 0.0, 0.0), (0.34, 0.0, 0.0), (0.12, 0.0, 0.0)),
    ),
}
COLOURS = tuple(_ANCHORS)


@dataclass(frozen=True)
class Scaling:
    """How relevance was mapped to colours: values beyond `vmax` on either side are drawn at the ends of the table."""

    vmax: float
    """relevance of the strongest colour, in the unit of the logits"""
    percentile: float
    """percentile of |relevance| that `vmax` is"""
    clipped_share: float
    """share of the values beyond `vmax`, 0 to 1"""

    def __str__(self) -> str:
        span = f"colours span -{self.vmax:.3g} to +{self.vmax:.3g}"
        return f"{span}; {self.clipped_share:.1%} of the values lie beyond" if self.clipped_share else span


@cache
def colour_table(name: str = "red-white-blue") -> Array:
    """Return the 256 colours of a table, (256, 3) uint8, read-only.

    Entry 128 + k is for relevance +k/127 * vmax and entry 127 - k for the opposite; 127 and 128 are both neutral.
    Interpolated in OKLab (Ottosson 2020, https://bottosson.github.io/posts/oklab/), where equal steps look equal.
    """
    if name not in _ANCHORS:
        raise ValueError(f"no colour table is called {name!r}; there are {', '.join(COLOURS)}")
    positive, negative = (_blend(side) for side in _ANCHORS[name])
    table = np.concatenate([negative[::-1], positive])
    table.setflags(write=False)
    return table


def channel_sum(relevance: Any) -> Array:
    """Sum relevance over the channels: (..., C, H, W) to (..., H, W). Nothing is lost: the total stays the same."""
    values = _numbers(relevance)
    if values.ndim < 3:
        raise ValueError(f"channel_sum needs relevance of shape (C, H, W), not {values.shape}")
    return values.sum(axis=-3)


def scale(relevance: Any, percentile: float = 100.0) -> Scaling:
    """Choose `vmax` as a percentile of |relevance|; below 100 the strongest values are clipped, and the share is told.

    Where more values are zero than the percentile covers, the largest value is taken instead, and told too.
    """
    if not 0 < percentile <= 100:
        raise ValueError(f"the percentile must be above 0 and at most 100, not {percentile}")
    strength = np.abs(_finite(relevance))
    vmax = float(strength.max() if percentile == 100 else np.percentile(strength, percentile))
    if vmax == 0:
        vmax, percentile = float(strength.max()), 100.0
    return Scaling(vmax, float(percentile), float((strength > vmax).mean()))


def to_rgb(relevance: Any, colours: str = "red-white-blue", vmax: float | None = None) -> Array:
    """Draw relevance (H, W) as (H, W, 3) uint8; `vmax` is the value of the strongest colour, by default the largest.

    The entry of the table is 128 + k for relevance >= 0 and 127 - k below, k = floor(127 * min(1, |r| / vmax) + 1/2).
    """
    values = _finite(relevance)
    if values.ndim != 2:
        raise ValueError(f"a heatmap needs relevance of shape (H, W), not {values.shape}; see channel_sum")
    top = float(np.abs(values).max()) if vmax is None else float(vmax)
    if not (np.isfinite(top) and top >= 0):
        raise ValueError(f"vmax must be a finite number, zero or above, not {vmax}")
    strength = np.minimum(np.abs(values), top) / (top or 1.0)
    k = np.floor(127 * strength + 0.5).astype(int)
    drawn: Array = colour_table(colours)[np.where(values >= 0, 128 + k, 127 - k)]
    return drawn


def overlay(rgb_heat: Array, image: Array, opacity: float = 0.5) -> Array:
    """Lay a heatmap (H, W, 3) over an image (H, W, 3) or (H, W), both uint8; at opacity 0 only the image is seen."""
    if not 0 <= opacity <= 1:
        raise ValueError(f"the opacity must be from 0 to 1, not {opacity}")
    ground = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image
    if ground.shape != rgb_heat.shape:
        raise ValueError(f"heatmap {rgb_heat.shape} and image {image.shape} differ in size")
    mixed: Array = opacity * rgb_heat.astype(float) + (1 - opacity) * ground.astype(float)
    return np.round(mixed).astype(np.uint8)


def top_mask(relevance: Any, percent: float) -> Array:
    """Mark the `percent` % of the pixels that speak most for the target: (H, W) to (H, W) bool.

    Ranked by signed relevance; among equals the first in reading order. Above 0 %, at least one pixel.
    """
    if not 0 <= percent <= 100:
        raise ValueError(f"the percentage must be from 0 to 100, not {percent}")
    values = _finite(relevance)
    count = round(values.size * percent / 100) or int(percent > 0)
    mask = np.zeros(values.size, dtype=bool)
    mask[np.argsort(-values, axis=None, kind="stable")[:count]] = True
    return mask.reshape(values.shape)


def contact_sheet(
    maps: Sequence[Any],
    captions: Sequence[str],
    *,
    colours: str = "red-white-blue",
    vmax: float | None = None,
    columns: int = 4,
    zoom: int = 4,
) -> Array:
    """Draw several maps (H, W) of one size in rows, each over its caption: (height, width, 3) uint8, on white.

    All share one scale, by default the largest relevance of any: colours can be compared across the sheet. A caption
    wider than its map is cut.
    """
    if not maps or len(maps) != len(captions):
        raise ValueError(f"a contact sheet needs one caption per map, got {len(maps)} maps, {len(captions)} captions")
    values = [_finite(relevance) for relevance in maps]
    if len({v.shape for v in values}) > 1:
        raise ValueError(f"the maps of a contact sheet must have one size, got {sorted({v.shape for v in values})}")
    top = max(float(np.abs(v).max()) for v in values) if vmax is None else vmax
    tiles = [_enlarged(to_rgb(v, colours, top), zoom) for v in values]
    height, width = tiles[0].shape[:2]
    gap, line = 8, 18
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * (width + gap) + gap, rows * (height + line + gap) + gap), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for i, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        x, y = gap + i % columns * (width + gap), gap + i // columns * (height + line + gap)
        draw.rectangle((x - 1, y - 1, x + width, y + height), outline=(200, 200, 200))
        sheet.paste(Image.fromarray(tile), (x, y))
        fitting = next(caption[:n] for n in range(len(caption), -1, -1) if draw.textlength(caption[:n], font) <= width)
        draw.text((x, y + height + 2), fitting, fill=(40, 40, 40), font=font)
    return np.asarray(sheet)


def alt_text(relevance: Any, label: str, rule: str) -> str:
    """Say in one sentence what a heatmap (H, W) shows, for those who cannot see it: class, rule, sums, peak."""
    values = _finite(relevance)
    head = f"Heatmap for {label}, {rule}"
    if not values.any():
        return f"{head}: no pixel has any relevance."
    row, column = np.unravel_index(np.abs(values).argmax(), values.shape)
    return (
        f"{head}: {values[values > 0].sum():+.3g} for it, {values[values < 0].sum():+.3g} against it, "
        f"strongest {values[row, column]:+.3g} in row {row + 1} from the top, column {column + 1} from the left."
    )


def png_bytes(rgb: Array, zoom: int = 1) -> bytes:
    """Encode (H, W, 3) or (H, W) uint8 as PNG, each pixel enlarged to `zoom` x `zoom` pixels, unsmoothed."""
    buffer = io.BytesIO()
    Image.fromarray(_enlarged(rgb, zoom)).save(buffer, format="PNG")
    return buffer.getvalue()


def data_uri(rgb: Array, zoom: int = 1) -> str:
    """`png_bytes` as a `data:` address: the picture travels inside the page, nothing has to be fetched."""
    return "data:image/png;base64," + base64.b64encode(png_bytes(rgb, zoom)).decode("ascii")


def _enlarged(rgb: Array, zoom: int) -> Array:
    if zoom < 1:
        raise ValueError(f"the zoom must be a whole number, 1 or above, not {zoom}")
    return rgb.repeat(zoom, axis=0).repeat(zoom, axis=1)


def _numbers(relevance: Any) -> Array:
    """An array, or the numbers of a torch tensor of any dtype, as fp64."""
    if hasattr(relevance, "detach"):
        relevance = relevance.detach().cpu().double().numpy()
    return np.asarray(relevance, dtype=float)


def _finite(relevance: Any) -> Array:
    values = _numbers(relevance)
    if values.size == 0:
        raise ValueError("a heatmap needs at least one value")
    broken = values.size - int(np.isfinite(values).sum())
    if broken:
        raise ValueError(f"{broken} of {values.size} relevance values are NaN or infinite; a heatmap needs numbers")
    return values


def _blend(anchors: Sequence[tuple[float, float, float]]) -> Array:
    """128 colours through the OKLCh anchors, evenly spaced, as sRGB uint8."""
    lightness, chroma, hue = np.array(anchors).T
    angle = np.radians(hue)
    lab = np.stack([lightness, chroma * np.cos(angle), chroma * np.sin(angle)])
    at = np.linspace(0, len(anchors) - 1, 128)
    lab = np.stack([np.interp(at, range(len(anchors)), axis) for axis in lab])
    cone = np.array(
        [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.291485548]]
    )
    linear = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.707614701],
        ]
    ) @ ((cone @ lab) ** 3)
    linear = linear.clip(0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255 * srgb.T).astype(np.uint8)
