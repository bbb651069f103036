"""Commands start what is missing, adopt what lives, and end what this lab started and nothing else."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from instruments.bench_client.client import HostClient
from instruments.lab_processes.bench_copies import noted_bench
from instruments.lab_processes.bench_process import BenchProcess, ensure_bench, host_alive, shutdown_bench, unlatch
from instruments.lab_processes.labtime import lab_clock
from instruments.lab_processes.plant_process import ensure_plant, shutdown_plant
from instruments.lab_processes.process_identity import Process, reap
from instruments.lab_processes.processes import process_table
from instruments.lab_processes.state_files import HOST, LATCHED, STARTED, SUPERVISOR, read_state_file, write_latch, write_state_file
from instruments.lab_processes.stop import stop_bench
from orchestrator.clock import LiveClock
from orchestrator.errors import BadInput, Fault, HostError, NeedsPerson
from tests.process.conftest import eventually

pytestmark = pytest.mark.slow

SUPERVISED = ("tests.process.fake_supervisor",)
PLANT = ("tests.process.fake_plant",)


@pytest.fixture
def bench(lab: Path) -> Path:
    path = lab / "bench.toml"
    path.write_text("[bench]\n")
    return path


@pytest.fixture(autouse=True)
def _ended(lab: Path) -> Iterator[None]:
    yield
    for name in ("supervisor", "host", "plant"):
        found = process_table(lab)[name]
        if found and (process := Process.of(found["pid"])):
            process.kill()
            reap(process.pid)


def ensure(lab: Path) -> BenchProcess:
    return ensure_bench(lab, lab / "bench.toml", supervisor=SUPERVISED)


def test_a_bench_is_started_adopted_and_ended_without_a_trace(lab: Path, bench: Path) -> None:
    first = ensure(lab)
    assert ensure(lab) == first
    assert host_alive(lab)
    assert noted_bench(lab) == bench
    with HostClient.of_lab(lab) as client:
        assert client.alive()["ready"]
    shutdown_bench(lab)
    assert not first.process.alive
    assert not Path(first.socket).exists()
    assert process_table(lab) == dict.fromkeys(["campaign", "host", "supervisor", "plant", "prefect"])
    assert "supervisor" not in read_state_file(lab / STARTED)


def test_commands_that_start_at_once_get_one_supervisor_and_one_host(lab: Path, bench: Path) -> None:
    program = (
        "import sys, pathlib; from instruments.lab_processes.bench_process import ensure_bench; lab = pathlib.Path(sys.argv[1]);"
        "print(ensure_bench(lab, lab / 'bench.toml', supervisor=('tests.process.fake_supervisor',)).process.pid)"
    )
    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(subprocess.check_output, [sys.executable, "-c", program, str(lab)], text=True) for _ in range(3)]
        pids = {run.result() for run in runs}
    assert len(pids) == 1
    assert len((lab / "starts.txt").read_text().splitlines()) == 1
    shutdown_bench(lab)


def test_the_table_of_processes_names_pid_and_start(lab: Path, bench: Path) -> None:
    found = ensure(lab)
    table = process_table(lab)
    assert table["host"] == {"pid": found.process.pid, "started": found.process.started}
    assert table["supervisor"] is not None
    assert table["plant"] is None
    shutdown_bench(lab)


def test_a_host_that_cannot_start_is_told_with_its_own_line(lab: Path, bench: Path) -> None:
    write_state_file(lab / "fake.json", {"start": "refuse"})
    with pytest.raises(HostError, match="the bench host did not start: pump_cd is not there"):
        ensure(lab)


def test_a_start_that_ends_with_a_latched_bench_asks_for_a_person(lab: Path, bench: Path) -> None:
    write_latch(lab, reason="the oven was too hot", by="operator")
    write_state_file(lab / "fake.json", {"start": "crash"})
    with pytest.raises(NeedsPerson, match=r"the bench is latched \(the oven was too hot\); .* resume --lab .* --by NAME --reason TEXT"):
        ensure(lab)


def test_the_host_of_a_killed_supervisor_goes_on_under_a_new_one(lab: Path, bench: Path) -> None:
    first = ensure(lab)
    supervisor = Process.parse(read_state_file(lab / SUPERVISOR))
    assert supervisor is not None
    assert supervisor.kill()
    assert ensure(lab) == first
    assert Process.parse(read_state_file(lab / SUPERVISOR)) != supervisor
    shutdown_bench(lab)
    assert not first.process.alive


def test_a_bench_whose_supervisor_was_killed_is_ended_all_the_same(lab: Path, bench: Path) -> None:
    found = ensure(lab)
    supervisor = Process.parse(read_state_file(lab / SUPERVISOR))
    assert supervisor is not None
    assert supervisor.kill()
    shutdown_bench(lab)
    assert not found.process.alive


def test_a_changed_bench_file_gets_a_new_host_when_the_old_one_is_idle(lab: Path, bench: Path) -> None:
    first = ensure(lab)
    bench.write_text("[bench]\nname = 'other'\n")
    second = ensure(lab)
    assert second.bench_sha256 != first.bench_sha256
    assert not first.process.alive
    shutdown_bench(lab)


def test_a_host_is_adopted_by_the_hash_of_the_bench_file_and_of_what_stands_beside_it(lab: Path, bench: Path) -> None:
    first = ensure(lab)
    write_state_file(lab / HOST, {**read_state_file(lab / HOST), "bench_sha256": "ab" * 32})  # what a host with a profile says
    again = ensure_bench(lab, bench, sha256="ab" * 32, supervisor=SUPERVISED)
    assert again.process == first.process


def test_a_changed_bench_file_is_refused_in_the_middle_of_a_run(lab: Path, bench: Path) -> None:
    first = ensure(lab)
    write_state_file(lab / "fake.json", {"run": "key-1"})
    bench.write_text("[bench]\nname = 'other'\n")
    with pytest.raises(NeedsPerson, match="while run key-1 is carried out"):
        ensure(lab)
    assert first.process.alive
    shutdown_bench(lab)


def test_the_host_of_a_plant_that_died_is_replaced(lab: Path, bench: Path) -> None:
    endpoints = lab / "plant" / "endpoints.json"
    plant(lab)
    first = ensure_bench(lab, bench, endpoints, supervisor=SUPERVISED)
    assert ensure_bench(lab, bench, endpoints, supervisor=SUPERVISED) == first
    shutdown_plant(lab)
    plant(lab)
    second = ensure_bench(lab, bench, endpoints, supervisor=SUPERVISED)
    assert second != first
    assert not first.process.alive
    shutdown_bench(lab)
    shutdown_plant(lab)


def test_a_bench_that_others_started_is_left_alone(lab: Path, bench: Path) -> None:
    found = ensure(lab)
    (lab / STARTED).unlink()
    shutdown_bench(lab)
    assert found.process.alive


def test_stop_asks_the_host_and_resume_unlatches_it(lab: Path, bench: Path) -> None:
    found = ensure(lab)
    stopped = stop_bench(lab, reason="smoke", by="Ada")
    assert stopped.lines == (f"host {found.process.pid} drove the safe state and latched the bench", "oven.off: done")
    assert stopped.unsafe == ()
    assert unlatch(lab, by="Ada", reason="aired")
    assert not (lab / LATCHED).exists()
    assert not unlatch(lab, by="Ada", reason="again")
    shutdown_bench(lab)


def test_a_latch_is_lifted_also_while_no_host_lives(lab: Path) -> None:
    write_state_file(lab / LATCHED, {"reason": "smoke", "by": "Ada"})
    assert unlatch(lab, by="Ada", reason="aired")
    assert not (lab / LATCHED).exists()


def test_stop_kills_what_hangs_and_latches_even_when_the_wires_cannot_be_driven(lab: Path, bench: Path) -> None:
    found = ensure(lab)
    supervisor = Process.parse(read_state_file(lab / SUPERVISOR))
    assert supervisor is not None
    for process in (supervisor, found.process):
        assert process.signal(signal.SIGSTOP)
    eventually(lambda: found.process.suspended and supervisor.suspended)
    stopped = stop_bench(lab, reason="smoke", by="Ada")
    reap(supervisor.pid)
    assert stopped.lines == (f"supervisor {supervisor.pid} killed", f"host {found.process.pid} killed")
    assert "the safe state was NOT driven: " in stopped.verdict  # this bench file names no wires
    assert read_state_file(lab / LATCHED)["reason"] == "smoke"


def test_stop_in_a_lab_that_never_had_a_bench_says_so(lab: Path) -> None:
    with pytest.raises(BadInput, match="no bench was ever started"):
        stop_bench(lab, reason="smoke", by="Ada")


def plant(lab: Path, *, seed: int = 1, rate: float = 60.0, bench_sha256: str = "ab" * 32) -> dict[str, str]:
    (lab / "plant.toml").touch()
    return ensure_plant(lab, lab / "plant.toml", bench_sha256=bench_sha256, seed=seed, rate=rate, plant=PLANT)


def test_a_plant_is_started_adopted_and_ended(lab: Path) -> None:
    endpoints = plant(lab)
    assert endpoints == {"pumps": str(lab / "plant" / "pumps.tty"), "platform": "opc.tcp://127.0.0.1:1/x"}
    running = process_table(lab)["plant"]
    assert running is not None
    assert plant(lab) == endpoints
    assert process_table(lab)["plant"] == running
    shutdown_plant(lab)
    assert process_table(lab)["plant"] is None


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"rate": 10.0}, "rate 60; this command wants 10"),
        ({"seed": 2}, "seed 1; this command wants 2"),
        ({"bench_sha256": "cd" * 32}, "abababababab; this command wants cdcdcdcdcdcd"),
    ],
)
def test_a_running_plant_of_another_kind_is_refused_naming_both(lab: Path, other: dict[str, float], words: str) -> None:
    plant(lab)
    with pytest.raises(BadInput, match=words):
        plant(lab, **other)  # type: ignore[arg-type]  # one of three arguments, each of its own type
    shutdown_plant(lab)


def test_a_plant_that_was_killed_is_started_again(lab: Path) -> None:
    plant(lab)
    first = process_table(lab)["plant"]
    assert first is not None
    os.kill(first["pid"], signal.SIGKILL)
    eventually(lambda: process_table(lab)["plant"] is None)
    reap(first["pid"])
    plant(lab)
    second = process_table(lab)["plant"]
    assert second is not None
    assert second["pid"] != first["pid"]
    shutdown_plant(lab)


def test_a_plant_that_does_not_start_is_told_with_its_last_line(lab: Path) -> None:
    with pytest.raises(Fault, match=r"did not start: plant file .*nothing.toml does not exist"):
        ensure_plant(lab, lab / "nothing.toml", bench_sha256="ab" * 32, seed=1, rate=1.0, plant=PLANT)


def test_a_dry_lab_tells_the_plants_time_and_a_live_one_the_real(lab: Path) -> None:
    plant(lab, rate=60.0)
    endpoints = lab / "plant" / "endpoints.json"
    clock = lab_clock(endpoints)
    before, wall = clock.lab(), time.monotonic()
    time.sleep(0.2)
    assert clock.lab() - before == pytest.approx(60.0 * (time.monotonic() - wall), rel=0.2)
    assert lab_clock(None) == LiveClock()
    with pytest.raises(BadInput, match="no plant has run"):
        lab_clock(lab / "other.json")
    shutdown_plant(lab)


def test_the_note_of_a_dead_host_is_not_taken_for_a_host(lab: Path) -> None:
    write_state_file(lab / HOST, {"pid": os.getpid(), "start_ticks": 1, "started": "", "socket": "/nowhere"})
    assert process_table(lab)["host"] is None
    assert not host_alive(lab)
