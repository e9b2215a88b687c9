"""The reader of GGUF: exact numbers of every form, and a sentence for whatever is damaged."""

import struct

import numpy as np
import pytest

from models.language.gguf import Gguf
from tests.models.language import small_gguf
from tests.models.language.small_gguf import F16, F32, Q4_1, Q8_0


def test_the_numbers_of_a_block_are_those_of_its_formula(tmp_path):
    """Q4_1: q * d + m, low halves first. Q8_0: q * d."""
    four = struct.pack("<ee", 0.5, -2.0) + bytes([number | (15 - number) << 4 for number in range(16)])
    eight = struct.pack("<e", 0.25) + np.arange(-16, 16, dtype=np.int8).tobytes()
    path = small_gguf.save(tmp_path / "a.gguf", {"a": 1}, {"x": (np.zeros((1, 32)), F32)})
    whole = path.read_bytes()[:-128]
    for form, block, expected in (
        (Q4_1, four, [*(0.5 * q - 2 for q in range(16)), *(0.5 * q - 2 for q in range(15, -1, -1))]),
        (Q8_0, eight, [0.25 * q for q in range(-16, 16)]),
    ):
        at = whole.index(b"x") + 1 + 4 + 2 * 8
        path.write_bytes(whole[:at] + struct.pack("<I", form) + whole[at + 4 :] + block)
        read = Gguf(path).tensor("x")
        assert read.shape == (1, 32) and read.dtype == np.float32
        assert read[0].tolist() == expected


@pytest.mark.parametrize(("form", "within"), [(F32, 0), (F16, 1e-3), (Q8_0, 0.02), (Q4_1, 0.2)])
def test_what_was_written_is_read(tmp_path, form, within):
    numbers = np.random.default_rng(0).normal(size=(6, 64)).astype(np.float32)
    file = Gguf(small_gguf.save(tmp_path / "a.gguf", {"a": "b"}, {"x": (numbers, form), "y": (numbers, F32)}))
    assert file.names == ("x", "y") and file.metadata == {"a": "b"}
    assert np.abs(file.tensor("x") - numbers).max() <= within
    assert (file.tensor("y") == numbers).all()


def test_metadata_of_every_sort_come_back(tmp_path):
    meta = {"text": "é", "whole": 7, "part": 0.5, "yes": True, "many": [1, -2], "words": ["a", "ü"]}
    assert Gguf(small_gguf.save(tmp_path / "a.gguf", meta, {})).metadata == meta


def test_what_is_damaged_costs_a_sentence(tmp_path):
    whole = small_gguf.save(tmp_path / "a.gguf", {"a": "b"}, {"x": (np.ones((1, 32)), Q4_1)}).read_bytes()
    path = tmp_path / "b.gguf"
    huge = whole[:16] + struct.pack("<Q", 2**60) + whole[24:]
    for damaged in (b"", b"GGUF", b"PK" + whole[2:], whole[:4] + b"\2" + whole[5:], whole[:40], huge):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged"):
            Gguf(path)
    path.write_bytes(whole[:-32])
    with pytest.raises(ValueError, match="too early"):
        Gguf(path).tensor("x")
    at = whole.index(b"x") + 1 + 4 + 2 * 8
    path.write_bytes(whole[:at] + struct.pack("<I", 12) + whole[at + 4 :])
    with pytest.raises(ValueError, match="number 12"):
        Gguf(path).tensor("x")
