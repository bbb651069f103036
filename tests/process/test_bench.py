"""The whole chain on simulated devices: a heating bench is made safe past a suspended host, by supervisor and by `stop`."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from instruments.bench.file import load_bench
from instruments.bench_client.client import HostClient
from instruments.lab_processes.bench_process import BenchProcess, ensure_bench, shutdown_bench, unlatch
from instruments.lab_processes.plant_process import ensure_plant, shutdown_plant
from instruments.lab_processes.process_identity import Process, reap
from instruments.lab_processes.processes import process_table
from instruments.lab_processes.state_files import LATCHED, SUPERVISOR, read_state_file
from instruments.lab_processes.stop import stop_bench
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import StepKind, StepStatus
from orchestrator.domain.records import RunRequest, Step
from tests.process.conftest import eventually

pytestmark = [pytest.mark.slow, pytest.mark.long]

BENCH = Path(__file__).parents[2] / "examples" / "cdse" / "bench.toml"
HEAT_AND_WAIT = (
    Step(index=0, do="pump_l.set_flow", kind=StepKind.STATE_SETTING, arguments={"flow": 1.0}, units={"flow": "mL/min"}),
    Step(index=1, do="oven.set_temperature", kind=StepKind.STATE_SETTING, arguments={"temperature": 150.0}, units={"temperature": "degC"}),
    Step(index=2, do="wait", kind=StepKind.WAIT, arguments={"time": 36_000.0}, units={"time": "s"}),
)


@pytest.fixture
def plant(lab: Path) -> Iterator[Path]:
    file = load_bench(BENCH)
    ensure_plant(lab, BENCH.parent / file.spec.simulation["plant"], bench_sha256=file.sha256, seed=1, rate=10.0)
    yield lab / "plant"
    shutdown_plant(lab)


@pytest.fixture
def host(lab: Path, plant: Path) -> Iterator[BenchProcess]:
    yield ensure_bench(lab, BENCH, plant / "endpoints.json")
    unlatch(lab, by="test", reason="over")
    shutdown_bench(lab)


def heat(lab: Path) -> None:
    """Let the bench heat, in the middle of a run."""
    key = uuid7()
    with HostClient.of_lab(lab, campaign="demo", fence=1) as client:
        client.submit(RunRequest(key, uuid7(), 1, "demo", 1, load_bench(BENCH).sha256, HEAT_AND_WAIT))

        def heating() -> bool:
            report = client.report(key, wait=0.2)
            assert report is not None
            assert report.status.is_open, report
            return len(report.steps) > 1 and report.steps[1].status is StepStatus.DONE

        eventually(heating)


def truth(plant: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (plant / "ground-truth.jsonl").read_text().splitlines()]


def made_safe(plant: Path, since: int) -> set[str]:
    return {str(event["device"]) for event in truth(plant)[since:] if event["event"] == "safe-state"}


def test_the_supervisor_makes_a_heating_bench_safe_past_a_suspended_host(lab: Path, plant: Path, host: BenchProcess) -> None:
    heat(lab)
    limit = load_bench(BENCH).spec.bench.restart_within
    seen, began = len(truth(plant)), time.monotonic()
    os.kill(host.process.pid, signal.SIGSTOP)
    eventually(lambda: made_safe(plant, seen) >= {"oven", "pump_l"}, within=2 * limit)
    assert time.monotonic() - began < 1.5 * limit  # restart_within is kept on an idle machine
    eventually(lambda: process_table(lab)["supervisor"] is None)
    assert not host.process.alive
    assert "gave no answer" in read_state_file(lab / LATCHED)["reason"]
    assert all(line.endswith(": done") for line in read_state_file(lab / LATCHED)["safe_state"])


def test_stop_makes_a_heating_bench_safe_past_suspended_host_and_supervisor(lab: Path, plant: Path, host: BenchProcess) -> None:
    heat(lab)
    supervisor = Process.parse(read_state_file(lab / SUPERVISOR))
    assert supervisor is not None
    for process in (supervisor, host.process):
        assert process.signal(signal.SIGSTOP)
    eventually(lambda: host.process.suspended and supervisor.suspended)
    seen = len(truth(plant))
    stopped = stop_bench(lab, reason="smoke", by="Ada")
    lines = stopped.lines
    assert not stopped.unsafe
    reap(supervisor.pid)
    assert lines[:2] == (f"supervisor {supervisor.pid} killed", f"host {host.process.pid} killed")
    assert all(line.endswith(": done") for line in lines[2:])
    assert made_safe(plant, seen) >= {"oven", "pump_l"}
    assert read_state_file(lab / LATCHED)["by"] == "Ada"


def test_a_bench_follows_its_lab_when_that_is_moved(lab: Path, plant: Path, host: BenchProcess, tmp_path: Path) -> None:
    moved = lab.rename(tmp_path / "moved")
    with HostClient.of_lab(moved) as client:
        client.make_safe()  # the next run opens the wires anew
    heat(moved)
    stopped = stop_bench(moved, reason="smoke", by="Ada")
    assert stopped.lines[0] == f"host {host.process.pid} drove the safe state and latched the bench"
    assert not stopped.unsafe
    assert host.process.kill()
    assert not stop_bench(moved, reason="smoke", by="Ada").unsafe  # also without the host, at the ports in their new place
    assert not lab.exists()
    moved.rename(lab)
