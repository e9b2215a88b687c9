"""The picture that is explained: from the gallery, a file or the camera, and the square of it that the network sees.

A visitor's own picture lives in the session, reduced, and nowhere else: no link carries it, nothing is stored. It is
kept until a better one comes: a page switch, a file that cannot be read or a look at the gallery do not lose it.
"""

from dataclasses import dataclass

import streamlit as st
from PIL import Image
from streamlit.runtime.uploaded_file_manager import UploadedFile

from models.photos import networks as photo_networks
from models.photos.gallery import Photo
from models.photos.networks import NETWORKS
from models.photos.pictures import MAX_BYTES, read_picture
from pages.components.crop_view import crop_view
from pages.components.thumbnails import Thumbnail, jpeg_address, thumbnail, thumbnails
from pages.photos.subject import gallery_photos, turn_to
from pages.settings import session
from pages.settings.settings import NO_CLASS, OWN_INPUT, WHOLE

TYPES = ("jpg", "jpeg", "png", "webp")
LONGEST_SHOWN = 560
"""Longer side of the picture on which the square is moved, in pixels."""

HINTS = {
    "two": "Two things in one picture: ask for one of them, and see the heat move.",
    "unsure": "Hard to tell, or nothing that this network knows: see how unsure it is.",
    "wrong": "Easily taken for something else: see what misleads the network.",
    "watermark": "The watermark decides: take it off with the switch below, and see the answer change.",
}
"""What to look for in a picture of the gallery, by its kind."""


@dataclass(frozen=True)
class Look:
    """How a picture is shown: its size, and small copies of it."""

    size: tuple[int, int]
    address: str
    thumbnail: Thumbnail


@dataclass(frozen=True, eq=False)
class Own:
    """A visitor's own picture, RGB. number: tells it from the ones before."""

    picture: Image.Image
    look: Look
    number: int


def look(name: str, title: str, picture: Image.Image) -> Look:
    """The small copies of a picture (RGB)."""
    small = picture.copy()
    small.thumbnail((LONGEST_SHOWN, LONGEST_SHOWN))
    return Look(picture.size, jpeg_address(small), thumbnail(name, title, small))


@st.cache_data(max_entries=1, show_spinner=False)
def gallery_looks() -> dict[str, Look]:
    """How the gallery's pictures are shown, by name: made once for all visitors."""
    return {name: look(name, photo.title, photo.open()) for name, photo in gallery_photos().items()}


def own(page: str) -> Own | None:
    """The visitor's last own picture that could be read."""
    return st.session_state.get(f"{page}.own")


def present(page: str) -> tuple[str, int]:
    """What is explained: its name in the gallery or `OWN_INPUT`, and a number that tells own pictures apart."""
    sample, mine = session.settings(page).sample, own(page)
    if sample == OWN_INPUT and mine:
        return OWN_INPUT, mine.number
    photos = gallery_photos()
    return sample if sample in photos else next(iter(photos)), 0


def picture(page: str) -> Image.Image:
    """The picture that is explained, RGB."""
    name, _ = present(page)
    return gallery_photos()[name].open() if name else own(page).picture


def chosen_photo(page: str) -> Photo | None:
    """The gallery's picture that is explained; None where it is the visitor's own."""
    return gallery_photos().get(session.settings(page).sample)


def choose(page: str, sample: str) -> None:
    """Turn to another picture: its own crop and its own class. The watermark case comes with the twin, and goes so."""
    photos, before = gallery_photos(), chosen_photo(page)
    after = photos.get(sample)
    session.change(page, sample=sample, crop=WHOLE, target=NO_CLASS, rather_than=NO_CLASS)
    if after and after.ours.kind == "watermark":
        turn_to(page, "photos_twin", mark=True)
    elif before and before.ours.kind == "watermark":
        turn_to(page, next(iter(NETWORKS)), mark=False)
    st.session_state[f"{page}.refused"] = None


def take(page: str, file: UploadedFile | None) -> None:
    """Take over a file or a photo as the visitor's own picture; one that cannot be read changes nothing else."""
    if file is None:
        return
    try:
        read = read_picture(file.getvalue())
    except ValueError as error:
        st.session_state[f"{page}.refused"] = str(error)
        return
    last = own(page)
    number = last.number + 1 if last else 1
    st.session_state[f"{page}.own"] = Own(read, look(OWN_INPUT, "Your own picture", read), number)
    st.session_state[f"{page}.camera"] = False
    choose(page, OWN_INPUT)


def square(page: str) -> None:
    """Draw the picture with the square on it."""
    name, _ = present(page)
    photo = gallery_photos().get(name)
    shown = gallery_looks()[name] if photo else own(page).look
    settings = session.settings(page)
    crop_view(
        shown.address,
        shown.size,
        settings.crop,
        key=f"{page}.crop",
        alt=photo.alt if photo else "Your own picture",
        share=photo_networks.network(settings.network).share,
        take=lambda crop: session.change(page, crop=crop),
    )


def choose_one(page: str) -> None:
    """Draw the gallery, and the visitor's own picture among it."""
    photos, mine, sample = gallery_photos(), own(page), session.settings(page).sample
    looks = [mine.look] if mine else []
    thumbnails(
        [shown.thumbnail for shown in (*looks, *gallery_looks().values())],
        key=f"{page}.gallery",
        label="Pictures to choose from",
        chosen=sample,
        take=lambda name: choose(page, name),
    )
    photo = photos.get(sample)
    if photo:
        network = photo_networks.network(session.settings(page).network)
        hint = HINTS.get(photo.case(network.labels).kind)
        st.caption(" ".join(filter(None, (hint, f"Picture: {photo.credit}"))))


def on_phone() -> bool:
    """Whether the visitor holds a phone, which has a camera and nearly no files; browsers there call themselves so."""
    return "Mobi" in (st.context.headers.get("User-Agent") or "")


def bring_one(page: str) -> None:
    """Draw the ways to bring a picture of one's own: on a phone the camera comes first."""
    for draw in (_camera, _file) if on_phone() else (_file, _camera):
        draw(page)
    refused = st.session_state.get(f"{page}.refused")
    if refused:
        st.warning(refused, icon=":material/broken_image:")


def _file(page: str) -> None:
    upload = f"{page}.upload"
    st.file_uploader(
        "Upload a picture",
        type=TYPES,
        max_upload_size=MAX_BYTES // 2**20,
        key=upload,
        on_change=lambda: take(page, st.session_state[upload]),
    )


def _camera(page: str) -> None:
    camera, opened = f"{page}.snapshot", st.session_state.get(f"{page}.camera", False)
    st.button(
        "Close the camera" if opened else "Use the camera",
        icon=":material/photo_camera:",
        on_click=lambda: st.session_state.update({f"{page}.camera": not opened}),
    )
    if opened:
        st.camera_input(
            "Take a photo", resolution="720p", key=camera, on_change=lambda: take(page, st.session_state[camera])
        )
