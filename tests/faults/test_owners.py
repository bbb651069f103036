"""Two hosts on one bench, two commands for one campaign, and processes that wake up after they were replaced."""

import json
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from flows.plans.plan import load_plan
from instruments.bench_client.client import HostClient
from instruments.lab_processes.bench_process import ensure_bench, shutdown_bench
from instruments.lab_processes.process_identity import Process
from orchestrator.domain.events import EventKind
from orchestrator.domain.identity import uuid7
from orchestrator.domain.records import RunRequest
from orchestrator.errors import HostError
from orchestrator.store.sql import SqlStore
from tests.crash.oracle import judge
from tests.faults.conftest import MakeLaboratory
from tests.faults.laboratory import CAMPAIGN, PATIENCE, Laboratory, eventually, suspend

pytestmark = [pytest.mark.slow, pytest.mark.long]

RATE: Final = 60.0


@pytest.fixture(scope="module")
def laboratory(make_laboratory: MakeLaboratory) -> Laboratory:
    return make_laboratory(budget=2, rate=RATE)


def names(message: str, holder: Process) -> bool:
    """Say whether a refusal has the holder's pid, start and age."""
    return f"process {holder.pid} " in message and f"started {holder.started[:16]}" in message and " s ago" in message


def test_a_second_host_of_the_same_lab_is_refused_by_the_name_of_the_first(laboratory: Laboratory) -> None:
    laboratory.start_plant()
    laboratory.start_host()
    host = laboratory.process("host")
    words = ["--lab", str(laboratory.lab), "--bench", str(laboratory.bench), "--endpoints", str(laboratory.endpoints)]
    second = subprocess.run([sys.executable, "-m", "instruments.host", *words], capture_output=True, timeout=PATIENCE, check=False)
    refusal = json.loads((laboratory.lab / "host-error.json").read_text())["error"]
    assert second.returncode == 4
    assert names(refusal, host), refusal
    assert host.alive
    with HostClient.of_lab(laboratory.lab) as client:
        assert client.alive()


def test_a_host_of_another_lab_on_the_same_endpoints_is_refused_by_the_name_of_the_first(laboratory: Laboratory, tmp_path: Path) -> None:
    host, seen = laboratory.process("host"), laboratory.truth()
    copied = tmp_path / "other" / "plant" / "endpoints.json"
    copied.parent.mkdir(parents=True)
    copied.write_text(laboratory.endpoints.read_text())
    with pytest.raises(HostError) as refused:
        ensure_bench(tmp_path / "other", laboratory.bench, copied)
    assert names(str(refused.value), host), refused.value
    assert laboratory.truth() == seen
    assert host.alive


def test_a_process_with_an_older_fence_moves_nothing(laboratory: Laboratory) -> None:
    request = next_request(laboratory, fence=7)
    with HostClient.of_lab(laboratory.lab, campaign="other", fence=7) as newer:
        newer.submit(request)
        eventually(lambda: (report := newer.report(request.run_key, wait=1.0)) is not None and report.status.is_terminal, "the run's end")
        seen = laboratory.truth()
        with HostClient.of_lab(laboratory.lab, campaign="other", fence=6) as woken:
            for act in (
                lambda: woken.submit(replace(next_request(laboratory, fence=6), run_key=uuid7())),
                lambda: woken.submit(replace(request, fence=6)),
                lambda: woken.abort(request.run_key, reason="woken up"),
                lambda: woken.stored(request.run_key),
            ):
                with pytest.raises(HostError, match="fence 6 is older than 7"):
                    act()
    time.sleep(1.0)  # an executor that had accepted one would have begun by now
    assert laboratory.truth() == seen
    shutdown_bench(laboratory.lab)


def next_request(laboratory: Laboratory, *, fence: int) -> RunRequest:
    """Make a run out of the campaign's own procedure."""
    plan = load_plan(laboratory.file)
    assert plan.bench is not None
    steps = plan.recipe.expand(plan.sample[0])
    return RunRequest(uuid7(), uuid7(), 1, "other", fence, plan.bench.sha256, steps, "H12")


def test_a_campaign_started_twice_is_refused_by_the_name_of_the_first_and_taken_over_only_when_that_is_suspended(
    laboratory: Laboratory, capsys: pytest.CaptureFixture[str]
) -> None:
    laboratory.start_plant()
    laboratory.inject("oven", "stall", now=True)  # the first experiment heats until the element is repaired
    first = laboratory.dry_run()
    eventually(lambda: first.poll() is not None or laboratory.is_heating(), "heating")
    holder = Process.of(first.pid)
    assert holder is not None
    for command in [laboratory.dry_run(), laboratory.dry_run("--take-over")]:
        refused = laboratory.ended(command)
        assert refused.code == 4
        assert names(refused.line, holder), refused.err
    assert first.poll() is None
    suspend(holder)
    refused = laboratory.complete()
    assert refused.code == 4
    assert "suspended" in refused.line
    laboratory.ask_plant(op="repair", device="oven")
    later = laboratory.dry_run("--take-over")
    assert first.wait() == -signal.SIGKILL  # with a time limit it would look every 50 ms only, and see the death too late
    died = datetime.now(UTC)
    taken = laboratory.ended(later)
    assert taken.code == 0, taken.err
    earlier_run, later_run = laboratory.runs()
    (program,) = [one for one in laboratory.truth(event="start") if one.get("run_key") == later_run.run_key]
    with capsys.disabled():
        print(f"\ntaken over: fence {earlier_run.fence}, then {later_run.fence}; first program of the new process after the death")
    assert earlier_run.fence is not None
    assert later_run.fence is not None
    assert earlier_run.fence < later_run.fence
    assert datetime.fromisoformat(program["wall"]) > died
    assert all(taken_up > died for taken_up in take_ups(laboratory)[1:])
    assert judge(laboratory.lab, CAMPAIGN).complaints == ()


def take_ups(laboratory: Laboratory) -> list[datetime]:
    """Return when campaign processes took the campaign up, each with a fence of its own."""
    with closing(SqlStore.open(laboratory.lab / "ledger.db", read_only=True)) as store:
        return [datetime.fromisoformat(event.wall) for event in store.events(CAMPAIGN) if event.kind == EventKind.CAMPAIGN_TAKEN_UP]
