"""A text as a network reads it: its pieces, and the words that they are of.

Positions are characters of the text as Python counts them. Whatever a tokenizer makes of a text before it cuts it into
pieces (small letters, other forms of characters, bytes), pieces and words are shown as they were typed.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import regex
import torch
from torch import Tensor

from models.text import words as script
from models.text.words import Span

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

MAX_CHARACTERS = 2000

SPACE, FURTHER = "␣", "·"
"""How a piece is shown that is only a space, and one that is a further part of the character before it."""

_SPACES = "▁Ġ "  # how tokenizers write a space
_UNKNOWN = ("<unk>", "[UNK]")
_CONTROL = regex.compile(r"[\p{Cc}--\n\t]", regex.VERSION1)


@dataclass(frozen=True)
class Piece:
    """What the network reads at once: characters `start` to `end` of the text, none for a further part of one.

    text: what of it is shown. special: added by the tokenizer ("<s>"). word: its word's number, None for a special one.
    """

    text: str
    start: int
    end: int
    special: bool
    word: int | None


@dataclass(frozen=True)
class Word:
    """What a person takes for a word, or a punctuation mark, or an emoji: characters `start` to `end` of the text."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class Reading:
    """ids: (1, T) int64, one for each of the pieces. cut: the character from which on nothing was read, or None."""

    text: str
    ids: Tensor
    pieces: tuple[Piece, ...]
    words: tuple[Word, ...]
    cut: int | None


def clean(text: str) -> str:
    """The text without blanks around it, control characters as spaces, lines ending in a newline.

    Raises ValueError (one sentence, for visitors) where nothing can be seen of it or it is too long.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode("utf-8")
    text = _CONTROL.sub(" ", text).strip()
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"The text has {len(text):,} characters; at most {MAX_CHARACTERS:,} can be read: shorten it.")
    if not script.visible(text):
        state = "has only invisible characters" if text else "is empty"
        raise ValueError(f"The text {state}: type a few words.")
    return text


def read(text: str, tokenizer: "Tokenizer", longest: int) -> Reading:
    """What a network gets that reads `longest` pieces at once, those included that the tokenizer adds.

    text: as `clean` returns it. tokenizer: one that neither cuts nor pads.
    Raises ValueError (one sentence, for visitors) where the network knows nothing of the text, or of what it reads of
    it nothing can be seen.
    """
    encoded = tokenizer.encode(text)
    added = [i for i, special in enumerate(encoded.special_tokens_mask) if special]
    typed = [i for i, special in enumerate(encoded.special_tokens_mask) if not special]
    owned = _owned(text, encoded, typed)
    unknown = {tokenizer.token_to_id(name) for name in _UNKNOWN}
    if all(encoded.ids[i] in unknown for i, (start, end) in zip(typed, owned, strict=True) if start < end):
        raise ValueError("The network knows none of these characters: try words in a language that it learned.")

    room = max(0, longest - len(added))
    cut = next((start for start, end in owned[room:] if start < end), None)
    typed, owned = typed[:room], owned[:room]
    words = tuple(Word(text[start:end], start, end) for start, end in script.spans(text[:cut], owned))
    if typed and not words:
        raise ValueError("The network reads only the beginning of a text, where nothing can be seen here: shorten it.")
    pieces = dict(zip(typed, _pieces(text, encoded, typed, owned, words), strict=True))
    for i in added:
        place = 0 if not typed or i < typed[0] else len(text[:cut])
        pieces[i] = Piece(encoded.tokens[i], place, place, True, None)
    order = sorted(pieces)
    ids = torch.tensor([[encoded.ids[i] for i in order]])
    return Reading(text, ids, tuple(pieces[i] for i in order), words, cut)


def _owned(text: str, encoded: "Encoding", typed: Sequence[int]) -> list[Span]:
    """The visible characters of each piece that no piece before it has; where there are none, an empty span.

    A tokenizer may give several pieces for one character (bytes, or "kg" for "㎏"), and a piece for a space that
    nobody typed, which it says to be where the word after it begins.
    """
    spans, done = [], 0
    for i in typed:
        start, end = encoded.offsets[i]
        start, end = script.trimmed(text, max(start, done), max(end, done))
        if _is_space(text, encoded, i):
            end = start
        done = max(done, end)
        spans.append((start, end))
    return spans


def _is_space(text: str, encoded: "Encoding", i: int) -> bool:
    start, end = encoded.offsets[i]
    if not script.visible(text[start:end]):
        return True
    return not encoded.tokens[i].strip(_SPACES) and not any(mark in text[start:end] for mark in _SPACES.strip())


def _pieces(
    text: str, encoded: "Encoding", typed: Sequence[int], owned: Sequence[Span], words: Sequence[Word]
) -> Iterator[Piece]:
    """The pieces that were typed, each with its word; together they show every character of the words."""
    ends = [word.end for word in words]
    member = [
        min(bisect_right(ends, start if start < end else _place(text, encoded, i)), len(words) - 1)
        for i, (start, end) in zip(typed, owned, strict=True)
    ]
    shown = list(owned)
    full = [k for k, (start, end) in enumerate(owned) if start < end]
    for number, group in groupby(full, key=member.__getitem__):
        inside = list(group)
        starts = [words[number].start, *(owned[k][0] for k in inside[1:]), words[number].end]
        for k, span in zip(inside, pairwise(starts), strict=True):
            shown[k] = span
    for i, (start, end), number in zip(typed, shown, member, strict=True):
        instead = SPACE if _is_space(text, encoded, i) else FURTHER
        yield Piece(text[start:end] or instead, start, end, False, number)


def _place(text: str, encoded: "Encoding", i: int) -> int:
    """Of a piece without characters of its own: the last one that it shares, or where its space is."""
    start, end = encoded.offsets[i]
    return start if _is_space(text, encoded, i) else end - 1
