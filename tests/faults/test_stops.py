"""A heating bench loses its campaign, host, supervisor or ledger; it is made safe all the same, and stays latched until resumed.

One lab for all: each test finds the campaign unfinished, lets it heat, and leaves it resumed and unfinished.
"""

import json
from pathlib import Path
from typing import Final

import pytest

from instruments.bench.file import load_bench
from instruments.lab_processes.process_identity import Process
from orchestrator.domain.lifecycle import RunStatus
from tests.faults.conftest import MakeLaboratory
from tests.faults.laboratory import Ended, Event, Laboratory, Typed, eventually, suspend

pytestmark = [pytest.mark.slow, pytest.mark.long]

RATE: Final = 20.0
"""Heating takes ten wall seconds at this rate."""
PUMPS: Final = {"pump_cd", "pump_se", "pump_l"}
BUSY: Final = 10.0
"""Wall seconds by which a busy machine may be late."""


@pytest.fixture(scope="module")
def laboratory(make_laboratory: MakeLaboratory) -> Laboratory:
    return make_laboratory(budget=40, rate=RATE, restart_within="15 s")


def test_a_suspended_host_is_replaced_by_the_safe_state_within_the_declared_time(
    laboratory: Laboratory, capsys: pytest.CaptureFixture[str]
) -> None:
    command, host, seen = heat(laboratory)
    allowed = load_bench(laboratory.bench).spec.bench.restart_within
    suspend(host)
    seconds = eventually(lambda: is_safe(laboratory, seen), "safe state")
    ended = laboratory.ended(command)
    with capsys.disabled():
        print(f"\nhost suspended: heater off and pumps stopped after {seconds:.1f} s; declared {allowed:g} s")
    assert seconds < allowed + BUSY
    assert not host.alive
    assert ended.code == 3
    assert "athanor resume" in ended.line
    assert laboratory.changes().campaign.status == "paused"
    assert "gave no answer" in latch(laboratory)["reason"]
    refused(laboratory)
    resume(laboratory)


def test_stop_needs_no_ledger_and_no_campaign(laboratory: Laboratory, tmp_path: Path) -> None:
    command, _, seen = heat(laboratory)
    command.kill()
    command.wait()
    hidden = [path.rename(tmp_path / path.name) for path in laboratory.lab.glob("ledger.db*")]
    assert hidden
    stopped = laboratory.type("stop", "--by", "Ada", "--reason", "smoke")
    assert_stopped(laboratory, stopped, seen)
    assert not (laboratory.lab / "ledger.db").exists()
    for path in hidden:
        path.rename(laboratory.lab / path.name)
    refused(laboratory)
    resume(laboratory)


def test_stop_pauses_the_campaign_that_is_being_carried_out(laboratory: Laboratory) -> None:
    command, _, seen = heat(laboratory)
    assert_stopped(laboratory, laboratory.type("stop", "--by", "Ada", "--reason", "smoke"), seen)
    ended = laboratory.ended(command)
    assert ended.code == 3
    assert "athanor resume" in ended.line
    assert laboratory.changes().campaign.status == "paused"
    assert not [run for run in laboratory.runs() if run.status is RunStatus.RUNNING]
    assert [run for run in laboratory.runs() if run.status is RunStatus.ABORTED and "smoke" in str(run.reason)]
    resume(laboratory)


def test_stop_makes_a_bench_safe_whose_host_was_killed(laboratory: Laboratory) -> None:
    command, _, seen = heat(laboratory)
    laboratory.kill("supervisor", "host")
    assert laboratory.is_heating()
    assert_stopped(laboratory, laboratory.type("stop", "--by", "Ada", "--reason", "smoke"), seen)
    assert laboratory.ended(command).code == 3
    resume(laboratory)


def test_stop_makes_a_bench_safe_whose_host_and_campaign_are_suspended(laboratory: Laboratory) -> None:
    command, host, seen = heat(laboratory)
    suspend(laboratory.process("campaign"))
    suspend(host)
    assert_stopped(laboratory, laboratory.type("stop", "--by", "Ada", "--reason", "smoke"), seen)
    assert not host.alive
    command.kill()
    command.wait()
    resume(laboratory)


def heat(laboratory: Laboratory) -> tuple[Typed, Process, list[Event]]:
    """Carry the campaign on until the heater is on; return the command, the host, and what had happened until then."""
    command = laboratory.dry_run()
    eventually(lambda: laboratory.is_heating() or command.poll() is not None, "heating")
    assert command.poll() is None, laboratory.ended(command).err
    return command, laboratory.process("host"), laboratory.truth()


def is_safe(laboratory: Laboratory, seen: list[Event]) -> bool:
    """Say whether the heater was switched off and all pumps were stopped after what has been seen."""
    new = [one for one in laboratory.truth()[len(seen) :] if one["event"] == "safe-state"]
    off = {one["device"] for one in new if one["values"]["cause"] in ("heater off", "stop command")}
    return off >= {"oven", *PUMPS}


def assert_stopped(laboratory: Laboratory, stopped: Ended, seen: list[Event]) -> None:
    assert stopped.code == 0, stopped.err
    assert "NOT DONE" not in stopped.out, stopped.out
    assert is_safe(laboratory, seen)
    assert not laboratory.is_heating()
    assert latch(laboratory)["by"] == "Ada"


def latch(laboratory: Laboratory) -> dict[str, str]:
    found: dict[str, str] = json.loads((laboratory.lab / "latched.json").read_text())
    return found


def refused(laboratory: Laboratory) -> None:
    """The same command is refused with the line to type, and moves nothing."""
    said = laboratory.complete()
    assert said.code == 3, said.err
    assert "athanor resume" in said.line
    assert not laboratory.is_heating()


def resume(laboratory: Laboratory) -> None:
    resumed = laboratory.type("resume", "--by", "Ada", "--reason", "looked at it")
    assert resumed.code == 0, resumed.err
    assert not (laboratory.lab / "latched.json").exists()
