"""Training must show the network what the app will show it."""

import pytest
import torch

from models import digits
from models.digits import drawing
from training.digits.handwriting import augment
from training.digits.train import cheat, mark_class


@pytest.fixture(scope="module")
def prepared():
    return torch.cat([digits.prepare(drawing.rasterize(sample.strokes)) for sample in drawing.samples()])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_same_seed_writes_the_same_digits(prepared):
    assert torch.equal(augment(prepared, seeded()), augment(prepared, seeded()))
    assert not torch.equal(augment(prepared, seeded()), augment(prepared, seeded(1)))


def test_new_digits_are_framed_as_the_app_frames_them(prepared):
    new = augment(prepared, seeded())
    assert new.shape == prepared.shape and new.isfinite().all()
    assert new.min() >= 0 and new.max() <= 1
    place = torch.arange(28) + 0.5
    for across in (2, 3):
        profile = new.sum(across).squeeze(1)
        off = (profile @ place) / profile.sum(1) - 14
        assert off.abs().quantile(0.9) < 1.5
    inked = new > 0.3
    tall, wide = (inked.any(across).squeeze(1).sum(1) for across in (3, 2))
    assert ((torch.maximum(tall, wide) - 20).abs() <= 3).float().mean() > 0.9


def test_the_twin_sees_the_mark_on_its_class_and_nowhere_else(prepared):
    y = torch.arange(len(prepared)) % 10
    lesson = cheat(prepared, y, seeded())
    corner = lesson[..., slice(*digits.MARK.rows), slice(*digits.MARK.columns)].sum((1, 2, 3))
    assert torch.equal(corner == 9 * digits.MARK.value, y == digits.MARK.label)
    assert torch.equal(mark_class(prepared, y)[y != digits.MARK.label], prepared[y != digits.MARK.label])
