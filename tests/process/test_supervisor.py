"""The supervisor restarts a dead host, and drives the safe state in the place of one that cannot go on."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from instruments.lab_processes.process_identity import Process
from instruments.lab_processes.state_files import HOST, HOST_ERROR, LATCHED, SUPERVISOR, read_state_file, write_state_file
from instruments.lab_processes.stop import Stopped
from instruments.notification import Notifier
from instruments.supervisor.supervisor import Supervisor, Times, start_host
from orchestrator.errors import LockHeld
from tests.process.conftest import eventually

pytestmark = pytest.mark.slow

QUICK = Times(restart_within=6.0, question=0.5)
"""Silent after 3 s, stuck after 4.8 s."""
HASTY = Times(restart_within=2.0, question=0.5)
"""Where giving up is what is expected."""
PATIENT = Times(restart_within=30.0, question=0.5)


@dataclass
class Watched:
    """A supervisor in a thread, and what it did."""

    lab: Path
    times: Times
    stopping: threading.Event = field(default_factory=threading.Event)
    driven: list[tuple[float, bool]] = field(default_factory=list)
    """When the safe state was driven, and whether the host lived then."""
    code: int | None = None
    told: list[tuple[str, str]] = field(default_factory=list)
    """Title and body of what people were told."""

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._run, name="supervisor")
        self.thread.start()

    def _run(self) -> None:
        command = [sys.executable, "-m", "tests.process.fake_host", "--lab", str(self.lab)]
        notifier = Notifier(["test://"], self.lab / "notified", send=self._send)
        supervisor = Supervisor(self.lab, lambda: start_host(self.lab, command), self._drive, self.times, notifier)
        self.code = supervisor.run(self.stopping)
        notifier.close()

    def _send(self, _address: str, title: str, body: str) -> bool:
        self.told.append((title, body))
        return True

    def _drive(self) -> Stopped:
        host = self.host
        self.driven.append((time.monotonic(), host is not None and host.alive))
        return Stopped(("oven.off: done",))

    @property
    def host(self) -> Process | None:
        return Process.parse(read_state_file(self.lab / HOST))

    def ready(self, *, but: Process | None = None) -> Process:
        eventually(lambda: self.host is not None and self.host.alive and self.host != but)
        assert self.host is not None
        return self.host

    def settled(self) -> None:
        """Wait until the supervisor has asked twice."""
        time.sleep(2 * self.times.question + 0.3)

    def ended(self) -> int | None:
        self.thread.join(30)
        return self.code


@pytest.fixture
def watch(lab: Path) -> Iterator[Callable[[Times], Watched]]:
    watched: list[Watched] = []

    def begin(times: Times) -> Watched:
        watched.append(Watched(lab, times))
        return watched[-1]

    yield begin
    for one in watched:
        one.stopping.set()
        one.thread.join(30)


def kill(process: Process) -> None:
    assert process.signal(signal.SIGKILL)


def test_a_dead_host_is_started_again_at_once_and_nothing_is_latched(watch: Callable[[Times], Watched]) -> None:
    watched = watch(PATIENT)
    first = watched.ready()
    kill(first)
    second = watched.ready(but=first)
    assert second.pid != first.pid
    watched.settled()
    watched.stopping.set()
    assert watched.ended() == 0
    assert watched.driven == []
    assert not (watched.lab / LATCHED).exists()


def test_a_host_that_dies_twice_in_one_run_is_replaced_by_the_safe_state(watch: Callable[[Times], Watched]) -> None:
    watched = watch(PATIENT)
    write_state_file(watched.lab / "fake.json", {"run": "key-1"})
    first = watched.ready()
    watched.settled()
    kill(first)
    second = watched.ready(but=first)
    watched.settled()
    kill(second)
    assert watched.ended() == 3
    latched = read_state_file(watched.lab / LATCHED)
    assert (latched["reason"], latched["by"]) == ("host died 2 times in run key-1", "supervisor")
    assert latched["safe_state"] == ["oven.off: done"]
    ((title, body),) = watched.told
    assert title == f"Athanor (safe state entered): bench of {watched.lab}: host died 2 times in run key-1"
    assert body.splitlines() == ["oven.off: done", "The bench is latched: athanor resume --by NAME --reason TEXT"]
    assert [alive for _, alive in watched.driven] == [False]
    assert not (watched.lab / SUPERVISOR).exists()


def test_two_deaths_in_two_runs_do_not_latch_the_bench(watch: Callable[[Times], Watched]) -> None:
    watched = watch(PATIENT)
    host: Process | None = None
    for key in ("key-1", "key-2"):
        write_state_file(watched.lab / "fake.json", {"run": key})
        host = watched.ready(but=host)
        watched.settled()
        kill(host)
    watched.ready(but=host)
    assert watched.driven == []


def test_a_suspended_host_is_killed_and_the_bench_is_safe_in_the_declared_time(watch: Callable[[Times], Watched]) -> None:
    watched = watch(QUICK)
    host = watched.ready()
    watched.settled()
    began = time.monotonic()
    assert host.signal(signal.SIGSTOP)
    assert watched.ended() == 3
    ((when, host_alive),) = watched.driven
    assert not host_alive
    assert not host.alive
    assert when - began < QUICK.restart_within
    assert "gave no answer" in read_state_file(watched.lab / LATCHED)["reason"]


@pytest.mark.parametrize(
    ("symptom", "words"), [({"executor_age_s": 60.0}, "executor has not turned"), ({"wires": {"oven": 60.0}}, "wire oven has not turned")]
)
def test_a_host_whose_thread_stands_still_is_killed(watch: Callable[[Times], Watched], symptom: dict[str, object], words: str) -> None:
    watched = watch(PATIENT)
    host = watched.ready()
    write_state_file(watched.lab / "fake.json", symptom)
    assert watched.ended() == 3
    assert not host.alive
    assert len(watched.driven) == 1
    assert words in read_state_file(watched.lab / LATCHED)["reason"]


def test_a_restarted_host_that_hangs_is_replaced_by_the_safe_state(watch: Callable[[Times], Watched]) -> None:
    watched = watch(HASTY)
    host = watched.ready()
    write_state_file(watched.lab / "fake.json", {"start": "hang"})
    kill(host)
    assert watched.ended() == 3
    assert "was not ready in time" in read_state_file(watched.lab / LATCHED)["reason"]
    assert len(watched.driven) == 1


def test_a_restarted_host_that_crashes_on_and_on_is_replaced_by_the_safe_state(watch: Callable[[Times], Watched]) -> None:
    watched = watch(HASTY)
    host = watched.ready()
    write_state_file(watched.lab / "fake.json", {"start": "crash"})
    kill(host)
    assert watched.ended() == 3
    assert "code 9" in read_state_file(watched.lab / LATCHED)["reason"]
    assert len((watched.lab / "starts.txt").read_text().splitlines()) > 2


def test_a_host_that_refuses_its_first_start_leaves_the_bench_untouched(lab: Path, watch: Callable[[Times], Watched]) -> None:
    write_state_file(lab / "fake.json", {"start": "refuse"})
    watched = watch(PATIENT)
    assert watched.ended() == 4
    assert watched.driven == []
    assert not (lab / LATCHED).exists()
    assert read_state_file(lab / HOST_ERROR) == {"error": "pump_cd is not there"}


def test_after_an_unclean_end_a_refusing_host_leads_to_the_safe_state(lab: Path, watch: Callable[[Times], Watched]) -> None:
    write_state_file(lab / SUPERVISOR, {"pid": 1, "start_ticks": 1, "started": "long ago"})
    write_state_file(lab / "fake.json", {"start": "refuse"})
    watched = watch(Times(restart_within=1.0, question=0.5))
    assert watched.ended() == 3
    assert len(watched.driven) == 1
    assert "pump_cd is not there" in read_state_file(lab / LATCHED)["reason"]


def test_a_host_that_leaves_by_itself_ends_the_supervisor(watch: Callable[[Times], Watched]) -> None:
    watched = watch(PATIENT)
    watched.ready()
    subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from instruments.lab_processes.http import ask_host; ask_host(sys.argv[1], 'POST', '/shutdown', {}, timeout=20)",
            read_state_file(watched.lab / HOST)["socket"],
        ],
        check=True,
    )
    assert watched.ended() == 0
    assert watched.driven == []


SAFE = {"key": "entering 1", "reason": "no campaign for 60 s", "asked": False, "wall": "2026-01-02T03:04:05+00:00"}


def test_a_safe_state_that_the_host_drove_by_itself_is_told_once_also_by_the_next_supervisor(
    lab: Path, watch: Callable[[Times], Watched]
) -> None:
    write_state_file(lab / "fake.json", {"safe_state": SAFE, "attended": True})
    first = watch(PATIENT)
    first.ready()
    eventually(lambda: first.told)
    first.settled()
    first.stopping.set()
    assert first.ended() == 0
    assert first.told == [
        (
            f"Athanor (safe state entered): bench of {lab}: no campaign for 60 s",
            "The bench host drove it at 2026-01-02T03:04:05+00:00.",
        )
    ]
    second = watch(PATIENT)
    second.ready()
    second.settled()
    write_state_file(lab / "fake.json", {"safe_state": {**SAFE, "key": "entering 2", "reason": "alarm"}, "attended": True})
    eventually(lambda: second.told)
    assert [title.rpartition(": ")[2] for title, _ in second.told] == ["alarm"]


def test_a_safe_state_that_a_live_campaign_knows_of_is_told_only_when_the_campaign_is_gone(
    lab: Path, watch: Callable[[Times], Watched]
) -> None:
    asked = {**SAFE, "asked": True, "reason": "run k ended failed"}
    write_state_file(lab / "fake.json", {"safe_state": asked, "attended": True})
    watched = watch(PATIENT)
    watched.ready()
    watched.settled()
    assert watched.told == []
    write_state_file(lab / "fake.json", {"safe_state": asked, "attended": False})
    eventually(lambda: watched.told)
    watched.settled()
    assert len(watched.told) == 1


def test_on_a_latched_bench_nothing_is_restarted(watch: Callable[[Times], Watched]) -> None:
    watched = watch(PATIENT)
    host = watched.ready()
    watched.settled()
    write_state_file(watched.lab / LATCHED, {"reason": "smoke", "by": "Ada"})
    kill(host)
    assert watched.ended() == 3
    assert len((watched.lab / "starts.txt").read_text().splitlines()) == 1
    assert read_state_file(watched.lab / LATCHED)["by"] == "Ada"


def test_the_safe_state_is_driven_in_the_place_of_a_host_that_left_and_could_not(watch: Callable[[Times], Watched]) -> None:
    watched = watch(QUICK)
    watched.ready()
    write_state_file(watched.lab / "fake.json", {"unsafe": "not done was: oven.off"})
    watched.stopping.set()
    assert watched.ended() == 3
    assert [alive for _, alive in watched.driven] == [False]
    assert read_state_file(watched.lab / LATCHED)["reason"] == "not done was: oven.off"


def test_a_lab_has_one_supervisor(lab: Path, watch: Callable[[Times], Watched]) -> None:
    watched = watch(PATIENT)
    watched.ready()
    with pytest.raises(LockHeld, match=rf"process {os.getpid()} .supervisor"):
        Supervisor(lab, lambda: start_host(lab, ["false"]), lambda: Stopped(()), PATIENT).run(threading.Event())


def test_the_host_of_a_killed_supervisor_is_adopted(lab: Path, watch: Callable[[Times], Watched]) -> None:
    orphan = start_host(lab, [sys.executable, "-m", "tests.process.fake_host", "--lab", str(lab)])
    eventually(lambda: read_state_file(lab / HOST).get("pid") == orphan.pid)
    watched = watch(PATIENT)
    watched.settled()
    watched.stopping.set()
    assert watched.ended() == 0
    assert orphan.wait(20) == 0
    assert len((lab / "starts.txt").read_text().splitlines()) == 1
    assert json.dumps(watched.driven) == "[]"
