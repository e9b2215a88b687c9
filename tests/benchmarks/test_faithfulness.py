"""The faithfulness benchmark, on coloured squares and a network that finds colours: where it must point is known."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import lrp_core as lrp
from benchmarks import faithfulness, methods, picture_faithfulness
from lrp_core.evaluation import pictures as evaluation
from models import photos
from models.photos import lite
from models.photos import networks as photo_networks
from training.photos import data as photo_data

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 255, 255), (255, 0, 255))


def squares(number: int) -> photo_data.Photos:
    """Grey noise with a square of one colour somewhere; the class is the colour."""
    random = np.random.default_rng(0)
    pictures, labels = [], np.arange(number) % len(COLOURS)
    for label in labels:
        pixels = random.integers(90, 140, (128, 128, 1)).repeat(3, 2).astype(np.uint8)
        top, left = random.integers(0, 80, 2)
        pixels[top : top + 48, left : left + 48] = COLOURS[label]
        pictures.append(Image.fromarray(pixels))
    return photo_data.Photos(pictures, labels)


def finder_of_colours() -> nn.Module:
    net = nn.Sequential(
        nn.Conv2d(3, 23, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(23, 23, bias=False)
    )
    net.eval().requires_grad_(False)
    seen = photos.normalise(np.array(COLOURS, np.uint8)[:, None, None]).flatten(1)
    for parameter in net.parameters():
        parameter.zero_()
    net[0].weight[: len(COLOURS), :, 0, 0] = seen / seen.norm(dim=1, keepdim=True)
    net[0].bias[: len(COLOURS)] = -0.7 * seen.norm(dim=1)
    net[4].weight.copy_(60 * torch.eye(23))
    return net


@pytest.fixture(scope="module")
def network():
    return finder_of_colours()


@pytest.fixture(scope="module")
def compared():
    wanted = ("z+", "epsilon-gamma-box 0.25", "gradient x input", "random")
    every = methods.of_pictures(photos.LOW, photos.HIGH, seed=0)
    return {name: every[name] for name in wanted}


def inputs(data):
    return lambda rows: photos.normalise(photo_data.middles([data.pictures[row] for row in rows]))


def test_a_method_that_is_right_finds_the_cell_and_chance_does_not(network, compared):
    data = squares(10)
    rows = np.array([[0, 1, 2, 3], [4, 3, 2, 1], [0, 1, 2, 3], [5, 6, 7, 8], [2, 1, 0, 9]])
    shares = picture_faithfulness.localisation(network, inputs(data), data.labels, rows, compared)
    assert list(shares) == list(compared)
    assert shares["z+"].tolist() == pytest.approx([1] * 5, abs=1e-6)
    assert shares["epsilon-gamma-box 0.25"].tolist() == pytest.approx([1] * 5, abs=1e-6)
    assert shares["random"].tolist() == pytest.approx([0.25] * 5, abs=0.02)
    assert len(set(shares["random"].tolist())) == 5, "each mosaic meets noise of its own"


def test_flipping_starts_at_the_photo_ends_at_the_fill_and_tells_right_from_random(network, compared):
    data = squares(5)
    x = inputs(data)(range(5))
    blank = torch.zeros_like(x)
    curves = picture_faithfulness.flipping(network, x, data.labels, blank, compared)
    rows = torch.arange(5)
    for curve in curves.values():
        assert curve.shape == (5, 2, picture_faithfulness.STEPS + 1)
        for end, pictures in ((0, x), (-1, blank)):
            expected = network(pictures).softmax(1)[rows, torch.from_numpy(data.labels)]
            torch.testing.assert_close(curve[:, :, end], expected[:, None].expand(-1, 2))
    counts = picture_faithfulness.units_of(x)[1]
    assert len(counts) == picture_faithfulness.STEPS + 1 and counts[-1] == 256
    areas = faithfulness.areas(curves, counts)
    for name in ("z+", "epsilon-gamma-box 0.25"):
        assert areas["most_relevant_first"][name]["mean"] < 0.3, "the square is 14 % of the picture"
        assert areas["least_relevant_first"][name]["mean"] > 0.8
        assert areas["between"][name]["behind"]["low"] <= 0.05
    assert areas["between"]["random"]["mean"] == pytest.approx(0, abs=0.15)
    assert areas["between"]["random"]["behind"]["low"] > 0.3


def test_photos_at_a_time_change_nothing(network, compared, monkeypatch):
    data = squares(3)
    x = inputs(data)(range(3))
    compared = {name: method for name, method in compared.items() if name != "random"}
    together = picture_faithfulness.flipping(network, x, data.labels, 0 * x, compared)
    monkeypatch.setattr(picture_faithfulness, "PHOTOS_AT_ONCE", 2)
    apart = picture_faithfulness.flipping(network, x, data.labels, 0 * x, compared)
    for name in compared:
        torch.testing.assert_close(apart[name], together[name])


def test_confident_photos_are_right_and_sure_or_the_surest(monkeypatch):
    monkeypatch.setattr(picture_faithfulness, "FEW", 2)
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 2])
    of_label = torch.tensor([0.95, 0.2, 0.91, 0.92, 0.5, 0.6, 0.55, 0.1])
    probabilities = torch.full((8, 3), 0.0)
    for row, (label, p) in enumerate(zip(labels, of_label, strict=True)):
        probabilities[row] = (1 - p) / 2
        probabilities[row, label] = p
    chosen = picture_faithfulness.confident(probabilities, labels, labels)
    assert {label: rows.tolist() for label, rows in chosen.items()} == {0: [0, 3, 2], 1: [5, 6]}


def test_a_kind_of_photo_may_have_several_right_classes():
    names, kinds = lite.labels(), np.array([photos.LABELS.index(kind) for kind in ("dog", "dog", "cat", "rose")])
    said = [names.index(name) for name in ("German shepherd", "beagle", "beagle", "beagle")]
    probabilities = torch.zeros(4, 1000)
    probabilities[range(4), said] = 0.95
    labels = faithfulness.wanted("lite0", probabilities, kinds)
    assert labels.tolist() == [said[0], said[1], -1, -1]
    chosen = picture_faithfulness.confident(probabilities, labels, kinds)
    assert {kind: sorted(rows) for kind, rows in chosen.items()} == {photos.LABELS.index("dog"): [0, 1]}
    assert faithfulness.wanted("photos", probabilities, kinds) is kinds


def test_what_is_beyond_a_blurred_picture(network, compared):
    x = inputs(squares(2))(range(2))
    box, target = compared["epsilon-gamma-box 0.25"], lrp.Target.logit([0, 1])
    found = dict(methods.maps(network, x, target, {"box": box, "beyond": methods.Beyond(box)}))
    blurred = evaluation.blurred(x, 8.0)
    expected = found["box"] - lrp.record(network, blurred).explain(box, target).relevance
    torch.testing.assert_close(found["beyond"], expected)


def test_photos_are_drawn_from_all_classes_in_turn():
    chosen = {0: np.array([0, 1, 2]), 4: np.array([3]), 9: np.array([4, 5])}
    rows = picture_faithfulness.spread(chosen, 4, np.random.default_rng(0)).tolist()
    assert rows[0] in (0, 1, 2) and rows[1] == 3 and rows[2] in (4, 5) and rows[3] in (0, 1, 2) and rows[3] != rows[0]
    assert sorted(picture_faithfulness.spread(chosen, 100, np.random.default_rng(0))) == [0, 1, 2, 3, 4, 5]


def test_a_mosaic_has_a_photo_of_four_different_classes():
    labels = np.arange(60) % 6
    chosen = {label: np.flatnonzero(labels == label) for label in range(6)}
    rows = picture_faithfulness.mosaic_rows(chosen, 50, np.random.default_rng(0))
    assert rows.shape == (50, 4)
    assert all(len(set(labels[four])) == 4 for four in rows)
    assert len(set(rows.flatten())) > 40 and len({*labels[rows[:, 0]]}) == 6


def test_every_preset_for_pictures_is_compared():
    composites = {m for m in methods.of_pictures(0.0, 1.0, 0).values() if isinstance(m, lrp.Composite)}
    takes_bounds = {"epsilon_gamma_box": (0.0, 1.0), "overview": (1e-6, 0.25, 0.0, 1.0)}
    for name in set(lrp.presets.__all__) - {"attn_lrp", "cp_lrp", "epsilon"}:
        assert getattr(lrp.presets, name)(*takes_bounds.get(name, ())) in composites, name


def test_baselines_see_edges_and_the_middle():
    x = torch.zeros(2, 3, 4, 6)
    x[1, :, :, 3:] = 1
    edges = methods.edges(x)
    assert edges.shape == (2, 4, 6)
    assert edges[0].abs().max() == 0 and torch.equal(edges[1].nonzero()[:, 1].unique(), torch.tensor([2]))
    bell = methods.centre(x)
    assert bell.shape == (2, 4, 6)
    torch.testing.assert_close(bell, bell.flip(1, 2))
    assert bell[0].argmax() in (8, 9, 14, 15)


def test_the_distance_to_the_best_is_measured_photo_by_photo():
    random = torch.randn(300, generator=torch.Generator().manual_seed(0))
    values = {"b": random - 0.1 + 0.01 * random.flip(0), "a": random}
    figures = faithfulness.described(values)
    assert figures["b"]["low"] < figures["a"]["mean"] < figures["b"]["high"], "alone they overlap"
    assert figures["b"]["behind"]["low"] == pytest.approx(0.1, abs=0.01)
    assert figures["a"]["behind"] == {"mean": 0, "low": 0, "high": 0}
    smallest = faithfulness.described(values, smallest=True)
    assert smallest["b"]["behind"]["mean"] == 0 and smallest["a"]["behind"]["low"] == pytest.approx(0.1, abs=0.01)


@pytest.fixture
def run(network, monkeypatch, tmp_path, capsys):
    """The command, on coloured squares and their network."""
    monkeypatch.setattr(photo_networks, "load", lambda name: network)

    def run(number: int, *flags: str) -> tuple[str, str]:
        nothing = photo_data.Photos([], np.array([], np.int64))
        parts = photo_data.Parts(nothing, nothing, squares(number))
        monkeypatch.setattr(photo_data, "read_photos", lambda folder, only: parts if only == "test" else None)
        out = tmp_path / "new" / "out.json"
        monkeypatch.setattr(sys, "argv", ["faithfulness", "photos", "--network", "photos", "--out", str(out), *flags])
        faithfulness.main()
        return out.read_text(encoding="utf-8"), capsys.readouterr().out

    return run


def test_the_command_writes_all_figures_and_prints_one_table(run):
    written, printed = run(8, "--mosaics", "4", "--flips", "3", "--fill", "mean")
    report = json.loads(written)["networks"]["photos"]
    names = list(methods.of_pictures(0.0, 1.0, 0))
    assert report["localisation"]["mosaics"] == 4 and report["flipping"]["photos"] == 3
    assert report["photos"]["classes"] == 5 and report["photos"]["candidates"] == 8
    for part, key in faithfulness.COLUMNS.values():
        assert list(report[part][key]) == names
        for figures in report[part][key].values():
            assert figures["low"] <= figures["mean"] <= figures["high"]
    lines = printed.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == names
    assert lines[2 + names.index("z+")].startswith("| z+ | **1.000** (1.000 to 1.000) |")
    assert "**" not in lines[2 + names.index("random")].split("|")[2]
    assert report["localisation"]["methods"]["random"]["mean"] == pytest.approx(0.25, abs=0.02)
    assert run(8, "--mosaics", "4", "--flips", "3", "--fill", "mean") == (written, printed), "the same figures again"


def test_too_few_classes_are_refused_in_one_sentence(run):
    with pytest.raises(SystemExit, match="photos of only 3 classes right; a mosaic needs 4"):
        run(3)
    with pytest.raises(SystemExit):
        run(8, "--mosaics", "0")


def test_missing_photos_are_named(monkeypatch, network, tmp_path):
    monkeypatch.setattr(photo_networks, "load", lambda name: network)
    monkeypatch.setattr(sys, "argv", ["faithfulness", "photos", "--data", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"split\.csv"):
        faithfulness.main()
    assert not Path(tmp_path / "faithfulness.json").exists()
