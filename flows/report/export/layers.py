"""Columns whose names come from the campaign's own files: parameters by layer, targets with prediction and result."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from flows.report.export.columns import Column, Kind, difference, kind_of, prefixed
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import ExperimentRun, Prediction, Proposal
from orchestrator.domain.space import SearchSpace
from orchestrator.suggestions import WITHOUT_PRIOR

LAYERS: Final[Mapping[str, str]] = {
    "configuration": "as this revision has it",
    "proposed": "as the policy, or who suggested it, asked for it",
    "approved": "as it was approved, after edits",
    "measured": "as the instruments read it back",
}
_PARTS: Final[Mapping[str, str]] = {
    "mean": "mean",
    "sd": "standard deviation of a new measurement, noise included",
    "low": "lower end of the 90 % interval of a new measurement",
    "high": "upper end of the 90 % interval of a new measurement",
}
_FORECASTS: Final[Mapping[str, str]] = {
    "predicted": "What the surrogate expected of {0}: {1}.",
    "without_prior": "What the guard of the prior, which knows no history, expected of {0}: {1}.",
}


def layer(name: str, space: SearchSpace, said: str | None = None) -> tuple[Column, ...]:
    """Return a layer's columns, one per column of the search space; `said` describes them otherwise than `LAYERS`."""
    return tuple(
        Column(
            f"{name}.{column}",
            f"{column} {said or LAYERS[name]}.",
            "number" if column in space.units else "category",
            space.units.get(column, ""),
        )
        for column in space.columns
    )


def commanded(runs: Iterable[ExperimentRun], proposals: Iterable[Proposal]) -> tuple[Column, ...]:
    """Return a column per argument that was sent to an instrument, in the units of the approved steps."""
    units = {
        f"{step.do}.{argument}": unit
        for one in proposals
        for step in one.steps
        for argument, unit in step.units.items()
        if step.instrument is not None
    }
    sent: dict[str, list[object]] = {}
    for run in runs:
        for key, value in run.commanded.items():
            sent.setdefault(key, []).append(value)
    return tuple(
        Column(f"commanded.{key}", f"What was sent as {key}.", kind, units.get(key, "") if kind == "number" else "")
        for key, values in sent.items()
        for kind in (kind_of(values),)
    )


def sent(run: ExperimentRun, columns: Iterable[Column]) -> dict[str, Any]:
    """Return what a run was sent, where an argument was both a number and a text as texts."""
    texts = {column.name for column in columns if column.kind == "category"}
    cells = prefixed("commanded", run.commanded)
    return {name: str(value) if name in texts else value for name, value in cells.items()}


_RECORDED: Final[Mapping[str, str]] = {
    "mean": "mean of the readings over the run",
    "sd": "standard deviation of single readings",
    "samples": "number of readings",
    "coverage": "share of the run with a reading no older than twice the declared interval",
    "lag": "the most by which the newest reading was behind, lab time",
    "reference": "where the goals hold",
    "message": "what could not be read",
}


_LOT: Final[Mapping[str, str]] = {"lot": "the lot that the run took from"}


def environment(runs: Iterable[ExperimentRun]) -> tuple[Column, ...]:
    """Return the columns of what was recorded beside runs; none where nothing was, and of lots their names alone."""
    units = {(one.name, one.lot is not None): one.unit for run in runs for one in run.environment}
    return tuple(
        Column(f"environment.{name}.{part}", f"{name} of the laboratory: {said}.", _kind_of_part(part), _unit_of_part(part, unit))
        for (name, is_lot), unit in units.items()
        for part, said in (_LOT if is_lot else _RECORDED).items()
    )


def _kind_of_part(part: str) -> Kind:
    return "category" if part == "lot" else "text" if part == "message" else "integer" if part == "samples" else "number"


def _unit_of_part(part: str, unit: str) -> str:
    return {"mean": unit, "reference": unit, "sd": difference(unit), "lag": "s"}.get(part, "")


def recorded(run: ExperimentRun) -> dict[str, Any]:
    """Return the cells of what was recorded beside a run."""
    return {
        f"environment.{one.name}.{part}": getattr(one, part) for one in run.environment for part in (_RECORDED if one.lot is None else _LOT)
    }


def forecasts(objective: Objective, proposals: Iterable[Proposal]) -> tuple[Column, ...]:
    """Return the columns of predictions; those of the guard only where there was one."""
    guarded = any(WITHOUT_PRIOR in one.provenance.details for one in proposals)
    names = tuple(_FORECASTS) if guarded else ("predicted",)
    return tuple(
        Column(
            f"{name}.{target.name}.{part}",
            _FORECASTS[name].format(target.name, said),
            "number",
            difference(target.unit) if part == "sd" else target.unit,
        )
        for name in names
        for target in objective.measured
        for part, said in _PARTS.items()
    )


def forecast(predicted: Mapping[str, Prediction], proposal: Proposal, objective: Objective) -> dict[str, float]:
    """Return the cells of a proposal's predictions."""
    guard = proposal.provenance.details.get(WITHOUT_PRIOR, {})
    alone = {target: Prediction.model_validate(one) for target, one in guard.items()}
    return {
        f"{name}.{target}.{part}": getattr(found[target], part)
        for name, found in (("predicted", predicted), ("without_prior", alone))
        for target in objective.names
        if target in found
        for part in _PARTS
    }


def results(objective: Objective) -> tuple[Column, ...]:
    """Return the columns of accepted results."""
    return tuple(
        Column(f"result.{one.name}", f"Accepted {one.name}, mean of replicates.", "number", one.unit) for one in objective.measured
    )


def keeping(objective: Objective) -> tuple[Column, ...]:
    """Return the column that says whether limits were kept; none where there are no limits."""
    said = Column("kept", "Whether the results keep all limits on what comes out; a missing value keeps none.", "boolean")
    return (said,) if objective.outcomes else ()


def uncertainties(objective: Objective) -> tuple[Column, ...]:
    """Return the columns of the results' standard uncertainties."""
    return tuple(
        Column(f"uncertainty.{one.name}", f"Standard uncertainty of result.{one.name}.", "number", difference(one.unit))
        for one in objective.measured
    )
