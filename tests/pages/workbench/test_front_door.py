"""The first visit of a fresh server finds every page: Streamlit then looks for scripts named after the addresses."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def addresses() -> list[str]:
    calls = [node for node in ast.walk(ast.parse((ROOT / "app.py").read_text())) if isinstance(node, ast.Call)]
    given = [{keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords} for call in calls
             if isinstance(call.func, ast.Attribute) and call.func.attr == "Page"]  # fmt: skip
    return [page["url_path"] for page in given if not page.get("default")]


def test_there_are_pages():
    assert {"digits", "photos", "text", "question_answering"} <= set(addresses())


@pytest.mark.parametrize("address", addresses())
def test_every_address_has_its_script(address):
    assert "front_door.enter()" in (ROOT / "pages" / f"_{address}.py").read_text()


def test_no_script_is_left_over():
    assert {path.stem for path in (ROOT / "pages").glob("*.py")} == {f"_{address}" for address in addresses()}
