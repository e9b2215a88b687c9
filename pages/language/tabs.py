"""The tabs of the page."""

from pages.workbench.workbench import TABS as COMMON

TABS = dict(COMMON)
