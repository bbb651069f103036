"""The report's interactive figures: progress, targets, predictions, spectra and durations.

Names that people chose are escaped, for plotly reads tags in text.
"""

from collections.abc import Callable, Sequence
from html import escape
from math import ceil
from typing import Any, Final, TypeVar

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from flows.report.colours import ACCENT, AMBER, GREEN, GRID, INK, RED
from flows.report.data import ReportData
from flows.report.experiments import Experiment
from flows.report.quantities import attained_label, axis_label, duration, sign, with_unit
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.domain.objective import Measured
from orchestrator.domain.records import NORMAL_90

_What = TypeVar("_What")
CURVES: Final = (ACCENT, AMBER, GREEN, RED, "#6b4fa0")
FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
LIGHT_TO_DARK: Final = ((0.0, "#b9d3ee"), (0.5, "#4f8cc9"), (1.0, "#0b2e59"))
"""Early experiments are light, late ones dark, also on grey paper."""
WIDTH: Final = 1100
"""Pixels of a plot on a wide screen."""
PROGRESS_HEIGHT: Final = 360
TARGET_HEIGHT: Final = 190
ROW_HEIGHT: Final = 230
"""Pixels of one row of panels."""
SPOT: Final = 4
"""Pixels: half the width of a mark. Of marks on one spot the eye sees the one on top."""
_MANY: Final = 300
"""Points of a panel from which on marks beneath others are left out: a browser draws tens of thousands slowly."""
UNSUCCESSFUL: Final = {
    "infeasible": (AMBER, "diamond-open", (RunStatus.INFEASIBLE,)),
    "failed, aborted or unknown": (RED, "x", (RunStatus.FAILED, RunStatus.ABORTED, RunStatus.UNKNOWN)),
}
"""Label -> colour, symbol and the statuses that it stands for."""


def finish(figure: Any, *, height: int, legend: bool = True, left_out: int = 0) -> Any:
    """Give a figure the report's look.

    Args:
        figure: A plotly figure, changed in place.
        height: In pixels.
        legend: Whether to show one.
        left_out: Points that are not drawn because they lie beneath others; the page says so.
    """
    figure.update_layout(
        meta=f"{left_out} points lie within {SPOT} pixels of a later one and are not drawn." if left_out else None,
        template="none",
        height=height,
        showlegend=legend,
        margin={"l": 64, "r": 24, "t": 34, "b": 48},
        font={"family": FONT, "size": 13, "color": INK},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"},
        hoverlabel={"align": "left"},
        paper_bgcolor="white",
        plot_bgcolor="white",
    )
    axis = {
        "title_font_size": 13,
        "exponentformat": "none",
        "separatethousands": True,
        "gridcolor": GRID,
        "linecolor": "#b8c2cc",
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": "#b8c2cc",
        "automargin": True,
    }
    figure.update_xaxes(**axis)
    figure.update_yaxes(title_standoff=12, **axis)
    return figure


def number_axis(figure: Any, data: ReportData, **where: Any) -> None:
    """Make an x axis count experiments with whole numbers."""
    last = max((one.index for one in data.experiments), default=1)
    step = max(1, ceil(last / 12))
    figure.update_xaxes(range=[0.4, last + 0.6], dtick=step, tick0=step if step > 1 else 1)
    figure.update_xaxes(title_text="experiment", **where)


def hover(data: ReportData, experiment: Experiment) -> str:
    """Describe an experiment in a few lines."""
    units = data.space.units
    lines = [f"<b>experiment {experiment.index}</b> {escape(experiment.status)}"]
    values = experiment.configuration.items()
    lines += [f"{escape(column)} = {escape(with_unit(value, units.get(column, '')))}" for column, value in values]
    lines += [
        f"{escape(target.name)}: {with_unit(experiment.results[target.name].value, target.unit)}"
        for target in data.objective.measured
        if target.name in experiment.results
    ]
    return "<br>".join(lines)


def on_top(points: Sequence[tuple[Any, Any, _What]], *, width: float, height: float) -> list[tuple[Any, Any, _What]]:
    """Return the points to draw: of many, those beneath later ones are left out.

    Args:
        points: Position, height and what it stands for each.
        width: Of the panel, in pixels.
        height: Of the panel, in pixels.
    """
    if len(points) <= _MANY:
        return list(points)
    across, up = (_spots([point[axis] for point in points], pixels) for axis, pixels in ((0, width), (1, height)))
    return list(dict(zip(zip(across, up, strict=True), points, strict=True)).values())


