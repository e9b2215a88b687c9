"""Networks with random weights: what a page does must not depend on what the trained ones say."""

from functools import cache

import pytest
import torch

from models import text, text_networks, vqa
from pages.shared import tapes
from pages.shared.explaining import Subject
from pages.shared.question_history import Asked
from pages.shared.question_subject import question_subject
from pages.shared.text_subject import text_subject


@cache
def network(name: str) -> torch.nn.Module:
    """Sure enough of its answers that words matter."""
    torch.manual_seed(sorted(text.LABELS).index(name))
    made = text.network(name)
    with torch.no_grad():
        for weight in made.parameters():
            if weight.ndim == 2:
                weight.mul_(3)
    return made.eval().requires_grad_(False)


def put_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every page find them instead of the trained ones."""
    monkeypatch.setattr(text_networks, "load", network)
    monkeypatch.setattr(text_networks, "ready", lambda name: text_networks._check_name(name) or True)


def subject(monkeypatch: pytest.MonkeyPatch, written: str, name: str = "topics") -> Subject:
    """A text to explain, without a browser session."""
    put_in_place(monkeypatch)
    place = tapes.Place()
    monkeypatch.setattr(tapes, "_place", lambda page: place)
    monkeypatch.setattr("pages.shared.text_subject.model", network)
    return text_subject("text", written, name)


@cache
def answerer() -> torch.nn.Module:
    """Answers questions about scenes, by chance."""
    torch.manual_seed(0)
    return vqa.network().eval().requires_grad_(False)


def asked(monkeypatch: pytest.MonkeyPatch, what: Asked, before: Asked | None = None) -> Subject:
    """A question to explain, without a browser session."""
    places: dict[str, tapes.Place] = {}
    monkeypatch.setattr(tapes, "_place", lambda page: places.setdefault(page, tapes.Place()))
    monkeypatch.setattr("pages.shared.question_subject.model", answerer)
    return question_subject("questions", what, before=before)
