"""Files for the tests of reading pictures, made when they are asked for."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

ORANGE, BLUE = (255, 128, 0), (0, 0, 255)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def two_colours(width: int = 64, height: int = 48) -> Image.Image:
    """Left half orange, right half blue."""
    picture = Image.new("RGB", (width, height), ORANGE)
    picture.paste(BLUE, (width // 2, 0, width, height))
    return picture


def noise(width: int = 32, height: int = 24) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


def png_of_size(width: int, height: int) -> bytes:
    """A tiny PNG file whose header promises width x height black pixels; its data ends after the first line."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1 + 3 * min(width, 1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def with_right_check_sums(data: bytearray) -> bytearray:
    """A damaged PNG whose damage the check sums do not give away."""
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        data[end : end + 4] = struct.pack(">I", zlib.crc32(data[at + 4 : end]))
        at = end + 4
    return data
