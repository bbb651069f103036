"""The wide table: one row per experiment with all that an analyst asks for first."""

from collections.abc import Sequence
from typing import Any, Final

from flows.report.experiments import Experiment
from flows.report.export.columns import Column, Table, difference, moment, prefixed
from flows.report.export.decisions import answers_on, joined
from flows.report.export.layers import commanded, environment, forecast, forecasts, keeping, layer, recorded, results, sent, uncertainties
from flows.report.export.proposals import decision_moments
from flows.report.export.runs import configurations, kept_cell, moments, numbers, result_cells
from flows.report.export.source import Source
from orchestrator.domain.objective import Objective

_HEADS: Final = (
    Column(
        "experiment", "Number of the experiment, from 1, in the order of proposals and replicates; empty for an imported one.", "integer"
    ),
    Column("state", "Where its last attempt stands.", "category"),
    Column("reason", "Why it ended as it did."),
)
_TAILS: Final = (
    Column("objective", "Objective value, larger is better; empty where a target is missing.", "number"),
    Column("decided_by", "Person, rule or deadline that let it be carried out.", "category"),
    Column("author", "The person who suggested or edited it; empty for a policy.", "category"),
    Column("reviewers", "Who agreed to it.", "category"),
    Column("decision_reason", "Why it was decided so, or what its author said."),
    Column("comment", "What reviewers said beside their verdict."),
    Column("policy", "Name and version of what proposed it.", "category"),
    Column("batch", "Number of the batch, from 1.", "integer"),
    Column("acquisition", "Acquisition value.", "number"),
    Column("proposal", "Number of the proposal.", "integer"),
    Column("revision", "Revision that was carried out.", "integer"),
    Column("replicate", "Number of the replicate, from 1.", "integer"),
    Column("attempts", "How many attempts there were.", "integer"),
    Column("run_key", "Key of the last attempt."),
    Column("run_id", "What its attempts share."),
    *moment("made", "the revision was recorded"),
    *moment("decided", "it was first decided"),
    *moment("queued", "the last attempt was approved to be carried out"),
    *moment("started", "the bench began with it"),
    *moment("ended", "the bench ended it"),
    Column("source", "Where it was carried out: `bench`, or `imported` for an experiment of elsewhere.", "category"),
)
_USED: Final = "as it was carried out: read back where instruments say, else as approved"


def experiments_table(source: Source) -> Table:
    """Return one row per experiment: configuration by layer, results, predictions, decision, times and state."""
    space, arguments = source.space, commanded(source.changes.runs, source.changes.proposals)
    layers = (*layer("proposed", space), *layer("approved", space), *arguments, *layer("measured", space))
    residuals = tuple(
        Column(f"residual.{one.name}", f"result.{one.name} less its prediction.", "number", difference(one.unit))
        for one in source.objective.measured
    )
    targets = (*results(source.objective), *keeping(source.objective), *uncertainties(source.objective))
    expected = (*forecasts(source.objective, source.changes.proposals), *residuals)
    columns = (*_HEADS, *layer("configuration", space, _USED), *targets, *expected, *_TAILS, *layers, *environment(source.changes.runs))
    rows = tuple(_row(source, one, arguments) for one in (*source.experiments, *source.imported))
    return Table("experiments", "One row per experiment: the wide table.", columns, rows, ("run_key",))


def _row(source: Source, one: Experiment, arguments: Sequence[Column]) -> dict[str, Any]:
    run, approved = one.run, one.approved
    return {
        "state": str(one.status),
        "reason": run.reason,
        **prefixed("configuration", one.configuration),
        **result_cells(one, source.objective),
        **prefixed("uncertainty", {name: one.results[name].uncertainty for name in source.objective.names if name in one.results}),
        **forecast(one.predicted, approved, source.objective),
        **_residuals(one, source.objective),
        "objective": one.score,
        **kept_cell(one),
        "decided_by": approved.decided_by,
        "author": approved.author,
        "reviewers": joined(signature.person for signature in approved.signatures),
        "decision_reason": approved.reason,
        "comment": joined(answer.comment for answer in answers_on(source, approved)),
        "policy": approved.provenance.policy,
        "batch": approved.provenance.batch,
        "acquisition": approved.provenance.acquisition,
        **numbers(one),
        "replicate": run.replicate,
        "attempts": len(one.attempts),
        "run_key": run.run_key,
        "run_id": run.run_id,
        **decision_moments(source, approved),
        **moments(source, run),
        **configurations(one, run),
        **sent(run, arguments),
        **recorded(run),
    }


def _residuals(one: Experiment, objective: Objective) -> dict[str, float]:
    both = [name for name in objective.names if name in one.results and name in one.predicted]
    return prefixed("residual", {name: one.results[name].value - one.predicted[name].mean for name in both})
