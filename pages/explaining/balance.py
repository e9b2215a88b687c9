"""The balance line: where the score went, as a sum whose numbers add up on the screen."""

from collections.abc import Mapping
from dataclasses import dataclass

from pages.settings.wording import MINUS, plain

WORTH_A_WORD = 0.5
"""The share of the flow that may be absorbed before a sentence says what that means for the map."""

ABSORBERS = {
    "bias": (
        "taken by biases",
        "Biases take part in the score but belong to no part of the input: the map shows where the evidence lies, and "
        "how much there is of it is a matter of the biases.",
    ),
    "epsilon": ("damped by epsilon", "Epsilon keeps what is weak or contradictory from being passed on."),
    "softmax": ("left in attention weights", "Attention weights pass on only part of what they receive."),
    "constant": ("taken by constants", "Fixed numbers inside the network share in the score."),
    "masked": ("left out by choice", "Only what passes the chosen channels is followed."),
    "dropped": ("dropped by the rule", "The rule does not pass everything on."),
}
"""For each way to lose relevance in the ledger: the words for it, and the reason."""


DOUBTS = {
    "gap": "The books do not close: relevance went where no rule says. Do not trust this map.",
    "grown": "More relevance arrived than there was to share out: large pluses and minuses cancel, and the map shows "
    "mostly them. A rule with an epsilon or a gamma calms them, or a larger one of either.",
    "lost": "Far more was taken and given on the way than ever flowed: what arrived is what was left between the two. "
    "Another rule tells more.",
    "damped": "Epsilon kept nearly all that could have arrived: the map shows a tiny rest. A smaller one lets more "
    "through.",
}
"""For each of the doubts of `lrp_core.evaluation.flow`: what it means, and what to do."""


@dataclass(frozen=True)
class Balance:
    """The line; whether the map would mislead (amber); and the reason for that, or what the largest loss means."""

    text: str
    amber: bool = False
    reason: str = ""


def balance(
    name: str, start: float, arrived: float, absorbed: Mapping[str, float], lost: float = 0.0, doubt: str = ""
) -> Balance:
    """Write `start = arrived + absorbed` in words.

    Args:
        name: What `start` is, e.g. "Score".
        start: Relevance put on the output.
        arrived: Relevance that reached the input.
        absorbed: What each of `ABSORBERS` took on the way; negative where it gave.
        lost: The share of the flow that was absorbed.
        doubt: Why the map would mislead, a key of `DOUBTS`; empty where it would not.
    """
    digits = 2 if max(abs(start), abs(arrived)) >= 0.1 else 4
    total = round(start, digits)
    parts = {key: round(value, digits) for key, value in absorbed.items()}
    parts = {key: value for key, value in parts.items() if value}
    input_share = total - sum(parts.values())  # the rounding error goes where it is relatively smallest
    text = f"{name} {plain(total, digits)} = {plain(input_share, digits)} on the input"
    for key, value in sorted(parts.items(), key=lambda part: -abs(part[1])):
        text += f" {MINUS if value < 0 else '+'} {abs(value):.{digits}f} {ABSORBERS[key][0]}"
    if doubt:
        return Balance(text, amber=True, reason=DOUBTS[doubt])
    if lost > WORTH_A_WORD:
        return Balance(text, reason=ABSORBERS[max(absorbed, key=lambda key: abs(absorbed[key]))][1])
    return Balance(text)
