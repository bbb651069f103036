import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from instruments.lab_processes.bench_copies import last_copy
from instruments.lab_processes.http import ask_host
from instruments.lab_processes.process_identity import Process
from instruments.lab_processes.state_files import HOST, HOST_ERROR, NOT_SAFE, read_state_file, write_state_file
from orchestrator.errors import HostError
from tests.host.harness import PATIENCE, Bench, request, steps, until

pytestmark = pytest.mark.slow


def test_a_ready_host_says_in_the_lab_who_and_where_it_is(bench: Bench) -> None:
    bench.start()
    note = read_state_file(bench.lab / HOST)
    process = Process.parse(note)
    assert process is not None
    assert bench.host is not None
    assert process.pid == bench.host.pid
    assert process.alive
    assert note["bench_sha256"] == bench.sha256
    assert note["boot"] == bench.ask("GET", "/alive")["boot"]
    path = Path(note["socket"])
    assert len(os.fsencode(path)) <= 107
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_host_that_is_told_to_leave_ends_the_run_and_leaves_the_bench_safe(bench: Bench) -> None:
    bench.start()
    wanted = request(bench, steps(wait=1e6))
    bench.submit(wanted)
    bench.await_step(wanted["run_key"], 5, "intent")
    assert bench.host is not None
    bench.host.terminate()
    assert bench.end() == 0
    assert not (bench.lab / HOST).exists()
    state = bench.world.state()
    assert state["oven"]["heat"]["to"] == 20.0
    assert state["pump_a"]["dose"] is None
    bench.start()
    report = bench.await_end(wanted["run_key"])
    assert (report["status"], report["reason"]) == ("failed", "interrupted: the bench host was told to leave")


def test_a_shutdown_by_request_leaves_as_cleanly(bench: Bench) -> None:
    bench.start()
    bench.carry_out()
    assert bench.ask("POST", "/safe-state")["safe_state"][0] == {"instrument": "oven", "action": "stop", "done": True, "reason": None}
    bench.ask("POST", "/shutdown", {})
    assert bench.end() == 0


def test_a_host_that_leaves_and_cannot_make_the_bench_safe_says_so(bench: Bench) -> None:
    bench.start()
    bench.world.absent("pump_b", gone=True)
    assert bench.ask("POST", "/shutdown", {}) == {"leaving": True}
    assert bench.end() == 4
    error = read_state_file(bench.lab / HOST_ERROR)
    assert error["kind"] == NOT_SAFE
    assert "not done was: pump_b.stop: NOT DONE: link flow (" in error["error"]
    assert "pump_b is silent" in error["error"]


def test_the_host_keeps_a_copy_of_its_bench_file_before_it_touches_a_wire(bench: Bench) -> None:
    bench.world.absent("pump_b", gone=True)
    bench.start(wait=False)
    assert bench.end() == 4
    copy = last_copy(bench.lab)
    assert copy == bench.lab / "host" / "bench" / bench.sha256 / "bench.toml"
    assert copy.read_text() == bench.bench_file.read_text()


def test_a_bench_is_not_made_safe_by_request_under_a_run(bench: Bench) -> None:
    bench.start()
    wanted = request(bench, steps(wait=1e6))
    bench.submit(wanted)
    bench.await_step(wanted["run_key"], 5, "intent")
    assert bench.refused("POST", "/safe-state")[0] == 409


def test_without_a_campaign_the_bench_finishes_its_run_and_then_goes_to_the_safe_state(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rate=100.0, grace=1.0)
    try:
        bench.start()
        wanted = request(bench, steps(wait=300.0))
        bench.submit(wanted)
        until(lambda: bench.world.state()["oven"].get("safe", 0) > 0, "the safe state after the grace time")
        report = bench.ask("GET", f"/runs/{wanted['run_key']}")
        assert report["status"] == "completed"
        assert bench.executions(wanted["run_key"]) == (1, 1, 1)
        assert len(bench.readings(wanted["run_key"])) > 0
        armed = bench.world.state()["oven"]["armed"]
        assert bench.carry_out()["status"] == "completed"
        assert bench.world.state()["oven"]["armed"] == armed + 1  # the next run wakes the bench by its start-up steps
    finally:
        bench.close()


def test_a_run_that_waits_begins_only_while_a_campaign_is_there(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rate=100.0, grace=1.0)
    try:
        bench.start()
        first, second = request(bench, steps(wait=300.0)), request(bench)
        bench.submit(first)
        bench.submit(second)
        until(lambda: bench.world.state()["oven"].get("safe", 0) > 0, "the safe state after the grace time")
        assert bench.ask("GET", f"/runs/{second['run_key']}")["status"] == "dispatched"
        assert bench.await_end(second["run_key"])["status"] == "completed"  # asks with its fencing number
    finally:
        bench.close()


def test_an_idle_host_leaves_the_bench_safe(tmp_path: Path) -> None:
    bench = Bench(tmp_path, grace=0.5, idle_exit=1.5)
    try:
        bench.start()
        assert bench.end() == 0
        assert bench.world.state()["oven"]["safe"] >= 1
    finally:
        bench.close()


