"""Judges a crashed and finished campaign by the plant's own log of what physically happened."""

import json
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from flows.plans.lab import open_lab
from orchestrator.domain.lifecycle import RunStatus, StepKind
from orchestrator.domain.records import Proposal
from orchestrator.ports import Changes
from orchestrator.store.sql import SqlStore


@dataclass(frozen=True)
class Judgement:
    """What the ledger says against what the plant did."""

    complaints: tuple[str, ...]
    runs: Counter[str]
    """Attempts by status."""


def truth(lab: Path) -> list[dict[str, object]]:
    """Read the plant's log; a line that a killed plant left unfinished would be an error."""
    return [json.loads(line) for line in (lab / "plant" / "ground-truth.jsonl").read_text().splitlines()]


def judge(lab: Path, campaign: str) -> Judgement:
    """Compare ledger and plant: nothing twice, nothing lost, every terminal state right, the chain sound."""
    changes, found = judge_ledger(lab, campaign)
    events = truth(lab)
    return Judgement((*found.complaints, *_programs(changes, events), *_doses(changes, events)), found.runs)


def judge_ledger(lab: Path, campaign: str) -> tuple[Changes, Judgement]:
    """Look at what the ledger alone can tell: each run has an end, each completed one its result, the chain is sound."""
    with closing(SqlStore.open(open_lab(lab).ledger, read_only=True)) as store:
        changes, damage = store.changes(campaign), store.verify()
    complaints = (*(f"ledger: {line}" for line in damage), *_results(changes), *_positions(changes))
    return changes, Judgement(complaints, Counter(str(run.status) for run in changes.runs))


def _programs(changes: Changes, events: list[dict[str, object]]) -> list[str]:
    started = Counter(event.get("run_key") for event in events if event["event"] == "start")
    complaints = [f"program started {count} times under run key {key}" for key, count in started.items() if count > 1]
    having = {(one.proposal_id, one.revision) for one in changes.proposals if any(step.kind is StepKind.PROGRAM for step in one.steps)}
    for run in changes.runs:
        if run.status is RunStatus.COMPLETED and (run.proposal_id, run.revision) in having and started[run.run_key] != 1:
            complaints.append(f"run {run.run_key} is completed, the plant started {started[run.run_key]} programs for it")
        if run.status is RunStatus.SUPERSEDED and started[run.run_key]:
            complaints.append(f"run {run.run_key} was said not to be executed, the plant started a program for it")
    return complaints


def _doses(changes: Changes, events: list[dict[str, object]]) -> list[str]:
    """Match doses by device and volume, which differ from proposal to proposal but for the device's digits."""
    given: Counter[tuple[object, float]] = Counter()
    for event in events:
        values = event["values"]
        assert isinstance(values, dict)
        if event["event"] == "dose" and values.get("phase", "start") == "start":
            given[_dosed(event["device"], float(values.get("target_ml") or values["volume_ml"]))] += 1
    proposals = {(one.proposal_id, one.revision): one for one in changes.proposals}
    tried = {run.approval for run in changes.runs}
    wanted = Counter(volume for key in tried for volume in _volumes(proposals[key]))
    completed = [proposals[run.approval] for run in changes.runs if run.status is RunStatus.COMPLETED]
    least = Counter(volume for proposal in completed for volume in _volumes(proposal))
    complaints = []
    for run in changes.runs:
        for volume in _volumes(proposals[run.approval]):
            count, alike = given[volume], wanted[volume]
            if count > alike or count < least[volume]:
                complaints.append(f"run {run.run_key} ({run.status}): {volume} was dosed {count} times, for {alike} proposals")
    return complaints


def _volumes(proposal: Proposal) -> set[tuple[object, float]]:
    doses = [step for step in proposal.steps if step.kind is StepKind.DOSING]
    return {_dosed(step.instrument, float(step.arguments["volume"])) for step in doses}


def _dosed(device: object, volume: float) -> tuple[object, float]:
    """Round as the device does: a pump's protocol has four digits, a leading zero among them; the burette steps of 0.01 mL."""
    return device, round(volume, 3 if volume < 10 and device != "burette" else 2)


def _results(changes: Changes) -> list[str]:
    measured = {one.run_key for one in changes.measurements}
    lost = [run.run_key for run in changes.runs if run.status is RunStatus.COMPLETED and run.run_key not in measured]
    still_open = [run.run_key for run in changes.runs if run.status.is_open or run.status is RunStatus.UNKNOWN]
    return [f"result of completed run {key} is lost" for key in lost] + [f"run {key} has no end" for key in still_open]


def _positions(changes: Changes) -> list[str]:
    used = Counter(run.position for run in changes.runs if run.position is not None)
    return [f"position {position} was allotted {count} times" for position, count in used.items() if count > 1]


def plant_verdict(lab: Path, run_key: str) -> str:
    """Say what an operator who looks at the plant would say of a run whose end nobody saw."""
    return "done" if any(event["event"] == "start" and event.get("run_key") == run_key for event in truth(lab)) else "discard"
