"""The report's tables: runs with their four layers of values, what went wrong, and durations."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape

from flows.report.data import ReportData
from flows.report.experiments import Experiment
from flows.report.quantities import MISSING, alone, axis_label, cell, column_format, duration, with_uncertainty, with_unit
from orchestrator.domain.lifecycle import MeasurementStatus, ProposalStatus, RunStatus
from orchestrator.domain.records import ExperimentRun, Proposal, Step

Value = float | str | None
"""One entry of a layer; None where the layer does not have it."""
Formats = Mapping[str, Callable[[Value], str]]
"""Column -> how its cells are written."""


def state(status: str) -> str:
    """Mark a status with its colour and its name."""
    return f'<span class="state {escape(status)}">{escape(status)}</span>'


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table.

    Args:
        heads: Plain text.
        rows: Cells, already escaped.
    """
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{text}</td>" for text in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Lay out labels and values, both already escaped."""
    return '<dl class="facts">' + "".join(f"<dt>{label}</dt><dd>{value}</dd>" for label, value in pairs) + "</dl>"


def runs_table(data: ReportData) -> str:
    """Lay out one row per experiment, which opens to its four layers of values and its attempts."""
    units = data.space.units
    heads = ["#", "proposal", "state"]
    numeric = [axis_label(column, units.get(column, "")) for column in data.space.columns]
    numeric += [axis_label(target.name, target.unit) for target in data.objective.targets]
    numeric += [] if alone(data.objective) else ["objective"]
    cells = [f'<th data-sort scope="col">{escape(text)}</th>' for text in heads]
    cells += [f'<th data-sort scope="col" class="n">{escape(text)}</th>' for text in numeric]
    width, best = len(cells), data.best
    formats = {column: column_format(one.configuration.get(column) for one in data.experiments) for column in data.space.columns}
    groups = "".join(
        _run_group(data, one, formats, width, is_best=best is not None and one.index == best.index) for one in data.experiments
    )
    return f'<div class="wide"><table id="runs-table"><thead><tr>{"".join(cells)}</tr></thead>{groups}</table></div>'


def _run_group(data: ReportData, experiment: Experiment, formats: Formats, width: int, *, is_best: bool) -> str:
    cells = "".join(_run_cells(data, experiment, formats))
    kind = ' class="best"' if is_best else ""
    more = f"<details><summary>{_summary(experiment)}</summary>{_details(data, experiment)}</details>"
    return f'<tbody{kind}><tr class="head">{cells}</tr><tr class="more"><td colspan="{width}">{more}</td></tr></tbody>'


def _summary(experiment: Experiment) -> str:
    run = experiment.run
    reason = f" · {escape(run.reason)}" if run.reason else ""
    again = f" · {len(experiment.attempts)} attempts" if len(experiment.attempts) > 1 else ""
    return f"details{again}{reason}"


def _run_cells(data: ReportData, experiment: Experiment, formats: Formats) -> Iterator[str]:
    approved = experiment.approved
    yield _cell(str(experiment.index), experiment.index, kind="")
    name = f"{approved.number}" + (f" rev. {approved.revision}" if approved.revision > 1 else "")
    name += f", replicate {experiment.run.replicate}" if approved.replicates > 1 else ""
    yield _cell(name, approved.number, kind="")
    yield f'<td data-v="{escape(experiment.status)}">{state(experiment.status)}</td>'
    for column in data.space.columns:
        value = experiment.configuration.get(column)
        yield _cell(formats[column](value), value)
    for target in data.objective.targets:
        result = experiment.results.get(target.name)
        shown = MISSING if result is None else with_uncertainty(result.value, result.half_width)
        yield _cell(shown, None if result is None else result.value)
    if alone(data.objective) is None:
        yield _cell(MISSING if experiment.score is None else f"{experiment.score:.4f}", experiment.score)


def _cell(text: str, value: Value, *, kind: str = "n") -> str:
    raw = "" if value is None else escape(str(value))
    return f'<td class="{kind}" data-v="{raw}">{escape(text)}</td>'


def _details(data: ReportData, experiment: Experiment) -> str:
    approved, run = experiment.approved, experiment.run
    pairs = [
        ("run key", f'<span class="key">{escape(run.run_key)}</span>'),
        ("run", f'<span class="key">{escape(run.run_id)}</span>'),
        ("proposed by", escape(f"{approved.provenance.policy}, batch {approved.provenance.batch}, seed {approved.provenance.seed}")),
        ("decided by", escape(approved.decided_by or MISSING) + (f": {escape(approved.reason)}" if approved.reason else "")),
        ("approved content", f'<span class="key">{approved.content_hash}</span>'),
        ("position", escape(run.position or MISSING)),
        ("duration", escape(f"{duration(experiment.lab_seconds)} lab, {duration(_wall(data, experiment))} wall")),
    ]
    return facts(pairs) + layers(data, experiment) + _attempts(experiment.attempts)


def _wall(data: ReportData, experiment: Experiment) -> float | None:
    seconds = experiment.lab_seconds
    return None if seconds is None else seconds / data.circumstances.process.rate


