"""Weights in few bits: worked numbers, what is kept exactly, and the word table that is never unpacked as a whole."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import lrp_core as lrp
from models.text.packing import BLOCK, Packed4, Packed8, PackedEmbedding, pack4, pack8, unpack4, unpack8


def test_four_bits_are_the_numbers_that_the_halves_of_a_byte_say():
    nibbles = torch.zeros(1, 2, 16, dtype=torch.uint8)
    nibbles[0, 0, 0], nibbles[0, 0, 15], nibbles[0, 1, 3] = 0x9F, 0x08, 0xC4
    weights = unpack4(Packed4(nibbles, torch.tensor([[0.5, -2.0]]).half()))
    assert weights.shape == (1, 64) and weights.dtype == torch.float32
    assert weights[0, 0] == (15 - 8) * 0.5 and weights[0, 16] == (9 - 8) * 0.5
    assert weights[0, 15] == 0 and weights[0, 31] == -8 * 0.5
    assert weights[0, 32 + 3] == (4 - 8) * -2 and weights[0, 32 + 19] == (12 - 8) * -2


def test_what_four_bits_can_say_survives():
    random = torch.Generator().manual_seed(0)
    nibbles = torch.randint(0, 256, (7, 3, 16), generator=random, dtype=torch.uint8)
    nibbles[:, :, 0] &= 0xF0  # the number 0, which is -8 times the scale: the largest there is
    given = Packed4(nibbles, torch.randn(7, 3, generator=random).half())
    again = pack4(unpack4(given))
    assert torch.equal(unpack4(again), unpack4(given))
    assert torch.equal(again.nibbles, given.nibbles) and torch.equal(again.scales, given.scales)


@given(st.integers(0, 2**31), st.sampled_from([1e-3, 1.0, 1e3]))
def test_packing_loses_at_most_a_step(seed, size):
    weights = torch.randn(3, 64, generator=torch.Generator().manual_seed(seed)) * size
    four, eight = pack4(weights), pack8(weights)
    steps = four.scales.float().abs().repeat_interleave(BLOCK, 1)
    assert ((unpack4(four) - weights).abs() <= steps * 1.01 + 1e-7).all()
    assert ((unpack8(eight) - weights).abs() <= eight.scales * 0.501).all()


def test_zeros_stay_zeros():
    assert not unpack4(pack4(torch.zeros(2, 32))).any() and not unpack8(pack8(torch.zeros(2, 5))).any()


def test_eight_bits_by_row():
    packed = pack8(torch.tensor([[127.0, -63.6, 1.4], [0.0, 0.5, -0.25]]))
    assert packed.numbers.tolist() == [[127, -64, 1], [0, 127, -64]]
    assert packed.scales[:, 0].tolist() == pytest.approx([1.0, 0.5 / 127])
    assert unpack8(Packed8(packed.numbers, packed.scales))[0].tolist() == [127, -64, 1]


def test_rows_that_cannot_be_cut_into_blocks_are_refused():
    with pytest.raises(ValueError, match="33 weights cannot be cut into blocks of 32"):
        pack4(torch.zeros(2, 33))


@pytest.fixture
def table():
    return pack4(torch.randn(50, 64, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("ids", [[[3, 3, 49, 0]], [[7], [7]], [[]], [5, 1]])
def test_looking_up_gives_the_rows_of_the_table(table, ids):
    ids = torch.tensor(ids, dtype=torch.long)
    found = PackedEmbedding(table)(ids)
    assert found.dtype == torch.float32 and found.shape == (*ids.shape, 64)
    assert torch.equal(found, unpack4(table)[ids])


@pytest.mark.parametrize("one", [50, -1, -51])
def test_an_id_that_there_is_not_is_refused(table, one):
    with pytest.raises(IndexError):
        PackedEmbedding(table)(torch.tensor([[one]]))


def test_it_takes_a_seventh_of_the_memory_and_says_its_size(table):
    packed = PackedEmbedding(table)
    assert sum(b.nbytes for b in packed.buffers()) == 50 * 64 * 4 * 18 / 32 / 4
    assert (packed.num_embeddings, packed.embedding_dim) == (50, 64)


class Reader(torch.nn.Module):
    """A sum of words, each through a dense layer."""

    def __init__(self, words):
        super().__init__()
        self.word_embeddings = words
        self.dense = torch.nn.Linear(64, 3)

    def forward(self, ids):
        return torch.relu(self.dense(self.word_embeddings(ids))).sum(1)


def test_relevance_stops_at_the_words_as_with_a_plain_table(table):
    torch.manual_seed(0)
    packed, plain = (
        Reader(words).eval() for words in (PackedEmbedding(table), torch.nn.Embedding.from_pretrained(unpack4(table)))
    )
    plain.dense = packed.dense
    ids = torch.tensor([[4, 9, 4, 30], [1, 2, 3, 4]])
    found, wanted = (
        lrp.record(net, ids).explain(lrp.presets.epsilon(0.1), lrp.Target.logit(1)) for net in (packed, plain)
    )
    assert list(found.parts) == list(wanted.parts) == ["word_embeddings"]
    assert torch.equal(found.parts["word_embeddings"], wanted.parts["word_embeddings"])
