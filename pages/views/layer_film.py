"""The inside of a network that sees pictures: a film of the relevance at every layer."""

import math

import numpy as np

import lrp_core as lrp
from lrp_core import heatmap
from pages.components.film import Frame
from pages.components.heatmap_view import strongest
from pages.settings.wording import signed


def frames(explanation: lrp.Explanation, asked: str) -> list[Frame]:
    """One frame for the relevance at the input of each layer, from the output down to the network's input."""
    made = []
    for name, relevance in reversed(explanation.layers.items()):
        values = relevance[0].numpy()
        plane = flat(values)
        vmax = strongest(plane)
        gains, losses = values[values > 0].sum(), values[values < 0].sum()
        made.append(
            Frame(
                plane,
                vmax,
                name=name,
                title=f"Into {name}: {' × '.join(map(str, values.shape))} numbers",
                note=f"For {asked}: {signed(gains)}\nAgainst it: {signed(losses)}\nSum: {signed(gains + losses)}\n"
                f"The strongest colour stands for {vmax:.2g}",
                alt=heatmap.alt_text(plane, asked, f"at the input of layer {name}"),
            )
        )
    return made


def flat(values: np.ndarray) -> np.ndarray:
    """A layer as a picture: (C, H, W) summed over channels, (N,) wrapped into a block as square as possible."""
    if values.ndim == 3:
        return values.sum(0)
    values = values.ravel()
    columns = math.ceil(math.sqrt(values.size))
    rows = math.ceil(values.size / columns)
    return np.pad(values, (0, rows * columns - values.size)).reshape(rows, columns)
