"""The runs that an approval gives, and what becomes of them when it ends."""

from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.domain.records import ExperimentRun, Proposal


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
