"""What was attained against what the experiments had cost, for campaigns whose policy counts cost."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from math import fsum
from typing import Any, Final

import plotly.graph_objects as go

from flows.plans.allowance import priced
from flows.plans.stocks import dosed, prices_of
from flows.report.colours import INK
from flows.report.data import ReportData
from flows.report.experiments import Experiment
from flows.report.figures import PROGRESS_HEIGHT, WIDTH, attained_points, finish, mark_measured, on_top
from flows.report.quantities import attained_label, sign
from orchestrator.domain.records import covered

_HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Spending:
    """A figure and its heading."""

    title: str
    figure: Any


def spending(data: ReportData) -> Spending | None:
    """Draw what was attained over what was spent; None where no proposal had cost counted, or nothing is best."""
    kinds = [kind for one in data.proposals if (kind := one.provenance.settings.get("cost")) is not None]
    if not kinds or not data.objective.ranked:
        return None
    return _money(data) if kinds[-1] == "money" else _time(data)


def _money(data: ReportData) -> Spending:
    currency = next((one.currency for each in data.proposals for one in prices_of(each.binding).values()), "")
    return Spending("What money brought", _drawn(data, list(_totals(data)), f"money spent ({currency})", currency))


def _totals(data: ReportData) -> Iterator[float]:
    """Yield the money that was spent when each experiment had ended."""
    total = 0.0
    for one in data.experiments:
        total += fsum(priced(dosed(run, one.approved), one.approved.binding)["money"] for run in one.attempts)
        yield total


def _time(data: ReportData) -> Spending:
    spans: list[tuple[float, float]] = []
    totals = []
    for one in data.experiments:
        spans += [span for run in one.attempts for span in run.active_lab]
        totals.append(covered(spans) / _HOUR)
    return Spending("What lab time brought", _drawn(data, totals, "lab time used (h)", "h"))


def _drawn(data: ReportData, totals: list[float], label: str, unit: str) -> Any:
    figure, factor = go.Figure(), sign(data.objective)
    spent = dict(zip((one.index for one in data.experiments), totals, strict=True))
    best = [(spent[index], factor * value) for index, value in data.best_so_far]
    points: list[tuple[Any, Any, Experiment]] = [(spent[index], height, one) for index, height, one in attained_points(data)]
    shown = on_top(points, width=WIDTH, height=PROGRESS_HEIGHT)
    figure.add_scatter(
        x=[x for x, _ in best],
        y=[y for _, y in best],
        mode="lines",
        line={"shape": "hv", "color": INK, "width": 2},
        name="best so far",
        hoverinfo="skip",
    )
    mark_measured(figure, shown, f"%{{customdata}}<br>%{{x:.4g}} {escape(unit)}<extra></extra>")
    figure.update_xaxes(title_text=escape(label), rangemode="tozero")
    figure.update_yaxes(title_text=escape(attained_label(data.objective)))
    return finish(figure, height=PROGRESS_HEIGHT, left_out=len(points) - len(shown))
