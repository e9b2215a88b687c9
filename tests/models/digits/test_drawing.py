import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from models.digits import drawing
from models.digits.drawing import Stroke, from_canvas, rasterize, to_canvas

BY_HAND = json.loads((Path(__file__).parent / "fabric_drawing.json").read_text())
"""What the widget sent for a zigzag and a dot drawn with the mouse (streamlit-drawable-canvas 0.13.0)."""


def changed(**fields):
    return {"objects": [BY_HAND["objects"][0] | fields]}


def test_all_drawings_are_there():
    samples = drawing.samples()
    assert len({sample.name for sample in samples}) == len(samples)
    counts = {tag: sum(tag in sample.tags for sample in samples) for tag in ("drawn", "ambiguous", "sample")}
    assert counts == {"drawn": 60, "ambiguous": 8, "sample": 10}
    for sample in samples:
        assert sample.digits == ((sample.label,) if sample.label is not None else sample.digits)
        assert (sample.label is None) == ("ambiguous" in sample.tags) == (len(sample.digits) == 2)
        for stroke in sample.strokes:
            assert 8 <= len(stroke.points) <= 40
            assert all(0 <= value <= drawing.CANVAS for point in stroke.points for value in point)


@pytest.mark.parametrize("sample", drawing.samples(), ids=lambda sample: sample.name)
def test_canvas_and_back_changes_nothing(sample):
    # through JSON, as the browser does
    assert from_canvas(json.loads(json.dumps(to_canvas(sample.strokes)))) == sample.strokes


def test_reads_what_the_mouse_drew():
    zigzag, dot = from_canvas(BY_HAND)
    assert zigzag.width == dot.width == 18
    assert math.dist(zigzag.points[0], (30, 200)) < 0.1
    assert math.dist(zigzag.points[-1], (68, 245)) < 0.1
    assert max(y for _, y in zigzag.points) == pytest.approx(250, abs=4)
    curved = zigzag.points[:-1]  # the brush ends with a straight piece
    assert all(math.dist(a, b) <= drawing.SEGMENT + 0.02 for a, b in pairwise(curved))
    assert all(math.dist(point, (230, 240.5)) < 1 for point in dot.points)


def test_second_trip_is_exact():
    strokes = from_canvas(BY_HAND)
    assert from_canvas(to_canvas(strokes)) == strokes


def test_moved_scaled_turned_and_flipped_strokes_come_out_where_they_are_seen():
    (plain,) = from_canvas(changed())
    item = BY_HAND["objects"][0]
    centre = np.array([item["left"], item["top"]])
    points = np.array(plain.points)

    def seen(**fields):
        (stroke,) = from_canvas(changed(**fields))
        return stroke.width, np.array(stroke.points)

    assert np.allclose(seen(left=item["left"] + 30, top=item["top"] - 20)[1], np.add(points, (30, -20)), atol=0.02)
    width, doubled = seen(scaleX=2, scaleY=2)
    assert width == 2 * plain.width
    assert np.allclose(doubled, centre + 2 * (points - centre), atol=0.02)
    x, y = (points - centre).T
    assert np.allclose(seen(angle=90)[1], centre + np.stack([-y, x], 1), atol=0.02)
    assert np.allclose(seen(flipX=True)[1], centre + np.stack([-x, y], 1), atol=0.02)


def test_corner_origin_means_the_corner_of_the_inked_box():
    item = BY_HAND["objects"][0]
    left = item["left"] - (item["width"] + item["strokeWidth"]) / 2
    top = item["top"] - (item["height"] + item["strokeWidth"]) / 2
    (plain,), (cornered,) = (
        from_canvas(changed()),
        from_canvas(changed(originX="left", originY="top", left=left, top=top)),
    )
    assert np.allclose(cornered.points, plain.points, atol=0.02)


def test_long_curves_are_cut_finely():
    path = [["M", 0, 0], ["Q", 100, 0, 100, 100]]
    (stroke,) = from_canvas({"objects": [{"type": "path", "path": path, "strokeWidth": 5}]})
    assert len(stroke.points) > 20
    assert stroke.points[0] == (0, 0) and stroke.points[-1] == (100, 100)
    assert min(math.dist(point, (75, 25)) for point in stroke.points) < 2


PATH = [["M", 1, 1], ["L", 9, 9]]


@pytest.mark.parametrize(
    "hostile",
    [
        None,
        {},
        [],
        "drawing",
        {"objects": None},
        {"objects": {"a": 1}},
        {"objects": [None, 1, "x", [], {}]},
        {"objects": [{"type": "circle", "radius": 3}, {"type": "image", "src": "data:,"}, {"type": ["path"]}]},
        {"objects": [{"type": "path"}, {"type": "path", "path": []}, {"type": "path", "path": "M 0 0"}]},
        {"objects": [{"type": "path", "path": [None, [], ["M"], ["M", 1], ["Z"], ["M", "1", "2"], [["M"], 1, 2]]}]},
        {"objects": [{"type": "path", "path": [["M", math.nan, 1], ["L", math.inf, 2], ["L", 10**400, 2]]}]},
    ],
)
def test_what_is_no_drawing_gives_no_strokes(hostile):
    assert from_canvas(hostile) == ()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300, 10**400, -5, 0, None, "7", [], {}, True])
@pytest.mark.parametrize(
    "field", ["left", "top", "strokeWidth", "scaleX", "scaleY", "angle", "originX", "originY", "flipX"]
)
def test_hostile_fields_never_raise_and_give_a_stroke_one_can_draw(field, value):
    (stroke,) = from_canvas({"objects": [{"type": "path", "path": PATH, field: value}]})
    assert 1 <= stroke.width <= drawing.CANVAS
    assert all(abs(number) <= 2 * drawing.CANVAS for point in stroke.points for number in point)
    assert rasterize((stroke,)).shape == (280, 280)


def test_huge_drawings_are_cut_short():
    long = [["M", 0, 0], *(["Q", 90, i % 270, i % 280, 9] for i in range(100_000))]
    (stroke,) = from_canvas({"objects": [{"type": "path", "path": long}] * 3})
    assert len(stroke.points) == drawing.MAX_POINTS
    assert len(from_canvas({"objects": [{"type": "path", "path": PATH}] * 1000})) == drawing.MAX_STROKES


def test_picture_has_round_ends_and_smooth_edges():
    ink = rasterize((Stroke(((80.0, 140.0), (200.0, 140.0)), 20.0),))
    assert ink.dtype == np.uint8 and ink.shape == (280, 280)
    assert ink.sum() / 255 == pytest.approx(120 * 20 + math.pi * 100, rel=0.03)
    assert ink[140, 72] == 255 and ink[132, 72] == 0, "the end is a half circle"
    slanted = rasterize((Stroke(((80.0, 80.0), (200.0, 187.0)), 20.0),))
    assert len(np.unique(slanted)) > 8, "edges are anti-aliased"


def test_picture_scales_with_its_size():
    (sample,) = [sample for sample in drawing.samples() if sample.name == "sample-8"]
    small, large = rasterize(sample.strokes, 140), rasterize(sample.strokes, 280)
    assert small.shape == (140, 140)
    assert np.abs(large.reshape(140, 2, 140, 2).mean((1, 3)) - small).mean() < 3


def test_no_strokes_is_a_blank_picture():
    assert not rasterize(()).any()


def test_size_must_be_positive():
    with pytest.raises(ValueError, match="at least 1 pixel"):
        rasterize((), 0)
