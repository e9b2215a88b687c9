"""Every ledger that a test of the engine makes is audited: its rows are summed again, from the tensors themselves."""

from __future__ import annotations

import pytest

from tests.lrp_core.audit import audited


@pytest.fixture(autouse=True)
def audit(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Not for a test that measures time or memory, which the auditor would take too: those are marked ``unaudited``."""
    if request.node.get_closest_marker("unaudited") is None:
        audited(monkeypatch)
