"""Cutting the square that a network sees."""

import pytest

from models.photos.pictures import Crop, crop_box, square
from tests.models.photos.picture_files import BLUE, two_colours


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
