"""Pieces of words in two."""

import numpy as np
import pytest
from tokenizers import Tokenizer, models

from models import text
from training.text import splits as text_splits
from training.text.splits import WAYS, cut, ways


@pytest.fixture(scope="module")
def pairs():
    return ways(text.tokenizer())


def test_two_pieces_spell_the_one_they_stand_for(pairs):
    tokenizer = text.tokenizer()
    assert len(pairs) > 1000
    for piece, options in pairs.items():
        whole = tokenizer.id_to_token(piece)
        assert 1 <= len(options) <= WAYS and piece > text.UNKNOWN
        for option in options:
            left, right = map(tokenizer.id_to_token, option)
            assert left + right == whole and left != "▁"


def test_the_likeliest_cuts_come_first_and_the_others_are_left(monkeypatch):
    known = [
        ("<s>", 0),
        ("<pad>", 0),
        ("</s>", 0),
        ("<unk>", 0),
        ("▁", -1),
        ("a", -2),
        ("b", -3),
        ("ab", -1),
        ("ba", -9),
    ]
    tokenizer = Tokenizer(models.Unigram([*known, ("aba", -9.0), ("▁ab", -9.0), ("▁a", -4.0)], 3))
    a, b, ab, ba, aba, space_ab, space_a = range(5, 12)
    expected = {ab: [(a, b)], ba: [(b, a)], aba: [(ab, a), (a, ba)], space_ab: [(space_a, b)]}
    assert ways(tokenizer) == expected
    monkeypatch.setattr(text_splits, "WAYS", 1)
    assert ways(tokenizer) == expected | {aba: [(ab, a)]}


def test_the_share_of_cut_pieces_is_as_asked(pairs):
    ids = text.tokenizer().encode("the minister of health spoke about the championship in the parliament").ids
    able = [piece for piece in ids if piece in pairs]
    random = np.random.default_rng(0)
    grown = [len(cut(ids, pairs, 0.3, random)) - len(ids) for _ in range(500)]
    assert np.mean(grown) == pytest.approx(0.3 * len(able), rel=0.1)
    assert cut(ids, pairs, 0.0, random) == ids
    assert len(cut(ids, pairs, 1.0, random)) == len(ids) + len(able)


def test_a_cut_text_reads_the_same(pairs):
    tokenizer = text.tokenizer()
    ids = tokenizer.encode("nothing is as practical as a good theory").ids
    found = cut(ids, pairs, 0.5, np.random.default_rng(1))
    assert found != ids and tokenizer.decode(found) == tokenizer.decode(ids)


def test_a_long_text_keeps_its_end(pairs):
    ids = [text.START, *[next(iter(pairs))] * 300, text.END]
    found = cut(ids, pairs, 1.0, np.random.default_rng(0))
    assert len(found) == text.LONGEST and found[-1] == text.END
