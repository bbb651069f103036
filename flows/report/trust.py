"""The report's section on the prior: trust over the experiments, and predictions with and without it."""

from html import escape
from math import ceil
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from flows.report import figures
from flows.report.colours import ACCENT
from flows.report.data import ReportData
from flows.report.prior import Pair, PriorStory, figures_of
from flows.report.quantities import axis_label, number
from orchestrator.domain.objective import Target

WITHOUT: str = "#8a96a3"
"""Colour of predictions that know no history."""


def comparison(data: ReportData, story: PriorStory) -> list[tuple[str, ...]]:
    """Return errors, intervals and log densities with and without the prior."""
    rows: list[tuple[str, ...]] = []
    for target in data.objective.targets:
        pairs = story.pairs.get(target.name, ())
        for name, some in (("with the prior", [one.with_prior for one in pairs]), ("without", [one.without for one in pairs])):
            if some:
                found = figures_of(some)
                shown = (number(found["error"], 3), f"{100 * found['inside']:.0f} %", f"{found['log_density']:.2f}")
                rows.append((axis_label(target.name, target.unit), name, str(len(some)), *shown))
    return rows


def trust(data: ReportData, story: PriorStory) -> Any:
    """Draw the trust in the prior over the experiments; diamonds mark where another component took the lead."""
    figure = go.Figure()
    for target, colour in zip(data.objective.targets, figures.CURVES * len(data.objective.targets), strict=False):
        some = [one for one in story.adapted if target.name in one.trust]
        if some:
            figure.add_scatter(
                x=[one.experiments for one in some],
                y=[one.trust[target.name] for one in some],
                mode="lines+markers",
                line={"color": colour, "width": 1.6},
                marker={"symbol": ["diamond" if target.name in one.switched else "circle" for one in some], "size": 8},
                name=escape(target.name),
            )
    figures.number_axis(figure, data)
    figure.update_yaxes(title_text="trust in the prior", range=[-0.02, 1.02])
    return figures.finish(figure, height=260)


def compared(data: ReportData, story: PriorStory) -> Any:
    """Draw results over predictions, with the prior in colour and without it in grey, one panel per target."""
    shown = [target for target in data.objective.targets if target.name in story.pairs]
    columns = min(3, len(shown))
    rows = ceil(len(shown) / columns)
    figure = make_subplots(rows, columns, horizontal_spacing=0.1, vertical_spacing=0.22 / rows)
    for place, target in enumerate(shown):
        _panel(figure, story.pairs[target.name], target, row=place // columns + 1, col=place % columns + 1, legend=place == 0)
    return figures.finish(figure, height=70 + 330 * rows)


def _panel(figure: Any, pairs: tuple[Pair, ...], target: Target, *, row: int, col: int, legend: bool) -> None:
    series = (("without", WITHOUT, [one.without for one in pairs]), ("with the prior", ACCENT, [one.with_prior for one in pairs]))
    for name, colour, some in series:
        figure.add_scatter(
            x=[one.predicted.mean for one in some],
            y=[one.measured.value for one in some],
            error_x={"type": "data", "array": [one.half_width for one in some], "thickness": 1, "width": 2, "color": colour},
            mode="markers",
            marker={"color": colour, "size": 7},
            name=name,
            showlegend=legend,
            text=[f"experiment {one.index}" for one in some],
            hovertemplate="%{text}: predicted %{x:.4g}, measured %{y:.4g}<extra></extra>",
            row=row,
            col=col,
        )
    ends = [one.with_prior.measured.value for one in pairs]
    line = {"color": "#7b8794", "dash": "dot", "width": 1.5}
    figure.add_scatter(
        x=[min(ends), max(ends)], y=[min(ends), max(ends)], mode="lines", line=line, hoverinfo="skip", showlegend=False, row=row, col=col
    )
    figure.update_xaxes(title_text="predicted " + escape(axis_label(target.name, target.unit)), nticks=6, row=row, col=col)
    figure.update_yaxes(title_text="measured", nticks=6, row=row, col=col)