def _spots(values: Sequence[Any], pixels: float) -> list[Any]:
    """Return on which spot of an axis each value lies; a name is its own."""
    numbers = [value for value in values if isinstance(value, int | float)]
    low, size = min(numbers, default=0.0), ((max(numbers, default=0.0) - min(numbers, default=0.0)) or 1.0) * SPOT / pixels
    return [int((value - low) / size) if isinstance(value, int | float) else value for value in values]


def progress(data: ReportData) -> Any:
    """Draw the objective over the experiments, the best so far, and where there was none."""
    figure, factor = go.Figure(), sign(data.objective)
    points = attained_points(data)
    shown = on_top(points, width=WIDTH, height=PROGRESS_HEIGHT)
    hover = f"%{{customdata}}<br>{'hypervolume' if data.objective.kind == 'pareto' else 'objective'} %{{y:.4g}}<extra></extra>"
    best = data.best_so_far
    figure.add_scatter(
        x=[index for index, _ in best],
        y=[factor * value for _, value in best],
        mode="lines",
        line={"shape": "hv", "color": INK, "width": 2},
        name="best so far",
        hoverinfo="skip",
    )
    mark_measured(figure, shown, hover)
    _mark_unsuccessful(figure, data, floor=_floor([y for _, y, _ in points]))
    figure.update_yaxes(title_text=escape(attained_label(data.objective)))
    number_axis(figure, data)
    return finish(figure, height=PROGRESS_HEIGHT, left_out=len(points) - len(shown))


def attained_points(data: ReportData) -> list[tuple[int, float, Experiment]]:
    """Return number and height of each measurement: its objective value as it is shown, or what the front covers with it."""
    if data.objective.kind == "pareto":
        covered = dict(data.best_so_far)
        return [(one.index, covered[one.index], one) for one in data.scored]
    factor = sign(data.objective)
    return [(one.index, factor * (one.score or 0.0), one) for one in data.scored]


def mark_measured(figure: Any, points: Sequence[tuple[float, float, Experiment]], hover: str) -> None:
    """Mark measurements, hollow where they do not keep the limits."""
    _mark(figure, [point for point in points if point[2].may_be_best], hover, name="measured")
    if violating := [point for point in points if not point[2].may_be_best]:
        _mark(figure, violating, hover, name="measured, limits not kept", symbol="circle-open")


def _mark(figure: Any, points: Sequence[tuple[float, float, Experiment]], hover: str, *, name: str, **marker: str) -> None:
    figure.add_scatter(
        x=[x for x, _, _ in points],
        y=[y for _, y, _ in points],
        mode="markers",
        marker={"color": ACCENT, "size": 9, **marker},
        name=name,
        meta=[one.index for _, _, one in points],
        hovertemplate=hover,
    )


def _floor(values: Sequence[float]) -> float:
    """A height a little below all values, for marks that have none."""
    if not values:
        return 0.0
    low, high = min(values), max(values)
    return low - 0.1 * ((high - low) or abs(high) or 1.0)


def _mark_unsuccessful(figure: Any, data: ReportData, *, floor: float) -> None:
    for label, (colour, symbol, statuses) in UNSUCCESSFUL.items():
        marked = data.with_status(*statuses)
        if marked:
            figure.add_scatter(
                x=[one.index for one in marked],
                y=[floor] * len(marked),
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 10, "line": {"width": 2, "color": colour}},
                name=label,
                meta=[one.index for one in marked],
                text=[escape(one.run.reason or "no reason recorded") for one in marked],
                hovertemplate="%{customdata}<br>%{text}<extra></extra>",
            )


def targets(data: ReportData) -> Any:
    """Draw each target over the experiments, with 90 % intervals and the tolerance of a match."""
    rows = len(data.objective.measured)
    figure = make_subplots(rows, 1, shared_xaxes=True, vertical_spacing=0.16 / rows)
    left_out = sum(_draw_target(figure, data, target, row) for row, target in enumerate(data.objective.measured, start=1))
    number_axis(figure, data, row=rows, col=1)
    return finish(figure, height=90 + TARGET_HEIGHT * rows, legend=False, left_out=left_out)


