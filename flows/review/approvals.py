"""The runs that an approval gives, what becomes of them when it ends, and of questions whose campaign has ended."""

from orchestrator.clock import Instant
from orchestrator.domain.events import Actor, EventKind
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import EvidenceKey, ProposalStatus, ReviewStatus, RunStatus
from orchestrator.domain.records import ExperimentRun, Proposal
from orchestrator.errors import BadInput, StoreError
from orchestrator.history import History
from orchestrator.ports import ReviewStore


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


def waiting_runs(history: History) -> dict[tuple[str, int], list[ExperimentRun]]:
    """Return the runs that were not handed to the bench yet, by the approved revision whose they are."""
    waiting: dict[tuple[str, int], list[ExperimentRun]] = {}
    for run in history.runs.values():
        if run.status is RunStatus.QUEUED:
            waiting.setdefault(run.approval, []).append(run)
    return waiting


def taken_back(run: ExperimentRun, reason: str) -> ExperimentRun:
    """Return a waiting run whose approval has ended: it was never handed over."""
    return run.evolve(status=RunStatus.SUPERSEDED, reason=reason, evidence={EvidenceKey.NOT_EXECUTED: "never dispatched"})


def lapse_waiting(store: ReviewStore, history: History, why: str, *, by: str, now: Instant) -> int:
    """End all approvals that were not carried out yet, each followed by a revision to be decided anew; return how many."""
    waiting = waiting_runs(history)
    for key, runs in waiting.items():
        proposal = history.proposals[key]
        ended = proposal.evolve(status=ProposalStatus.LAPSED, reason=why)
        successor = proposed_again(proposal).evolve(replicates=len(runs))
        store.take_back(ended, [taken_back(one, why) for one in runs], successor, by=by, now=now, reason=why)
    return len(waiting)


def proposed_again(proposal: Proposal) -> Proposal:
    """Return the next revision of the same content, which nobody has decided on or signed."""
    undecided = {"decided_by": None, "decided_lab": None, "reason": None, "signatures": ()}
    return proposal.evolve(revision=proposal.revision + 1, status=ProposalStatus.PROPOSED, **undecided)


def withdraw_approval(store: ReviewStore, history: History, number: int, *, by: str, reason: str, now: Instant) -> Proposal:
    """Take an approval back, until its first run is dispatched; the ledger decides between this and a dispatch at the same moment.

    Raises:
        BadInput: No such proposal, not approved, or already handed to the bench.
    """
    newest = {one.number: one for one in history.newest()}
    if number not in newest:
        raise BadInput(f"campaign {history.campaign.name} has no proposal {number}")
    proposal = newest[number]
    if proposal.status is not ProposalStatus.APPROVED:
        raise BadInput(f"proposal {number} is {proposal.status}, not approved; there is nothing to withdraw")
    waiting = waiting_runs(history).get((proposal.proposal_id, proposal.revision), [])
    ended = proposal.evolve(status=ProposalStatus.WITHDRAWN, reason=f"withdrawn by {by}: {reason}")
    try:
        store.take_back(ended, [taken_back(run, ended.reason or "") for run in waiting], None, by=Actor.person(by), now=now, reason=reason)
    except StoreError as error:
        raise BadInput(f"proposal {number} cannot be withdrawn any more: {error}") from error
    return ended


def close_requests(store: ReviewStore, history: History, reason: str, *, by: str, now: Instant) -> None:
    """Close all open requests of a campaign that is over."""
    for request in history.open_requests:
        closed = request.evolve(status=ReviewStatus.CLOSED, reason=reason)
        store.update_request(closed, kind=EventKind.REVIEW_CLOSED, by=by, now=now)
