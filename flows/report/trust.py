"""The report's section on the prior: trust over the experiments, and predictions with and without it."""

from html import escape
from typing import Any

import plotly.graph_objects as go

from flows.report import figures
from flows.report.colours import ACCENT
from flows.report.comparisons import Series, compared
from flows.report.data import ReportData
from flows.report.prior import PriorStory, figures_of
from flows.report.quantities import axis_label, short_number

WITHOUT: str = "#8a96a3"
"""Colour of predictions that know no history."""


def comparison(data: ReportData, story: PriorStory) -> list[tuple[str, ...]]:
    """Return errors, intervals and log densities with and without the prior."""
    rows: list[tuple[str, ...]] = []
    for target in data.objective.measured:
        pairs = story.pairs.get(target.name, ())
        for name, some in (("with the prior", [one.with_prior for one in pairs]), ("without", [one.without for one in pairs])):
            if some:
                found = figures_of(some)
                shown = (short_number(found["error"], 3), f"{100 * found['inside']:.0f} %", f"{found['log_density']:.2f}")
                rows.append((axis_label(target.name, target.unit), name, str(len(some)), *shown))
    return rows


def trust(data: ReportData, story: PriorStory) -> Any:
    """Draw the trust in the prior over the experiments; diamonds mark where another component took the lead."""
    figure = go.Figure()
    for target, colour in zip(data.objective.measured, figures.CURVES * len(data.objective.measured), strict=False):
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


def predictions(data: ReportData, story: PriorStory) -> Any:
    """Draw results over predictions, with the prior in colour and without it in grey."""
    panels = [
        (
            target,
            (
                Series("without", WITHOUT, [one.without for one in story.pairs[target.name]]),
                Series("with the prior", ACCENT, [one.with_prior for one in story.pairs[target.name]]),
            ),
        )
        for target in data.objective.measured
        if target.name in story.pairs
    ]
    return compared(panels, legend=True)
