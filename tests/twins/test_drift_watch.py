"""A campaign whose bench begins to drift: one alarm in the ledger, and what the bench file wants of it, once, whoever dies between."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.plans.lab import find_lab
from flows.plans.ledger import open_campaign
from flows.plans.plan import stored_plan
from flows.running.drifting import POLICY
from flows.running.notices import Teller
from flows.studies.twins.operations import compare
from flows.studies.twins.watching import began
from instruments.notification import Event, Notifier
from orchestrator.clock import LiveClock
from orchestrator.domain.drift import DriftAlarm
from orchestrator.domain.lifecycle import CampaignStatus
from orchestrator.history import History
from orchestrator.loop import Watch, next_actions
from tests.twins.fading import BUDGET, FADES_AFTER, LEARN, bench, typed

pytestmark = [pytest.mark.slow, pytest.mark.long]

RUN = ("run", "campaign.toml", "--no-view")
DIES = """
import os
from flows.running.drifting import DriftDesk
written = DriftDesk._record
left = [{spared}]
def record(self, *given):
    left[0] -= 1
    if left[0] < 0:
        os._exit(9)
    return written(self, *given)
DriftDesk._record = record
"""
"""A campaign's process that is gone at once when it comes to write so many entries about drifts."""


def lab_of(folder: Path, then: str, **keys: float) -> Path:
    more = "".join(f"{name} = {value}\n" for name, value in keys.items())
    return bench(folder / "lab", f'[twin.drift]\nlearn = {LEARN}\nthen = "{then}"\n{more}')


def history_of(folder: Path) -> tuple[History, list[tuple[str, Mapping[str, Any]]]]:
    """Return the campaign and all its events."""
    with open_campaign(find_lab(folder / ".athanor", here=folder), None, read_only=True) as (store, history):
        return history, [(one.kind, one.payload["details"]) for one in store.events()]


