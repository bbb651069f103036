"""A lab on disk whose bench host is gone and whose runs wait for a chemist."""

from collections.abc import Sequence
from pathlib import Path

from flows.plans.lab import Lab, make_lab
from flows.plans.ledger import open_store
from instruments.host.journal import Journal
from instruments.host.journal_records import Transition
from orchestrator.clock import LiveClock
from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import CampaignStatus, ProposalStatus, RunStatus, StepStatus
from orchestrator.domain.records import CampaignRecord, ExperimentRun, Proposal, Provenance, RunRequest, Step
from orchestrator.domain.work import WorkAnswer
from orchestrator.ports import Store
from tests.people.bench import WEIGH, procedure
from tests.reviewing.scripted import CAMPAIGN_FILE

BY = "test"


def waiting_lab(folder: Path, runs: int = 2, *, keys: str = "k", steps: Sequence[Step] = tuple(procedure(WEIGH))) -> Lab:
    """Make a lab with a campaign whose runs wait at their last step; their codes are 1a-D, 2a-9, ..., their keys k1, k2, ..."""
    lab = make_lab(folder / "lab", beside=folder / "campaign.toml", kind="live")
    journal = Journal(lab.path / "journal.sqlite")
    with open_store(lab, create=True) as store:
        snapshot = {
            "files": {"campaign": CAMPAIGN_FILE},
            "path": str(folder / "campaign.toml"),
            "place": "by hand",
            "budget": 2,
            "rate": 1.0,
        }
        store.create_campaign(CampaignRecord(name="c", snapshot=snapshot), by=BY, now=LiveClock().now())
        running = store.changes("c").campaign.evolve(status=CampaignStatus.RUNNING)
        store.update_campaign(running, kind=EventKind.RUNNING, by=BY, now=LiveClock().now())
        for number in range(1, runs + 1):
            _wait(store, journal, number, f"{keys}{number}", tuple(steps))
    journal.close()
    return lab


def _wait(store: Store, journal: Journal, number: int, run_key: str, steps: tuple[Step, ...]) -> None:
    now = LiveClock().now()
    asked = Proposal(
        proposal_id=f"p{number}",
        campaign="c",
        number=number,
        configuration={"x": 0.25},
        steps=steps,
        provenance=Provenance(policy="random/1", as_of=1, seed=1),
    )
    run = ExperimentRun(run_key=run_key, run_id=f"r{number}", campaign="c", proposal_id=asked.proposal_id, revision=1)
    store.add_proposals([asked], by=BY, now=now)
    store.decide(asked.evolve(status=ProposalStatus.APPROVED, decided_by="rule never"), [run], by=BY, now=now)
    for status in (RunStatus.DISPATCHED, RunStatus.RUNNING):
        run = run.evolve(status=status)
        store.update_run(run, kind=EventKind(status), by=BY, now=now)
    request = RunRequest(run.run_key, run.run_id, 1, "c", 1, "0" * 64, steps)
    journal.commit(Transition(run.run_key, RunStatus.DISPATCHED, request=request))
    journal.commit(Transition(run.run_key, RunStatus.RUNNING, lab=now.lab))
    for one in steps[:-1]:
        for done in (StepStatus.INTENT, StepStatus.SENT, StepStatus.DONE):
            journal.commit(Transition(run.run_key, done, one.index, lab=now.lab, sent=dict(one.arguments)))
    journal.commit(Transition(run.run_key, StepStatus.INTENT, steps[-1].index, lab=now.lab, sent={"mass": 12.0}))


def answers_in(lab: Lab) -> tuple[WorkAnswer, ...]:
    """Return all answers that the ledger holds."""
    with open_store(lab, read_only=True) as store:
        assert store.verify() == ()
        return store.changes("c").work
