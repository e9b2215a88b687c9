"""Whose parameter a tensor is, by the qualified names of modules."""

from __future__ import annotations

from typing import NamedTuple


class Owner(NamedTuple):
    """The modules that hold a tensor. Of a head tied to the word embeddings, the two names are different."""

    layer: str
    """for what is computed with it: the first module that is no table of embeddings, if any"""
    table: str
    """for what is looked up in it: the first table of embeddings, if any"""
    is_table: bool
    """whether only tables of embeddings hold it"""
    is_layer: bool
    """whether none of them does"""


def with_owner(known: Owner | None, name: str, looks_up: bool) -> Owner:
    """One more module that holds a tensor, in the order of the model."""
    if known is None:
        return Owner(name, name, looks_up, not looks_up)
    if known.is_table and not looks_up:
        return known._replace(layer=name, is_table=False)
    if known.is_layer and looks_up:
        return known._replace(table=name, is_layer=False)
    return known