def _draw_target(figure: Any, data: ReportData, target: Measured, row: int) -> int:
    """Draw one target; return how many points are left out."""
    found = {one.index: one.results[target.name] for one in data.experiments if target.name in one.results}
    shown = on_top([(index, result.value, index) for index, result in found.items()], width=WIDTH, height=TARGET_HEIGHT)
    figure.add_scatter(
        x=[x for x, _, _ in shown],
        y=[y for _, y, _ in shown],
        error_y={"type": "data", "array": [found[index].half_width or 0.0 for _, _, index in shown], "thickness": 1, "width": 3},
        mode="markers",
        marker={"color": ACCENT, "size": 8},
        meta=[index for _, _, index in shown],
        hovertemplate="%{customdata}<extra></extra>",
        row=row,
        col=1,
    )
    low, high = target.band
    limit = data.objective.limit_on(target.name)
    if data.objective.ranked and limit is not target and low is not None and high is not None:
        figure.add_hrect(y0=low, y1=high, fillcolor=GREEN, opacity=0.16, line_width=0, layer="below", row=row, col=1)
        figure.add_hline(y=(low + high) / 2, line={"color": GREEN, "dash": "dot", "width": 1.5}, row=row, col=1)
    for end in limit.band if limit is not None else ():
        if end is not None:
            figure.add_hline(y=end, line={"color": RED, "dash": "dash", "width": 1.5}, row=row, col=1)
    if data.objective.kind == "level":
        figure.add_hline(y=data.objective.reference[target.name], line={"color": INK, "dash": "dot", "width": 1.5}, row=row, col=1)
    figure.update_yaxes(title_text=escape(axis_label(target.name, target.unit)), row=row, col=1)
    return len(found) - len(shown)


def spectra(data: ReportData) -> Any:
    """Draw the spectra of the best experiments with their peaks marked."""
    figure = go.Figure()
    for curve, colour in zip(data.spectra, CURVES * len(data.spectra), strict=False):
        name = f"experiment {curve.index}" + ("" if curve.peak is None else f", peak at {with_unit(curve.peak, curve.x_unit)}")
        figure.add_scatter(x=list(curve.x), y=list(curve.y), mode="lines", line={"color": colour, "width": 1.6}, name=escape(name))
        if curve.peak is not None:
            figure.add_vline(x=curve.peak, line={"color": colour, "dash": "dot", "width": 1.2})
    first = data.spectra[0]
    signal = "sample − dark" if first.dark_subtracted else "sample"
    figure.update_xaxes(title_text=escape(axis_label("wavelength", first.x_unit)))
    figure.update_yaxes(title_text=escape(axis_label(signal, first.y_unit)))
    return finish(figure, height=380)


def durations(data: ReportData) -> Any:
    """Draw how long each experiment took in lab time."""
    figure = go.Figure()
    groups: tuple[tuple[str, str, Callable[[RunStatus], bool]], ...] = (
        ("completed", ACCENT, lambda status: status is RunStatus.COMPLETED),
        ("infeasible", AMBER, lambda status: status is RunStatus.INFEASIBLE),
        ("failed, aborted or unknown", RED, lambda status: status not in (RunStatus.COMPLETED, RunStatus.INFEASIBLE)),
    )
    for label, colour, belongs in groups:
        shown = [one for one in data.experiments if one.lab_seconds is not None and belongs(one.status)]
        if shown:
            figure.add_bar(
                x=[one.index for one in shown],
                y=[(one.lab_seconds or 0.0) / 60 for one in shown],
                marker={"color": colour},
                name=label,
                text=[duration(one.lab_seconds) for one in shown],
                textposition="none",
                hovertemplate="experiment %{x}: %{text}<extra></extra>",
            )
    figure.update_yaxes(title_text="lab time (min)")
    number_axis(figure, data)
    return finish(figure, height=260)


def coverage(data: ReportData, target: str) -> str:
    """Say how many results of a target lie in their 90 % intervals."""
    pairs = data.comparisons(target)
    inside = sum(pair.inside for pair in pairs)
    return f"{inside} of {len(pairs)} inside = {100 * inside / len(pairs):.0f} %"


INTERVAL_NOTE: Final = f"90 % intervals are the mean ± {NORMAL_90:.3f} predicted standard deviations, noise of the measurement included."
