"""The report of a front, and of a response that is to be known: what stands where other campaigns have a best experiment."""

from collections.abc import Iterator, Mapping
from html import escape
from itertools import combinations
from typing import Any, Final

from plotly.subplots import make_subplots

from flows.report import figures
from flows.report.colours import ACCENT, AMBER, INK
from flows.report.data import ReportData
from flows.report.experiments import Experiment
from flows.report.quantities import axis_label, percent, with_uncertainty, with_unit
from orchestrator.domain.front import corner
from orchestrator.domain.objective import Target
from orchestrator.domain.records import NORMAL_90
from orchestrator.suggestions import CERTAINTY

_OTHERS: Final = "#b8c2cc"
"""Colour of the measurements that are not on the front."""
_PAIR_HEIGHT: Final = 380


def front_table(data: ReportData) -> tuple[list[str], list[list[str]]]:
    """Return heads and rows of the experiments of the front."""
    units, targets = data.space.units, data.objective.targets
    heads = ["experiment", *(axis_label(one.name, one.unit) for one in targets)]
    heads += [axis_label(column, units.get(column, "")) for column in data.space.columns]
    rows = [
        [
            one.name,
            *(with_uncertainty(one.results[target.name].value, one.results[target.name].half_width) for target in targets),
            *(with_unit(one.configuration.get(column), "") for column in data.space.columns),
        ]
        for one in data.front
    ]
    return heads, rows


def fronts(data: ReportData) -> Any:
    """Draw all measurements, target against target: those of the front in colour, and what was expected of these."""
    pairs = list(combinations(data.objective.targets, 2))
    figure = make_subplots(len(pairs), 1, vertical_spacing=0.22 / len(pairs))
    for row, (across, up) in enumerate(pairs, start=1):
        _draw_pair(figure, data, across, up, row)
    return figures.finish(figure, height=_PAIR_HEIGHT * len(pairs))


def _draw_pair(figure: Any, data: ReportData, across: Target, up: Target, row: int) -> None:
    front = {one.run.run_key for one in data.front}
    known = [one for one in (*data.experiments, *data.imported) if across.name in one.results and up.name in one.results]
    expected = [one for one in data.front if across.name in one.predicted and up.name in one.predicted]
    series = (
        ("other measurements", {"color": _OTHERS, "size": 7}, [one for one in known if one.run.run_key not in front], _results),
        ("expected of the front", {"color": AMBER, "size": 8, "symbol": "diamond-open"}, expected, _expected),
        ("front", {"color": ACCENT, "size": 10}, [one for one in known if one.run.run_key in front], _results),
    )
    for name, marker, some, told in series:
        spots = [(one.index, *told(one, across), *told(one, up)) for one in some]
        figure.add_scatter(
            x=[x for _, x, _, _, _ in spots],
            y=[y for _, _, _, y, _ in spots],
            error_x={"type": "data", "array": [wide for _, _, wide, _, _ in spots], "thickness": 1, "width": 3},
            error_y={"type": "data", "array": [high for _, _, _, _, high in spots], "thickness": 1, "width": 3},
            mode="markers",
            marker=marker,
            name=name,
            legendgroup=name,
            showlegend=row == 1,
            meta=[index for index, *_ in spots],
            hovertemplate="%{customdata}<extra></extra>",
            row=row,
            col=1,
        )
    _mark_reference(figure, data, across, up, row)
    figure.update_xaxes(title_text=escape(axis_label(across.name, across.unit)), row=row, col=1)
    figure.update_yaxes(title_text=escape(axis_label(up.name, up.unit)), row=row, col=1)


def _results(experiment: Experiment, target: Target) -> tuple[float, float]:
    found = experiment.results[target.name]
    return found.value, found.half_width or 0.0


def _expected(experiment: Experiment, target: Target) -> tuple[float, float]:
    found = experiment.predicted[target.name]
    return found.mean, NORMAL_90 * found.sd


def _mark_reference(figure: Any, data: ReportData, across: Target, up: Target, row: int) -> None:
    """Draw where the reference point lies; a match has none that is one value."""
    for target, draw, key in ((across, figure.add_vline, "x"), (up, figure.add_hline, "y")):
        if (value := _reference(data, target)) is not None:
            draw(**{key: value}, line={"color": INK, "dash": "dot", "width": 1.2}, row=row, col=1)


def _reference(data: ReportData, target: Target) -> float | None:
    given = data.objective.reference.get(target.name)
    if given is not None or target.low is None or target.high is None:
        return given
    utility = corner(data.objective)[data.objective.targets.index(target)]
    assert utility == 0.0
    return target.low if target.goal == "maximise" else target.high


def known(data: ReportData) -> list[tuple[int, Mapping[str, Mapping[str, float]]]]:
    """Return how well the response was known when each proposal was made, by its number."""
    newest = {one.number: one.provenance.details for one in data.proposals}
    return [(number, details[CERTAINTY]) for number, details in newest.items() if CERTAINTY in details]


def certainty(data: ReportData) -> Any:
    """Draw the mean standard deviation of each target's response, and for a level the uncertain share, over the proposals."""
    panels = list(_panels(data))
    figure = make_subplots(len(panels), 1, shared_xaxes=True, vertical_spacing=0.16 / len(panels))
    for row, (label, points) in enumerate(panels, start=1):
        figure.add_scatter(
            x=[number for number, _ in points],
            y=[value for _, value in points],
            mode="lines+markers",
            line={"color": ACCENT, "width": 1.6},
            marker={"size": 6},
            row=row,
            col=1,
        )
        figure.update_yaxes(title_text=escape(label), rangemode="tozero", row=row, col=1)
    figure.update_xaxes(title_text="proposal", row=len(panels), col=1)
    return figures.finish(figure, height=90 + figures.TARGET_HEIGHT * len(panels), legend=False)


def _panels(data: ReportData) -> Iterator[tuple[str, list[tuple[int, float]]]]:
    found = known(data)
    for target in data.objective.targets:
        yield axis_label(f"mean sd {target.name}", target.unit), [(number, one["sd"][target.name]) for number, one in found]
    if data.objective.kind == "level":
        (target,) = data.objective.targets
        yield "uncertain share", [(number, one["uncertain"][target.name]) for number, one in found]


def certainty_table(data: ReportData) -> list[tuple[str, str, str]]:
    """Return each target with its mean standard deviation at first and at last."""
    first, last = known(data)[0][1], known(data)[-1][1]
    rows = [
        (f"mean sd {one.name}", with_unit(first["sd"][one.name], one.unit), with_unit(last["sd"][one.name], one.unit))
        for one in data.objective.targets
    ]
    shares = [
        (f"uncertain share, {name}", percent(share), percent(last["uncertain"][name])) for name, share in first.get("uncertain", {}).items()
    ]
    return [*rows, *shares]
