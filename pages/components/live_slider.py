"""A slider that reports its value while the thumb still moves.

`st.slider` sends one value, on release. This one sends every position it can, one at a time: the next leaves the
browser when Python has answered the last, so a slow network or model never piles up work, and the final position
always arrives. Python keeps the scale (a list of values); the browser only knows positions in that list.

    gamma = LiveSlider("gamma", "gamma", np.linspace(0, 1, 41), index=10)
    heatmap_view(explain(gamma.value), ...)      # read, compute and draw first ...
    gamma.mount()                                # ... and mount last: mounting is the answer the browser waits for

Keep all of it inside one `st.fragment` (whole-page runs cancel each other while the thumb moves), and catch errors
before `mount()`, or a failing run takes the slider away. Use a container to place the slider above the picture.
"""

from collections.abc import Callable, Sequence

import streamlit as st

from pages.components.component import component
from pages.serving.pace import gap_ms

_HTML = """
<div class="head"><label for="range"></label><output for="range" aria-live="off"></output></div>
<div class="rail"><input id="range" type="range" min="0" step="1"><i class="home" aria-hidden="true"></i></div>
<p class="reason" role="status"></p>
"""
_component = component(__file__, _HTML, "range")
_LARGEST_SEQUENCE = 2**53 - 1  # the largest integer that survives the way through JavaScript


class LiveSlider:
    """One slider: its position lives in the session, so it outlasts reruns and page switches.

    Args:
        key: Unique among all widgets; also the prefix of what it keeps in `st.session_state`.
        label: Shown beside the slider and read out as its name.
        values: The scale, in order; any spacing (linear, logarithmic, hand-picked).
        index: Position to start at and to return to on double-click or the Delete key.
        fmt: How a value is written: a format string with one field, or a function.

    Raises:
        ValueError: `values` is empty or `index` lies outside it.
    """

    def __init__(
        self,
        key: str,
        label: str,
        values: Sequence[float],
        index: int = 0,
        fmt: str | Callable[[float], str] = "{:.3g}",
    ) -> None:
        self.key, self.label = key, label
        self.values = tuple(float(value) for value in values)
        if not 0 <= index < len(self.values):
            raise ValueError(f"Start position {index} of slider {label!r} is outside its {len(self.values)} values.")
        self._home = index
        self._format = fmt.format if isinstance(fmt, str) else fmt
        st.session_state.setdefault(f"{key}:index", index)

    @staticmethod
    def set_index(key: str, index: int) -> None:
        """Move slider `key` from Python (a preset, a link). Call it before the slider mounts; it is clamped on use."""
        st.session_state[f"{key}:index"] = index
        # Tells the browser that the visitor's last position, should it still be on its way, is out of date.
        st.session_state[f"{key}:moves"] = st.session_state.get(f"{key}:moves", 0) + 1

    @property
    def index(self) -> int:
        """Position in `values`, always a valid one."""
        return min(max(int(st.session_state[f"{self.key}:index"]), 0), len(self.values) - 1)

    @property
    def value(self) -> float:
        """The value at the present position."""
        return self.values[self.index]

    @property
    def held(self) -> bool:
        """Whether the visitor still holds the thumb. Do what must happen once (a link, a log) when it is released."""
        return bool(st.session_state.get(f"{self.key}:held"))

    def mount(self, disabled: str | None = None) -> None:
        """Put the slider on the page and tell the browser that its last value has been dealt with.

        Args:
            disabled: Why the slider has no effect now, in one plain sentence; None when it can be used.
        """
        _component(
            key=self.key,
            on_position_change=self._receive,
            data={
                "key": self.key,
                "label": self.label,
                "texts": [self._format(value) for value in self.values],
                "index": self.index,
                "moves": st.session_state.get(f"{self.key}:moves", 0),
                "home": self._home,
                "held": self.held,
                "answered": st.session_state.get(f"{self.key}:answered"),
                "disabled": disabled,
                "gap": gap_ms(self.key, self.held),
            },
        )

    def _receive(self) -> None:
        """Take over what the browser sent, if it is a position at all: a browser can send anything."""
        sent = st.session_state[self.key].get("position")
        if not isinstance(sent, dict):
            return
        index, sequence = sent.get("index"), sent.get("sequence")
        if type(index) is int and 0 <= index < len(self.values):  # not isinstance: True is an int too
            st.session_state[f"{self.key}:index"] = index
            st.session_state[f"{self.key}:held"] = sent.get("held") is True
        if type(sequence) is int and 0 <= sequence <= _LARGEST_SEQUENCE:
            st.session_state[f"{self.key}:answered"] = sequence
