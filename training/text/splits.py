"""Pieces of words cut in two now and then: from rare words a network learns about their parts, too (Kudo 2018)."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
from tokenizers import Tokenizer

from models import text

WAYS = 4  # to cut a piece in two that are told apart, the likeliest

Ways = Mapping[int, Sequence[tuple[int, int]]]
"""By the id of a piece, the ids of the two pieces that it can be cut into."""


def ways(tokenizer: Tokenizer) -> Ways:
    """Every piece that two other pieces spell, with the likeliest of these pairs; the space alone is no piece here."""
    pieces = json.loads(tokenizer.to_str())["model"]["vocab"]
    likely, ids, found = dict(pieces), tokenizer.get_vocab(), {}
    for piece, _ in pieces[text.UNKNOWN + 1 :]:
        pairs = [(piece[:cut], piece[cut:]) for cut in range(1, len(piece))]
        known = [pair for pair in pairs if pair[0] != "▁" and all(part in likely for part in pair)]
        known.sort(key=lambda pair: -sum(likely[part] for part in pair))
        if known:
            found[ids[piece]] = [(ids[left], ids[right]) for left, right in known[:WAYS]]
    return found


def cut(ids: Sequence[int], pairs: Ways, share: float, random: np.random.Generator) -> list[int]:
    """A text with this share of its pieces in two, where they can be, in any of the ways; at most `LONGEST` long."""
    found: list[int] = []
    for piece, chance, way in zip(ids, random.random(len(ids)), random.random(len(ids)), strict=True):
        options = pairs.get(piece)
        if options and chance < share:
            found += options[int(way * len(options))]
        else:
            found.append(piece)
    return found if len(found) <= text.LONGEST else [*found[: text.LONGEST - 1], text.END]