def the_alarm(folder: Path) -> DriftAlarm:
    """Return the only alarm, which the ledger tells in one event."""
    history, events = history_of(folder)
    (alarm,) = history.campaign.drifts
    assert [one for one, _ in events].count("drifted") == 1
    assert alarm.target == "conductivity"
    assert FADES_AFTER < alarm.number <= FADES_AFTER + 5
    assert abs(alarm.since_number - FADES_AFTER - 1) <= 1
    return alarm


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a lab whose campaign went on after its alarm."""
    folder = lab_of(tmp_path_factory.mktemp("told"), "tell")
    typed(folder, *RUN)
    return folder


def test_an_alarm_is_an_event_and_a_message_and_the_campaign_goes_on(told: Path) -> None:
    alarm, (history, _) = the_alarm(told), history_of(told)
    assert (alarm.then, alarm.done) == ("tell", "told")
    assert (history.campaign.status, len(history.attempts())) == (CampaignStatus.FINISHED, BUDGET)
    said: list[str] = []

    def send(_address: str, title: str, body: str) -> bool:
        said.append(f"{title} | {body}")
        return True

    notifier = Notifier(["json://nobody"], send=send)
    for _ in range(2):
        Teller(notifier).tell(history)
    notifier.close()
    (message,) = [one for one in said if Event.DRIFT in one]
    assert alarm.line in message
    assert "athanor twin drift films" in message


def test_what_was_noticed_is_learned_anew_from_the_run_with_which_it_began(told: Path) -> None:
    history, _ = history_of(told)
    begin = began(history, "conductivity")
    rows = compare(find_lab(told / ".athanor", here=told), None).since(begin).rows
    assert rows[0].number == the_alarm(told).since_number
    assert began(history, "thickness") == 0.0


def test_status_and_the_command_tell_of_it(told: Path) -> None:
    line = the_alarm(told).line
    assert line in typed(told, "status").replace("\n", " ")
    assert f"raised while it ran: {line}; told" in " ".join(typed(told, "twin", "drift").split())


def test_without_the_table_no_alarm_is_looked_for(tmp_path: Path) -> None:
    folder = bench(tmp_path / "lab", "")
    file = folder / "campaign.toml"
    file.write_text(file.read_text().replace(f"budget = {BUDGET}", "budget = 3"))
    typed(folder, *RUN)
    history, events = history_of(folder)
    assert "drifts" not in history.campaign.model_dump()
    assert not [one for one, _ in events if "drift" in one]


def test_it_is_looked_again_only_where_something_was_measured_since(told: Path) -> None:
    history, _ = history_of(told)
    running = replace(history, campaign=history.campaign.evolve(status=CampaignStatus.RUNNING))
    plan = stored_plan(history.campaign)

    def first(watched: int | None) -> object:
        return next_actions(running, LiveClock().now(), plan.file.spec.campaign, plan.objective, watched=watched)[0]

    assert first(0) == Watch(running.seq)
    assert not isinstance(first(running.lessons_seq), Watch)
    assert not isinstance(first(None), Watch)


def test_a_pause_is_lifted_once_and_the_same_alarm_does_not_pause_again(tmp_path: Path) -> None:
    folder = lab_of(tmp_path, "pause")
    said = typed(folder, *RUN, code=3)
    alarm = the_alarm(folder)
    assert alarm.done == "paused"
    assert f"paused: {alarm.line}" in said
    typed(folder, "resume", "--lab", ".athanor", "--by", "Ada")
    typed(folder, *RUN)
    assert the_alarm(folder).done == "paused"
    assert history_of(folder)[0].campaign.status is CampaignStatus.FINISHED


@pytest.mark.parametrize("spared", [0, 1])
def test_a_reference_run_is_asked_for_once_whoever_dies_between(tmp_path: Path, spared: int) -> None:
    folder = lab_of(tmp_path, "reference")
    typed(folder, *RUN, code=9, before=DIES.format(spared=spared))
    before, _ = history_of(folder)
    assert len(before.campaign.drifts) == spared
    typed(folder, *RUN)
    alarm, (history, events) = the_alarm(folder), history_of(folder)
    (made,) = [one for one in history.newest() if one.provenance.policy == POLICY]
    assert alarm.done == f"proposal {made.number}"
    assert [one for one, _ in events].count("drift-answered") == 1
    (run,) = [one for one in history.attempts() if one.proposal_id == made.proposal_id]
    later = [one.number for one in history.newest() if one.number > made.number]
    assert run.run_key < min(one.run_key for one in history.attempts() if history.number_of(one) in later), "it comes next"
    former = [one for one in history.newest() if one.number < alarm.since_number]
    assert made.configuration in [one.configuration for one in former]


def test_a_revision_is_proposed_once_whoever_dies_between_and_changes_nothing_by_itself(tmp_path: Path) -> None:
    folder = lab_of(tmp_path, "recalibrate")
    typed(folder, *RUN, code=9, before=DIES.format(spared=1))
    typed(folder, *RUN)
    alarm, (history, _) = the_alarm(folder), history_of(folder)
    assert alarm.done == "./twins/film-r1.toml"
    assert [one.name for one in (folder / "twins").iterdir()] == ["film-r1.toml"]
    assert "./twins/film-r1.toml" not in history.campaign.snapshot["files"]
    text = (folder / "twins" / "film-r1.toml").read_text()
    value = float(text.partition('value = "')[2].partition(" ")[0])
    assert value == pytest.approx(0.8 * 400.0, rel=0.03), "learned from what came since, and from nothing before"
    assert alarm.run_key in text


def test_a_bench_that_stays_as_it_was_raises_no_alarm(tmp_path: Path) -> None:
    folder = lab_of(tmp_path, "pause")
    plant = folder / "film.py"
    plant.write_text(plant.read_text().replace("0.8 if", "1.0 if"))
    typed(folder, *RUN)
    assert history_of(folder)[0].campaign.drifts == ()
