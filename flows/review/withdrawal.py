"""Taking an approval back: possible until the first of its runs is dispatched."""

from flows.review.queueing import taken_back
from orchestrator.clock import Instant
from orchestrator.domain.events import Actor
from orchestrator.domain.lifecycle import ProposalStatus, RunStatus
from orchestrator.domain.records import Proposal
from orchestrator.errors import BadInput, StoreError
from orchestrator.history import History
from orchestrator.ports import Store


def withdraw(store: Store, history: History, number: int, *, by: str, reason: str, now: Instant) -> Proposal:
    """Withdraw an approved proposal; the ledger decides between this and a dispatch at the same moment.

    Raises:
        BadInput: No such proposal, not approved, or already handed to the bench.
    """
    newest = {one.number: one for one in history.newest()}
    if number not in newest:
        raise BadInput(f"campaign {history.campaign.name} has no proposal {number}")
    proposal = newest[number]
    if proposal.status is not ProposalStatus.APPROVED:
        raise BadInput(f"proposal {number} is {proposal.status}, not approved; there is nothing to withdraw")
    key = (proposal.proposal_id, proposal.revision)
    waiting = [run for run in history.runs.values() if (run.proposal_id, run.revision) == key and run.status is RunStatus.QUEUED]
    ended = proposal.evolve(status=ProposalStatus.WITHDRAWN, reason=f"withdrawn by {by}: {reason}")
    try:
        store.take_back(ended, [taken_back(run, ended.reason or "") for run in waiting], None, by=Actor.person(by), now=now, reason=reason)
    except StoreError as error:
        raise BadInput(f"proposal {number} cannot be withdrawn any more: {error}") from error
    return ended
