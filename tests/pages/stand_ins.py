"""Networks with random weights: what a page does must not depend on what the trained ones say."""

from functools import cache

import pytest
import torch

from models import scenes, text
from models.text import networks as text_networks
from pages.explaining.subject import Subject
from pages.questions.history import Asked
from pages.questions.subject import question_subject
from pages.serving import tapes
from pages.text.subject import text_subject


@cache
def network(name: str) -> torch.nn.Module:
    """Of four narrow blocks; sure enough of its answers that words matter."""
    configured = text.configuration(len(text.LABELS[name]))
    configured.hidden_size, configured.intermediate_size = 32, 64
    configured.num_hidden_layers = configured.num_attention_heads = 4
    from transformers import XLMRobertaForSequenceClassification

    torch.manual_seed(sorted(text.LABELS).index(name))
    made = XLMRobertaForSequenceClassification(configured)
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
    monkeypatch.setattr("pages.text.subject.model", network)
    return text_subject("text", written, name)


@cache
def answerer() -> torch.nn.Module:
    """Answers questions about scenes, by chance."""
    torch.manual_seed(0)
    return scenes.network().eval().requires_grad_(False)


def asked(monkeypatch: pytest.MonkeyPatch, what: Asked, before: Asked | None = None) -> Subject:
    """A question to explain, without a browser session."""
    places: dict[str, tapes.Place] = {}
    monkeypatch.setattr(tapes, "_place", lambda page: places.setdefault(page, tapes.Place()))
    monkeypatch.setattr("pages.questions.subject.model", answerer)
    return question_subject("questions", what, before=before)
