"""What a hand does on any page that explains something, and what an eye looks for there."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Locator, Page, expect


def heatmap(page: Page) -> Locator:
    """The first heatmap of the result."""
    return page.get_by_role("img", name=re.compile("^Heatmap for")).first


def shows(page: Page, *words: str) -> None:
    """The heatmap's tag holds these words: rule, epsilon, gamma, class."""
    for word in words:
        expect(heatmap(page)).to_have_attribute("data-tag", re.compile(rf"(^| ){re.escape(word)}( |$)"))


def choose(page: Page, label: str, option: str) -> None:
    """Take an option of a select box."""
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option).click()
    page.idle()


def seen(page: Page) -> Locator:
    """The input as the network sees it."""
    return page.get_by_role("img", name=re.compile("^The input as the network sees it"))


@contextmanager
def changing(locator: Locator, attribute: str) -> Iterator[None]:
    """Waits at the end of the block until the attribute is another than before."""
    before = locator.get_attribute(attribute) or ""
    yield
    expect(locator).not_to_have_attribute(attribute, before)
