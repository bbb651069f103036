"""The table of runs: one row per attempt."""

import json
from collections.abc import Sequence
from typing import Any, Final

from flows.report.experiments import Experiment
from flows.report.export.columns import Column, Table, moment, prefixed
from flows.report.export.layers import commanded, environment, keeping, layer, recorded, results, sent
from flows.report.export.source import Source, when
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import ExperimentRun
from orchestrator.domain.run_code import run_code
from orchestrator.history import History

_HEADS: Final = (
    Column("run_key", "Key of this attempt; it travels to the bench, and to devices that take one."),
    Column("run_id", "What all attempts of one replicate share."),
    Column("attempt", "Number of the attempt, from 1.", "integer"),
    Column("state", "Where the attempt stands.", "category"),
    Column("reason", "Why it ended as it did."),
)
_TAILS: Final = (
    Column("objective", "Objective value, larger is better; empty where a target is missing.", "number"),
    Column("experiment", "Number of the experiment in experiments.csv; empty for an imported one.", "integer"),
    Column("proposal", "Number of the proposal; empty for an imported run.", "integer"),
    Column("revision", "Revision of the proposal that was carried out.", "integer"),
    Column("replicate", "Number of the replicate, from 1.", "integer"),
    Column("position", "Position in a sampler."),
    *moment("queued", "the run was approved to be carried out"),
    *moment("started", "the bench began"),
    *moment("ended", "the bench ended"),
    Column("evidence", "Why an unknown end was settled or another attempt allowed: JSON."),
    Column("source", "Where it was carried out: `bench`, or `imported` for an experiment of elsewhere.", "category"),
    Column("code", "Its short code on paper: number, replicate and check character."),
    Column("awaits", "Targets whose values come later and have not come yet, with spaces between."),
    Column("overdue", "Targets whose values did not come in time, with spaces between."),
)


def runs_table(source: Source) -> Table:
    """Return one row per attempt: keys, state, then proposed, approved, commanded and measured values, then results."""
    space, arguments = source.space, commanded(source.changes.runs, source.changes.proposals)
    layers = (*layer("proposed", space), *layer("approved", space), *arguments, *layer("measured", space))
    awaited = History.of(source.changes).awaited
    rows = [
        {**_row(source, one, run, arguments), "awaits": " ".join(awaited.get(run.run_key, ())) or None}
        for one in (*source.experiments, *source.imported)
        for run in one.attempts
    ]
    targets = (*results(source.objective), *keeping(source.objective))
    columns = (*_HEADS, *layers, *targets, *_TAILS, *environment(source.changes.runs))
    return Table("runs", "One row per attempt to carry out an experiment.", columns, tuple(rows), ("run_key",))


def _row(source: Source, experiment: Experiment, run: ExperimentRun, arguments: Sequence[Column]) -> dict[str, Any]:
    last = run is experiment.run
    return {
        "run_key": run.run_key,
        "run_id": run.run_id,
        "attempt": run.attempt,
        "state": str(run.status),
        "reason": run.reason,
        **configurations(experiment, run),
        **sent(run, arguments),
        **(result_cells(experiment, source.objective) if last else {}),
        "objective": experiment.score if last else None,
        **(kept_cell(experiment) if last else {}),
        **numbers(experiment),
        "replicate": run.replicate,
        "position": run.position,
        **moments(source, run),
        "evidence": json.dumps(run.evidence, sort_keys=True) if run.evidence else None,
        "code": None if run.is_imported else run_code(experiment.approved.number, run.replicate),
        "overdue": " ".join(run.overdue) or None,
        **recorded(run),
    }


def numbers(experiment: Experiment) -> dict[str, Any]:
    """Return what an experiment is called by, and where it was done; an imported one has no number and no proposal."""
    run = experiment.run
    if experiment.is_imported:
        return {"experiment": None, "proposal": None, "revision": None, "source": run.source}
    return {"experiment": experiment.index, "proposal": experiment.approved.number, "revision": run.revision, "source": run.source}


def configurations(experiment: Experiment, run: ExperimentRun) -> dict[str, Any]:
    """Return what was proposed, approved and measured of one attempt."""
    planned = {
        **prefixed("proposed", experiment.proposed.configuration),
        **prefixed("approved", experiment.approved.configuration),
    }
    return {
        **({} if experiment.is_imported else planned),
        **prefixed("measured", {column: run.measured.get(column) for column in experiment.columns}),
    }


def result_cells(experiment: Experiment, objective: Objective) -> dict[str, Any]:
    """Return the accepted results of an experiment; a quantity that is no target stands among the measurements alone."""
    return prefixed("result", {name: experiment.results[name].value for name in objective.names if name in experiment.results})


def kept_cell(experiment: Experiment) -> dict[str, Any]:
    """Return whether an experiment kept all limits; nothing where there are none, or nothing was measured."""
    return {} if experiment.kept is None else {"kept": experiment.kept}


def moments(source: Source, run: ExperimentRun) -> dict[str, Any]:
    """Return when a run was queued, started and ended."""
    return {
        **when("queued", source.told("runs", run.run_key)),
        "queued_lab": run.queued_lab,
        "started": source.wall_of(run, run.started_lab),
        "started_lab": run.started_lab,
        "ended": source.wall_of(run, run.ended_lab),
        "ended_lab": run.ended_lab,
    }
