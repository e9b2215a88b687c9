"""The photos page without a browser: whatever a visitor brings gets a map or a sentence, and loses nothing."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from streamlit.testing.v1 import AppTest

import lrp_core as lrp
from models.photos import gallery
from models.photos import networks as photo_networks
from pages.explaining import subject as explaining
from pages.explaining.snippet import snippet
from pages.explaining.subject import Subject
from pages.photos.subject import photo_subject
from pages.settings.settings import NO_CLASS, OWN_INPUT, WHOLE, starting

APP = Path(__file__).parents[3] / "app.py"
FIRST = gallery.photos()[0]


@pytest.fixture
def photos():
    """The photos page of a visitor who comes with this address."""

    def run(**query: str) -> AppTest:
        app = AppTest.from_file(APP, default_timeout=120)
        for name, value in query.items():
            app.query_params[name] = value
        return app.switch_page("pages/_photos.py").run()

    return run


def says(app: AppTest) -> str:
    """The headline."""
    return next((block.value for block in app.subheader if block.value.startswith("The network ")), "")


def settings(app: AppTest):
    return app.session_state["photos.settings"]


def subject(app: AppTest) -> Subject:
    return app.session_state["remembered.photos.subject"][1]


def picture(mode: str = "RGB", size: tuple[int, int] = (200, 120), **colours) -> Image.Image:
    """A left half and a right half that can be told apart."""
    made = Image.new(mode, size, colours.get("left", "red"))
    made.paste(colours.get("right", "blue"), (size[0] // 2, 0, *size))
    return made


def encoded(made: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    made.save(buffer, kind, **options)
    return buffer.getvalue()


def empty_png(width: int, height: int) -> bytes:
    """The head of a picture of this size, and next to nothing behind it."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(64))) + chunk(b"IEND", b"")


def turned() -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    return encoded(picture(), "JPEG", exif=exif)


REFUSED = {
    "truncated": (encoded(picture(), "JPEG")[:400], "damaged"),
    "disguised": (b"<script>alert(1)</script>" * 20, "not a JPEG"),
    "empty": (b"", "empty"),
    "huge": (empty_png(20_000, 20_000), "megapixels"),
    "narrow": (empty_png(1, 20_000), "narrow"),
}
ACCEPTED = {
    "16 bit": encoded(Image.fromarray(np.full((90, 90), 40_000, np.uint16))),
    "CMYK": encoded(picture("CMYK", left=(0, 255, 255, 0), right=(255, 0, 0, 0)), "JPEG"),
    "alpha": encoded(picture("RGBA", left=(255, 0, 0, 0), right=(0, 0, 255, 255))),
    "turned": turned(),
    "animated": encoded(picture(), "WEBP", save_all=True, append_images=[Image.new("RGB", (200, 120), "green")]),
}


def upload(app: AppTest, data: bytes) -> AppTest:
    return app.file_uploader(key="photos.upload").set_value(("photo.jpg", data, "image/jpeg")).run()


def test_first_load_shows_a_worked_example_already_explained(photos):
    app = photos()
    assert not app.exception and not app.error
    assert says(app)
    assert any("on the input" in block.value for block in (*app.markdown, *app.warning))
    assert settings(app).sample == FIRST.name and settings(app).rule == "recommended-lite"
    assert not app.camera_input  # opened only when asked for


def test_every_hostile_file_gets_a_sentence_or_a_map(photos):
    app = upload(photos(), encoded(picture(), "JPEG"))
    assert settings(app).sample == OWN_INPUT
    for name, (data, word) in REFUSED.items():
        before = subject(app).key
        app = upload(app, data)
        assert not app.exception, name
        assert any(word in block.value for block in app.warning), (name, [block.value for block in app.warning])
        assert subject(app).key == before and says(app), f"{name}: the last good picture was lost"
    for name, data in ACCEPTED.items():
        before = subject(app).key
        app = upload(app, data)
        assert not app.exception and says(app), name
        assert subject(app).key != before, name
        assert not any(word in block.value for block in app.warning for _, word in REFUSED.values()), name


def test_an_own_picture_survives_a_page_switch_and_a_look_at_the_gallery(photos):
    app = upload(photos(), encoded(picture(), "JPEG"))
    key = subject(app).key
    app = app.switch_page("pages/home/page.py").run().switch_page("pages/photos/page.py").run()
    assert settings(app).sample == OWN_INPUT and subject(app).key == key
    assert "sample" not in app.query_params and "crop" not in app.query_params


def test_the_camera_opens_when_asked_for_and_its_photo_is_explained(photos):
    app = photos()
    next(button for button in app.button if button.label == "Use the camera").click().run()
    app.camera_input(key="photos.snapshot").set_value(("camera.jpg", encoded(picture(), "JPEG"), "image/jpeg")).run()
    assert not app.exception
    assert settings(app).sample == OWN_INPUT and says(app)
    assert not app.run().camera_input


