"""A campaign at a glance, as a markdown page for Prefect: state, progress, best experiment, where to look further."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Final

from flows.report.quantities import alone, axis_label
from flows.report.svg import best_so_far_markdown
from orchestrator.attained import attained_line, front_lines
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import ExperimentRun
from orchestrator.domain.review import ReviewRequest
from orchestrator.domain.values import Configuration
from orchestrator.history import History, best
from orchestrator.summary import NONE_KEPT

_BAR: Final = 20
"""Characters of the progress bar."""
_ARTIFACTS: Final = (("proposals", "all proposals"), ("plot", "plots"), ("progress", "progress"))
_DIGITS: Final = 5


@dataclass(frozen=True, slots=True)
class Shown:
    """What a view needs to know of a campaign."""

    campaign: str
    objective: Objective
    budget: int
    """Experiments that the campaign may carry out."""
    report: Path
    """Where its report is written."""
    describe: Callable[[], str]
    """Says in a line how far the campaign is, for the run's log."""
    present: Callable[[Configuration], Configuration] = dict
    """Leaves out of a configuration what is absent."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Unit by column of the search space."""


@dataclass(frozen=True, slots=True)
class Links:
    """Where the page leads."""

    report: Path
    flow_run: str | None = None
    """Path of the run's page on Prefect's server: relative, so that it also works behind a tunnel or a proxy."""


def overview_markdown(
    history: History,
    objective: Objective,
    budget: int,
    links: Links,
    *,
    units: Mapping[str, str] | None = None,
    present: Callable[[Configuration], Configuration] = dict,
) -> str:
    """Return the page.

    Args:
        history: The campaign so far.
        objective: What the best is judged by.
        budget: Experiments that the campaign may carry out.
        links: Where the page leads.
        units: Unit by column of the search space.
        present: Leaves out of a configuration what is absent.
    """
    campaign = history.campaign
    state = f"{campaign.status} ({campaign.reason})" if campaign.reason else str(campaign.status)
    parts = [f"# {_text(campaign.name)}: {_text(state)}", _table(_progress_rows(history, budget))]
    parts += [*map(_text, objective.constant(history.accepted.values())), *_best(history, objective, units or {}, present)]
    return "\n\n".join([*parts, _leads(campaign.name, links), best_so_far_markdown(history, objective)]) + "\n"


def _progress_rows(history: History, budget: int) -> list[tuple[str, str]]:
    runs = history.attempts()
    ended = sum(run.status.is_terminal for run in runs)
    full = min(_BAR, _BAR * ended // budget)
    tally = Counter(run.status for run in runs)
    return [
        ("experiments", f"{'█' * full}{'░' * (_BAR - full)} {ended} of {budget}, {max(0, budget - ended)} left"),
        ("how they ended", ", ".join(f"{tally[one]} {one}" for one in RunStatus if one in tally and one.is_terminal) or "none yet"),
        ("in hand", ", ".join(f"{tally[one]} {one}" for one in RunStatus if one in tally and not one.is_terminal) or "nothing"),
        *([] if history.campaign.advice is None else [("left to find", history.campaign.advice.line)]),
        *(("drift of the bench", one.answered_line) for one in history.campaign.drifts),
        ("waiting for a decision", ", ".join(_question(one) for one in history.open_requests) or "nothing"),
    ]


def _question(request: ReviewRequest) -> str:
    """Lead to the review run in which the question is put; to all that wait where it is not there yet."""
    where = f"/runs/flow-run/{request.runs[-1].flow_run_id}" if request.runs else "/runs?state=Paused"
    return f"[request {request.number}: {request.extent}]({where})"


def _best(history: History, objective: Objective, units: Mapping[str, str], present: Callable[[Configuration], Configuration]) -> list[str]:
    if objective.kind != "utility":
        lines = front_lines(history, objective, units, present) if objective.kind == "pareto" else ()
        return ["## So far", _text(attained_line(history, objective)), *(f"- {_text(line)}" for line in lines)]
    found = best(history, objective)
    if found is None:
        limited = objective.outcomes and history.accepted
        return ["## Best so far", f"{NONE_KEPT.capitalize()}." if limited else "No experiment has a complete measurement yet."]
    run, score = found
    measured = history.accepted[run.run_key]
    rows = [("objective", _number(score))] if alone(objective) is None else []
    rows += [(axis_label(target.name, target.unit), _number(measured.get(target.name))) for target in objective.measured]
    rows += [(axis_label(column, units.get(column, "")), _value(value)) for column, value in present(history.configuration_of(run)).items()]
    return [f"## Best so far: {_called(history, run)}", _table(rows)]


def _called(history: History, run: ExperimentRun) -> str:
    if run.is_imported:
        return f"imported experiment {run.run_key}"
    number = [one.run_key for one in history.attempts()].index(run.run_key) + 1
    proposal = history.proposals[run.approval]
    return f"experiment {number}, proposal {proposal.number} rev. {proposal.revision}"


def _leads(campaign: str, links: Links) -> str:
    found = [] if links.flow_run is None else [f"[this flow run]({links.flow_run})"]
    found += [f"[{text}](/artifacts/key/{campaign}-{name})" for name, text in _ARTIFACTS]
    return f"See {', '.join(found)}. Report, written at the end and by `athanor report`: `{links.report}`"


def _table(rows: list[tuple[str, str]]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {_text(name)} | {_text(value)} |" for name, value in rows)])


def _text(value: str) -> str:
    """Keep a name or a reason from breaking the table it stands in."""
    return " ".join(value.replace("|", "\\|").split())


def _value(value: float | str) -> str:
    return value if isinstance(value, str) else _number(value)


def _number(value: float | None) -> str:
    return "-" if value is None or not isfinite(value) else f"{value:.{_DIGITS}g}"
