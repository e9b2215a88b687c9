"""Token ids in batches of texts of like length: what training and measuring of text networks share."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from models import text


class Batch(NamedTuple):
    """Token ids (B, T), 1 where there is a token (B, T), and the rows of the texts."""

    ids: Tensor
    mask: Tensor
    rows: np.ndarray


def encode(tokenizer: Tokenizer, texts: Sequence[str], longest: int = text.LONGEST) -> list[list[int]]:
    """Token ids of each text; one that is too long loses its end, but not its `</s>`."""
    encoded = (found.ids for found in tokenizer.encode_batch(list(texts)))
    return [ids if len(ids) <= longest else [*ids[: longest - 1], text.END] for ids in encoded]


def padded(ids: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Ids and mask, (B, T) each."""
    joined = torch.full((len(ids), max(map(len, ids))), text.PAD)
    for row, one in enumerate(ids):
        joined[row, : len(one)] = torch.tensor(one)
    return joined, (joined != text.PAD).long()


def in_order(ids: Sequence[Sequence[int]], tokens: int) -> Iterator[Batch]:
    """Every text once, the short ones first, in batches of at most so many tokens, padding included."""
    yield from _cut(ids, np.argsort([len(one) for one in ids], kind="stable"), tokens)


def _cut(ids: Sequence[Sequence[int]], order: np.ndarray, tokens: int) -> Iterator[Batch]:
    """Batches in the given order, each as large as fits."""
    batch: list[int] = []
    for row in order:
        if batch and (len(batch) + 1) * len(ids[row]) > tokens:
            yield Batch(*padded([ids[one] for one in batch]), np.array(batch))
            batch = []
        batch.append(int(row))
    yield Batch(*padded([ids[one] for one in batch]), np.array(batch))
