"""What is coloured as one: nothing is lost or counted twice, whatever divides a text."""

import numpy as np
import pytest

from models.language import smollm2
from models.language.gguf import Gguf
from models.language.labels import labels
from models.language.networks import LanguageModel
from pages.language.units import OWN, UNITS, grouped, words_within
from pages.language.view import PromptView
from tests.models.language import small_gguf

TEXT = "The cat sat. It was cold, Mr. Dabrowski!\nA new line; the end"


@pytest.fixture(scope="module")
def view(tmp_path_factory) -> PromptView:
    own = smollm2.tokenizer_of(Gguf(small_gguf.save(tmp_path_factory.mktemp("g") / "a.gguf")).metadata)
    model = LanguageModel("small", "Small", labels(own, own.get_vocab_size()), own)
    return PromptView(model.read(TEXT))


@pytest.mark.parametrize("mark", ["", " ", ",", ";", "?"])
@pytest.mark.parametrize("how", UNITS)
def test_the_text_and_the_sum_stay_whole(view, how, mark):
    of_pieces = np.arange(float(len(view.reading.pieces)))  # the first, in front of the text, has none here
    parts, values, starts = grouped(view, of_pieces, how, mark)
    assert "".join(part.text + part.gap for part in parts).replace("␣", "") == TEXT  # so a piece of spaces is shown
    assert values.sum() == pytest.approx(of_pieces.sum())
    assert [part.word for part in parts] == [*range(len(parts))]
    assert len(parts) == len(values) == len(starts) and starts == sorted(starts)
    assert how == "Pieces" or len(set(starts)) == len(starts)


def test_each_way_divides_where_it_says(view):
    of_pieces = np.ones(len(view.reading.pieces))

    def texts(how: str, mark: str = "") -> list[str]:
        return [part.text for part in grouped(view, of_pieces, how, mark)[0]]

    assert texts("Words")[:4] == ["The", "cat", "sat", "."]
    assert texts("Sentences") == ["The cat sat.", "It was cold, Mr. Dabrowski!", "A new line; the end"]
    assert texts("Lines") == ["The cat sat. It was cold, Mr. Dabrowski!", "A new line; the end"]
    assert texts(OWN, ";") == ["The cat sat. It was cold, Mr. Dabrowski!\nA new line;", "the end"]
    assert texts(OWN, " ") == [TEXT]


def test_pieces_keep_their_own_numbers_and_know_their_word(view):
    """The small tokenizer writes most words letter by letter: a word's number is the sum of those of its pieces."""
    of_pieces = np.arange(float(len(view.reading.pieces)))
    parts, values, words = grouped(view, of_pieces, "Pieces")
    assert [part.text for part in parts] == [piece.text for piece in view.reading.pieces[1:]]
    assert len(parts) > len(view.reading.words) and values.tolist() == of_pieces[1:].tolist()
    of_words = grouped(view, of_pieces, "Words")[1]
    for word in range(len(of_words)):
        assert of_words[word] == values[np.array(words) == word].sum()


def test_a_part_holds_the_words_up_to_the_next_one():
    assert words_within([0, 3, 4], 6) == [range(0, 3), range(3, 4), range(4, 6)]
    assert words_within([0, 1, 1, 1, 2], 3) == [range(0, 1), *[range(1, 2)] * 3, range(2, 3)]
