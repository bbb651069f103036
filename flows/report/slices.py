"""Slices: every parameter against the objective and each target, coloured by the number of the experiment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from math import ceil, log10
from typing import Any, Final

from plotly.subplots import make_subplots

from flows.report.colours import FRAME, GREEN, GRID
from flows.report.data import ReportData
from flows.report.experiments import Experiment
from flows.report.figures import LIGHT_TO_DARK, ROW_HEIGHT, WIDTH, finish, on_top
from flows.report.quantities import alone, axis_label, objective_label, sign
from orchestrator.domain.objective import Measured

_MOST_COLUMNS: Final = 4
_JITTER: Final = 0.28
"""Half width over which the points of one category are spread, where categories are 1 apart."""
_GOLDEN: Final = 0.6180339887498949
"""Multiples of it, modulo 1, fill an interval evenly: the same picture each time, without chance."""
_BOX_NEEDS: Final = 5
"""Points of a category below which a box would pretend to a distribution."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """What stands on the y axis."""

    label: str
    value: Callable[[Experiment], float | None]
    band: tuple[float, float] | None = None
    """Tolerance of a match, or what a limit with two ends leaves, in the quantity's unit."""


@dataclass(frozen=True, slots=True)
class Panel:
    """What stands on one x axis."""

    column: str
    label: str
    categories: tuple[str, ...] | None = None
    log: bool = False
    """Whether the axis is logarithmic."""


def quantities(data: ReportData) -> tuple[Quantity, ...]:
    """Return the objective, where there is a best, and all that is measured where it differs from it."""
    factor = sign(data.objective)
    if not data.objective.ranked:  # no target's goal counts
        return tuple(replace(_measured_quantity(one), band=None) for one in data.objective.measured)
    if data.objective.kind == "pareto":
        return tuple(_measured_quantity(one) for one in data.objective.measured)
    combined = Quantity(objective_label(data.objective), lambda one: None if one.score is None else factor * one.score)
    shown = data.objective.measured if alone(data.objective) is None else data.objective.measured[1:]
    return (combined, *(_measured_quantity(one) for one in shown))


def _measured_quantity(target: Measured) -> Quantity:
    low, high = target.band
    band = None if low is None or high is None else (low, high)

    def value(experiment: Experiment) -> float | None:
        return experiment.results[target.name].value if target.name in experiment.results else None

    return Quantity(axis_label(target.name, target.unit), value, band)


def panels(data: ReportData) -> tuple[Panel, ...]:
    """Return one panel per column: a composition has one per component."""
    units = data.space.units
    return tuple(
        Panel(
            column,
            axis_label(column, units.get(column, "")),
            categories=None if column in units else owner.names,
            log=owner.on_log_scale,
        )
        for column, owner in data.space.owners.items()
    )


def slices(data: ReportData, quantity: Quantity) -> Any:
    """Draw one quantity against every column of the search space.

    Args:
        data: The report's data; at least one experiment has a value of the quantity.
        quantity: What stands on the y axis.
    """
    shown = [one for one in data.experiments if quantity.value(one) is not None]
    places = panels(data)
    columns = min(_MOST_COLUMNS, len(places))
    rows = ceil(len(places) / columns)
    figure = make_subplots(rows, columns, shared_yaxes=True, horizontal_spacing=0.025, vertical_spacing=0.32 / rows)
    left_out = 0
    for position, panel in enumerate(places):
        left_out += _draw(figure, panel, quantity, shown, WIDTH / columns, row=position // columns + 1, col=position % columns + 1)
    for row in range(1, rows + 1):
        figure.update_yaxes(title_text=escape(quantity.label), row=row, col=1)
    return _coloured(finish(figure, height=60 + ROW_HEIGHT * rows, legend=False, left_out=left_out), data)


def _coloured(figure: Any, data: ReportData) -> Any:
    bar = {"title": {"text": "experiment", "side": "right", "font": {"size": 12}}, "thickness": 10, "outlinewidth": 0, "nticks": 6}
    last = max(2, *(one.index for one in data.experiments), 2)
    return figure.update_layout(coloraxis={"colorscale": [list(stop) for stop in LIGHT_TO_DARK], "cmin": 1, "cmax": last, "colorbar": bar})


def _draw(figure: Any, panel: Panel, quantity: Quantity, shown: Sequence[Experiment], width: float, *, row: int, col: int) -> int:
    """Draw one panel; return how many points are left out."""
    if panel.categories is not None:
        _prepare_categories(figure, panel, quantity, shown, row=row, col=col)
    here = [one for one in shown if panel.column in one.configuration]
    some = on_top([(_along(panel, one), quantity.value(one), one) for one in here], width=width, height=ROW_HEIGHT)
    numbers = [one.index for _, _, one in some]
    figure.add_scatter(
        x=[_position(panel, one) for _, _, one in some],
        y=[y for _, y, _ in some],
        mode="markers",
        marker={"color": numbers, "coloraxis": "coloraxis", "size": 8, "line": {"color": "white", "width": 0.6}},
        meta=numbers,
        hovertemplate="%{customdata}<extra></extra>",
        row=row,
        col=col,
    )
    if quantity.band is not None:
        low, high = quantity.band
        figure.add_hrect(y0=low, y1=high, fillcolor=GREEN, opacity=0.14, line_width=0, layer="below", row=row, col=col)
    figure.update_xaxes(title_text=escape(panel.label), title_standoff=6, nticks=6, row=row, col=col)
    if panel.log:
        figure.update_xaxes(type="log", row=row, col=col)
    return len(here) - len(some)


def _along(panel: Panel, experiment: Experiment) -> float | str:
    """Return how far along the axis an experiment is drawn."""
    position = _position(panel, experiment)
    return log10(position) if panel.log and isinstance(position, int | float) and position > 0 else position


def _position(panel: Panel, experiment: Experiment) -> float | str:
    value = experiment.configuration[panel.column]
    if panel.categories is None or value not in panel.categories:
        return value
    return panel.categories.index(str(value)) + _JITTER * (2 * (experiment.index * _GOLDEN % 1) - 1)


def _prepare_categories(figure: Any, panel: Panel, quantity: Quantity, shown: Sequence[Experiment], *, row: int, col: int) -> None:
    """Name the categories on the axis and lay a box below those with enough points."""
    assert panel.categories is not None
    for place, category in enumerate(panel.categories):
        values = [quantity.value(one) for one in shown if one.configuration.get(panel.column) == category]
        if len(values) >= _BOX_NEEDS:
            box = {"fillcolor": GRID, "line": {"color": FRAME, "width": 1}, "boxpoints": False, "hoverinfo": "skip"}
            figure.add_box(x=[place] * len(values), y=values, width=0.8, row=row, col=col, **box)
    figure.update_xaxes(
        tickmode="array",
        tickvals=list(range(len(panel.categories))),
        ticktext=[escape(category).replace(" ", "<br>") for category in panel.categories],
        tickangle=0,
        tickfont_size=11,
        range=[-0.6, len(panel.categories) - 0.4],
        row=row,
        col=col,
    )
