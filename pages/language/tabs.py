"""The tabs of the page: those of every page that fit, and its own."""

from pages.language import continuing, deleting
from pages.workbench.tabs import compare, layers, numbers, reading, sweep

TABS = {
    "How to read this": reading.show,
    "Continue": continuing.show,
    "Where it happened": layers.show,
    "Is it faithful?": deleting.show,
    "Compare rules": compare.show,
    "Sweep": sweep.show,
    "Numbers & code": numbers.show,
}
