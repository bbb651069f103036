"""Results over predictions, one panel per target."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil
from typing import Any, Final

from plotly.subplots import make_subplots

from flows.report.experiments import Comparison
from flows.report.figures import WIDTH, finish, on_top
from flows.report.quantities import axis_label, short_number, with_unit
from orchestrator.domain.objective import Measured

_MOST_COLUMNS: Final = 3
_ROW_HEIGHT: Final = 330


@dataclass(frozen=True, slots=True)
class Series:
    """Comparisons that are drawn alike."""

    name: str
    colour: str
    pairs: Sequence[Comparison]
    symbol: str = "circle"


def compared(panels: Sequence[tuple[Measured, Sequence[Series]]], *, legend: bool) -> Any:
    """Draw results over predictions with their 90 % intervals, and the line on which they are equal."""
    columns = min(_MOST_COLUMNS, len(panels))
    rows = ceil(len(panels) / columns)
    figure, left_out = make_subplots(rows, columns, horizontal_spacing=0.1, vertical_spacing=0.22 / rows), 0
    for place, (target, series) in enumerate(panels):
        where = {"row": place // columns + 1, "col": place % columns + 1}
        for one in series:
            left_out += _draw(figure, target, one, width=WIDTH / columns, legend=place == 0, where=where)
        _diagonal(figure, [pair for one in series for pair in one.pairs], where)
        figure.update_xaxes(title_text="predicted " + escape(axis_label(target.name, target.unit)), nticks=6, **where)
        figure.update_yaxes(title_text="measured", nticks=6, **where)
    return finish(figure, height=70 + _ROW_HEIGHT * rows, legend=legend, left_out=left_out)


def _draw(figure: Any, target: Measured, series: Series, *, width: float, legend: bool, where: dict[str, int]) -> int:
    """Draw one series; return how many points are left out."""
    if not series.pairs:
        return 0
    points = [(pair.predicted.mean, pair.measured.value, pair) for pair in series.pairs]
    shown = [pair for _, _, pair in on_top(points, width=width, height=_ROW_HEIGHT)]
    figure.add_scatter(
        x=[pair.predicted.mean for pair in shown],
        y=[pair.measured.value for pair in shown],
        error_x={"type": "data", "array": [pair.half_width for pair in shown], "thickness": 1, "width": 3, "color": series.colour},
        mode="markers",
        marker={"color": series.colour, "size": 8, "symbol": series.symbol},
        name=series.name,
        showlegend=legend,
        text=[_told(pair, target.unit) for pair in shown],
        hovertemplate="%{text}<extra></extra>",
        **where,
    )
    return len(points) - len(shown)


def _told(pair: Comparison, unit: str) -> str:
    return (
        f"<b>experiment {pair.index}</b><br>predicted {with_unit(pair.predicted.mean, unit)} "
        f"± {short_number(pair.half_width, 3)} (90 %)<br>measured {with_unit(pair.measured.value, unit)}"
    )


def _diagonal(figure: Any, pairs: Sequence[Comparison], where: dict[str, int]) -> None:
    ends = [pair.measured.value for pair in pairs] + [pair.predicted.mean + side * pair.half_width for pair in pairs for side in (-1, 1)]
    span, line = [min(ends), max(ends)], {"color": "#7b8794", "dash": "dot", "width": 1.5}
    figure.add_scatter(x=span, y=span, mode="lines", line=line, hoverinfo="skip", showlegend=False, **where)
