"""The rows of the report's tables: experiments with their four layers of values, what went wrong, and durations."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from flows.report.data import ReportData
from flows.report.experiments import Experiment
from flows.report.quantities import (
    MISSING,
    axis_label,
    cell,
    chance_to_keep,
    column_format,
    duration,
    environment_line,
    scored_apart,
    with_uncertainty,
    with_unit,
)
from orchestrator.domain.lifecycle import AnswerStatus, MeasurementStatus, ProposalStatus, RunStatus
from orchestrator.domain.records import ExperimentRun, Proposal, Step
from orchestrator.domain.stop import written_chance
from orchestrator.suggestions import KEPT
from orchestrator.summary import kept_word

_Value = float | str | None
"""One entry of a layer; None where the layer does not have it."""
_Layer = tuple[str, Sequence[tuple[str, bool]]]
"""A quantity, and of each layer the value and whether it is not that of the layer before."""


@dataclass(frozen=True, slots=True)
class RunCell:
    """One value of an experiment, as shown and as sorted by."""

    text: str
    raw: _Value
    kind: str = "n"
    """Class of the cell; `n` for numbers."""
    is_state: bool = False

    def __post_init__(self) -> None:
        if self.raw is None:
            object.__setattr__(self, "raw", "")


@dataclass(frozen=True, slots=True)
class RunRow:
    """One experiment, and what it opens to."""

    is_best: bool
    cells: tuple[RunCell, ...]
    run: ExperimentRun
    facts: Sequence[tuple[str, str]]
    layers: Sequence[_Layer]
    attempts: Sequence[ExperimentRun]


@dataclass(frozen=True, slots=True)
class Unsuccessful:
    """Something that did not end well."""

    what: str
    status: str
    reason: str | None
    run_key: str = ""
    by: str | None = None


def experiment_heads(data: ReportData) -> list[tuple[str, str]]:
    """Return label and class of each column of the table of experiments."""
    units = data.space.units
    numeric = [axis_label(column, units.get(column, "")) for column in data.space.columns]
    numeric += [axis_label(target.name, target.unit) for target in data.objective.measured]
    numeric += ["objective"] if scored_apart(data.objective) else []
    numeric += ["limits"] if data.objective.outcomes else []
    return [*((text, "") for text in ("#", "proposal", "state")), *((text, "n") for text in numeric)]


def experiment_rows(data: ReportData) -> Iterator[RunRow]:
    """Yield one row per experiment."""
    leading = data.front if data.objective.kind == "pareto" else (data.best,)
    formats = {column: column_format(one.configuration.get(column) for one in data.experiments) for column in data.space.columns}
    for one in data.experiments:
        cells = tuple(_cells(data, one, formats))
        yield RunRow(one in leading, cells, one.run, _facts(data, one), _layers(data, one), one.attempts)


def imported_heads(data: ReportData) -> list[str]:
    """Return the heads of the table of imported experiments."""
    return ["key", *(text for text, kind in experiment_heads(data) if kind == "n")]


def imported_rows(data: ReportData) -> Iterator[tuple[str, list[str]]]:
    """Yield key and values of each imported experiment."""
    formats = {column: column_format(one.configuration.get(column) for one in data.imported) for column in data.space.columns}
    for one in data.imported:
        yield one.run.run_key, [cell.text for cell in _cells(data, one, formats)][3:]


def story_rows(data: ReportData) -> Iterator[tuple[str, str, str]]:
    """Yield experiment, target and history of each value that people told or changed."""
    names = {run.run_key: one.name for one in (*data.experiments, *data.imported) for run in one.attempts}
    for one in data.stories:
        which = f", replicate {one.replicate}" if one.replicate > 1 else ""
        yield names.get(one.run_key, one.run_key), f"{one.target}{which}", one.line


def _cells(data: ReportData, experiment: Experiment, formats: Mapping[str, Callable[[_Value], str]]) -> Iterator[RunCell]:
    approved = experiment.approved
    yield RunCell(str(experiment.index), experiment.index, kind="")
    name = f"{approved.number}" + (f" rev. {approved.revision}" if approved.revision > 1 else "")
    name += f", replicate {experiment.run.replicate}" if approved.replicates > 1 else ""
    yield RunCell(name, approved.number, kind="")
    yield RunCell(experiment.status, experiment.status, kind="", is_state=True)
    for column in data.space.columns:
        value = experiment.configuration.get(column)
        yield RunCell(formats[column](value), value)
    for target in data.objective.measured:
        result = experiment.results.get(target.name)
        shown = MISSING if result is None else with_uncertainty(result.value, result.half_width)
        yield RunCell(shown, None if result is None else result.value)
    if scored_apart(data.objective):
        yield RunCell(MISSING if experiment.score is None else f"{experiment.score:.4f}", experiment.score)
    if data.objective.outcomes:
        kept = MISSING if experiment.kept is None else kept_word(experiment.kept)
        yield RunCell(kept, kept)


def _facts(data: ReportData, experiment: Experiment) -> list[tuple[str, str]]:
    approved, run = experiment.approved, experiment.run
    return [
        ("proposed by", f"{approved.provenance.policy}, batch {approved.provenance.batch}, seed {approved.provenance.seed}"),
        ("decided by", (approved.decided_by or MISSING) + (f": {approved.reason}" if approved.reason else "")),
        ("approved content", approved.content_hash),
        ("position", run.position or MISSING),
        *_chances(approved),
        ("duration", f"{duration(experiment.lab_seconds)} lab, {duration(_wall(data, experiment))} wall"),
        *_work(data, experiment),
        *((f"environment: {one.name}", environment_line(one)) for one in run.environment),
    ]


def _chances(approved: Proposal) -> Iterator[tuple[str, str]]:
    """Yield how likely the limits seemed to be kept, where anybody computed it."""
    if (kept := approved.provenance.details.get(KEPT)) is not None:
        yield "chance to keep the limits", chance_to_keep(kept)


def _work(data: ReportData, experiment: Experiment) -> Iterator[tuple[str, str]]:
    """Yield what people were asked in an experiment, and what they said."""
    run = experiment.run
    said = {one.step: one for one in data.work if one.run_key == run.run_key and one.status is not AnswerStatus.REFUSED}
    for step in experiment.approved.steps:
        if step.work is None:
            continue
        if (answer := said.get(step.index)) is not None:
            values = ", ".join(f"{one.name} = {answer.values[one.name]}" for one in step.work.values if one.name in answer.values)
            told = filter(None, (answer.outcome.replace("-", " "), values, answer.reason, answer.comment))
            yield step.do, f"{answer.person}: {'; '.join(told)}"
        else:
            yield step.do, f"waits for {step.work.person or 'anybody'}, or will" if run.status.is_open else "not answered"


def _wall(data: ReportData, experiment: Experiment) -> float | None:
    seconds = experiment.lab_seconds
    return None if seconds is None else seconds / data.circumstances.process.rate


def _layers(data: ReportData, experiment: Experiment) -> list[_Layer]:
    """Return proposed, approved, commanded and measured values side by side; what differs from the layer before is marked."""
    units = data.space.units
    run, before, after = experiment.run, experiment.proposed, experiment.approved
    proposed, approved = (data.space.present(one.configuration) for one in (before, after))
    measured = {column: value for column, value in run.measured.items() if column not in experiment.absent}
    rows = [
        _layer(axis_label(column, units.get(column, "")), proposed.get(column), approved.get(column), None, measured.get(column))
        for column in data.space.columns
        if after.configuration.get(column) is not None or column in run.measured
    ]
    first, second = _planned(before.steps), _planned(after.steps)
    step_units = {f"{step.do}.{name}": unit for step in after.steps for name, unit in step.units.items()}
    keys = [*second, *(key for key in run.commanded if key not in second)]
    return rows + [
        _layer(axis_label(key, step_units.get(key, "")), first.get(key), second.get(key), run.commanded.get(key), None) for key in keys
    ]


def _layer(label: str, proposed: _Value, approved: _Value, commanded: _Value, measured: _Value) -> _Layer:
    """Return one quantity; a changed approval or a command that is not what was approved is marked."""
    changed = (False, _differs(proposed, approved), _differs(approved, commanded), False)
    return label, [(cell(value, 6), mark) for value, mark in zip((proposed, approved, commanded, measured), changed, strict=True)]


def _differs(before: _Value, after: _Value) -> bool:
    """Compare as shown: a last bit lost on the wire's decimal text is no difference."""
    return before is not None and after is not None and cell(before) != cell(after)


