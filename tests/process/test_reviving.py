"""A supervisor that was killed under a living campaign comes back, and never against a person who stops or ends the bench."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from instruments.bench_client.client import HostClient
from instruments.lab_processes.bench_process import BenchProcess, ensure_bench, host_alive, revive_bench, shutdown_bench
from instruments.lab_processes.process_identity import Process, reap
from instruments.lab_processes.processes import process_table
from instruments.lab_processes.started import remember_or_end
from instruments.lab_processes.state_files import LATCHED, read_state_file, write_latch
from instruments.lab_processes.stop import Stopped, stop_bench, supervisor_of
from instruments.supervisor.supervisor import Supervisor, Times
from orchestrator.errors import HostError
from tests.process.conftest import eventually

pytestmark = pytest.mark.slow

SUPERVISED = ("tests.process.fake_supervisor",)


@pytest.fixture
def found(lab: Path) -> Iterator[BenchProcess]:
    (lab / "bench.toml").write_text("[bench]\n")
    yield ensure_bench(lab, lab / "bench.toml", supervisor=SUPERVISED)
    for name in ("supervisor", "host"):
        row = process_table(lab)[name]
        if row and (process := Process.of(row["pid"])):
            process.kill()
            reap(process.pid)


def revive(lab: Path) -> None:
    revive_bench(lab, lab / "bench.toml", supervisor=SUPERVISED)


def kill_supervisor(lab: Path) -> Process:
    supervisor = supervisor_of(lab)
    assert supervisor is not None
    assert supervisor.kill()
    reap(supervisor.pid)
    return supervisor


def test_a_host_whose_supervisor_was_killed_gets_another_and_lives_on(lab: Path, found: BenchProcess) -> None:
    killed = kill_supervisor(lab)
    revive(lab)
    assert supervisor_of(lab) not in (None, killed)
    assert found.process.alive


def test_a_campaigns_next_request_brings_supervisor_and_host_back(lab: Path, found: BenchProcess) -> None:
    with HostClient(found.socket, restart_within=0.0, lab=lab, revive=partial(revive, lab)) as client:
        kill_supervisor(lab)
        assert found.process.kill()
        with suppress(HostError):  # each fake host has a socket of its own
            client.alive()
    eventually(lambda: host_alive(lab))


def test_a_watched_bench_is_left_alone(lab: Path, found: BenchProcess) -> None:
    before = supervisor_of(lab)
    revive(lab)
    assert supervisor_of(lab) == before


def test_a_bench_that_was_ended_stays_ended(lab: Path, found: BenchProcess) -> None:
    shutdown_bench(lab)
    revive(lab)
    assert supervisor_of(lab) is None
    assert not host_alive(lab)


def test_a_bench_that_was_stopped_stays_stopped(lab: Path, found: BenchProcess) -> None:
    kill_supervisor(lab)
    found.process.kill()
    stop_bench(lab, reason="smoke", by="Ada")
    revive(lab)
    assert supervisor_of(lab) is None
    latch = read_state_file(lab / LATCHED)
    assert (latch["reason"], latch["by"]) == ("smoke", "Ada")
    assert latch["safe_state"][:2] == ["no supervisor is alive", "no host is alive"]


def test_a_stop_that_begins_while_a_supervisor_is_started_wins(lab: Path, found: BenchProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    kill_supervisor(lab)
    found.process.kill()

    def latched_meanwhile(*noted: Any, **entries: Any) -> None:
        write_latch(lab, reason="smoke", by="Ada")  # what `stop` does before it looks for whom to end
        remember_or_end(*noted, **entries)

    monkeypatch.setattr("instruments.lab_processes.bench_process.remember_or_end", latched_meanwhile)
    revive(lab)
    assert supervisor_of(lab) is None
    assert not host_alive(lab)


STARTING = """
import sys
from pathlib import Path
from instruments.lab_processes.locks import FileLock
FileLock(Path(sys.argv[1]) / "host.lock", what="bench host", lab=Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_host_that_is_on_its_way_is_adopted_and_no_other_is_started(lab: Path) -> None:
    words = [sys.executable, "-c", STARTING, str(lab)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == "held\n"
        supervisor = Supervisor(lab, nobody_starts, lambda: Stopped(("oven.off: done",)), Times(restart_within=0.1))
        adopted = supervisor._adopt()
        assert adopted is not None
        assert adopted.process.pid == host.pid
        host.kill()


def nobody_starts() -> subprocess.Popen[bytes]:
    raise AssertionError("another host was started")
