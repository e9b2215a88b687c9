"""How each small component comes to the page."""

from pathlib import Path
from typing import Any

import streamlit as st


def component(module: str, html: str, *styles: str) -> Any:
    """Register the component whose style and script lie beside its module, and bear its name.

    Args:
        module: The module's `__file__`.
        html: What stands in the component before its script has run.
        styles: Names of styles in the same folder that come before its own, after the one that all begin with.
    """
    here = Path(module)
    sheets = [*(here.with_name(f"{name}.css") for name in ("base", *styles)), here.with_suffix(".css")]
    return st.components.v2.component(
        here.stem,
        html=html,
        css="".join(sheet.read_text("utf-8") for sheet in sheets),
        js=here.with_suffix(".js").read_text("utf-8"),
    )
