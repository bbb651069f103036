"""The runs that an approval gives, what becomes of them when it ends, and of questions whose campaign has ended."""

from orchestrator.clock import Instant
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import ReviewStatus, RunStatus
from orchestrator.domain.records import ExperimentRun, Proposal
from orchestrator.loop import History
from orchestrator.ports import Store


def queued_run(proposal: Proposal, replicate: int, lab: float) -> ExperimentRun:
    """Return the first attempt at a replicate of an approved proposal."""
    key = uuid7()
    return ExperimentRun(
        run_key=key,
        run_id=key,
        campaign=proposal.campaign,
        proposal_id=proposal.proposal_id,
        revision=proposal.revision,
        replicate=replicate,
        queued_lab=lab,
    )


def taken_back(run: ExperimentRun, reason: str) -> ExperimentRun:
    """Return a waiting run whose approval has ended: it was never handed over."""
    return run.evolve(status=RunStatus.SUPERSEDED, reason=reason, evidence={"not_executed": "never dispatched"})


def close_requests(store: Store, history: History, reason: str, *, by: str, now: Instant) -> None:
    """Close all open requests of a campaign that is over."""
    for request in history.open_requests:
        closed = request.evolve(status=ReviewStatus.CLOSED, reason=reason)
        store.update_request(closed, kind="review-closed", by=by, now=now)
