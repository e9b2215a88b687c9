"""The gallery: every picture is there, small, credited, and described by labels that the network knows."""

import re
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from models.photos import LABELS, gallery, lite
from models.photos.pictures import Crop, read_picture, square
from training.photos.gallery import COLLAGES, collage, golf_ball

PHOTOS = gallery.photos()
CREDITS = (gallery.ASSETS / "CREDITS.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("network", ["ours", "imagenet"])
def test_every_kind_is_there(network: str) -> None:
    kinds = Counter(getattr(photo, network).kind for photo in PHOTOS)
    assert kinds["plain"] >= 7 if network == "ours" else 3
    assert kinds["two"] >= 2
    assert kinds["unsure"] >= 2
    assert kinds["wrong"] >= 1
    assert kinds["watermark"] == 1


def test_names_and_files_are_unique_and_the_folder_holds_nothing_else() -> None:
    assert len({photo.name for photo in PHOTOS}) == len({photo.title for photo in PHOTOS}) == len(PHOTOS)
    assert sorted(photo.file for photo in PHOTOS) == sorted(path.name for path in gallery.FOLDER.iterdir())


def test_the_folder_is_small() -> None:
    assert sum(path.stat().st_size for path in gallery.FOLDER.iterdir()) < 2e6


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda photo: photo.name)
def test_a_picture_opens_small_and_square_enough(photo: gallery.Photo) -> None:
    picture = photo.open()
    assert picture.mode == "RGB"
    assert max(picture.size) <= 640
    assert min(picture.size) >= 300, "the square of it is shown larger than the network sees it"
    assert square(picture, Crop()).width == min(picture.size)


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda photo: photo.name)
def test_a_picture_could_be_uploaded_as_well(photo: gallery.Photo) -> None:
    assert read_picture((gallery.FOLDER / photo.file).read_bytes()).tobytes() == photo.open().tobytes()


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda photo: photo.name)
@pytest.mark.parametrize("labels", [LABELS, lite.labels()], ids=["ours", "imagenet"])
def test_labels_fit_the_kind(photo: gallery.Photo, labels: tuple[str, ...]) -> None:
    shows, kind = photo.case(labels)
    assert set(shows) <= set(labels)
    assert len(shows) in {"plain": {1}, "two": {2}, "unsure": {0, 1}, "wrong": {0, 1}, "watermark": {1, 2}}[kind]
    assert kind != "watermark" or shows != ("car",), "the watermark means nothing on a car"


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda photo: photo.name)
def test_described_and_credited(photo: gallery.Photo) -> None:
    assert re.fullmatch(r"[a-z_]+", photo.name), "it stands in links"
    assert 20 <= len(photo.alt) <= 125
    assert photo.alt.endswith(".")
    (row,) = [line for line in CREDITS.splitlines() if line.startswith(f"| `{photo.file}` |")]
    author, source, terms = (cell.strip() for cell in row.split("|")[2:5])
    assert author
    assert source
    assert re.search(r"public domain|CC0|CC BY|BSD 3-Clause|Apache License 2\.0", terms)
    assert re.search(r"public domain|CC0|CC BY|BSD 3-Clause|Apache 2\.0", photo.credit)


def test_credits_name_no_file_that_is_not_there() -> None:
    assert set(re.findall(r"^\| `([^`]+)`", CREDITS, re.M)) == {photo.file for photo in PHOTOS}


@pytest.mark.parametrize("name", COLLAGES)
def test_collages_are_what_the_script_makes(name: str) -> None:
    assert distance(collage(name), name) < 4


def test_the_golf_ball_is_what_the_script_makes() -> None:
    assert distance(golf_ball(), "golf_ball") < 4


def distance(picture: Image.Image, name: str) -> float:
    """Mean difference of a picture to the file of that name, in grey levels; saving as JPEG makes 1 to 3."""
    stored = Image.open(gallery.FOLDER / f"{name}.jpg")
    assert picture.size == stored.size
    return float(np.abs(np.asarray(picture, np.int16) - np.asarray(stored, np.int16)).mean())
