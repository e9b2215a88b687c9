"""What the pieces of a vocabulary are called on the page, where each of them may be the next word."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

GOES_ON = "…"
"""Stands before letters that go on with the word before them: no space comes between."""

_SPACES = ("Ġ", "▁")
"""How tokenizers write a space before a word."""
_SEEN = {"\n": "⏎", "\t": "⇥", " ": "␣", "\r": "⏎"}


def labels(tokenizer: "Tokenizer", count: int) -> tuple[str, ...]:
    """One for each of `count` tokens. None is empty; two that look alike stay alike."""
    return tuple(label(tokenizer, number) for number in range(count))


def label(tokenizer: "Tokenizer", number: int) -> str:
    """Of one token: " are" is *are*, "ing" is *…ing*, a part of a character is called by its bytes."""
    raw = tokenizer.id_to_token(number)
    if raw is None:
        return f"piece {number}"
    text = tokenizer.decode([number], skip_special_tokens=False)
    if "\N{REPLACEMENT CHARACTER}" in text or not text:
        return f"part of a character ({raw})" if raw else f"piece {number}"
    starts_a_word = raw.startswith(_SPACES)
    word = text.removeprefix(" ") if starts_a_word else text
    if not word.strip():
        return "".join(_SEEN.get(sign, sign) for sign in text) or f"piece {number}"
    shown = "".join(_SEEN.get(sign, sign) if not sign.isprintable() else sign for sign in word)
    is_special = text == raw and len(raw) > 2 and raw[0] == "<" and raw[-1] == ">"
    return GOES_ON + shown if shown[0].isalnum() and not starts_a_word and not is_special else shown


def find(tokenizer: "Tokenizer", word: str) -> int | None:
    """The token that says this word after a space, else as it is written; None where it takes several."""
    word = word.strip()
    if not word:
        return None
    anchor = len(tokenizer.encode("a", add_special_tokens=False).ids)
    for written in () if word.startswith(GOES_ON) else (f"a {word}",):
        ids = tokenizer.encode(written, add_special_tokens=False).ids[anchor:]
        if len(ids) == 1:
            return ids[0]
    ids = tokenizer.encode(word.removeprefix(GOES_ON), add_special_tokens=False).ids
    return ids[0] if len(ids) == 1 else None
