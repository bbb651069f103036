"""With the campaign process killed somebody still tells of the safe state, once: the real bench, its supervisor and a loopback sink."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from instruments.lab_processes.processes import process_table
from tests.faults.laboratory import Laboratory, eventually, suspend
from tests.notification.sink import Sink, sink

pytestmark = [pytest.mark.slow, pytest.mark.long]

RATE = 300.0


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sink]:
    with sink() as serving:
        monkeypatch.setenv("ATHANOR_NOTIFY", serving.address)
        yield serving


@pytest.fixture
def laboratory(tmp_path: Path, listening: Sink) -> Iterator[Laboratory]:
    made = Laboratory.new(tmp_path / "lab", budget=3, rate=RATE)
    made.bench.write_text(made.bench.read_text().replace('grace = "60 s"', 'grace = "6 s"'))
    yield made
    made.close()


def secrets_in(lab: Path) -> list[str]:
    """Return the files of a lab that hold the address's password."""
    return [path.name for path in lab.rglob("*") if path.is_file() and b"hush-hush" in path.read_bytes()]


def test_the_safe_state_after_a_killed_campaign_is_told_once_and_so_is_the_one_of_the_last_resort(
    laboratory: Laboratory, listening: Sink
) -> None:
    command = laboratory.dry_run()
    eventually(laboratory.is_heating, "the oven heats")
    command.send_signal(signal.SIGKILL)
    command.wait()
    before = len(listening.messages)  # none, unless the command needed longer than the grace time to its first run
    listening.await_messages(before + 1, 120.0)
    assert not laboratory.is_heating()
    assert "no campaign for 6 s" in listening.titles[before]
    suspend(laboratory.process("host"))
    listening.await_messages(before + 2, 120.0)
    assert "gave no answer" in listening.titles[before + 1]
    assert "oven.off: done" in listening.messages[before + 1]["message"]
    eventually(lambda: process_table(laboratory.lab)["supervisor"] is None, "the supervisor leaves")
    assert len(listening.messages) == before + 2
    assert all(title.startswith("Athanor (safe state entered): bench of ") for title in listening.titles)
    assert secrets_in(laboratory.lab) == []
