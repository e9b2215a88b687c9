"""The benchmark of large classifiers, on a small one."""

import psutil
import pytest

from benchmarks.text import load as text_load

pytestmark = pytest.mark.skipif(not psutil.LINUX, reason="memory is measured as Linux tells it")


@pytest.mark.parametrize("halves", [False, True])
def test_every_step_is_measured(tmp_path, monkeypatch, halves):
    monkeypatch.setenv("LRP_TEXT_MODELS", str(tmp_path))
    monkeypatch.delenv("LRP_MODEL_BYTES", raising=False)
    text_load.save(tmp_path / "random", "small", halves)
    costs = text_load.measure("hf:random", tokens=20, rounds=2)
    assert {"weights", "first map", "target moved", "epsilon moved"} <= set(costs)
    assert all(cost.seconds > 0 and cost.peak >= cost.held * 0.99 > 100 for cost in costs.values())


def test_the_text_is_as_long_as_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("LRP_TEXT_MODELS", str(tmp_path))
    text_load.save(tmp_path / "random", "small")
    for tokens in (3, 64, 512):
        assert text_load.reading("hf:random", tokens).ids.shape == (1, tokens)