def _planned(steps: Sequence[Step]) -> dict[str, float | str]:
    return {f"{step.do}.{name}": value for step in steps if step.instrument for name, value in step.arguments.items()}


def advice_rows(data: ReportData) -> list[tuple[str, ...]]:
    """Return a row for each time that something was said of further experiments.

    Measured, chance, by more than what, expected, interval: a campaign that is amended may ask for another improvement.
    """
    return [
        (str(one.measured), written_chance(one.chance), f"{one.improvement:g}", f"{one.expected:.2g}", f"{one.low:.2g} to {one.high:.2g}")
        for one in data.advices
    ]


def unsuccessful(data: ReportData) -> list[Unsuccessful]:
    """Return everything that did not end well."""
    return [*_failed_attempts(data), *_doubted(data), *_not_approved(data.proposals)]


def _failed_attempts(data: ReportData) -> Iterator[Unsuccessful]:
    for one in data.experiments:
        for run in one.attempts:
            if run.status is not RunStatus.COMPLETED and not run.status.is_open:
                yield Unsuccessful(f"experiment {one.index}, attempt {run.attempt}", run.status, run.reason, run.run_key)


def _doubted(data: ReportData) -> Iterator[Unsuccessful]:
    names = {run.run_key: one.name for one in (*data.experiments, *data.imported) for run in one.attempts}
    units = data.objective.units
    for one in data.measurements:
        if one.status is not MeasurementStatus.ACCEPTED:
            value = "without a value" if one.value is None else f"= {with_unit(one.value, units.get(one.target, ''))}"
            yield Unsuccessful(f"{names.get(one.run_key, 'experiment ?')}, {one.target} {value}", one.status, one.reason)
    for experiment in data.experiments:
        for target in (one for one in experiment.run.overdue if one not in experiment.results):
            yield Unsuccessful(f"{experiment.name}, {target} did not come in time", "overdue", "it counts as without this value")


def _not_approved(proposals: Iterable[Proposal]) -> Iterator[Unsuccessful]:
    for one in proposals:
        if one.status in (ProposalStatus.REJECTED, ProposalStatus.EXPIRED):
            yield Unsuccessful(f"proposal {one.number}, revision {one.revision}", one.status, one.reason, by=one.decided_by)


def duration_rows(data: ReportData) -> list[tuple[int, str, str, str]]:
    """Return number, state, lab and wall time of each experiment; nothing where no time is known."""
    if not any(one.lab_seconds is not None for one in data.experiments):
        return []
    return [(one.index, one.status, duration(one.lab_seconds), duration(_wall(data, one))) for one in data.experiments]


def time_shares(data: ReportData) -> tuple[tuple[str, float], ...]:
    """Return where the wall time went, label -> seconds; what is left over only where the whole is known and larger."""
    people = (("waiting for a person in an experiment", data.people_seconds),) if data.people_seconds > 0 else ()
    shares = (("bench busy", data.bench_seconds), *people, ("computing proposals", data.model_seconds))
    total = data.circumstances.process.seconds
    rest = (total or 0.0) - sum(seconds for _, seconds in shares)
    return (*shares, ("other: review, pauses, bookkeeping", rest)) if rest > 0 else shares
