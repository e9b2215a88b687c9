"""Pictures from visitors: read whatever they send, safely, and cut the square that a network sees.

The bytes are hostile until proven otherwise: the kind of file is judged by its content, the size before anything is
decoded, and one large picture is decoded at a time, reduced on the way, so that memory stays flat.
"""

import re
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import ExifTags, Image

MAX_BYTES = 10 * 2**20
MAX_PIXELS = 40_000_000
MAX_WEBP_PIXELS = 16_000_000
"""Less for WebP: its decoder cannot reduce and holds four whole copies, 15 bytes a pixel; the others need 4 to 6."""

LONGEST = 1024
"""Longest side of a picture that was read, in pixels: more than any network here looks at."""

SMALLEST = 16
"""Shortest side, in pixels: of less than that, enlarged to the network's 128 or 224, no one could say what it shows."""

MAX_SCANS = 50
"""A progressive JPEG has about ten passes over the picture; one of many thousand would keep a server busy for days."""

FORMATS = ("JPEG", "PNG", "WEBP")
UNKNOWN = "This file is not a JPEG, PNG or WebP picture, whatever its name says: save the picture as one of these."
DAMAGED = "This picture is damaged or incomplete: open it in another program, save it again and send that file."
TOO_MANY = f"This picture has more than {MAX_PIXELS // 10**6} megapixels: make it smaller and send that file."
TOO_MANY_WEBP = (
    f"This WebP picture has more than {MAX_WEBP_PIXELS // 10**6} megapixels: make it smaller or save it as JPEG."
)

_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError)
_FAULTS = (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, ArithmeticError, struct.error)
"""What Pillow raises for broken files, by its documentation, its sources and our fuzzing."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How a picture is turned upright, by the orientation that the camera wrote into its EXIF block."""

_MARKER = re.compile(rb"\xff+([^\x00\x01\xd0-\xd8\xff])")
"""The start of a JPEG segment; in the coded picture itself 0xff is followed by 0x00 or by a restart marker."""

_one_thread = ThreadPoolExecutor(1, thread_name_prefix="pictures")
"""Decodes for all visitors, one after the other: in many threads the C library keeps freed memory for each of them."""


@dataclass(frozen=True)
class Crop:
    """Which square of a picture the network sees, in whole per cent.

    x, y: where the square lies in the free room, 0 at the left or the top, 100 at the right or the bottom.
    size: its side, as a share of the network's standard crop, 20 to 100. Raises ValueError for anything else.
    """

    x: int = 50
    y: int = 50
    size: int = 100

    def __post_init__(self) -> None:
        for name, value, least in (("x", self.x, 0), ("y", self.y, 0), ("size", self.size, 20)):
            if not isinstance(value, int) or not least <= value <= 100:
                raise ValueError(f"The {name} of a crop is a whole number from {least} to 100, not {value!r}.")


def crop_box(picture_size: tuple[int, int], crop: Crop, share: float = 1.0) -> tuple[int, int, int, int]:
    """The square of a crop, as (left, top, right, bottom) in pixels of a picture of size (width, height).

    share: the part of the picture's shorter side that the network's standard crop covers, above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1, not {share}.")
    width, height = picture_size
    side = max(1, round(min(width, height) * share * crop.size / 100))
    left, top = round((width - side) * crop.x / 100), round((height - side) * crop.y / 100)
    return left, top, left + side, top + side


def square(picture: Image.Image, crop: Crop, share: float = 1.0) -> Image.Image:
    """The square of a picture that the network sees, RGB, not yet scaled to the network's side."""
    return picture.crop(crop_box(picture.size, crop, share)).convert("RGB")


def read_picture(data: bytes) -> Image.Image:
    """The picture in the bytes of a JPEG, PNG or WebP file: RGB, upright, its longer side at most `LONGEST` pixels.

    Of an animation it is the first frame; transparent parts are white; 16 bits become 8 by division.
    Raises ValueError with one sentence for the visitor: what is wrong with the file and what to do.
    """
    if not data:
        raise ValueError("This file is empty: choose a JPEG, PNG or WebP picture.")
    if len(data) > MAX_BYTES:
        raise ValueError(
            f"This file has {len(data) / 2**20:.1f} MB, but at most {MAX_BYTES // 2**20} MB can be read: "
            "make the picture smaller and send that file."
        )
    if not _looks_like_a_picture(data):
        raise ValueError(UNKNOWN)
    return _one_thread.submit(_decode, data).result()


