"""Where the words of a text are, for people: in any script, with its accents, joined emoji and invisible characters."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

import regex

# A character that leaves no ink: spaces, control characters, zero-width ones, the empty Braille pattern.
_BLANK = r"[\s\p{Cc}\p{Default_Ignorable_Code_Point}\u2800]"
# Of scripts that put no spaces between words. The long-vowel mark belongs to two of them.
_DENSE = r"[\p{Han}\p{Hiragana}\p{Katakana}\u30fc\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
# What stays with the letter before it: accents, vowel signs, and what joins or shapes letters without being seen.
_ATTACHED = r"[\p{M}[\p{Default_Ignorable_Code_Point}--\u200b]]"
_LETTERS = rf"[[\p{{L}}\p{{N}}\p{{M}}]--{_DENSE}][[\p{{L}}\p{{N}}]{_ATTACHED}--{_DENSE}]*"
_INNER = r"['’‘ʼ＇\-‐‑·״׳]"

_WORDS = regex.compile(
    rf"""
      {_BLANK}+
    | (?P<dense> (?: {_DENSE} {_ATTACHED}* )+ )
    | (?P<word> {_LETTERS} (?: {_INNER} {_LETTERS} )* )
    | (?P<marks> ([[\p{{P}}\p{{S}}]--\p{{Extended_Pictographic}}]) \4+ {_ATTACHED}* )
    | (?P<sign> \X )
    """,
    regex.VERBOSE | regex.VERSION1,
)
_VISIBLE = regex.compile(rf"(?!{_BLANK}).", regex.VERSION1 | regex.DOTALL)
_ATTACHES = regex.compile(_ATTACHED, regex.VERSION1)

Span = tuple[int, int]


def visible(text: str) -> bool:
    """Whether anything of it can be seen."""
    return _VISIBLE.search(text) is not None


def trimmed(text: str, start: int, end: int) -> Span:
    """The span without the blanks at its ends; an empty one at `start` where there is nothing else."""
    seen = [match.start() for match in _VISIBLE.finditer(text, start, end)]
    return (seen[0], seen[-1] + 1) if seen else (start, start)


def spans(text: str, pieces: Iterable[Span]) -> list[Span]:
    """Start and end of each word; every visible character is in exactly one, and every piece in exactly one.

    A word is a run of letters and digits with its inner apostrophes and hyphens, a run of one punctuation mark, or one
    sign such as an emoji. pieces: what the network reads at once, in order, without overlap. They divide the scripts
    that have no spaces; and what a piece holds together is one word.
    """
    pieces = list(pieces)
    return list(_held_together(_coarse(text, {start for start, _ in pieces}), pieces))


def _coarse(text: str, starts: set[int]) -> Iterator[Span]:
    for match in _WORDS.finditer(text):
        start, end = match.span()
        if match["dense"]:
            inner = (at for at in range(start + 1, end) if at in starts and not _ATTACHES.match(text, at))
            yield from pairwise([start, *inner, end])
        elif match.lastgroup:
            yield start, end


def _held_together(words: Iterable[Span], pieces: list[Span]) -> Iterator[Span]:
    """The words, those that share a piece made one."""
    ends = iter(sorted(end for start, end in pieces if start < end))
    starts = iter(sorted(start for start, end in pieces if start < end))
    waiting, open_end = next(starts, None), 0
    merged: Span | None = None
    for start, end in words:
        if merged and start < open_end:
            merged = merged[0], max(end, merged[1])
        else:
            if merged:
                yield merged
            merged = start, end
        while waiting is not None and waiting < end:
            open_end, waiting = next(ends), next(starts, None)
    if merged:
        yield merged
