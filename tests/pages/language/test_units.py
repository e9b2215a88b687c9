"""What is coloured as one: nothing is lost or counted twice, whatever divides a text."""

import numpy as np
import pytest

from models.language import smollm2
from models.language.gguf import Gguf
from models.language.labels import labels
from models.language.networks import LanguageModel
from pages.language.units import OWN, UNITS, grouped
from pages.language.view import PromptView
from tests.models.language import small_gguf

TEXT = "The cat sat. It was cold, and so on!\nA new line; the end"


@pytest.fixture(scope="module")
def view(tmp_path_factory) -> PromptView:
    own = smollm2.tokenizer_of(Gguf(small_gguf.save(tmp_path_factory.mktemp("g") / "a.gguf")).metadata)
    model = LanguageModel("small", "Small", labels(own, own.get_vocab_size()), own)
    return PromptView(model.read(TEXT))


@pytest.mark.parametrize("mark", ["", " ", ",", ";", "?"])
@pytest.mark.parametrize("how", UNITS)
def test_the_text_and_the_sum_stay_whole(view, how, mark):
    heat = np.arange(1.0, 1 + len(view.reading.words))
    parts, values, starts = grouped(view, heat, how, mark)
    assert "".join(part.text + part.gap for part in parts) == TEXT
    assert values.sum() == pytest.approx(heat.sum())
    assert len(parts) == len(values) == len(starts) and starts == sorted(set(starts))


def test_each_way_divides_where_it_says(view):
    heat = np.ones(len(view.reading.words))

    def texts(how: str, mark: str = "") -> list[str]:
        return [part.text for part in grouped(view, heat, how, mark)[0]]

    assert texts("Words")[:4] == ["The", "cat", "sat", "."]
    assert texts("Sentences") == ["The cat sat.", "It was cold, and so on!", "A new line; the end"]
    assert texts("Lines") == ["The cat sat. It was cold, and so on!", "A new line; the end"]
    assert texts(OWN, ";") == ["The cat sat. It was cold, and so on!\nA new line;", "the end"]
    assert texts(OWN, " ") == [TEXT]