def test_a_latch_survives_the_host_and_may_be_lifted_without_one(bench: Bench) -> None:
    bench.start()
    bench.ask("POST", "/stop", {"reason": "smoke", "by": "Ada"})
    assert bench.host is not None
    bench.host.kill()
    bench.end()
    bench.start()
    assert bench.ask("GET", "/alive")["latched"]
    assert bench.refused("PUT", "/runs/next", request(bench))[0] == 423
    bench.host.kill()
    bench.end()
    (bench.lab / "latched.json").unlink()
    bench.start()
    assert not bench.ask("GET", "/alive")["latched"]
    assert bench.carry_out()["status"] == "completed"


def test_a_campaign_is_told_that_a_latched_bench_does_not_begin_its_run(bench: Bench) -> None:
    wanted = request(bench)
    bench.start(at=1)
    with suppress(HostError):
        bench.submit(wanted)
    assert bench.end() == -9
    write_state_file(bench.lab / "latched.json", {"reason": "host died", "by": "supervisor"})
    bench.start()
    assert bench.ask("GET", f"/runs/{wanted['run_key']}")["status"] == "dispatched"
    status, line = bench.refused("GET", f"/runs/{wanted['run_key']}?fence=1")
    assert (status, line.partition(";")[0]) == (423, "bench latched by supervisor: host died")
    bench.ask("POST", "/unlatch", {"by": "Ada", "reason": "false alarm"})
    assert bench.await_end(wanted["run_key"])["status"] == "completed"


def test_a_bench_that_was_latched_while_no_host_lived_ends_the_interrupted_run(bench: Bench) -> None:
    wanted = request(bench, steps("continue"))
    bench.start(at=18, before=True)
    bench.submit(wanted)
    bench.end()
    write_state_file(bench.lab / "latched.json", {"reason": "host died", "by": "supervisor"})
    bench.start()
    report = bench.await_end(wanted["run_key"])
    assert (report["status"], report["reason"]) == ("aborted", "bench latched by supervisor: host died")
    assert bench.world.state()["oven"]["heat"]["to"] == 20.0


def test_an_absent_device_ends_the_start_with_one_line(bench: Bench) -> None:
    bench.world.absent("pump_b", gone=True)
    bench.start(wait=False)
    assert bench.end() == 4
    note = read_state_file(bench.lab / HOST_ERROR)
    assert note["kind"] == "LinkError"
    assert note["error"] == f"link flow ({bench.folder / 'flow'}), pump_b: pump_b is silent"
    bench.world.absent("pump_b", gone=False)
    bench.start()
    assert not (bench.lab / HOST_ERROR).exists()


def test_a_device_that_is_gone_when_the_bench_wakes_up_fails_the_run_before_anything_was_sent(bench: Bench) -> None:
    bench.start()
    bench.ask("POST", "/safe-state")
    bench.world.absent("pump_b", gone=True)
    report = bench.carry_out()
    assert report["status"] == "failed"
    assert "pump_b is silent" in report["reason"]
    assert report["evidence"]["not_executed"] is True
    bench.world.absent("pump_b", gone=False)
    assert bench.carry_out()["status"] == "completed"


def test_one_wire_has_one_host(bench: Bench, tmp_path: Path) -> None:
    bench.start()
    first = bench.host
    bench.start(wait=False)
    assert bench.end() == 4
    assert "is held by process" in read_state_file(bench.lab / HOST_ERROR)["error"]
    assert first is not None
    assert first.is_alive()


def test_endpoints_of_another_bench_file_are_refused(bench: Bench) -> None:
    document = read_state_file(bench.folder / "endpoints.json")
    write_state_file(bench.folder / "endpoints.json", {**document, "bench_sha256": "0" * 64})
    bench.start(wait=False)
    assert bench.end() == 1
    assert "is of bench file 000000000000" in read_state_file(bench.lab / HOST_ERROR)["error"]


@pytest.mark.long
def test_without_a_supervisor_no_new_run_is_taken_and_no_watchdog_is_fed(bench: Bench) -> None:
    bench.start()
    time.sleep(10.5)
    fed = bench.world.state()["pump_a"]["refreshed"]
    status, line = bench.refused("PUT", "/runs/next", request(bench))
    assert status == 503
    assert "no supervisor's question" in line
    time.sleep(1.0)
    assert bench.world.state()["pump_a"]["refreshed"] == fed
    bench.ask("GET", "/alive?supervisor=1")
    assert bench.carry_out()["status"] == "completed"


def test_the_module_runs_by_itself_and_prints_nothing(tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    command = [sys.executable, "-m", "instruments.host", "--lab", str(lab), "--bench", str(tmp_path / "none.toml")]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")
    assert json.loads((lab / HOST_ERROR).read_text())["error"].endswith("none.toml does not exist")


def test_a_host_that_is_killed_lets_the_next_one_in_at_once(bench: Bench) -> None:
    bench.start()
    socket = read_state_file(bench.lab / HOST)["socket"]
    assert bench.host is not None
    assert bench.host.pid is not None
    os.kill(bench.host.pid, signal.SIGKILL)
    bench.end()
    bench.start()
    assert read_state_file(bench.lab / HOST)["socket"] == socket
    assert ask_host(socket, "GET", "/alive", timeout=PATIENCE)["ready"]
