"""The table of proposals: one row per revision."""

import json
from typing import Any, Final

from flows.report.export.columns import Column, Table, moment, prefixed
from flows.report.export.layers import forecast, forecasts, layer
from flows.report.export.source import Source, when
from orchestrator.domain.lifecycle import ProposalStatus
from orchestrator.domain.records import Proposal

_HEADS: Final = (
    Column("proposal_id", "Name of the proposal, which its revisions share."),
    Column("number", "Counts the campaign's proposals from 1.", "integer"),
    Column("revision", "Number of the revision, from 1; an edit makes the next one.", "integer"),
    Column("superseded", "Whether a later revision took its place.", "boolean"),
    Column("status", "Where this revision stands.", "category"),
    Column("author", "The person who suggested or edited it; empty for a policy.", "category"),
    Column("decided_by", "Person, rule or deadline.", "category"),
    Column("reason", "Why it was decided so, or what its author said."),
    Column("replicates", "Runs of this proposal.", "integer"),
    Column("policy", "Name and version of what proposed it.", "category"),
    Column("batch", "Number of the batch, from 1.", "integer"),
    Column("as_of", "Number of the last event that it was computed from.", "integer"),
    Column("seed", "Seed of the policy.", "integer"),
    Column("acquisition", "Acquisition value.", "number"),
    Column("seconds", "Wall time that computing the batch took.", "number", "s"),
    Column("versions", "Versions of the software that computed it: JSON."),
    Column("content_hash", "The sha256 of what an approval binds."),
    *moment("made", "the revision was recorded"),
    *moment("decided", "it was first decided"),
)


def proposals_table(source: Source) -> Table:
    """Return one row per revision of a proposal: decision, provenance, configuration and predictions."""
    ordered = sorted(source.changes.proposals, key=lambda one: (one.number, one.revision))
    last = {one.proposal_id: one.revision for one in ordered}
    columns = (*_HEADS, *layer("configuration", source.space), *forecasts(source.objective, ordered))
    rows = tuple(_row(source, one, superseded=one.revision < last[one.proposal_id]) for one in ordered)
    return Table("proposals", "One row per revision of a proposal.", columns, rows, ("proposal_id", "revision"))


def _row(source: Source, proposal: Proposal, *, superseded: bool) -> dict[str, Any]:
    plain = {"proposal_id", "number", "revision", "author", "decided_by", "reason", "replicates"}
    provenance = proposal.provenance
    return {
        **proposal.model_dump(include=plain),
        **provenance.model_dump(include={"policy", "batch", "as_of", "seed", "acquisition", "seconds"}),
        "status": str(proposal.status),
        "superseded": superseded,
        "versions": json.dumps(provenance.versions, sort_keys=True) if provenance.versions else None,
        "content_hash": proposal.content_hash,
        **decision_moments(source, proposal),
        **prefixed("configuration", {name: proposal.configuration.get(name) for name in source.space.columns}),
        **forecast(provenance.predicted, proposal, source.objective),
    }


def decision_moments(source: Source, proposal: Proposal) -> dict[str, Any]:
    """Return when a revision was made, and when it was first decided."""
    told = source.told("proposals", proposal.proposal_id, proposal.revision)
    decided = [one for one in told if one[1]["status"] != ProposalStatus.PROPOSED]
    return {**when("made", told), **when("decided", decided)}
