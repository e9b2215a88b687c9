import unicodedata
from dataclasses import FrozenInstanceError
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

import lrp_core as lrp
from models import text
from models.text import reading, words
from models.text.reading import FURTHER, SPACE, Reading
from tests.models.text import small_tokenizers

TOKENIZERS = {
    "bundled": text.tokenizer,
    "unigram": small_tokenizers.unigram,
    "byte level": small_tokenizers.byte_level,
    "word piece": small_tokenizers.word_piece,
    "several words": small_tokenizers.several_words_at_once,
}

STRANGE = [
    *("a", "B", "é", "e\u0301", "ß", "İ", "ﬁ", "ﷺ", "½", "㎏", "Ａ", "ǅ", "𝒳", "7", "film", "of the", "!?", "I don't"),
    *(" ", "  ", "\n", "\t", "\u00a0", "\u3000", "\u200b", "\u200d", "\u200c", "\u00ad", "\u200f", "\ufeff", "\ufe0f"),
    *(".", "!", "...", "-", "'", "’", "_", "<", ">", "&", "<s>", "</s>", "<b>x</b>", "<mask>", "[CLS]", "▁", "Ġ", "�"),
    *("天", "气很", "日本の", "テキスト", "ー", "か\u3099", "한국어", "ก็", "สวัสดี", "नमस्ते", "क्\u200dष"),
    *("مرحبا", "ـ", "שָׁלוֹם", "\u20e3", "\u0301", "\u0600", "\ue000", "\U000e0061", "\x7f"),
    *("🙂", "👩\u200d👩\u200d👧", "👍🏽", "🇩🇪", "🇩", "1️⃣", "❤️"),
]  # fmt: skip

TEXTS = st.one_of(
    st.lists(st.sampled_from(STRANGE), min_size=1, max_size=14).map("".join),
    st.text(min_size=1, max_size=20),
    st.text(st.characters(categories=["L", "M", "N", "P", "S", "Zs", "Cf"]), min_size=1, max_size=20),
)
CAREFULLY = settings(max_examples=120, deadline=None)


@cache
def copied(kind: str) -> Tokenizer:
    """A tokenizer of its own, since cutting is set in it."""
    return Tokenizer.from_str(TOKENIZERS[kind]().to_str())


def read(typed: str, tokenizer: Tokenizer, longest: int = 64) -> Reading:
    """A text that may make no sense, behind a word that does where it must."""
    try:
        return reading.read(reading.clean(typed), tokenizer, longest)
    except ValueError:
        return reading.read(reading.clean("film " + typed), tokenizer, longest)


def bundled(typed: str, longest: int = text.LONGEST) -> Reading:
    return reading.read(reading.clean(typed), text.tokenizer(), longest)


def shown(found: Reading) -> list[str]:
    return [word.text for word in found.words]


def pieces(found: Reading) -> list[str]:
    return [piece.text for piece in found.pieces if not piece.special]


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(typed=TEXTS)
@CAREFULLY
def test_every_visible_character_is_in_one_word_and_in_one_of_its_pieces(kind, typed):
    found = read(typed, TOKENIZERS[kind]())
    seen = found.text[: found.cut]
    in_words = [number for number, word in enumerate(found.words) for _ in range(word.start, word.end)]
    places = [at for word in found.words for at in range(word.start, word.end)]
    assert places == sorted(set(places)), "words overlap or are out of order"
    word_at = dict(zip(places, in_words, strict=True))
    assert {at for at, character in enumerate(seen) if words.visible(character)} <= set(word_at)

    typed_pieces = [piece for piece in found.pieces if not piece.special]
    held = [(at, piece.word) for piece in typed_pieces for at in range(piece.start, piece.end)]
    assert held == sorted(set(held)), "pieces overlap or are out of order"
    assert all(word_at[at] == number for at, number in held)
    read_words = {number for _, number in held}
    assert {at for at, number in word_at.items() if number in read_words} == {at for at, _ in held}


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(typed=TEXTS, longest=st.integers(6, 40))
@CAREFULLY
def test_pieces_are_the_tokenizers_own_and_belong_to_words(kind, typed, longest):
    tokenizer = TOKENIZERS[kind]()
    found = read(typed, tokenizer, longest)
    cutting = copied(kind)
    cutting.enable_truncation(longest)
    assert found.ids.tolist() == [cutting.encode(found.text).ids]
    assert found.ids.dtype == torch.int64
    assert len(found.pieces) == found.ids.shape[1]
    for piece in found.pieces:
        assert piece.text
        assert piece.special == (piece.word is None)
        assert 0 <= piece.start <= piece.end <= len(found.text)
        assert piece.text in (found.text[piece.start : piece.end], SPACE, FURTHER) or piece.special
    numbers = [piece.word for piece in found.pieces if piece.word is not None]
    assert numbers == sorted(numbers)
    assert set(numbers) <= set(range(len(found.words)))
    assert all(word.text == found.text[word.start : word.end] for word in found.words)


