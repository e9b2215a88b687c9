"""Pictures without patches and texts without words: what the network gets, and what people see."""

import numpy as np
import pytest
import torch

from models.text.reading import Piece, Reading, Word
from pages.components.words_view import Part
from pages.views.erasers import PictureEraser, TextEraser, shortened

RANDOM = np.random.default_rng(0)


def picture(side=32, channels=3, drawing=False, *others):
    image = RANDOM.integers(0, 256, (side, side, 3), dtype=np.uint8)
    x = torch.from_numpy(image[..., :channels].copy()).permute(2, 0, 1)[None].float() / 255
    return PictureEraser((x, *others), image, drawing, "A picture")


def test_patches_of_a_photo_and_of_a_drawing():
    photo, drawing, odd = picture(224), picture(28, 1, True), picture(100)
    assert (photo.side, photo.most) == (14, 256)
    assert (drawing.side, drawing.most) == (2, 196)
    assert (odd.side, odd.most) == (6, 17**2), "those at the end are smaller"
    assert list(photo.fills) == ["blur", "mean"] and list(drawing.fills) == ["paper", "blur", "mean"]


def test_relevance_of_a_patch_is_the_sum_of_its_pixels():
    eraser, heat = picture(32), RANDOM.normal(size=(32, 32))
    found = eraser.relevance(heat)
    assert found.shape == (256,)
    for number in (0, 17, 255):
        row, column = divmod(number, 16)
        assert found[number] == pytest.approx(heat[2 * row : 2 * row + 2, 2 * column : 2 * column + 2].sum())
    assert eraser.relevance(np.concatenate([heat.ravel(), [5.0, 7.0]])) == pytest.approx(found), "words do not count"


@pytest.mark.parametrize(("fill", "drawing"), [("paper", True), ("mean", False), ("blur", False)])
def test_only_what_is_taken_changes_and_all_rows_come_once(fill, drawing):
    words = torch.tensor([[1, 2, 3]])
    eraser = picture(32, 3, drawing, words)
    taken = RANDOM.random((11, eraser.most)) < 0.3
    taken[0], taken[1] = False, True
    seen = {}
    for rows, inputs in eraser.batches(taken, fill):
        pictures, others = inputs()
        assert len(pictures) == len(others) == len(rows) and (others == words).all()
        seen |= dict(zip(rows.tolist(), pictures, strict=True))
    assert sorted(seen) == list(range(11))
    x = eraser.inputs[0][0]
    blank = seen[1]
    assert torch.equal(seen[0], x)
    expected = {"paper": torch.zeros_like(x), "mean": x.mean((1, 2), keepdim=True).expand_as(x)}
    if fill in expected:
        torch.testing.assert_close(blank, expected[fill])
    assert blank.std() < x.std()
    for row, found in seen.items():
        gone = torch.from_numpy(taken[row][eraser.units])
        assert torch.equal(found[:, ~gone], x[:, ~gone]) and torch.equal(found[:, gone], blank[:, gone])


@pytest.mark.parametrize("fill", ["paper", "mean", "blur"])
def test_people_see_the_same_patches_gone(fill):
    eraser = picture(32, 3, True)
    taken = np.zeros(eraser.most, bool)
    assert np.array_equal(eraser.without(taken, fill), eraser.image)
    taken[[0, 40]] = True
    found, gone = eraser.without(taken, fill), taken[eraser.units]
    assert found.dtype == np.uint8 and np.array_equal(found[~gone], eraser.image[~gone])
    assert (found[gone] != eraser.image[gone]).any()
    if fill == "paper":
        assert (found[gone] == 255).all()
    if fill == "mean":
        assert np.array_equal(found[gone][0], eraser.image.mean((0, 1)).round())


def reading(text):
    """Words between blanks, a piece for each, between two marks; a text without words cannot be read."""
    if not text.split():
        raise ValueError("The text is empty: type a few words.")
    words, at = [], 0
    for word in text.split():
        start = text.index(word, at)
        words.append(Word(word, start, at := start + len(word)))
    pieces = [Piece("<s>", 0, 0, True, None), *(Piece(w.text, w.start, w.end, False, n) for n, w in enumerate(words))]
    pieces.append(Piece("</s>", at, at, True, None))
    ids = [0, *(10 + len(word.text) for word in words), 2]
    return Reading(text, torch.tensor([ids]), tuple(pieces), tuple(words), None)


@pytest.fixture
def text():
    one = reading("a bb ccc dddd")
    return TextEraser(one, [Part(word.text, " ", n, word.text) for n, word in enumerate(one.words)], reading, "en")


def test_a_text_closes_up():
    one = reading("a bb ccc dddd")
    assert shortened(one, [True, False, True, True]) == "a ccc dddd"
    assert shortened(one, [False, True, True, False]) == "bb ccc"
    assert shortened(one, [False] * 4) == ""


def test_shorter_texts_are_read_anew_those_of_one_length_together(text):
    taken = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 1], [0, 0, 1, 1]], bool)
    seen = {}
    for rows, inputs in text.batches(taken, "deleted"):
        (ids,) = inputs()
        seen |= dict(zip(rows.tolist(), ids.tolist(), strict=True))
    assert seen == {
        0: [0, 11, 12, 13, 14, 2],
        1: [0, 12, 13, 14, 2],
        2: [0, 11, 13, 14, 2],
        3: [0, 2],
        4: [0, 11, 12, 2],
    }
    assert text.most == 4 and text.relevance(np.arange(4.0)).tolist() == [0, 1, 2, 3]
