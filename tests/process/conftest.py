"""No test of this folder may leave a process behind, however detached."""

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from instruments.lab_processes.process_identity import Process

PATIENCE = 20.0
"""Wall seconds: for what takes milliseconds on an idle machine."""


def marked(mark: str) -> dict[int, str]:
    """Return the processes that inherited an environment mark, with their command lines; zombies do not count."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment, command = (entry / "environ").read_bytes(), (entry / "cmdline").read_bytes()
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            continue
        if mark.encode() in environment and state != "Z":
            found[int(entry.name)] = command.replace(b"\0", b" ").decode().strip()
    return found


def eventually(condition: Callable[[], object], within: float = PATIENCE) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, f"not within {within:g} s"
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def _no_process_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    mark = f"mark-{uuid.uuid4()}"
    monkeypatch.setenv("ATHANOR_TEST_CASE", mark)
    yield
    end = time.monotonic() + 5.0
    while (left := marked(mark)) and time.monotonic() < end:
        time.sleep(0.05)
    for pid in left:
        if process := Process.of(pid):
            process.signal(signal.SIGKILL)
    assert not left, f"processes left behind: {left}"


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    folder = tmp_path / "lab"
    folder.mkdir()
    return folder
