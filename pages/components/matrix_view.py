"""A matrix of relevance with names on both sides: pieces of a text across, blocks of a network down.

A table, so that it can be read without eyes; pointer, finger or arrow keys tell the value of a cell. Each row has its
own scale, so that its shape can be seen.
"""

from collections.abc import Sequence

import numpy as np

from lrp_core import tokens
from pages.components.component import component
from pages.settings.wording import signed

_HTML = """
<div class="frame"><table><thead></thead><tbody></tbody></table></div>
<output class="reading"></output>
"""
_component = component(__file__, _HTML)


def matrix_view(
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    key: str,
    alt: str,
    colours: str,
    from_right: bool = False,
) -> None:
    """Show `values` (R, C).

    Args:
        values: Finite.
        rows, columns: Their R and C names.
        key: Unique among all widgets.
        alt: What is shown: class and rule.
        colours: A name that `lrp_core.heatmap.colour_table` knows.
        from_right: The columns run from right to left, as the text does.
    """
    _component(
        key=key,
        data={
            "rows": list(rows),
            "columns": list(columns),
            "shades": [
                [background for background, _ in tokens.colours(row, colours)]  # each row has its own scale
                for row in values
            ],
            "said": [[signed(value, 3) for value in row] for row in values],
            "alt": alt,
            "from_right": from_right,
        },
    )