def test_a_link_restores_picture_network_and_crop(photos):
    app = photos(sample=gallery.photos()[1].name, network="photos_twin", crop="0,100,40", mark="1")
    assert not app.exception
    seen = settings(app)
    assert (seen.sample, seen.network, seen.crop, seen.mark) == (
        gallery.photos()[1].name,
        "photos_twin",
        (0, 100, 40),
        True,
    )
    assert subject(app).network == "photos_twin"


@pytest.mark.parametrize("crop", ["0,0,1", "50,50", "a,b,c", "900,0,50"])
def test_nonsense_in_a_crop_is_named(photos, crop):
    app = photos(crop=crop)
    assert not app.exception and "crop" in app.info[0].value
    assert settings(app).crop == WHOLE


@pytest.mark.parametrize("sample", [FIRST.name, OWN_INPUT])
def test_the_script_remakes_the_map(sample, tmp_path, monkeypatch):
    """With a picture of the gallery; with one's own, from the file that holds its numbers."""
    subject = photo_subject("photos", FIRST.open(), sample, "photos", (20, 80, 60), mark=True)
    chosen = starting("recommended-photos")
    asked = explaining.composite(chosen, subject), lrp.Target.logit(5)
    shown = subject.record().explain(*asked).relevance
    np.savez(tmp_path / "lrp-photos.npz", input=subject.x.numpy())
    monkeypatch.chdir(tmp_path)
    made: dict = {}
    exec(snippet(subject, *asked), made)
    assert torch.equal(made["relevance"], shown) and shown.any()


def test_a_missing_network_costs_one_sentence_and_the_others_work(photos, monkeypatch):
    sentence = "vgg16.pth is not here: run `python -m models.photos.torchvision_nets vgg16`."

    def load(name: str, *more):
        if name == "vgg16":
            raise FileNotFoundError(sentence)
        return loaded(name, *more)

    loaded = photo_networks.load
    monkeypatch.setattr(photo_networks, "load", load)
    monkeypatch.setattr(photo_networks, "ready", lambda name: name != "vgg16")
    app = photos(network="photos", **{"class": "5"})
    app.selectbox(key="photos.network").select("vgg16").run()
    assert settings(app).rule == "recommended-imagenet", "what is recommended for another network"
    assert not app.exception and not says(app)
    assert any(sentence in block.value and "other pages work" in block.value for block in app.info)
    assert settings(app).target == NO_CLASS  # its class 5 is another
    app.selectbox(key="photos.network").select("lite0").run()
    assert settings(app).rule == "recommended-lite"
    assert not app.exception and says(app)


def test_one_can_search_by_other_words(photos):
    app = photos()
    options = app.selectbox(key="photos.target").options
    assert any(option.startswith("moped (motorbike, scooter) · ") for option in options)
    assert len(options) == 1001


def test_a_class_is_kept_where_it_means_the_same(photos):
    app = photos(network="photos", **{"class": "5"})
    app.selectbox(key="photos.network").select("photos_twin").run()
    assert settings(app).target == 5 and subject(app).network == "photos_twin"


def test_a_download_is_offered_where_it_is_allowed(photos, monkeypatch):
    from pages.photos import choices as photo_choices
    from pages.serving.config import Config

    asked = []

    def fetch(name: str, progress) -> None:
        asked.append(name)
        progress(0.5)
        raise FileNotFoundError("The download of VGG-16 failed: try again.")

    monkeypatch.setattr(photo_choices, "config", lambda: Config(allow_downloads=True))
    monkeypatch.setattr(photo_networks, "ready", lambda name: name != "vgg16")
    monkeypatch.setattr(photo_networks, "fetch", fetch)
    app = photos(network="vgg16")
    assert not app.exception and not says(app)
    next(button for button in app.button if button.label.startswith("Download VGG-16")).click().run()
    assert asked == ["vgg16"]
    assert [block.value for block in app.error] == ["The download of VGG-16 failed: try again."]


def test_the_page_starts_without_what_it_does_not_need():
    code = (
        "import sys\nfrom streamlit.testing.v1 import AppTest\n"
        f"app = AppTest.from_file({str(APP)!r}, default_timeout=120).switch_page('pages/_photos.py').run()\n"
        "assert not app.exception and 'torch' in sys.modules\n"
        "print(*{'torchvision', 'transformers'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=APP.parent, capture_output=True, text=True, timeout=240)
    assert (result.returncode, result.stdout.strip()) == (0, ""), result.stderr[-2000:]
