"""Relevance of a text: of each token, of groups of tokens, and as colours that stand behind words.

The counterpart of `heatmap` for texts, with its colour tables. One text at a time; arrays and torch tensors alike.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import heatmap
from .explanation import Explanation

Values = npt.NDArray[np.float64]

_KINDS = {
    "word": ("word_embeddings", "embed_tokens", "embed_in", "wte", "words"),
    "position": ("position_embeddings", "embed_positions", "wpe", "positions"),
    "type": ("token_type_embeddings",),
}
"""What embeddings are of, by the last part of their layer's name."""


def by_token(relevance: Any) -> Values:
    """Sum relevance over the features: (1, T, D) or (T, D) to (T,). Nothing is lost: the total stays the same."""
    values = _numbers(relevance)
    if values.ndim == 3 and len(values) == 1:
        values = values[0]
    if values.ndim != 2:
        raise ValueError(f"by_token needs the relevance of one text, (1, T, D) or (T, D), not {values.shape}")
    summed: Values = values.sum(axis=1)
    return summed


def by_group(values: Any, groups: Sequence[int | None], count: int) -> Values:
    """Sum the values (T,) of each of `count` groups: (count,). groups: of each token, None for one that counts nowhere.

    With the word of each piece as its group, these are the values of the words.
    """
    numbers = _numbers(values)
    if numbers.shape != (len(groups),):
        raise ValueError(f"by_group needs one group per value, got {numbers.shape} values and {len(groups)} groups")
    strange = sorted({group for group in groups if group is not None and not 0 <= group < count})
    if strange:
        raise ValueError(f"the groups go from 0 to {count - 1}, but there is a group {strange[0]}")
    sums = np.zeros(count)
    for number, group in zip(numbers, groups, strict=True):
        if group is not None:
            sums[group] += number
    return sums


def parts(explanation: Explanation) -> dict[str, Values]:
    """The relevance of each token (T,) by what it was given for: "word", "position" and "type".

    They are told apart by the name of the embedding. Another input with a vector for each token keeps its own name;
    of position biases for pairs of tokens, (T, T, heads), each token gets those of its being read. Inputs that are
    no text, such as a picture, are left out.
    """
    found: dict[str, Values] = {}
    for name, relevance in explanation.parts.items():
        if relevance.ndim != 3:
            continue
        shape = tuple(relevance.shape)
        paired = shape[0] == shape[1] > 1
        if shape[0] != 1 and not paired:
            raise ValueError(f"parts needs the relevance of one text; that of {name} has the shape {shape}")
        short = _kind(name)
        values = _numbers(relevance).sum(axis=(0, 2)) if paired else by_token(relevance)
        found[name if short in found else short] = values
    return found


def colours(values: Any, scheme: str = "red-white-blue", vmax: float | None = None) -> list[tuple[str, str]]:
    """A background for each value (T,), and black or white to write on it, whichever is read better: "#rrggbb" each.

    The colours of `heatmap.to_rgb`: +r and -r are equally far from neutral. vmax: the value of the strongest colour,
    by default the largest. The contrast of text and background is at least 4.5:1 in every shade.
    """
    numbers = _numbers(values)
    if numbers.ndim != 1:
        raise ValueError(f"colours needs one value per token, (T,), not {numbers.shape}")
    if numbers.size == 0:
        return []
    return [(_hexadecimal(shade), _ink(shade)) for shade in heatmap.to_rgb(numbers[None], scheme, vmax)[0]]


def _kind(name: str) -> str:
    last = name.rpartition(".")[2]
    return next((kind for kind, names in _KINDS.items() if last in names), name)


def _ink(shade: npt.NDArray[np.uint8]) -> str:
    """Black or white. The better of the two has a contrast of at least 4.58:1 on any colour."""
    channels = shade / 255.0
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ (0.2126, 0.7152, 0.0722))
    return "#000000" if (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) else "#ffffff"


def _hexadecimal(shade: npt.NDArray[np.uint8]) -> str:
    return "#" + "".join(f"{channel:02x}" for channel in shade)


def _numbers(values: Any) -> Values:
    if hasattr(values, "detach"):
        values = values.detach().cpu().double().numpy()
    return np.asarray(values, dtype=np.float64)
