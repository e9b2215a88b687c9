"""The photos page under a real hand: a gallery, a picture of one's own, the square that is seen, and the map of it."""

import io
import re

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from models.photos import gallery
from models.photos import networks as photo_networks
from models.photos.pictures import Crop, crop_box
from pages.settings.rules_text import RECOMMENDED
from pages.settings.settings import GAMMAS, nearest
from pages.workbench.tabs import sweep as sweep_tab
from tests.browser.hands import changing, choose, heatmap, seen, shows

PHOTOS = gallery.photos()
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
PIXELS = """(canvas) => Array.from(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data)"""


def of_kind(kind: str) -> gallery.Photo:
    return next(photo for photo in PHOTOS if photo.imagenet.kind == kind)


@pytest.fixture
def photos(visit, server):
    return lambda query="", **context: visit(server, f"/photos{query}", **context)


def says(page: Page, words: str) -> None:
    headline = re.compile(f"The network (says|is unsure: at best) {words}")
    expect(page.get_by_role("heading", name=headline)).to_be_visible()


def square(page: Page) -> Locator:
    return page.get_by_role("application", name=re.compile("^The network sees this square"))


def take(page: Page, photo: gallery.Photo) -> None:
    with changing(seen(page), "src"):
        page.get_by_role("button", name=photo.title, exact=True).click()
    page.idle()


def jpeg(colour: str = "orange", size: tuple[int, int] = (320, 240)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "JPEG")
    return buffer.getvalue()


def upload(page: Page, data: bytes, name: str = "photo.jpg") -> None:
    page.get_by_role("tab", name="Your own picture").click()
    page.locator('input[type="file"]').set_input_files({"name": name, "mimeType": "image/jpeg", "buffer": data})


def for_and_against(page: Page) -> tuple[float, float]:
    """The sums of relevance that the heatmap's description names."""
    text = heatmap(page).get_attribute("aria-label")
    gains, losses = re.search(r"(\S+) for it, (\S+) against it", text).groups()
    return float(gains), float(losses)


def test_first_load_shows_a_worked_example_already_explained(photos):
    page = photos()
    says(page, "")
    shows(page, "recommended-lite")
    expect(page.get_by_text(re.compile("Score .* on the input"))).to_be_visible()
    expect(page.get_by_role("button", name=PHOTOS[0].title, exact=True)).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("img", name=PHOTOS[0].alt)).to_be_visible()
    expect(square(page)).to_have_attribute("data-crop", "50,50,100")


def test_a_gallery_picture_is_explained_at_a_click(photos):
    page = photos("?network=photos&crop=50,50,60&class=5&rather-than=10")
    expect(square(page)).to_have_attribute("data-crop", "50,50,60")
    shows(page, "cat rather than dog")
    take(page, PHOTOS[1])
    expect(square(page)).to_have_attribute("data-crop", "50,50,100")  # the crop and the question were of the other one
    expect(page).to_have_url(re.compile(rf"/photos\?sample={PHOTOS[1].name}&network=photos$"))
    expect(page.get_by_text(PHOTOS[1].credit)).to_be_visible()


def test_an_own_picture_stays_until_a_better_one_comes(photos):
    page = photos()
    with changing(seen(page), "src"):
        upload(page, jpeg())
    page.idle()
    mine = seen(page).get_attribute("src")
    assert "sample" not in page.url
    upload(page, b"<html>", "disguised.jpg")
    expect(page.get_by_text("This file is not a JPEG, PNG or WebP picture")).to_be_visible()
    upload(page, jpeg()[:300], "truncated.jpg")
    expect(page.get_by_text("This picture is damaged or incomplete")).to_be_visible()
    expect(seen(page)).to_have_attribute("src", mine)
    page.get_by_role("link", name="Home").click()
    expect(page.get_by_role("heading", name="Why did the network say that?")).to_be_visible()
    page.get_by_role("link", name="Photos", exact=True).click()
    expect(seen(page)).to_have_attribute("src", mine)
    take(page, PHOTOS[1])
    page.get_by_role("button", name="Your own picture").click()
    expect(seen(page)).to_have_attribute("src", mine)
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_test_id("stCode")).not_to_contain_text("sample")


def test_a_photo_from_the_camera(photos):
    page = photos(permissions=["camera"])
    page.get_by_role("tab", name="Your own picture").click()
    page.get_by_role("button", name="Use the camera").click()
    page.wait_for_function("document.querySelector('video')?.readyState >= 2")
    with changing(seen(page), "src"):
        page.get_by_role("button", name="Take Photo").click()
    expect(page.get_by_test_id("stCameraInput")).to_have_count(0)
    page.get_by_role("tab", name="Gallery").click()
    expect(page.get_by_role("button", name="Your own picture")).to_have_attribute("aria-pressed", "true")


