"""The report of a campaign: one HTML file that needs nothing else, not even a network.

`flows/templates/report.html` says what stands where; here is what it is filled with.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from plotly.offline import get_plotlyjs

from flows.report import colours, figures, tables, trade_offs, trust
from flows.report.comparisons import Series, compared
from flows.report.data import ReportData
from flows.report.experiments import TargetResult
from flows.report.prior import label
from flows.report.quantities import (
    MISSING,
    alone,
    axis_label,
    duration,
    objective_label,
    short_number,
    sign,
    together,
    unit_label,
    with_uncertainty,
    with_unit,
)
from flows.report.slices import quantities, slices
from flows.report.spending import spending
from flows.templating import render
from orchestrator.domain.front import covered_share
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.domain.objective import Measured, Target
from orchestrator.summary import NONE_KEPT

SECTIONS: Final = {
    "best": "Best so far",
    "targets": "Targets",
    "slices": "Parameters",
    "calibration": "Predicted and measured",
    "prior": "What the prior brought",
    "stopping": "What is left to find",
    "spectra": "Spectra",
    "runs": "Experiments",
    "imported": "Imported experiments",
    "values": "Values told or changed by people",
    "failures": "What went wrong",
    "time": "Time",
}
_ATTAINED: Final = {"pareto": "Front", "explore": "What is known", "level": "What is known"}
"""By kind of objective: what stands where others have a best experiment."""
_SELDOM: Final[Mapping[str, Callable[[ReportData], Sequence[object]]]] = {
    "stopping": lambda data: data.advices,
    "imported": lambda data: data.imported,
    "values": lambda data: data.stories,
}
"""Sections that most campaigns have nothing for, and what they show."""
_SHARE_COLOURS: Final = (colours.ACCENT, colours.AMBER, "#c3ccd5")


def render_report(data: ReportData) -> str:
    """Render a campaign's report as one self-contained HTML document."""
    context, story = data.circumstances, data.prior
    return render(
        "report.html",
        data=data,
        sections={anchor: title for anchor, title in _sections(data).items() if anchor not in _absent(data)},
        plotly=get_plotlyjs(),
        hovers={one.index: figures.hover(data, one) for one in data.experiments},
        figures=figures,
        trust=trust,
        trade_offs=trade_offs,
        simulated=context.simulated,
        head=context.head,
        made=_moment(context.made),
        cards=_cards(data),
        campaign=_campaign(data),
        aims=list(_aims(data)),
        best=_best(data),
        no_best=_no_best(data),
        spending=spending(data),
        measured=any(one.results for one in data.experiments),
        slices=_slices(data),
        coverage=_coverage(data),
        calibration=_calibration(data),
        prior_label=None if story is None else label({"name": story.name, "origin": story.origin}, simulated_lab=context.simulated),
        advices=tables.advice_rows(data),
        objective_unit="" if (single := alone(data.objective)) is None else unit_label(single.unit),
        heads=tables.experiment_heads(data),
        rows=tables.experiment_rows(data),
        imported_heads=tables.imported_heads(data),
        imported_rows=tables.imported_rows(data),
        stories=tables.story_rows(data),
        unsuccessful=tables.unsuccessful(data),
        shares=_shares(data),
        durations=tables.duration_rows(data),
    )


def _sections(data: ReportData) -> dict[str, str]:
    return {**SECTIONS, "best": _ATTAINED.get(data.objective.kind, SECTIONS["best"])}


def _absent(data: ReportData) -> set[str]:
    """Return the sections that most campaigns have nothing for."""
    return {name for name, content in _SELDOM.items() if not content(data)}


def _cards(data: ReportData) -> list[tuple[str, str]]:
    used, budget = len(data.ended), data.circumstances.budget
    return [
        _attained(data),
        (f"{used}" if budget is None else f"{used} of {budget}", "experiments ended"),
        (f"{data.complete}", "measured in full"),
        (f"{len(data.with_status(RunStatus.INFEASIBLE))}", "infeasible (the recipe's fault)"),
        (f"{len(data.with_status(RunStatus.FAILED, RunStatus.ABORTED, RunStatus.UNKNOWN))}", "failed, aborted or unknown"),
        (duration(data.circumstances.process.seconds), "wall time"),
    ]


