"""A person's word settles an unknown run also where no bench host can be had."""

import os
import shutil
from pathlib import Path

import pytest

from flows.plans.lab import Lab, make_lab
from flows.running.run_operations import Word, close_in_journal
from instruments.host.journal import Journal
from instruments.host.journal_records import Transition
from instruments.lab_processes.locks import FileLock
from instruments.lab_processes.state_files import PLANT, write_state_file
from orchestrator.clock import LiveClock
from orchestrator.domain.lifecycle import RunStatus, StepStatus
from orchestrator.domain.records import CampaignRecord, ExperimentRun, RunReport
from orchestrator.errors import BadInput, HostError
from tests.host.test_journal import arrived

RECORD = CampaignRecord(name="c", snapshot={})
RUN = ExperimentRun(run_key="k", run_id="r", campaign="c", proposal_id="p", revision=1, status=RunStatus.UNKNOWN)


@pytest.fixture
def dry(tmp_path: Path) -> Lab:
    """A dry lab whose simulated devices were killed, with a run that nobody saw the end of."""
    lab = make_lab(tmp_path / "lab", beside=tmp_path / "campaign.toml", kind="dry")
    journal = arrived(lab.path / "journal.sqlite")
    for to, step in (
        (RunStatus.RUNNING, None),
        (StepStatus.INTENT, 1),
        (StepStatus.SENT, 1),
        (StepStatus.UNKNOWN, 1),
        (RunStatus.UNKNOWN, None),
    ):
        journal.commit(Transition("k", to, step, lab=1.0))
    journal.close()
    write_state_file(lab.path / PLANT / "endpoints.json", {"pid": 1})
    return lab


def settled(lab: Lab, verdict: str) -> RunReport:
    return close_in_journal(lab, RECORD, RUN, Word(verdict, "Ada", "I looked"), LiveClock(), bench=None, tell=print)


def known(lab: Lab) -> RunReport:
    journal = Journal(lab.path / "journal.sqlite")
    run = journal.run("k")
    journal.close()
    assert run is not None
    return run.report()


@pytest.mark.parametrize(
    ("verdict", "status"), [("discard", RunStatus.ABORTED), ("done", RunStatus.FAILED), ("not-done", RunStatus.FAILED)]
)
def test_the_word_is_recorded_in_the_journal_in_the_place_of_a_host(
    dry: Lab, verdict: str, status: RunStatus, capsys: pytest.CaptureFixture[str]
) -> None:
    report = settled(dry, verdict)
    assert report.status is status
    assert report.evidence["resolved"] == {"verdict": verdict, "by": "Ada", "reason": "I looked"}
    assert known(dry) == report
    said = capsys.readouterr().out
    assert "the simulated devices of dry lab" in said
    assert "recorded by your word alone" in said


def test_a_copied_lab_settles_its_runs_without_a_host(dry: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copied = Lab(Path(shutil.copytree(dry.path, tmp_path / "copied")), "dry")
    assert settled(copied, "discard").status is RunStatus.ABORTED
    assert "is a copy of another one: no host is started" in capsys.readouterr().out
    assert known(copied).status is RunStatus.ABORTED
    assert known(dry).status is RunStatus.UNKNOWN


def test_a_run_that_no_journal_knows_is_settled_by_the_word_alone(dry: Lab) -> None:
    (dry.path / "journal.sqlite").unlink()
    report = settled(dry, "discard")
    assert (report.status, report.reason) == (RunStatus.ABORTED, "discarded")


def test_a_run_that_the_journal_saw_complete_is_not_discarded_and_what_to_type_is_said(dry: Lab) -> None:
    journal = Journal(dry.path / "journal.sqlite")
    journal.commit(Transition("k", RunStatus.COMPLETED, lab=2.0))
    journal.close()
    with pytest.raises(BadInput, match="run k was completed, as the bench has found out meanwhile; type --done"):
        settled(dry, "discard")
    assert settled(dry, "done").status is RunStatus.COMPLETED


def test_the_journal_of_a_host_that_lives_is_left_to_it_and_what_to_type_is_said(dry: Lab) -> None:
    with FileLock(dry.path / "host.lock", what="bench host", lab=dry.path), pytest.raises(HostError) as refused:
        settled(dry, "discard")
    assert f"process {os.getpid()} (bench host" in str(refused.value)
    assert "`athanor stop` ends it, then resolve again" in str(refused.value)
    assert known(dry).status is RunStatus.UNKNOWN
