"""Texts: the four networks of ours. `networks.py` offers these and those of others by one way."""

from models.text.xlm_r import (
    ASSETS,
    END,
    LABELS,
    LONGEST,
    PAD,
    REMAKE,
    START,
    UNKNOWN,
    VOCABULARY,
    configuration,
    load,
    model_card,
    network,
    tokenizer,
)

__all__ = [
    "ASSETS",
    "END",
    "LABELS",
    "LONGEST",
    "PAD",
    "REMAKE",
    "START",
    "UNKNOWN",
    "VOCABULARY",
    "configuration",
    "load",
    "model_card",
    "network",
    "tokenizer",
]
