"""The vectors that the encoder starts from."""

import numpy as np
import pytest
import torch

from models import text
from training.text import vectors as text_vectors


def test_the_vectors_of_pieces_in_like_surroundings_are_alike():
    random = np.random.default_rng(0)
    ids = [[text.START, *random.integers(low, low + 20, 12), text.END] for low in (10, 30) for _ in range(200)]
    found = text_vectors.vectors(ids, 8)
    assert found.shape == (text.VOCABULARY, 8) and found[10:50].std().item() == pytest.approx(0.04, rel=0.1)
    assert found[:10].abs().max() < 1e-6 and not found[50:].any()
    alike = torch.nn.functional.normalize(found[10:50]) @ torch.nn.functional.normalize(found[10:50]).T
    assert alike[:20, :20].mean() > 0.4 and alike[:20, 20:].abs().mean() < 0.1


def test_only_near_neighbours_are_counted():
    joined = torch.tensor([1, *[0] * (text_vectors.WINDOW - 1), 2, 3])
    assert text_vectors.counted(joined, 4).tolist() == [[0, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0]]
