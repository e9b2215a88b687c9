"""The balance line: where the score went, as a sum whose numbers add up on the screen."""

from collections.abc import Mapping
from dataclasses import dataclass

from pages.settings.wording import MINUS, plain

AMBER_ABOVE = 0.05
"""Share of the score that may stay off the input before the line turns amber."""

ABSORBERS = {
    "bias": ("taken by biases", "Biases take part in the score but belong to no part of the input."),
    "epsilon": ("damped by epsilon", "Epsilon keeps what is weak or contradictory from being passed on."),
    "softmax": ("left in attention weights", "Attention weights pass on only part of what they receive."),
    "constant": ("taken by constants", "Fixed numbers inside the network share in the score."),
    "masked": ("left out by choice", "Only what passes the chosen channels is followed."),
    "dropped": ("dropped by the rule", "The rule does not pass everything on."),
}
"""For each way to lose relevance in the ledger: the words for it, and the reason."""


@dataclass(frozen=True)
class Balance:
    """The line, whether more than 5 % of the score is missing from the input, and then why."""

    text: str
    amber: bool
    reason: str = ""


def balance(name: str, start: float, arrived: float, absorbed: Mapping[str, float]) -> Balance:
    """Write `start = arrived + absorbed` in words.

    Args:
        name: What `start` is, e.g. "Score".
        start: Relevance put on the output.
        arrived: Relevance that reached the input.
        absorbed: What each of `ABSORBERS` took on the way; negative where it gave.
    """
    digits = 2 if max(abs(start), abs(arrived)) >= 0.1 else 4
    total = round(start, digits)
    parts = {key: round(value, digits) for key, value in absorbed.items()}
    parts = {key: value for key, value in parts.items() if value}
    input_share = total - sum(parts.values())  # the rounding error goes where it is relatively smallest
    text = f"{name} {plain(total, digits)} = {plain(input_share, digits)} on the input"
    for key, value in sorted(parts.items(), key=lambda part: -abs(part[1])):
        text += f" {MINUS if value < 0 else '+'} {abs(value):.{digits}f} {ABSORBERS[key][0]}"
    lost = sum(abs(value) for value in absorbed.values())
    if lost <= AMBER_ABOVE * abs(start):
        return Balance(text, amber=False)
    worst = max(absorbed, key=lambda key: abs(absorbed[key]))
    share = f"{100 * lost / abs(start):.0f} % of the score" if start else "Part of the score"
    return Balance(text, amber=True, reason=f"{share} was taken or given on the way. {ABSORBERS[worst][1]}")