def _looks_like_a_picture(data: bytes) -> bool:
    """Whether the first bytes are those of a JPEG, PNG or WebP file."""
    return data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")


def _decode(data: bytes) -> Image.Image:
    """The picture in bytes that look like one; errors as in `read_picture`."""
    with _faults_in_plain_words():
        picture = Image.open(BytesIO(data), formats=FORMATS)
    _check_size(picture)
    if picture.format in ("JPEG", "MPO") and _scans(data) > MAX_SCANS:
        raise ValueError(DAMAGED)
    with _faults_in_plain_words():
        picture.draft(None, _fitted(picture.size))
        picture.load()
        return _upright(_reduced(picture), picture)


@contextmanager
def _faults_in_plain_words() -> Iterator[None]:
    """Turn what Pillow raises into a ValueError with one sentence."""
    try:
        yield
    except _BOMBS as error:
        raise ValueError(TOO_MANY) from error
    except _FAULTS as error:
        raise ValueError(DAMAGED) from error


def _check_size(picture: Image.Image) -> None:
    """Raise ValueError where a picture that is not yet decoded has too many pixels, or too few along one side."""
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise ValueError(TOO_MANY)
    if picture.format == "WEBP" and width * height > MAX_WEBP_PIXELS:
        raise ValueError(TOO_MANY_WEBP)
    if min(_fitted(picture.size)) >= SMALLEST:
        return
    if max(width, height) > 4 * min(width, height):
        raise ValueError(
            f"This picture is too narrow to show anything ({width} × {height} pixels): "
            "choose one whose sides are more alike."
        )
    raise ValueError(
        f"This picture is too small ({width} × {height} pixels): choose one of at least {SMALLEST} × {SMALLEST} pixels."
    )


def _fitted(size: tuple[int, int]) -> tuple[int, int]:
    """The size of a picture whose longer side is brought down to `LONGEST` where it is larger."""
    width, height = size
    zoom = min(1.0, LONGEST / max(size))
    return max(1, round(width * zoom)), max(1, round(height * zoom))


def _scans(data: bytes) -> int:
    """How many passes over the picture a JPEG file holds, up to its end marker."""
    scans, at = 0, 2
    while (marker := _MARKER.search(data, at)) and marker[1] != b"\xd9":
        scans += marker[1] == b"\xda"
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    return scans


def _reduced(picture: Image.Image) -> Image.Image:
    """A decoded picture of any mode as RGB, reduced to at most `LONGEST` pixels, never held twice in full size."""
    width, height = picture.size
    size = _fitted(picture.size)
    factor = max(1, max(width, height) // (2 * LONGEST))
    small = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    rows = factor * max(1, 2**20 // (width * factor))
    for top in range(0, height, rows):
        strip = _flat(picture.crop((0, top, width, min(top + rows, height))))
        small.paste(strip.reduce(factor), (0, top // factor))
    return small if small.size == size else small.resize(size, Image.Resampling.LANCZOS)


def _flat(part: Image.Image) -> Image.Image:
    """A picture of any mode as RGB: on white where it is transparent, 16 bits divided where `convert` would clip."""
    if part.mode.startswith("I"):
        values = np.asarray(part)
        grey = (values >> 8).astype(np.uint8)
        grey[values == part.info.get("transparency", -1)] = 255
        return Image.fromarray(grey).convert("RGB")
    if not part.has_transparency_data:
        return part.convert("RGB")
    part = part.convert("RGBA")
    white = Image.new("RGB", part.size, "white")
    white.paste(part, mask=part)
    return white


def _upright(picture: Image.Image, source: Image.Image) -> Image.Image:
    """The picture turned as the EXIF block of its source says; as it is where that block is missing or broken."""
    try:
        turn = _UPRIGHT.get(source.getexif().get(ExifTags.Base.Orientation))
    except _FAULTS:
        return picture
    return picture if turn is None else picture.transpose(turn)
