"""Handwritten digits: the network that reads them, its cheating twin, and drawings by hand."""

from models.digits.network import (
    ASSETS,
    BOX,
    FAINT,
    FRAME,
    HIGH,
    LABELS,
    LOW,
    MARK,
    REMAKE,
    add_mark,
    load,
    model_card,
    network,
    prepare,
)

__all__ = [
    "ASSETS",
    "BOX",
    "FAINT",
    "FRAME",
    "HIGH",
    "LABELS",
    "LOW",
    "MARK",
    "REMAKE",
    "add_mark",
    "load",
    "model_card",
    "network",
    "prepare",
]
