"""Reading visitors' pictures: every kind of file comes out upright, in its colours and reduced."""

import io

import numpy as np
import pytest
from PIL import Image

from models.photos.pictures import LONGEST, MAX_SCANS, read_picture
from tests.models.photos.picture_files import BLUE, ORANGE, encoded, turned, two_colours


def colours(picture: Image.Image) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The colour a quarter in from the left and from the right, half-way down."""
    width, height = picture.size
    return picture.getpixel((width // 4, height // 2)), picture.getpixel((3 * width // 4, height // 2))


def near(colour: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return all(abs(a - b) <= 6 for a, b in zip(colour, wanted, strict=True))


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
