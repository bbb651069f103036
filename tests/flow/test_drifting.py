"""An alarm of drift is in the ledger before anything follows from it; what follows is done once, wherever the process ends."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from flows.report.overview import Links, overview_markdown
from flows.running.actions import Steps
from flows.running.drifting import POLICY
from orchestrator.clock import Instant
from orchestrator.domain.drift import DriftAlarm, Then
from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import CampaignStatus
from orchestrator.domain.records import CampaignRecord, Proposal, RunReport
from orchestrator.errors import BadInput
from orchestrator.history import History
from orchestrator.ports import DriftWatch
from tests.flow.test_steps import NOW, OBJECTIVE, Box, carry, steps_over
from tests.store.memory import MemoryStore

BUDGET = 6


class Later(Box):
    """Each run begins when the one before it has ended."""

    @override
    def _report(self, run_key: str) -> RunReport:
        number = float(list(self.requests).index(run_key))
        return replace(super()._report(run_key), started_lab=number, ended_lab=number + 1.0)


@dataclass
class Noticing(DriftWatch):
    """Notices a drift with the fourth run, since the third; learns once the fifth is there."""

    then: Then
    written: list[str] = field(default_factory=list)
    hopeless: bool = False

    @override
    def alarm(self, history: History) -> DriftAlarm | None:
        runs = [run for run in history.attempts() if run.ingested]
        if len(runs) < 4 or history.campaign.drifts:
            return None
        return DriftAlarm(
            target="y",
            run_key=runs[3].run_key,
            number=4,
            since=runs[2].run_key,
            since_number=3,
            size=6.0,
            limit=5.0,
            then=self.then,
            done="told" if self.then == "tell" else None,
        )

    @override
    def recalibrated(self, history: History, alarm: DriftAlarm) -> str | None:
        if self.hopeless:
            raise BadInput("nothing may be calibrated")
        if len(history.attempts()) < 5:
            return None
        if alarm.run_key not in self.written:
            self.written.append(alarm.run_key)
        return f"./twins/y-r{len(self.written)}.toml"


class Dies(Exception):
    """Stands for the end of a process."""


class Ending(MemoryStore):
    """Ends the process before it writes the n-th of what concerns drifts."""

    left = 99

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Dies

    @override
    def update_campaign(
        self, record: CampaignRecord, *, kind: EventKind, by: str, now: Instant, payload: Mapping[str, Any] | None = None
    ) -> None:
        if kind in (EventKind.DRIFTED, EventKind.DRIFT_ANSWERED, EventKind.PAUSED):
            self._count()
        super().update_campaign(record, kind=kind, by=by, now=now, payload=payload)

    @override
    def add_proposals(self, proposals: Any, *, by: str, now: Instant) -> None:
        if any(one.provenance.policy == POLICY for one in proposals):
            self._count()
        super().add_proposals(proposals, by=by, now=now)


def watching(then: Then, **keys: Any) -> Steps:
    setup = steps_over(Later(), budget=BUDGET).setup
    return Steps(replace(setup, drift=Noticing(then, **keys)))


def told_of(steps: Steps) -> list[str]:
    return [one.kind for one in steps.setup.store.events("c") if one.kind in (EventKind.DRIFTED, EventKind.DRIFT_ANSWERED)]


def references(steps: Steps) -> list[Proposal]:
    return [one for one in steps.history.newest() if one.provenance.policy == POLICY]


def test_people_are_told_and_the_campaign_goes_on() -> None:
    steps = watching("tell")
    assert carry(steps).reason == f"budget spent: {BUDGET} experiments"
    assert told_of(steps) == ["drifted"]
    (alarm,) = steps.history.campaign.drifts
    assert "y drifts from what the twin says: noticed at proposal 4, probably since proposal 3" in alarm.line
    assert f"{alarm.line}; told" in overview_markdown(steps.history, OBJECTIVE, BUDGET, Links(Path("report.html")))


def test_a_pause_and_its_answer_are_one_event_and_what_was_resumed_goes_on() -> None:
    steps = watching("pause")
    ended = carry(steps)
    (alarm,) = steps.history.campaign.drifts
    assert (ended.status, ended.reason, alarm.done) == (CampaignStatus.PAUSED, alarm.line, "paused")
    assert len(steps.history.attempts()) == 4
    running = steps.history.campaign.evolve(status=CampaignStatus.RUNNING)
    steps.setup.store.update_campaign(running, kind=EventKind.RESUMED, by="person Ada", now=NOW)
    again = Steps(steps.setup)
    assert carry(again).status is CampaignStatus.FINISHED
    assert told_of(again) == ["drifted"]


def test_a_reference_run_comes_next_and_counts_for_the_budget() -> None:
    steps = watching("reference")
    assert carry(steps).reason == f"budget spent: {BUDGET} experiments"
    (made,) = references(steps)
    runs = steps.history.attempts()
    assert (made.number, runs[4].proposal_id) == (5, made.proposal_id)
    assert made.configuration in [one.configuration for one in steps.history.newest()[:2]]
    assert len(runs) == BUDGET
    assert told_of(steps) == ["drifted", "drift-answered"]


def test_a_revision_waits_for_enough_runs() -> None:
    steps = watching("recalibrate")
    carry(steps)
    (alarm,) = steps.history.campaign.drifts
    assert alarm.done == "./twins/y-r1.toml"
    events = [(one.kind, one.subject) for one in steps.setup.store.events("c")]
    answered = [kind for kind, _ in events].index("drift-answered")
    assert [kind for kind, _ in events[:answered]].count("ingested") == 5


def test_what_cannot_be_done_stands_with_the_alarm() -> None:
    steps = watching("recalibrate", hopeless=True)
    assert carry(steps).status is CampaignStatus.FINISHED
    assert steps.history.campaign.drifts[0].done == "not done: nothing may be calibrated"


@pytest.mark.parametrize("then", ["tell", "pause", "reference", "recalibrate"])
@pytest.mark.parametrize("spared", [0, 1, 2])
def test_an_alarm_is_raised_once_and_answered_once_wherever_the_process_ends(
    then: Then, spared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.flow.test_steps.MemoryStore", Ending)
    steps = watching(then)
    store = steps.setup.store
    assert isinstance(store, Ending)
    store.left = spared
    with pytest.raises(Dies) if spared < {"tell": 1, "pause": 2, "reference": 3, "recalibrate": 2}[then] else nullcontext():
        carry(steps)
    store.left = 99
    again = Steps(steps.setup)
    carry(again)
    (alarm,) = again.history.campaign.drifts
    assert told_of(again) == (["drifted", "drift-answered"] if then in ("reference", "recalibrate") else ["drifted"])
    assert len(references(again)) == (1 if then == "reference" else 0)
    assert alarm.done is not None
    assert (again.history.campaign.status is CampaignStatus.PAUSED) == (then == "pause")


def test_without_somebody_who_asks_nothing_is_looked_at() -> None:
    steps = steps_over(Later(), budget=BUDGET)
    carry(steps)
    assert told_of(steps) == []
    assert steps.watched is None
    assert "drifts" not in steps.history.campaign.model_dump()
