"""Reading visitors' pictures: every kind of file comes out upright and true, every bad one gets its sentence."""

import io
import json
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from models.pictures import (
    DAMAGED,
    LONGEST,
    MAX_BYTES,
    MAX_SCANS,
    SMALLEST,
    TOO_MANY,
    TOO_MANY_WEBP,
    UNKNOWN,
    Crop,
    crop_box,
    read_picture,
    square,
)

ORANGE, BLUE = (255, 128, 0), (0, 0, 255)
TREE = Path(__file__).parents[2]


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


def colours(picture: Image.Image) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The colour a quarter in from the left and from the right, half-way down."""
    width, height = picture.size
    return picture.getpixel((width // 4, height // 2)), picture.getpixel((3 * width // 4, height // 2))


def near(colour: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return all(abs(a - b) <= 6 for a, b in zip(colour, wanted, strict=True))


# What is read


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 95}),
        ("JPEG", {"quality": 95, "progressive": True}),
        ("PNG", {}),
        ("WEBP", {"quality": 95}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_each_kind_of_file(kind: str, options: dict[str, object]) -> None:
    picture = read_picture(encoded(two_colours(), kind, **options))
    assert picture.mode == "RGB"
    assert picture.size == (64, 48)
    left, right = colours(picture)
    assert near(left, ORANGE)
    assert near(right, BLUE)


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_modes_with_fewer_colours(mode: str) -> None:
    source = two_colours().convert(mode)
    assert read_picture(encoded(source, "PNG")).tobytes() == source.convert("RGB").tobytes()


def test_cmyk_is_not_read_inverted() -> None:
    left, right = colours(read_picture(encoded(two_colours().convert("CMYK"), "JPEG", quality=95)))
    assert near(left, ORANGE)
    assert near(right, BLUE)


def test_sixteen_bits_are_divided_not_clipped() -> None:
    ramp = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (32, 1))
    grey = np.asarray(read_picture(encoded(Image.fromarray(ramp), "PNG")))
    assert np.abs(grey[0, :, 0].astype(int) - np.arange(256)).max() <= 1
    assert (grey[..., 0] == grey[..., 2]).all()


@pytest.mark.parametrize("clear", [0, 700])
def test_sixteen_bits_with_a_transparent_value(clear: int) -> None:
    values = np.full((32, 32), 30000, np.uint16)
    values[:16] = clear
    picture = read_picture(encoded(Image.fromarray(values), "PNG", transparency=clear))
    assert picture.getpixel((5, 5)) == (255, 255, 255)
    assert picture.getpixel((5, 20)) == (117, 117, 117)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparent_parts_are_white(mode: str, kind: str) -> None:
    source = Image.new("L", (64, 48), 40).convert(mode)
    alpha = Image.new("L", source.size, 255)
    alpha.paste(0, (0, 0, 32, 48))
    source.putalpha(alpha)
    left, right = colours(read_picture(encoded(source, kind, lossless=True)))
    assert left == (255, 255, 255)
    assert right == (40, 40, 40)


def test_half_transparent_is_half_white() -> None:
    source = Image.new("RGBA", (32, 32), (0, 0, 0, 128))
    assert near(read_picture(encoded(source, "PNG")).getpixel((9, 9)), (127, 127, 127))


def test_a_transparent_palette_colour_is_white() -> None:
    source = two_colours().quantize(2)
    orange = source.getpixel((2, 2))
    left, right = colours(read_picture(encoded(source, "PNG", transparency=orange)))
    assert left == (255, 255, 255)
    assert right == BLUE


def test_reducing_does_not_smear_hidden_colours_into_the_edge() -> None:
    source = Image.new("RGBA", (4096, 64), (*BLUE, 255))
    source.paste((*ORANGE, 0), (0, 0, 2050, 64))
    pixels = np.asarray(read_picture(encoded(source, "PNG"))).astype(int)
    assert (pixels[..., 0] == pixels[..., 1]).all(), "a mixture of white and blue has as much red as green"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_upright_as_the_camera_says(kind: str, orientation: int) -> None:
    upright = Image.new("RGB", (96, 64), "white")
    upright.paste(ORANGE, (0, 0, 48, 32))
    upright.paste(BLUE, (0, 32, 48, 64))
    # How a camera stores it: the inverse of the turn that EXIF 2.3, table 4.6.4 names.
    stored = {
        1: upright,
        2: upright.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: upright.rotate(180),
        4: upright.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: upright.transpose(Image.Transpose.TRANSPOSE),
        6: upright.rotate(90, expand=True),
        7: upright.transpose(Image.Transpose.TRANSVERSE),
        8: upright.rotate(-90, expand=True),
    }[orientation]
    picture = read_picture(encoded(stored, kind, exif=turned(orientation), quality=95))
    assert picture.size == (96, 64)
    assert near(picture.getpixel((20, 16)), ORANGE)
    assert near(picture.getpixel((20, 48)), BLUE)
    assert near(picture.getpixel((72, 32)), (255, 255, 255))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_first_frame_of_an_animation(kind: str) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in (BLUE, ORANGE, ORANGE)]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=100, lossless=True)
    assert Image.open(io.BytesIO(data)).n_frames > 1
    assert read_picture(data).getpixel((16, 16)) == BLUE


def test_first_of_several_pictures_in_a_jpeg() -> None:
    data = encoded(Image.new("RGB", (32, 32), BLUE), "MPO", save_all=True, append_images=[two_colours()])
    assert near(read_picture(data).getpixel((16, 16)), BLUE)


def test_a_film_behind_a_jpeg_does_not_matter() -> None:
    film = b"\0\2" + b"\xff\xda\0\2" * 2 * MAX_SCANS  # phones append one to a "motion photo"
    assert read_picture(encoded(two_colours(), "JPEG") + film).size == (64, 48)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("size", [(3000, 1500), (1999, 3001), (1025, 1024)])
def test_large_pictures_are_reduced(kind: str, size: tuple[int, int]) -> None:
    picture = read_picture(encoded(two_colours(*size), kind))
    assert max(picture.size) == LONGEST
    assert abs(picture.width / picture.height - size[0] / size[1]) < 0.002 * max(size) / min(size)
    left, right = colours(picture)
    assert near(left, ORANGE)
    assert near(right, BLUE)


def test_reducing_is_exact_over_the_borders_of_strips() -> None:
    ramp = np.tile(np.linspace(0, 255, 3000).astype(np.uint8)[:, None], (1, 2500))
    picture = np.asarray(read_picture(encoded(Image.fromarray(ramp), "PNG")))[:, 400, 0]
    assert np.abs(picture - np.linspace(0, 255, LONGEST)).max() <= 1.5


def test_nothing_of_the_file_but_its_pixels_is_kept() -> None:
    assert not read_picture(encoded(two_colours(), "JPEG", exif=turned(1), comment=b"at home")).info


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_broken_colour_profile_and_camera_data_do_not_matter(kind: str) -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\x00\x03\x7f\xff\xff\xff" * 40
    picture = read_picture(encoded(two_colours(), kind, exif=exif, icc_profile=b"no profile" * 9))
    assert picture.size == (64, 48)


# What is refused


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


def with_right_check_sums(data: bytearray) -> bytearray:
    """A damaged PNG whose damage the check sums do not give away."""
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        data[end : end + 4] = struct.pack(">I", zlib.crc32(data[at + 4 : end]))
        at = end + 4
    return data


# Memory

needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from Linux' /proc")


def peak_of_reading(data: bytes, at_once: int = 1) -> tuple[str, float]:
    """What became of a file in a process of its own, and how much memory that took, in MB above the process.

    at_once: how many threads read it at the same time.
    """
    code = (
        "import json, sys\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from PIL import Image\n"
        "from models.pictures import read_picture\n"
        "Image.init()\n"
        "def peak():\n"
        "    status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "    return int(status['VmHWM'].split()[0]) / 1024\n"
        "data = sys.stdin.buffer.read()\n"
        "before = peak()\n"
        "def outcome(_):\n"
        "    try:\n"
        "        return str(read_picture(data).size)\n"
        "    except ValueError as error:\n"
        "        return str(error)\n"
        "with ThreadPoolExecutor(int(sys.argv[1])) as threads:\n"
        "    outcomes = set(threads.map(outcome, range(int(sys.argv[1]))))\n"
        "print(json.dumps([*outcomes, peak() - before]))\n"
    )
    command = [sys.executable, "-c", code, str(at_once)]
    answer = subprocess.run(command, input=data, capture_output=True, check=True, cwd=TREE)
    outcome, megabytes = json.loads(answer.stdout)
    return outcome, megabytes


def flat_picture(width: int, height: int, mode: str = "RGB") -> Image.Image:
    return Image.linear_gradient("L").resize((width, height), Image.Resampling.NEAREST).convert(mode)


@needs_proc
@pytest.mark.parametrize(
    ("make", "most"),
    [
        (lambda: encoded(flat_picture(8000, 5000), "JPEG"), 60),
        (lambda: encoded(flat_picture(8000, 5000), "PNG", compress_level=1), 215),
        (lambda: encoded(flat_picture(8000, 5000, "LA"), "PNG", compress_level=1), 215),
        (lambda: encoded(flat_picture(4000, 4000), "WEBP", quality=20, method=0), 290),
    ],
    ids=["jpeg", "png", "png with alpha", "webp"],
)
def test_memory_stays_flat(make: Callable[[], bytes], most: float) -> None:
    """One whole copy of a PNG (160 MB), none of a JPEG, and the four that libwebp makes of at most 16 megapixels."""
    outcome, megabytes = peak_of_reading(make())
    assert outcome.startswith("(1024, ")
    assert megabytes < most


@needs_proc
def test_many_visitors_take_no_more_memory_than_one() -> None:
    data = encoded(flat_picture(4000, 3000), "PNG", compress_level=1)
    outcome, alone = peak_of_reading(data)
    assert outcome == "(1024, 768)"
    assert peak_of_reading(data, at_once=5) == (outcome, pytest.approx(alone, abs=30))


@needs_proc
@pytest.mark.parametrize("side", [13000, 20000])
def test_a_bomb_takes_no_memory(side: int) -> None:
    outcome, megabytes = peak_of_reading(png_of_size(side, side))
    assert outcome == TOO_MANY
    assert megabytes < 10


# The square


@pytest.mark.parametrize(
    ("size", "crop", "share", "box"),
    [
        ((400, 300), Crop(), 1.0, (50, 0, 350, 300)),
        ((300, 400), Crop(), 1.0, (0, 50, 300, 350)),
        ((400, 300), Crop(x=0), 1.0, (0, 0, 300, 300)),
        ((400, 300), Crop(x=100, y=0), 1.0, (100, 0, 400, 300)),
        ((400, 300), Crop(size=50), 1.0, (125, 75, 275, 225)),
        ((400, 300), Crop(x=0, y=100, size=20), 1.0, (0, 240, 60, 300)),
        ((256, 256), Crop(), 0.875, (16, 16, 240, 240)),
        ((256, 512), Crop(y=100), 0.875, (16, 288, 240, 512)),
        ((1, 1), Crop(size=20), 0.5, (0, 0, 1, 1)),
    ],
)
def test_crop_box(size: tuple[int, int], crop: Crop, share: float, box: tuple[int, ...]) -> None:
    assert crop_box(size, crop, share) == box


def test_every_crop_is_a_square_inside_the_picture() -> None:
    for size in ((16, 1024), (1023, 77), (33, 33)):
        for x in range(0, 101, 7):
            for share in (0.875, 1.0):
                for part in range(20, 101, 9):
                    left, top, right, bottom = crop_box(size, Crop(x, 100 - x, part), share)
                    assert right - left == bottom - top > 0
                    assert 0 <= left < right <= size[0]
                    assert 0 <= top < bottom <= size[1]


def test_square_cuts_the_crop() -> None:
    cut = square(two_colours(64, 32), Crop(x=100, size=50))
    assert (cut.mode, cut.size) == ("RGB", (16, 16))
    assert cut.getcolors() == [(256, BLUE)]


@pytest.mark.parametrize("values", [{"x": -1}, {"y": 101}, {"size": 19}, {"size": 101}, {"x": 50.0}, {"y": "50"}])
def test_a_crop_outside_its_limits_is_refused(values: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="of a crop is a whole number from"):
        Crop(**values)


@pytest.mark.parametrize("share", [0.0, 1.01, float("nan")])
def test_a_share_outside_its_limits_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share must be above 0 and at most 1"):
        crop_box((64, 64), Crop(), share)
