"""A subject to explain without a browser session."""

import numpy as np
import pytest
import torch

from pages.explaining.subject import Subject
from pages.serving import tapes
from pages.views.picture_view import PictureView


@pytest.fixture
def subject(monkeypatch):
    """A little network and an input, without a browser session."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(48, 4))
    model.eval().requires_grad_(False)
    x = torch.rand(1, 1, 6, 6)
    place = tapes.Place()
    monkeypatch.setattr(tapes, "_place", lambda page: place)
    view = PictureView(np.zeros((6, 6), np.uint8))
    return Subject("test", "net", model, (x,), ("a", "b", "c", "d"), view, "model, x = MODEL, X")
