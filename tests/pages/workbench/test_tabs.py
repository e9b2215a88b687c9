"""What the tabs compute: frames, sweeps, rank correlation, the waterfall, the files."""

import io

import numpy as np
import pytest

import lrp_core as lrp
from lrp_core import heatmap
from pages.components.film import shades
from pages.explaining import subject as explaining
from pages.explaining.view import npz
from pages.settings.settings import Settings
from pages.views import layer_film, picture_view
from pages.workbench.tabs import compare as compare_tab
from pages.workbench.tabs import layers as layers_tab
from pages.workbench.tabs import sweep as sweep_tab


def test_a_film_has_the_colours_of_the_heatmap():
    relevance = np.random.default_rng(0).normal(size=(40, 30))
    relevance[0, 0] = 0
    for vmax in (np.abs(relevance).max(), 0.7):
        drawn = heatmap.colour_table("red-white-blue")[shades(relevance, vmax)]
        assert np.array_equal(drawn, heatmap.to_rgb(relevance, vmax=vmax))
    assert set(shades(np.zeros((2, 2)), 0.0).ravel()) == {128}


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 90], 1),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1),
        ([1, 2, 3, 4], [2, 1, 4, 3], 0.6),
        ([0, 0, 1, 2], [0, 1, 2, 3], 0.9486833),  # the tie shares rank 1.5
        ([1, 1, 1, 1], [1, 2, 3, 4], 0),
    ],
)
def test_rank_correlation(a, b, expected):
    assert compare_tab.rank_correlation(np.array(a, float), np.array(b, float)) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["gamma", "epsilon"])
@pytest.mark.parametrize("rule", ["recommended", "epsilon", "gamma"])
def test_a_sweep_is_what_the_slider_would_show(subject, rule, name):
    settings = Settings(rule=rule, epsilon=0.1, gamma=0.5)
    if name not in settings.parameters:
        return
    values, frames = (0.01, 0.56, 1.0), []
    sweep_tab.fill(frames, subject, settings, name, values, seconds=60)
    for frame, value in zip(frames, values, strict=True):
        alone = explaining.explain(Settings(**{"rule": rule, "epsilon": 0.1, "gamma": 0.5, name: value}), subject)
        assert frame.relevance == pytest.approx(subject.view.heat(alone), abs=1e-6)
    assert [frame.name for frame in frames] == ["0.01", "0.56", "1"]
    assert len({frame.relevance.tobytes() for frame in frames}) == 3


def test_a_long_sweep_goes_on_where_it_stopped(subject):
    """However short the time is, each slice makes one picture more."""
    frames = []
    for done in (1, 2, 3, 3):
        sweep_tab.fill(frames, subject, Settings(), "gamma", (0.0, 0.5, 1.0), seconds=0)
        assert len(frames) == done
    assert [frame.name for frame in frames] == ["0", "0.5", "1"]


def test_a_layer_becomes_a_picture_without_losing_relevance():
    assert layer_film.flat(np.ones((3, 4, 5))).shape == (4, 5)
    block = layer_film.flat(np.arange(1.0, 8.0))
    assert block.shape == (3, 3) and block.sum() == 28


def test_frames_run_from_the_output_to_the_input(subject):
    explanation = subject.tape.explain(lrp.presets.lrp0(), lrp.Target.logit(1), layers=True)
    frames = layer_film.frames(explanation, "b")
    assert [frame.name for frame in frames] == ["3", "0"]
    assert frames[-1].relevance == pytest.approx(subject.view.heat(explanation))


def test_the_waterfall_leads_from_the_score_to_the_input(subject):
    ledger = subject.tape.explain(lrp.presets.lrp0(), lrp.Target.logit(1)).ledger
    (bars,) = layers_tab.waterfall(ledger).data
    assert bars.y[0] + sum(bars.y[1:-1]) == pytest.approx(bars.y[-1], rel=1e-6)
    assert [name for name, _ in bars.customdata] == ["Score", "3", "0", "Input"]


def test_the_files_hold_what_is_seen(subject):
    settings = Settings(rule="gamma")
    explanation = explaining.explain(settings, subject)
    relevance = subject.view.heat(explanation)
    arrays = np.load(io.BytesIO(npz(picture_view.arrays(subject, explanation))))
    assert np.array_equal(arrays["relevance"], explanation.relevance) and np.array_equal(arrays["input"], subject.x)
    table = np.loadtxt(io.StringIO(picture_view.table(relevance)), delimiter=",")
    assert table == pytest.approx(relevance)
    assert subject.view.png(settings, relevance).startswith(b"\x89PNG")


def test_one_scale_is_the_usual_unless_it_hides_a_map():
    shared = {"pixels": 2.0, "words": 5.0}
    assert compare_tab.legible([shared, {"pixels": 0.2, "words": 0.6}], shared)
    assert not compare_tab.legible([shared, {"pixels": 0.19, "words": 5.0}], shared)
    assert not compare_tab.legible([shared, {"pixels": 2.0, "words": 0.4}], shared)
    assert compare_tab.legible([shared, {"pixels": 0.0, "words": 5.0}], shared), "nothing to be seen in any scale"
