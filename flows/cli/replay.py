"""`athanor replay`: compute a past proposal again from the ledger and compare."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from flows.cli.status import the_campaign
from flows.console import console, emit
from flows.plans.lab import Lab, find_lab
from flows.plans.plan import stored_plan
from flows.plans.policy import policy_of
from models.threads import use_threads
from orchestrator.domain.records import Proposal
from orchestrator.errors import BadInput, Fault
from orchestrator.loop import History, knowledge
from orchestrator.store.sql import SqlStore

TOLERANCE: Final = 1e-6
"""Relative difference that another device class or library version may make."""


def replay_proposal(wanted: str, campaign: str | None, *, lab: Path | None, data: Path | None, as_json: bool) -> None:
    """Compute a proposal again.

    Raises:
        BadInput: No such proposal.
        Fault: It comes out differently.
    """
    found = find_lab(lab, here=Path.cwd())
    with closing(SqlStore.open(found.ledger, read_only=True)) as store:
        proposal, again = _recompute(store, found, campaign, wanted, data)
    identical, largest = _compare(proposal.configuration, again)
    document = {
        "proposal": proposal.proposal_id,
        "number": proposal.number,
        "stored": proposal.configuration,
        "computed": dict(again),
        "identical": identical,
        "largest_relative_difference": largest,
    }
    if as_json:
        emit(document)
    else:
        console.print(
            f"proposal {proposal.number}: {'identical, bit for bit' if identical else f'largest relative difference {largest:.3g}'}"
        )
    if largest > TOLERANCE:
        raise Fault(
            f"proposal {proposal.number} comes out differently: largest relative difference {largest:.3g}; expected at most {TOLERANCE:g}"
        )


def _recompute(
    store: SqlStore, lab: Lab, campaign: str | None, wanted: str, data: Path | None
) -> tuple[Proposal, Mapping[str, float | str]]:
    record = the_campaign(store, lab, campaign)
    history = History.of(store.changes(record.name))
    newest = next((one for one in history.newest() if wanted in (one.proposal_id, str(one.number))), None)
    if newest is None:
        raise BadInput(f"campaign {record.name} has no proposal {wanted!r}; it has numbers 1 to {len(history.newest())}")
    proposal = history.proposals[(newest.proposal_id, 1)]  # later revisions are people's edits, or expanded anew
    if proposal.author is not None:
        raise BadInput(f"proposal {proposal.number} was suggested by {proposal.author}; there is nothing to compute again")
    provenance = proposal.provenance
    then = History.of(store.changes_until(record.name, provenance.as_of))
    plan = stored_plan(then.campaign, data=data)  # the files of then: they may have been amended since
    policy = policy_of(plan, provenance.settings)
    use_threads(provenance.threads)
    suggestions = policy.propose(knowledge(then), count=provenance.count, seed=provenance.seed)
    if provenance.position >= len(suggestions):
        raise Fault(
            f"proposal {proposal.number} comes out differently: the policy gives {len(suggestions)} of {provenance.count} proposals of its "
            f"batch; expected one at position {provenance.position + 1}"
        )
    return proposal, suggestions[provenance.position].configuration


def _compare(stored: Mapping[str, float | str], again: Mapping[str, float | str]) -> tuple[bool, float]:
    largest = 0.0
    for column, old in stored.items():
        new = again[column]
        if isinstance(old, str) or isinstance(new, str):
            largest = max(largest, 0.0 if old == new else float("inf"))
        else:
            largest = max(largest, abs(old - new) / max(abs(old), 1e-300) if old != new else 0.0)
    return dict(stored) == dict(again), largest
