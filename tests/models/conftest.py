"""What the tests of classifiers in Hugging Face's format share."""

import shutil
from pathlib import Path

import pytest
import torch

from tests.models.text import small_classifiers


@pytest.fixture(scope="session")
def saved(tmp_path_factory) -> Path:
    """A folder with one classifier of each kind, and with the first as 16-bit numbers and in several files."""
    root = tmp_path_factory.mktemp("networks")
    for kind in small_classifiers.KINDS:
        small_classifiers.save(root / kind, kind)
    small_classifiers.save(root / "team" / "halves", dtype=torch.bfloat16)
    small_classifiers.save(root / "team" / "shards", shard="4KB")
    return root


@pytest.fixture
def operator(monkeypatch, saved):
    """What the operator set."""
    monkeypatch.setenv("LRP_TEXT_MODELS", str(saved))
    for variable in ("LRP_ALLOW_DOWNLOADS", "LRP_MODEL_BYTES"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def copy(monkeypatch, saved, operator, tmp_path) -> Path:
    """A classifier called "copy" that may be damaged."""
    shutil.copytree(saved / "xlm-roberta", tmp_path / "root" / "copy")
    monkeypatch.setenv("LRP_TEXT_MODELS", str(tmp_path / "root"))
    return tmp_path / "root" / "copy"
