"""What all tests share: a Prefect home of their own, and a guard against processes that outlive their test."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="athanor-test-prefect-")  # before anything imports Prefect
os.environ["DO_NOT_TRACK"] = "1"

_OURS = ("instruments.host", "simulators.plant", "flows.server", "prefect server", "flows.cli.main", "bin/athanor")


def _our_processes() -> dict[int, str]:
    """Return the command lines of Athanor's own processes on this machine, by pid."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            continue
        if state != "Z" and any(name in command for name in _OURS):
            found[int(entry.name)] = command
    return found


@pytest.fixture(scope="session", autouse=True)
def _no_process_outlives_the_tests() -> Iterator[None]:
    before = set(_our_processes())
    yield
    left = {pid: command for pid, command in _our_processes().items() if pid not in before}
    assert not left, f"processes left behind: {left}"
