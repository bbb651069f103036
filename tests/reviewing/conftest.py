"""Waits of the loop take a moment here: scripted people answer at once."""

import pytest

from flows.running import run_loop


@pytest.fixture(autouse=True)
def _short_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_loop, "POLL_SECONDS", 0.001)
