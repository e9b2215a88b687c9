"""What the README promises can be run."""

import re
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_example_runs_and_draws():
    (example,) = blocks("python")
    assert len(example.strip().splitlines()) <= 12
    names: dict = {}
    exec(example, names)
    assert names["picture"].shape == (28, 28, 3)
    assert len(np.unique(names["picture"].reshape(-1, 3), axis=0)) > 20
    assert names["bolder"].relevance.shape == names["x"].shape


def test_the_check_run_uses_the_readmes_test_command():
    command = blocks("sh")[1].strip().split("&& ")[-1].removeprefix(".venv/bin/")
    assert f"CI=1 {command}" in (ROOT / ".ci/run").read_text(encoding="utf-8")


def test_links_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]