def layers(data: ReportData, experiment: Experiment) -> str:
    """Lay out proposed, approved, commanded and measured values side by side; what differs from the layer before is marked."""
    units = data.space.units
    run, before, after = experiment.run, experiment.proposed, experiment.approved
    columns = [column for column in data.space.columns if column in after.configuration or column in run.measured]
    rows = [
        _layer_row(
            column, units.get(column, ""), before.configuration.get(column), after.configuration.get(column), None, run.measured.get(column)
        )
        for column in columns
    ]
    first, second, step_units = _planned(before.steps), _planned(after.steps), _planned_units(after.steps)
    keys = [*second, *(key for key in run.commanded if key not in second)]
    rows += [_layer_row(key, step_units.get(key, ""), first.get(key), second.get(key), run.commanded.get(key), None) for key in keys]
    heads = "".join(f"<th{kind}>{text}</th>" for text, kind in _LAYER_HEADS)
    return f"<h3>Four layers of values</h3><table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


_LAYER_HEADS = (("", ""), *((text, ' class="n"') for text in ("proposed", "approved", "commanded", "measured")))


def _layer_row(label: str, unit: str, proposed: Value, approved: Value, commanded: Value, measured: Value) -> str:
    """Lay out one quantity; a changed approval or a command that is not what was approved is marked."""
    values = (proposed, approved, commanded, measured)
    changed = (False, _differs(proposed, approved), _differs(approved, commanded), False)
    cells = "".join(
        f'<td class="n{" changed" if mark else ""}">{escape(cell(value, 6))}</td>' for value, mark in zip(values, changed, strict=True)
    )
    return f"<tr><td>{escape(axis_label(label, unit))}</td>{cells}</tr>"


def _differs(before: Value, after: Value) -> bool:
    """Compare as shown: a last bit lost on the wire's decimal text is no difference."""
    return before is not None and after is not None and cell(before) != cell(after)


def _planned(steps: Sequence[Step]) -> dict[str, float | str]:
    return {f"{step.do}.{name}": value for step in steps if step.instrument for name, value in step.arguments.items()}


def _planned_units(steps: Sequence[Step]) -> dict[str, str]:
    return {f"{step.do}.{name}": unit for step in steps if step.instrument for name, unit in step.units.items()}


def _attempts(attempts: Sequence[ExperimentRun]) -> str:
    rows = (
        (
            str(one.attempt),
            f'<span class="key">{escape(one.run_key)}</span>',
            state(one.status),
            escape(one.reason or ""),
            _evidence(one.evidence),
        )
        for one in attempts
    )
    return "<h3>Attempts</h3>" + table(("attempt", "run key", "state", "reason", "evidence"), rows)


def _evidence(evidence: Mapping[str, object]) -> str:
    return "<br>".join(escape(f"{name}: {value}") for name, value in evidence.items())


def unsuccessful(data: ReportData) -> tuple[tuple[str, str, str], ...]:
    """Return what, state and reason (escaped) of everything that did not end well."""
    return (*_failed_attempts(data), *_doubted(data), *_not_approved(data.proposals))


def _failed_attempts(data: ReportData) -> Iterator[tuple[str, str, str]]:
    for one in data.experiments:
        for run in one.attempts:
            if run.status is not RunStatus.COMPLETED and not run.status.is_open:
                what = f'experiment {one.index}, attempt {run.attempt} <span class="key soft">{escape(run.run_key)}</span>'
                yield what, state(run.status), escape(run.reason or "no reason recorded")


def _doubted(data: ReportData) -> Iterator[tuple[str, str, str]]:
    numbers = {run.run_key: one.index for one in data.experiments for run in one.attempts}
    units = {target.name: target.unit for target in data.objective.targets}
    for one in data.measurements:
        if one.status is not MeasurementStatus.ACCEPTED:
            value = "without a value" if one.value is None else f"= {with_unit(one.value, units.get(one.target, ''))}"
            what = f"experiment {numbers.get(one.run_key, '?')}, {escape(one.target)} {escape(value)}"
            yield what, state(one.status), escape(one.reason or "no reason recorded")


def _not_approved(proposals: Iterable[Proposal]) -> Iterator[tuple[str, str, str]]:
    for one in proposals:
        if one.status in (ProposalStatus.REJECTED, ProposalStatus.EXPIRED):
            by = f" by {escape(one.decided_by)}" if one.decided_by else ""
            yield f"proposal {one.number}, revision {one.revision}", state(one.status) + by, escape(one.reason or "no reason recorded")


def durations_table(data: ReportData) -> str:
    """Lay out lab and wall durations of each experiment."""
    rows = ((str(one.index), state(one.status), duration(one.lab_seconds), duration(_wall(data, one))) for one in data.experiments)
    return table(("experiment", "state", "lab time", "wall time"), rows)


def time_shares(data: ReportData) -> tuple[tuple[str, float], ...]:
    """Return where the wall time went, label -> seconds; what is left over only where the whole is known and larger."""
    shares = (("bench busy", data.bench_seconds), ("computing proposals", data.model_seconds))
    total = data.circumstances.process.seconds
    rest = (total or 0.0) - sum(seconds for _, seconds in shares)
    return (*shares, ("other: review, pauses, bookkeeping", rest)) if rest > 0 else shares
