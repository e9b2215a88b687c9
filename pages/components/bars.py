"""What the network believes, as bars: ten upright ones for the digits, five lying ones for classes with long names."""

from collections.abc import Sequence

from pages.components.component import component
from pages.settings.wording import percent

_component = component(__file__, '<ol role="list"></ol>')


def bars(
    names: Sequence[str],
    shares: Sequence[float],
    *,
    key: str,
    alt: str,
    chosen: int | None = None,
    upright: bool = False,
) -> None:
    """Show one bar per name.

    Args:
        names: One for each bar.
        shares: Between 0 and 1.
        key: Unique among all widgets.
        alt: What the bars show, for those who cannot see them.
        chosen: Position of the bar to stress: the class that is explained.
        upright: Columns side by side (short names) instead of rows (long names).
    """
    _component(
        key=key,
        data={
            "names": list(names),
            "shares": [float(share) for share in shares],
            "texts": [percent(share) for share in shares],
            "chosen": chosen,
            "alt": alt,
            "upright": upright,
        },
    )
