"""What all tests share: a Prefect home of their own, one thread, and a guard against processes that outlive their test."""

import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.threads import use_threads
from tests import commands
from tests.postgresql import Server, running_server

os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="athanor-test-prefect-")  # before anything imports Prefect
os.environ["DO_NOT_TRACK"] = "1"

_SLOWEST = ("serving", "crash", "reviewing", "faults", "host", "process")
_MARK = f"ATHANOR_TEST_SESSION={uuid.uuid4()}"
os.environ["ATHANOR_TEST_SESSION"] = _MARK.partition("=")[2]


def _our_processes() -> dict[int, str]:
    """Return the command lines of the processes that these tests started, however detached, by pid."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            environment = (entry / "environ").read_bytes()
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            continue
        if state != "Z" and entry.name != str(os.getpid()) and _MARK.encode() in environment:
            found[int(entry.name)] = command
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes minutes a file (servers, browsers, deaths), so that no worker is left alone with it at the end."""
    slow = [item for item in items if item.get_closest_marker("slow")]
    slow.sort(key=lambda item: next((rank for rank, room in enumerate(_SLOWEST) if f"/{room}/" in str(item.path)), len(_SLOWEST)))
    items[:] = [*slow, *(item for item in items if not item.get_closest_marker("slow"))]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """What is computed here is small, and threads that wait for each other on a busy machine are slow."""
    use_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _no_process_outlives_the_tests() -> Iterator[None]:
    yield
    commands.leave()
    left = _our_processes()
    assert not left, f"processes left behind: {left}"


@pytest.fixture(scope="session")
def _running_server(_no_process_outlives_the_tests: None) -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture
def postgres(_running_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A PostgreSQL server, and the environment in which its user's password is found."""
    monkeypatch.setenv("PGPASSFILE", str(_running_server.passfile))
    return _running_server


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests recorded: a worker's own output is not shown."""
    for report in (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")):
        for name, value in report.user_properties:
            if name == "figure":
                terminalreporter.write_line(str(value))
