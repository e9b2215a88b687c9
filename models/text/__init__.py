"""Texts: our four networks on one pretrained encoder. `networks.py` offers these and those of others by one way."""

from models.text.files import SHARED, encoder_file, upper_file
from models.text.networks import prepare
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
    longest,
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
    "SHARED",
    "START",
    "UNKNOWN",
    "VOCABULARY",
    "configuration",
    "encoder_file",
    "load",
    "longest",
    "model_card",
    "network",
    "prepare",
    "tokenizer",
    "upper_file",
]
