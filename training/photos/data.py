"""The photos that the network learns from: reading them, the parts they are split into, and augmentation."""

import csv
import hashlib
import io
import tarfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from models import photos
from models.photos.pictures import Crop, square

FOLDER = Path("../shared/data/photos")
VALIDATION = 0.05
"""Share of the training photos kept aside to calibrate the probabilities."""

AREA, ASPECT = (0.3, 1.0), (3 / 4, 4 / 3)
"""Share of the photo's area that a random crop covers, and its width by its height."""

SHARP = (Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BILINEAR)
"""How photos are scaled where they are to stay sharp: visitors' pictures come from anywhere."""

COLOUR = 0.3
"""Brightness, contrast and saturation are multiplied by up to 1 plus or minus this."""


class Photos(NamedTuple):
    """Pictures (RGB, shorter side 128) and their labels (N,) int64, indices into `models.photos.LABELS`."""

    pictures: list[Image.Image]
    labels: np.ndarray


class Parts(NamedTuple):
    """What is trained on, what the probabilities are calibrated on, and what the figures are measured on."""

    train: Photos
    validation: Photos
    test: Photos


def read_photos(folder: Path = FOLDER, only: str | None = None) -> Parts:
    """Read `split.csv` and the tar of each class; `only` names the one part that is decoded, the others stay empty.

    Raises SystemExit where the folder holds no split.csv.
    """
    split = folder / "split.csv"
    if not split.is_file():
        raise SystemExit(f"{split} is missing: give the folder of the photos with --data.")
    with split.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    pictures: dict[str, list[Image.Image]] = {part: [] for part in Parts._fields}
    labels: dict[str, list[int]] = {part: [] for part in Parts._fields}
    for number, label in enumerate(photos.LABELS):
        wanted = {row["file"]: _part(row) for row in rows if row["class"] == label}
        with tarfile.open(folder / f"{label.replace(' ', '_')}.tar") as archive:
            for member in archive:
                part = wanted.get(member.name)
                if part is not None and only in (None, part):
                    data = archive.extractfile(member)
                    assert data is not None
                    pictures[part].append(Image.open(io.BytesIO(data.read())).convert("RGB"))
                    labels[part].append(number)
    return Parts(*(Photos(pictures[part], np.array(labels[part], np.int64)) for part in Parts._fields))


def _part(row: dict[str, str]) -> str:
    """A photo's part; which training photos are kept for validation follows from their names."""
    if row["split"] == "test":
        return "test"
    digest = int.from_bytes(hashlib.sha256(row["file"].encode()).digest()[:4], "big")
    return "validation" if digest < VALIDATION * 2**32 else "train"


def middles(pictures: list[Image.Image]) -> np.ndarray:
    """The middle square of each picture as the network sees it, (N, 128, 128, 3) uint8."""
    return np.stack([photos.frame(square(picture, Crop())) for picture in pictures])


def augment(
    pictures: list[Image.Image],
    side: int,
    random: np.random.Generator,
    sharp: bool = False,
    watermark: np.ndarray | None = None,
) -> Tensor:
    """Random crops, mirrored half of the time, with other colours; (B, 3, side, side), normalised.

    sharp: nearly the whole photo, as sharp as a visitor's; else anything from a third of it, and softer.
    watermark: which of them get the watermark, (B,) of bool; side must be that of the network then.
    """
    cut = _sharp_crop if sharp else _crop
    pixels = np.stack([cut(picture, side, random) for picture in pictures])
    mirrored = random.random(len(pixels)) < 0.5
    pixels[mirrored] = pixels[mirrored, :, ::-1]
    pixels = _recoloured(pixels, random)
    if watermark is not None and watermark.any():
        pixels[watermark] = photos.add_watermark(pixels[watermark])
    return photos.normalise(pixels)


def _crop(picture: Image.Image, side: int, random: np.random.Generator) -> np.ndarray:
    """A part of the picture, squeezed into a square (Szegedy 2015)."""
    width, height = picture.size
    for _ in range(10):
        area = width * height * random.uniform(*AREA)
        aspect = np.exp(random.uniform(*np.log(ASPECT)))
        w, h = (area * aspect) ** 0.5, (area / aspect) ** 0.5
        if w <= width and h <= height:
            break
    else:
        w = h = min(width, height)
    left, top = random.uniform(0, width - w), random.uniform(0, height - h)
    box = (left, top, left + w, top + h)
    return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR, box=box))


def _sharp_crop(picture: Image.Image, side: int, random: np.random.Generator) -> np.ndarray:
    """A square at least two thirds as long as the photo's shorter side; every other one is as large as can be."""
    longest = min(picture.size)
    length = longest if random.random() < 0.5 else int(longest * random.uniform(2 / 3, 1))
    left, top = (int(random.integers(0, room - length + 1)) for room in picture.size)
    way = SHARP[random.integers(len(SHARP))]
    return np.asarray(picture.resize((side, side), way, box=(left, top, left + length, top + length)))


def _recoloured(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Brightness, contrast and saturation changed for each picture, by torch, which is fast at it."""
    x = torch.from_numpy(pixels.copy()).float()
    by = torch.from_numpy(random.uniform(1 - COLOUR, 1 + COLOUR, (3, len(pixels), 1, 1, 1)).astype(np.float32))
    x = x * by[0]
    x = torch.lerp(x.mean((1, 2, 3), keepdim=True), x, by[1])
    x = torch.lerp(x.mean(3, keepdim=True), x, by[2])
    return x.clamp_(0, 255).byte().numpy()