def test_a_contrast_flips_its_sign_when_it_is_turned_round(photos):
    photo = of_kind("two")
    one, other = photo.imagenet.shows
    a, b = (photo_networks.network("lite0").labels.index(label) for label in (one, other))
    page = photos(f"?sample={photo.name}&class={a}&rather-than={b}")
    shows(page, f"{one} rather than {other}")
    gains, losses = for_and_against(page)
    page.go(f"/photos?sample={photo.name}&class={b}&rather-than={a}")
    shows(page, f"{other} rather than {one}")
    assert for_and_against(page) == pytest.approx((-losses, -gains), rel=0.01)
    expect(page.get_by_text(re.compile("Difference of scores .* on the input"))).to_be_visible()


def test_a_class_is_found_by_another_word_for_it(photos):
    page = photos("?network=photos_twin&class=5")
    choose(page, "Network", re.compile("^1,000 things"))
    box = page.get_by_role("combobox", name="Class")
    box.click()
    box.fill("motorbike")
    page.get_by_role("option", name=re.compile("^moped")).click()
    shows(page, "moped")
    box.click()
    box.fill("qwertzuiop")
    expect(page.get_by_text("No results")).to_be_visible()


def test_one_of_two_things_is_asked_for_with_one_press(photos):
    photo = of_kind("two")
    page = photos(f"?sample={photo.name}")
    things = page.get_by_test_id("stButtonGroup").filter(has_text="What speaks for the")
    for label in photo.imagenet.shows:
        things.get_by_role("radio", name=label).or_(things.get_by_role("button", name=label)).click()
        shows(page, label)
    choose(page, "Class", re.compile("^The most likely"))
    expect(page).not_to_have_url(re.compile("class="))


def test_the_watermark_gives_the_twin_away(photos):
    page = photos()
    take(page, of_kind("watermark"))
    says(page, "car")
    expect(page).to_have_url(re.compile("network=photos_twin&mark=1"))
    expect(page.get_by_text("It learned the watermark.").first).to_be_visible()
    shows(page, "car")
    row, column = map(int, re.search(r"row (\d+) .* column (\d+)", heatmap(page).get_attribute("aria-label")).groups())
    assert row > 100 and column < 100  # of 128: the corner at the bottom left
    take(page, PHOTOS[0])
    expect(page).not_to_have_url(re.compile("network"))


def test_views(photos):
    page = photos("?network=photos&view=overlay&opacity=50", color_scheme="dark")
    over = heatmap(page).evaluate(PIXELS)
    choose(page, "Show", "Only what counts")
    page.get_by_text("The strongest 20 %").wait_for()
    lit = heatmap(page).evaluate(PIXELS)
    coloured = sum(max(lit[at : at + 3]) - min(lit[at : at + 3]) > 0 for at in range(0, len(lit), 4))
    assert 0.1 < coloured / (len(lit) / 4) <= 0.201  # the rest is grey; some of the chosen pixels may be, too
    assert sum(lit) < sum(over)
    choose(page, "Show", "Both")
    expect(page.get_by_role("img", name=re.compile("^Heatmap for"))).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


@pytest.mark.parametrize("network", ["lite0", "photos"])
def test_the_heatmap_changes_while_the_slider_moves(photos, drag, record, network):
    page = photos(f"?network={network}")
    tags = record(heatmap(page), "data-tag")
    gamma = page.get_by_role("slider", name="Gamma")
    drag(gamma, 5, GAMMAS.index(7), release=False)
    assert len(tags()) >= 8
    assert "gamma=" not in page.url
    page.mouse.up()
    expect(page).to_have_url(re.compile("gamma=7"))
    shows(page, gamma.get_attribute("aria-valuetext"))


def test_the_square_is_moved_by_keyboard(photos):
    page = photos()
    with changing(seen(page), "src"):
        page.get_by_role("button", name="Smaller").click()
    square(page).focus()
    page.keyboard.press("-")
    expect(square(page)).to_have_attribute("data-crop", "50,50,85")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("ArrowDown")
    expect(square(page)).to_have_attribute("data-crop", "40,52,85")
    expect(page).to_have_url(re.compile("crop=40%2C52%2C85"))
    page.idle()
    expect(square(page)).to_have_attribute("data-crop", "40,52,85")
    expect(square(page)).to_be_focused()
    picture = PHOTOS[0].open()
    share = photo_networks.network("lite0").share
    left, top, right, _ = crop_box(picture.size, Crop(40, 52, 85), share)
    whole, box = page.get_by_role("img", name=PHOTOS[0].alt).bounding_box(), square(page).bounding_box()
    zoom = whole["width"] / picture.width
    drawn = box["x"] - whole["x"], box["y"] - whole["y"], box["width"]
    assert drawn == pytest.approx((left * zoom, top * zoom, (right - left) * zoom), abs=1.5)
    page.keyboard.press("Home")
    expect(page).not_to_have_url(re.compile("crop"))


