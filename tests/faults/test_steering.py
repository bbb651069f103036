"""A person steers a campaign that is going on: status, pause, resume, resolve and abort, each typed as a command."""

import json
from typing import Any, Final

import pytest

from orchestrator.domain.lifecycle import RunStatus
from orchestrator.domain.records import ExperimentRun
from tests.crash.oracle import judge
from tests.faults.agreement import disagreements
from tests.faults.conftest import MakeLaboratory
from tests.faults.laboratory import CAMPAIGN, Ended, Laboratory, eventually, lose_the_next_dose

pytestmark = [pytest.mark.slow, pytest.mark.long]

RATE: Final = 200.0
BY: Final = ("--by", "Ada", "--reason", "looked at the bench")


@pytest.fixture(scope="module")
def laboratory(make_laboratory: MakeLaboratory) -> Laboratory:
    return make_laboratory(budget=40, rate=RATE)


def test_status_names_every_process_and_a_pause_lets_the_experiment_in_hand_end(laboratory: Laboratory) -> None:
    laboratory.start_plant()
    laboratory.inject("oven", "stall", now=True)  # the first experiment heats until the element is repaired
    command = laboratory.dry_run()
    eventually(laboratory.is_heating, "heating")
    document = status(laboratory)
    assert document["state"] == "running"
    assert [name for name, process in document["processes"].items() if process is None] == ["prefect"]
    assert document["processes"]["campaign"]["pid"] == command.pid
    assert laboratory.type("pause", *BY).code == 0
    laboratory.ask_plant(op="repair", device="oven")
    ended = laboratory.ended(command)
    assert ended.code == 3
    assert "athanor resume" in ended.line
    (run,) = laboratory.runs()
    assert run.ingested
    assert any(one.get("run_key") == run.run_key for one in laboratory.truth(event="finish"))
    assert laboratory.changes().campaign.status == "paused"
    assert laboratory.type("pause", *BY).code == 1
    again = laboratory.complete()
    assert again.code == 3
    assert "athanor resume" in again.line
    assert laboratory.type("resume", *BY).code == 0
    assert laboratory.changes().campaign.status == "running"


@pytest.mark.parametrize(
    ("fault", "verdict", "settled", "not_enough"),
    [
        ("reply-lost-after-execution", "done", RunStatus.FAILED, ("resume", *BY)),
        ("reply-lost-after-execution", "discard", RunStatus.ABORTED, ("resolve", "KEY", "--discard")),
        ("request-lost", "not-done", RunStatus.SUPERSEDED, ("resolve", "KEY", "--done", "--not-done", *BY)),
    ],
)
def test_a_dose_whose_end_nobody_saw_waits_for_a_person(
    laboratory: Laboratory,
    capsys: pytest.CaptureFixture[str],
    fault: str,
    verdict: str,
    settled: RunStatus,
    not_enough: tuple[str, ...],
) -> None:
    before = {run.run_key for run in laboratory.runs()}
    ended = lose_a_dose(laboratory, fault)
    assert ended.code == 3
    unknown = one_unknown(laboratory)
    assert f"athanor resolve {unknown.run_key}" in ended.line
    assert status(laboratory)["unknown"] == [unknown.run_key]
    refused = laboratory.type(*(unknown.run_key if word == "KEY" else word for word in not_enough))
    assert refused.code == 1, refused
    assert unknown.run_key in refused.line
    resolved = laboratory.type("resolve", unknown.run_key, f"--{verdict}", *BY)
    assert resolved.code == 0, resolved.err
    (run,) = [one for one in laboratory.runs() if one.run_key == unknown.run_key]
    new = len(laboratory.runs()) - len(before)
    with capsys.disabled():
        print(f"\n{fault}, pump reset, host killed: unknown, --{verdict} makes it {run.status}; {new} new rows")
    assert run.status is settled
    assert laboratory.changes().campaign.status == "running"
    assert [one.attempt for one in laboratory.runs() if one.run_id == run.run_id] == ([1, 2] if verdict == "not-done" else [1])


def test_an_abort_ends_the_experiment_in_hand_and_leaves_the_bench_safe(laboratory: Laboratory) -> None:
    completed = count_completed(laboratory)
    command = laboratory.dry_run()
    eventually(
        lambda: sum(run.status is RunStatus.COMPLETED for run in laboratory.runs()) > completed or command.poll() is not None, "a run"
    )
    assert laboratory.type("abort", *BY).code == 0
    ended = laboratory.ended(command)
    assert ended.code == 0, ended.err
    assert laboratory.changes().campaign.status == "aborted"
    assert not [run for run in laboratory.runs() if run.status.is_open]
    assert [one["values"]["cause"] for one in laboratory.truth("oven", "safe-state")][-1] == "heater off"
    assert not [name for name, process in status(laboratory)["processes"].items() if process is not None]
    refused = laboratory.complete()
    assert refused.code == 1
    assert "aborted" in refused.line
    assert judge(laboratory.lab, CAMPAIGN).complaints == ()
    assert disagreements(laboratory) == []


def lose_a_dose(laboratory: Laboratory, fault: str) -> Ended:
    """Lose the exchange of the next RUN, cut the pump's power and kill the host: nothing is left that could tell."""
    laboratory.start_plant()
    command = laboratory.dry_run()
    lose_the_next_dose(laboratory, fault)
    return laboratory.ended(command)


def count_completed(laboratory: Laboratory) -> int:
    return sum(run.status is RunStatus.COMPLETED for run in laboratory.runs())


def one_unknown(laboratory: Laboratory) -> ExperimentRun:
    (run,) = [run for run in laboratory.runs() if run.status is RunStatus.UNKNOWN]
    return run


def status(laboratory: Laboratory) -> dict[str, Any]:
    said = laboratory.type("status", "--json")
    assert said.code == 0, said.err
    document: dict[str, Any] = json.loads(said.out)
    return document
