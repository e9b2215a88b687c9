"""A photo as something to explain: used by the page on photos and by the card on the home page."""

from typing import Any

import streamlit as st
import torch
from PIL import Image

from models.photos import gallery
from models.photos import networks as photo_networks
from models.photos.gallery import Photo
from models.photos.networks import BUNDLED, NETWORKS, OURS
from models.photos.pictures import Crop, square
from pages.explaining.subject import Subject
from pages.serving.engine import ALL_CORES
from pages.settings import session
from pages.settings.rules_text import offered
from pages.settings.settings import OWN_INPUT, Offer, starting
from pages.views.picture_view import PictureView

Square = tuple[int, int, int]
"""A crop as the settings hold it: x, y and size in per cent."""


@st.cache_resource(max_entries=4, show_spinner="Loading the network…")
def model(name: str) -> torch.nn.Module:
    """One of `NETWORKS`, shared by all visitors. Raises FileNotFoundError where its weights are missing."""
    return photo_networks.load(name)


@st.cache_data(max_entries=1, show_spinner=False)
def gallery_photos() -> dict[str, Photo]:
    """The pictures of the gallery, by name."""
    return {photo.name: photo for photo in gallery.photos()}


def offer(name: str) -> Offer:
    """What the page offers with this network, or with the first one if there is none of that name."""
    name = name if name in NETWORKS else next(iter(NETWORKS))
    network = photo_networks.network(name)
    photos = gallery_photos()
    return Offer(
        defaults=starting(recommended(name), sample=next(iter(photos)), network=next(iter(NETWORKS)), top=20),
        labels=network.labels,
        also=network.also,
        samples=tuple(photos),
        networks=tuple(NETWORKS),
        layers=layers(name) if photo_networks.ready(name) else (),
        crops=True,
    )


def layers(name: str) -> tuple[str, ...]:
    """The names of a network's layers with weights; none where it cannot be loaded."""
    try:
        modules = model(name).named_modules()
    except FileNotFoundError:
        return ()
    return tuple(layer for layer, module in modules if isinstance(module, torch.nn.Conv2d | torch.nn.Linear))


def photo_subject(page: str, picture: Image.Image, sample: str, name: str, crop: Square, mark: bool) -> Subject:
    """The subject for a picture.

    Args:
        page: The page that explains it.
        picture: RGB, of any size.
        sample: Name of the gallery's picture that it is, or "" for a visitor's own.
        name: A key of `NETWORKS`.
        crop: Which square of it the network sees.
        mark: Put the twin's watermark on.

    Raises:
        FileNotFoundError: the network's weights are missing; one sentence.
    """
    loaded, network = model(name), photo_networks.network(name)
    seen = square(picture, Crop(*crop), network.share)
    return Subject(
        page,
        name,
        loaded,
        (network.prepare(seen, mark),),
        network.labels,
        PictureView(network.frame(seen, mark)),
        _code(page, sample, name, crop, mark),
        recommended=recommended(name),
        bounds=(network.low, network.high),
        threads=threads(name),
    )


def recommended(name: str) -> str:
    """The key in `RECOMMENDED` for a network: what measured best for those that come with us, else what is usual."""
    if name in BUNDLED:
        return "recommended-photos" if name in OURS else "recommended-lite"
    return "recommended-patches" if name.startswith("vit") else "recommended-imagenet"


def turn_to(page: str, name: str, **more: Any) -> None:
    """Let another network look: its layers have other names, and what is recommended for it may be something else."""
    rule, best = session.settings(page).rule, recommended(name)
    session.change(page, network=name, layers=(), rule=rule if rule in offered(best) else best, **more)


def threads(name: str) -> int:
    """How many threads a network works best with: the bundled ones are too small to gain from a second one."""
    return 1 if name in BUNDLED else ALL_CORES


def _code(page: str, sample: str, name: str, crop: Square, mark: bool) -> str:
    """The lines that make `model` and `x`: from the gallery, or from the downloaded numbers of a visitor's picture."""
    if sample == OWN_INPUT:
        return (
            "import numpy as np\nimport torch\n\nfrom models.photos import networks\n\n"
            f"model = networks.load({name!r})\n"
            f"x = torch.from_numpy(np.load('lrp-{page}.npz')['input'])\n"
            "x = x.contiguous(memory_format=torch.channels_last)"
        )
    marked = ", watermark=True" if mark else ""
    return (
        "from models.photos import gallery, networks\nfrom models.photos.pictures import Crop, square\n\n"
        f"network, model = networks.network({name!r}), networks.load({name!r})\n"
        f"photo = next(photo for photo in gallery.photos() if photo.name == {sample!r})\n"
        f"x = network.prepare(square(photo.open(), Crop{crop!r}, network.share){marked})"
    )