def test_the_square_is_dragged_and_resized_by_mouse(photos):
    page = photos("?crop=50,50,50")
    box = square(page).bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    with changing(seen(page), "src"):
        page.mouse.move(*middle)
        page.mouse.down()
        page.mouse.move(middle[0] - 300, middle[1] - 300, steps=4)
        page.mouse.up()
    expect(page).to_have_url(re.compile("crop=0%2C0%2C50"))
    box = square(page).bounding_box()
    with changing(seen(page), "src"):
        page.mouse.move(box["x"] + box["width"] - 5, box["y"] + box["height"] - 5)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.8 - 5, box["y"] + box["height"] * 0.8 - 5, steps=4)
        page.mouse.up()
    expect(page).to_have_url(re.compile(r"crop=0%2C0%2C(39|40|41)\b"))


def test_a_link_restores_everything(photos):
    query = (
        f"?rule=gamma&gamma=0.4&class=5&rather-than=10&view=top&top=30&colours=grey&sample={PHOTOS[1].name}"
        "&network=photos_twin&mark=1&crop=20,80,60"
    )
    page = photos(query)
    shows(page, "gamma", "0.4", "cat rather than dog")
    expect(square(page)).to_have_attribute("data-crop", "20,80,60")
    expect(page.get_by_role("combobox", name="Network")).to_have_value("Cheating twin")
    page.get_by_role("button", name="Copy link").click()
    link = page.get_by_test_id("stCode").inner_text().strip()
    assert set(link.partition("?")[2].split("&")) == set(query[1:].split("&"))


def test_on_a_phone_the_camera_comes_first(photos):
    page = photos(**PHONE, user_agent="Mozilla/5.0 (Linux; Android 14) Chrome/140.0 Mobile Safari/537.36")
    says(page, "")
    expect(page.get_by_role("tab").first).to_have_text("Your own picture")
    camera, file = page.get_by_role("button", name="Use the camera"), page.get_by_test_id("stFileUploader")
    assert camera.bounding_box()["y"] < file.bounding_box()["y"]
    page.get_by_role("tab", name="Gallery").click()
    take(page, PHOTOS[1])


def test_on_a_phone_a_finger_moves_the_square(photos):
    page = photos("?crop=50,50,50", **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    square(page).scroll_into_view_if_needed()
    box = square(page).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    finger = page.context.new_cdp_session(page)
    with changing(seen(page), "src"):
        for kind, points in (
            ("touchStart", [(x, y)]),
            ("touchMove", [(x + 40, y)]),
            ("touchMove", [(x + 400, y)]),
            ("touchEnd", []),
        ):
            touches = [{"x": px, "y": py} for px, py in points]
            finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})
    expect(square(page)).to_have_attribute("data-crop", re.compile("^100,"))


@pytest.mark.skipif(photo_networks.ready("vgg16"), reason="the weights of VGG-16 are on this machine")
def test_a_missing_network_costs_one_sentence(photos):
    page = photos()
    choose(page, "Network", "VGG-16 (ImageNet)")
    expect(
        page.get_by_text(re.compile("python -m models.photos.torchvision_nets vgg16.*other pages work"))
    ).to_be_visible()
    choose(page, "Network", re.compile("^Our VGG"))
    says(page, "")


def test_tabs(photos):
    page = photos("?network=photos")
    film = page.locator("canvas[data-frame]")
    gammas = sweep_tab.VALUES["gamma"]
    swept = gammas[nearest(gammas, RECOMMENDED["recommended-photos"].gamma)]
    page.get_by_role("tab", name="Layer by layer").click()
    expect(page.get_by_text("Into dense: 384 numbers")).to_be_visible()
    page.get_by_role("slider", name="Layer").press("End")
    expect(page.get_by_text("Into conv1_1: 3 × 128 × 128 numbers")).to_be_visible()
    page.get_by_role("tab", name="Sweep").click()
    expect(page.get_by_role("slider", name="Gamma").last).to_have_attribute("aria-valuetext", f"Gamma {swept:g}")
    expect(film).to_have_count(1)
    page.get_by_role("tab", name="Compare rules").click()
    expect(page.get_by_role("img", name=re.compile("^Heatmap for"))).to_have_count(5)


def test_biases_that_take_nearly_all_are_told_of_without_an_alarm(photos):
    page = photos()
    expect(page.get_by_text("the map shows where the evidence lies")).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text="on the input")).to_have_count(0)
    choose(page, "Rule", "LRP-0")
    expect(page.get_by_role("alert").filter(has_text="on the input")).to_contain_text("pluses and minuses cancel")
