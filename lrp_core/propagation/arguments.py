"""Arguments of torch functions by name, and the axes that they name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def given(names: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by the names of the positional ones, separated by spaces; None for what was left out."""
    listed = names.split()
    return {**dict.fromkeys(listed), **dict(zip(listed, args, strict=False)), **kwargs}


def axes_of(dims: Any, count: int) -> tuple[int, ...]:
    """Axes in order, each counted from the front; all of them where none is named."""
    if dims is None or (not isinstance(dims, int) and not len(dims)):
        return tuple(range(count))
    return tuple(sorted({d % max(count, 1) for d in ((dims,) if isinstance(dims, int) else dims)}))