def _attained(data: ReportData) -> tuple[str, str]:
    """Return the card of what is attained: a number, and what it is."""
    if data.objective.kind == "pareto":
        share = covered_share(data.objective, (one.values for one in (*data.experiments, *data.imported)))
        return short_number(share), f"hypervolume, front of {len(data.front)}"
    if not data.objective.ranked:
        found, (target, *_) = trade_offs.known(data), data.objective.targets
        return with_unit(found[-1][1]["sd"][target.name], target.unit) if found else MISSING, f"mean sd {target.name}"
    best = data.best
    shown = MISSING if best is None else short_number(sign(data.objective) * (best.score or 0.0))
    return shown, f"best {objective_label(data.objective)}" + (f", {best.name}" if best else "")


def _campaign(data: ReportData) -> list[tuple[str, str]]:
    process = data.circumstances.process
    return [
        ("bench", data.circumstances.bench),
        ("begun", _moment(process.started)),
        ("last event", _moment(process.ended)),
        ("lab clock", "real time" if process.rate == 1 else f"{short_number(process.rate)} lab seconds per second"),
    ]


def _aims(data: ReportData) -> Iterator[tuple[str, str]]:
    """Yield what is wanted: of the targets together where that is no score, of each where one value is better than another, and limits."""
    objective = data.objective
    if (wanted := together(objective)) is not None:
        yield "objective", wanted
    if objective.ranked:
        alone = len(objective.targets) == 1 or objective.kind == "pareto"
        yield from ((target.name, _aim(target, alone=alone)) for target in objective.targets)
    for one in objective.outcomes:
        yield one.name, f"keep {one.shown}, with a chance of {short_number(100 * one.probability)} %"


def _aim(target: Target, *, alone: bool) -> str:
    """Put a target's goal into words."""
    weight = "" if alone else f", weight {short_number(target.weight)}"
    if target.value is not None and target.tolerance is not None:
        return f"match {short_number(target.value)} ± {with_unit(target.tolerance, target.unit)}{weight}"
    scale = f", scale {short_number(target.low)} to {with_unit(target.high, target.unit)}" if target.scaled else ""
    return f"{target.goal}{scale}{weight}"


def _moment(when: datetime | None) -> str:
    return MISSING if when is None else f"{when:%Y-%m-%d %H:%M} {when.tzname() or ''}".strip()


def _best(data: ReportData) -> dict[str, Any] | None:
    best, units = data.best, data.space.units
    if best is None:
        return None
    return {
        "name": best.name,
        "configuration": [(column, with_unit(value, units.get(column, ""))) for column, value in best.configuration.items()],
        "results": [(one.name, _result(one, best.results[one.name])) for one in data.objective.measured if one.name in best.results],
    }


def _no_best(data: ReportData) -> str:
    limited = data.objective.outcomes and data.scored
    return f"{NONE_KEPT.capitalize()}." if limited else "No experiment has a value of every target yet."


def _result(target: Measured, result: TargetResult) -> str:
    text = with_uncertainty(result.value, result.half_width)
    unit = with_unit(result.value, target.unit).partition(" ")[2]
    return f"{text} {unit}".strip() + target.judged(result.value)


def _slices(data: ReportData) -> Iterator[tuple[int, str, Any]]:
    """Yield position, label and figure of each quantity that has a value."""
    for position, quantity in enumerate(quantities(data)):
        if any(quantity.value(one) is not None for one in data.experiments):
            yield position, quantity.label, slices(data, quantity)


def _calibration(data: ReportData) -> Any:
    """Draw results over predictions; None where there are none."""
    panels = []
    for target in data.objective.measured:
        if pairs := data.comparisons(target.name):
            inside, outside = ([pair for pair in pairs if pair.inside is side] for side in (True, False))
            panels.append((target, (Series("inside", colours.ACCENT, inside), Series("outside", colours.RED, outside, "diamond"))))
    return compared(panels, legend=False) if panels else None


def _coverage(data: ReportData) -> list[tuple[str, str]]:
    shown = [target for target in data.objective.measured if data.comparisons(target.name)]
    return [(axis_label(target.name, target.unit), figures.coverage(data, target.name)) for target in shown]


def _shares(data: ReportData) -> list[dict[str, Any]]:
    """Return where the wall time went; nothing where no time is known."""
    shares = tables.time_shares(data)
    whole = sum(seconds for _, seconds in shares)
    return [
        {"label": name, "duration": duration(seconds), "percent": 100 * seconds / whole, "colour": colour}
        for (name, seconds), colour in zip(shares, _SHARE_COLOURS, strict=False)
        if whole > 0
    ]
