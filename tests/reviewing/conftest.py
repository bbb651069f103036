"""Waits of the loop take a moment here: scripted people answer at once."""

import pytest

from flows import campaign


@pytest.fixture(autouse=True)
def _short_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "POLL_SECONDS", 0.001)
