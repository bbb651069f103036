"""A campaign that ends paused names what it leaves running, and what ends it; nothing else is named."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.plans.lab import Lab
from flows.running import session
from flows.running.steering import CANCELLED


@pytest.mark.parametrize(
    ("host", "plant", "reason", "said"),
    [
        (True, True, "by hand", "; the bench host and simulated devices still run, `athanor abort c --lab"),
        (False, True, "stopped", "; simulated devices still run, `athanor abort c --lab"),
        (True, False, "stopped", "; the bench host still runs, `athanor abort c --lab"),
        (False, False, "by hand", ""),
        (True, True, CANCELLED, ""),
    ],
)
def test_what_lives_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: bool, plant: bool, reason: str, said: str) -> None:
    monkeypatch.setattr(session, "host_alive", lambda _: host)
    monkeypatch.setattr(session, "plant_lives", lambda _: plant)
    ended: Any = SimpleNamespace(plan=SimpleNamespace(needs_wires=True), lab=Lab(tmp_path, "dry"), name="c")
    line = session._Session._what_goes_on(ended, reason)
    assert line.startswith(said)
    assert bool(line) == bool(said)
