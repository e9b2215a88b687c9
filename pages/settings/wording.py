"""Numbers and names as people write them."""

import re

MINUS = "\N{MINUS SIGN}"


def signed(value: float, digits: int = 2) -> str:
    """A number with its sign, "+1.50" or "−0.30"; zero has none."""
    text = f"{abs(value):.{digits}f}"
    return text if not float(text) else (MINUS if value < 0 else "+") + text


def plain(value: float, digits: int = 2) -> str:
    """A number with a sign only where it is negative."""
    return signed(value, digits).removeprefix("+")


def percent(share: float) -> str:
    """A probability: never 0 % or 100 %, for no network is that sure."""
    if share < 0.01:
        return "< 1 %"
    if share > 0.99:
        return "> 99 %"
    return f"{100 * share:.0f} %"


def literal(text: str) -> str:
    """Text as Markdown that shows it as it is: names of classes come from files, and may hold anything."""
    return re.sub(r"([\\`*_{}\[\]<>()#+\-.!|~$:&])", r"\\\1", text)


def changed(text: str, start: int, end: int, new: str) -> str:
    """The text with another word in place of characters `start` to `end`; without one, no space is left doubled."""
    before, after = text[:start], text[end:]
    if not new and (not before or before[-1].isspace()):
        after = after.removeprefix(" ")
    return before + new + after