def test_a_beginning_that_cannot_be_seen_is_refused_where_nothing_else_is_read():
    with pytest.raises(ValueError, match="nothing can be seen"):
        reading.read("\u200b B", small_tokenizers.byte_level(), 6)
    assert shown(reading.read("\u200b B", small_tokenizers.byte_level(), 7)) == ["B"]


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(typed=TEXTS, seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_the_relevance_of_the_words_and_the_special_pieces_is_all_of_it(kind, typed, seed):
    found = read(typed, TOKENIZERS[kind]())
    relevance = torch.randn(1, len(found.pieces), 5, generator=torch.Generator().manual_seed(seed))
    values = lrp.tokens.by_token(relevance)
    of_words = lrp.tokens.by_group(values, [piece.word for piece in found.pieces], len(found.words))
    special = sum(value for value, piece in zip(values, found.pieces, strict=True) if piece.special)
    assert of_words.sum() + special == pytest.approx(relevance.double().sum().item(), abs=1e-9)


@given(typed=TEXTS)
@CAREFULLY
def test_a_clean_text_stays_as_it_is(typed):
    try:
        cleaned = reading.clean(typed)
    except ValueError:
        return
    assert reading.clean(cleaned) == cleaned
    assert not {c for c in cleaned if unicodedata.category(c) in ("Cc", "Cs")} - {"\n", "\t"}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("I don’t know, well-known user's!", ["I", "don’t", "know", ",", "well-known", "user's", "!"]),
        ("'quoted' -5 rock'n'roll", ["'", "quoted", "'", "-", "5", "rock'n'roll"]),
        ("what?!! ... no", ["what", "?", "!!", "...", "no"]),
        ("@user #tag https://x.co", ["@", "user", "#", "tag", "https", "://", "x", ".", "co"]),
        ("<img src=x>", ["<", "img", "src", "=", "x", ">"]),
        ("cafe\u0301 na\u0308ive", ["cafe\u0301", "na\u0308ive"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("مَرحَبا بالعالم، نعم", ["مَرحَبا", "بالعالم", "،", "نعم"]),
        ('שָׁלוֹם צה״ל "כן"', ["שָׁלוֹם", "צה״ל", '"', "כן", '"']),
        ("می\u200cخواهم بروم", ["می\u200cخواهم", "بروم"]),
        ("한국어 좋아요", ["한국어", "좋아요"]),
        ("hi👩\u200d👩\u200d👧🙂🙂👍🏽🇩🇪🇫🇷❤️", ["hi", "👩\u200d👩\u200d👧", "🙂", "🙂", "👍🏽", "🇩🇪", "🇫🇷", "❤️"]),
        ("1️⃣ ½ x²", ["1️⃣", "½", "x²"]),
        ("a\u200bb co\u00adop", ["a", "b", "co\u00adop"]),
        ("ﬁne ＡＢＣ ㎏", ["ﬁne", "ＡＢＣ", "㎏"]),
    ],
)
def test_what_people_take_for_words(typed, expected):
    assert shown(bundled(typed)) == expected


@pytest.mark.parametrize("typed", ["今天天气很好。", "日本語のテキスト、ー", "今日はdigital時代"])
def test_without_spaces_each_piece_is_a_word(typed):
    found = bundled(typed)
    assert "".join(shown(found)) == typed
    for word in found.words:
        number = found.words.index(word)
        own = [piece for piece in found.pieces if piece.word == number and piece.start < piece.end]
        assert len(own) == 1 or word.text.isascii()


def test_thai_signs_stay_with_their_letter():
    found = reading.read("สวัสดี", small_tokenizers.byte_level(), 64)
    assert shown(found) == ["ส", "วั", "ส", "ดี"]
    assert [piece.word for piece in found.pieces if not piece.special] == [0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 3, 3]


def test_a_space_counts_for_the_word_behind_it():
    found = bundled("good ☂you 🦥 ")
    spaces = [piece for piece in found.pieces if piece.text == SPACE]
    assert [found.words[piece.word].text for piece in spaces] == ["☂", "🦥"]
    trailing = reading.read("film ", small_tokenizers.unigram(), 64)
    assert trailing.pieces[-2].text == SPACE
    assert trailing.words[trailing.pieces[-2].word].text == "film"


def test_a_space_that_nobody_typed_takes_no_character():
    assert pieces(bundled("今天")) == ["今天"]
    assert pieces(bundled("🦥 a")) == [SPACE, "🦥", "a"]


def test_several_pieces_of_one_character():
    found = reading.read("a🙂 ㎏", small_tokenizers.byte_level(), 64)
    assert pieces(found) == ["a", "🙂", FURTHER, FURTHER, FURTHER, SPACE, "㎏", FURTHER, FURTHER]
    assert [piece.word for piece in found.pieces if not piece.special] == [0, 1, 1, 1, 1, 2, 2, 2, 2]


def test_what_a_piece_holds_together_is_one_word():
    found = reading.read("film of the !?", small_tokenizers.several_words_at_once(), 64)
    assert shown(found) == ["film", "of the", "!?"]


def test_accents_that_a_tokenizer_drops_are_shown_with_their_letter():
    found = reading.read("e\u0301lan vital", small_tokenizers.word_piece(), 64)
    assert pieces(found)[0] == "e\u0301"
    assert shown(found) == ["e\u0301lan", "vital"]


def test_special_pieces():
    found = bundled("Good.")
    first, last = found.pieces[0], found.pieces[-1]
    assert (first.text, first.start, first.end, first.word) == ("<s>", 0, 0, None)
    assert (last.text, last.start, last.end, last.word) == ("</s>", 5, 5, None)
    assert first.special
    assert last.special
    assert found.ids[0, [0, -1]].tolist() == [text.START, text.END]


@pytest.mark.parametrize("typed", ["<s>", "a</s>", "<mask> x", "<b onclick=x>&amp;</b>"])
def test_what_looks_like_markup_is_shown_as_typed(typed):
    found = bundled(typed)
    assert "".join(pieces(found)).replace(SPACE, "") == typed.replace(" ", "")
    assert not any(piece.special for piece in found.pieces[1:-1])


def test_what_was_cut_is_told():
    long = "word " * 300
    found = bundled(long)
    assert found.text == long.strip()
    assert len(found.pieces) == text.LONGEST
    assert found.cut is not None
    assert found.text[found.cut :].startswith("word")
    assert len(found.words) == (text.LONGEST - 2)
    assert found.words[-1].end < found.cut
    assert found.pieces[-1].text == "</s>"
    assert found.pieces[-1].start == found.cut
    assert bundled("word " * 250).cut is None


def test_a_word_that_was_cut_ends_where_reading_ended():
    found = bundled("supercalifragilisticexpialidocious", longest=6)
    assert found.cut is not None
    assert [(word.start, word.end) for word in found.words] == [(0, found.cut)]


def test_spaces_at_the_end_are_no_cut():
    assert reading.read("film" + " " * 50, small_tokenizers.unigram(), 10).cut is None


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "The text is empty: type a few words."),
        (" \n\t ", "The text is empty: type a few words."),
        ("\x00\x01", "The text is empty: type a few words."),
        (" \u200b\u200d\u2060\ufeff\u00ad ", "The text has only invisible characters: type a few words."),
        ("\u2800\u3164", "The text has only invisible characters: type a few words."),
        ("x" * 2001, "The text has 2,001 characters; at most 2,000 can be read: shorten it."),
        ("ab " * 20_000, "The text has 59,999 characters; at most 2,000 can be read: shorten it."),
    ],
)
def test_texts_that_are_refused(typed, sentence):
    with pytest.raises(ValueError) as refusal:
        reading.clean(typed)
    assert str(refusal.value) == sentence


def test_the_longest_text_is_read():
    assert bundled("x" * reading.MAX_CHARACTERS).cut is not None


def test_a_text_of_which_the_network_knows_nothing():
    with pytest.raises(ValueError, match="knows none of these characters"):
        bundled("ᚠᚢᚦ ᚨᚱᚲ")
    assert shown(bundled("ᚠᚢᚦ is runes")) == ["ᚠᚢᚦ", "is", "runes"]


def test_a_text_that_the_tokenizer_drops_altogether():
    with pytest.raises(ValueError, match="knows none of these characters"):
        reading.read("\ufffd", small_tokenizers.word_piece(), 64)


def test_line_ends_control_characters_and_halves_of_characters():
    assert reading.clean(" a\r\nb\rc\x00d\x07 ") == "a\nb\nc d"
    assert reading.clean("a\ud83d b") == "a? b"


def test_values_stay_as_they_are():
    found = bundled("Good.")
    for value, name in ((found, "text"), (found.pieces[0], "text"), (found.words[0], "text")):
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, "other")
