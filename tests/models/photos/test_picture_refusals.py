"""Refusing what is no picture, or too much of one: each fault gets one sentence, and nothing but a sentence."""

import random

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from models.photos.pictures import (
    DAMAGED,
    LONGEST,
    MAX_BYTES,
    MAX_SCANS,
    SMALLEST,
    TOO_MANY,
    TOO_MANY_WEBP,
    UNKNOWN,
    read_picture,
)
from tests.models.photos.picture_files import encoded, noise, png_of_size, turned, two_colours, with_right_check_sums


def test_no_bytes() -> None:
    with pytest.raises(ValueError, match=r"^This file is empty: choose a JPEG, PNG or WebP picture\.$"):
        read_picture(b"")


def test_too_many_bytes() -> None:
    start = encoded(two_colours(), "PNG")
    assert read_picture(start + bytes(MAX_BYTES - len(start))).size == (64, 48)
    with pytest.raises(ValueError, match=r"^This file has 10\.0 MB, but at most 10 MB can be read: make the picture"):
        read_picture(start + bytes(MAX_BYTES - len(start) + 1))


@pytest.mark.parametrize(
    "data",
    [
        b"not a picture",
        b"\xff\xd8",
        b"<html><body>hello</body></html>",
        b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"/>',
        b"%PDF-1.7\n",
        b"RIFF\x24\0\0\0WAVEfmt ",
        encoded(two_colours(), "GIF"),
        encoded(two_colours(), "TIFF"),
        encoded(two_colours(), "BMP"),
    ],
    ids=["text", "two bytes", "html", "svg", "pdf", "wav", "gif", "tiff", "bmp"],
)
def test_what_is_no_picture_whatever_its_name(data: bytes) -> None:
    with pytest.raises(ValueError) as refusal:
        read_picture(data)
    assert str(refusal.value) == UNKNOWN


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7])
def test_truncated_files(kind: str, share: float) -> None:
    data = encoded(noise(200, 200), kind)
    with pytest.raises(ValueError) as refusal:
        read_picture(data[: max(16, int(len(data) * share))])
    assert str(refusal.value) == DAMAGED


def test_a_corrupt_chunk() -> None:
    data = bytearray(encoded(noise(), "PNG"))
    data[20] ^= 1  # the width, so that the chunk's check sum is wrong
    with pytest.raises(ValueError) as refusal:
        read_picture(bytes(data))
    assert str(refusal.value) == DAMAGED


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("side", [6325, 10000, 13000, 20000, 60000])
def test_too_many_pixels(side: int) -> None:
    with pytest.raises(ValueError) as refusal:
        read_picture(png_of_size(side, side))
    assert str(refusal.value) == TOO_MANY


def test_too_many_pixels_for_webp() -> None:
    with pytest.raises(ValueError) as refusal:
        read_picture(encoded(Image.new("RGB", (4001, 4000)), "WEBP", lossless=True, quality=0, method=0))
    assert str(refusal.value) == TOO_MANY_WEBP


def test_too_many_passes() -> None:
    data = encoded(noise(), "JPEG", progressive=True)
    scan = data[data.rfind(b"\xff\xda") : -2]
    assert read_picture(data[:-2] + scan * 3 + data[-2:]).size == (32, 24)
    with pytest.raises(ValueError) as refusal:
        read_picture(data[:-2] + scan * MAX_SCANS + data[-2:])
    assert str(refusal.value) == DAMAGED


@pytest.mark.parametrize("size", [(1, 20000), (20000, 1), (40, 20000), (10, 200)])
def test_too_narrow(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=rf"^This picture is too narrow to show anything \({size[0]} × {size[1]} pixe"):
        read_picture(encoded(Image.new("RGB", size), "PNG"))


@pytest.mark.parametrize("size", [(1, 1), (SMALLEST - 1, SMALLEST), (SMALLEST, SMALLEST - 1)])
def test_too_small(size: tuple[int, int]) -> None:
    with pytest.raises(
        ValueError, match=rf"^This picture is too small \({size[0]} × {size[1]} pixels\): choose one of"
    ):
        read_picture(encoded(Image.new("RGB", size), "PNG"))
    assert read_picture(encoded(Image.new("RGB", (SMALLEST, SMALLEST)), "PNG")).size == (SMALLEST, SMALLEST)


@pytest.mark.filterwarnings("ignore")  # Pillow's, about the damage
def test_damaged_files_never_raise_anything_but_the_sentence() -> None:
    dice = random.Random(7)
    picture, exif = noise(), turned(6)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    notes = PngImagePlugin.PngInfo()
    notes.add_text("note", "words " * 20, zip=True)
    seeds = [
        encoded(picture, "JPEG", exif=exif, icc_profile=profile),
        encoded(picture, "JPEG", progressive=True),
        encoded(picture.convert("CMYK"), "JPEG"),
        encoded(picture, "MPO", save_all=True, append_images=[picture]),
        encoded(picture, "PNG", exif=exif, icc_profile=profile, pnginfo=notes),
        encoded(picture.quantize(16), "PNG", transparency=b"\0\x80"),
        encoded(picture, "PNG", save_all=True, append_images=[picture.rotate(180)]),
        encoded(picture, "WEBP", exif=exif),
        encoded(picture.convert("RGBA"), "WEBP", lossless=True),
        encoded(picture, "WEBP", save_all=True, append_images=[picture.rotate(180)]),
    ]
    read = refused = 0
    for _ in range(1500):
        data = bytearray(dice.choice(seeds))
        for _ in range(dice.choice((1, 1, 2, 5))):
            at = min(int(dice.expovariate(1 / 120)), len(data) - 1)
            data[at] = dice.choice((0, 255, 128, dice.randrange(256)))
        if data.startswith(b"\x89PNG") and dice.random() < 0.8:
            data = with_right_check_sums(data)
        try:
            result = read_picture(bytes(data))
        except ValueError as error:
            refused += 1
            assert str(error).startswith("This ")
            assert str(error).endswith(".")
        else:
            read += 1
            assert result.mode == "RGB"
            assert SMALLEST <= min(result.size) <= max(result.size) <= LONGEST
    assert min(read, refused) > 100
