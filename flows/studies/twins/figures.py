"""Pictures of a campaign beside its twin: parity, what the gap is made of, the gap over what made it, and over time."""

from collections.abc import Sequence
from html import escape
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from flows.report.colours import ACCENT, AMBER, GREEN, INK, RED
from flows.report.figures import finish
from flows.report.quantities import axis_label
from flows.studies.twins.compared import Compared
from flows.studies.twins.drifting import Watched
from flows.studies.twins.explained import Explained
from flows.studies.twins.failing import Failing, factors, in_time, unit_of
from models.twin.groups import LOT

HEIGHT: Final = 330
TOP: Final = 118
"""%, of the waterfall: its last bar has a text above it."""
GREY: Final = "#9aa5b1"


def parity(found: Compared, names: Sequence[str], revised: tuple[str, NDArray[np.float64]] | None) -> Any:
    """Draw measured over predicted values, of the twin and of a revision of it."""
    figure = make_subplots(1, len(names), horizontal_spacing=0.1)
    numbers = [row.number for row in found.rows]
    for place, name in enumerate(names):
        which = found.table.measured.index(name)
        measured, where = found.values([name])[:, 0], {"row": 1, "col": place + 1}
        said = [(found.plain.twin.label, GREY, found.table.mean[:, which])]
        said += [(revised[0], ACCENT, revised[1][:, which])] if revised is not None else []
        for label, colour, predicted in said:
            figure.add_scatter(
                x=predicted,
                y=measured,
                mode="markers",
                marker={"color": colour, "size": 7},
                name=escape(label),
                showlegend=place == 0,
                text=[f"proposal {number}" for number in numbers],
                hovertemplate="%{text}<br>predicted %{x:.4g}<br>measured %{y:.4g}<extra></extra>",
                **where,
            )
        every = np.concatenate([measured, *(one for _, _, one in said)])
        ends = [float(np.nanmin(every)), float(np.nanmax(every))]
        line = {"color": INK, "dash": "dot", "width": 1.5}
        figure.add_scatter(x=ends, y=ends, mode="lines", line=line, hoverinfo="skip", showlegend=False, **where)
        figure.update_xaxes(title_text="predicted " + escape(axis_label(name, found.table.units[which])), nticks=6, **where)
        figure.update_yaxes(title_text="measured", nticks=6, **where)
    return finish(figure, height=HEIGHT + 40)


def waterfall(one: Explained) -> Any:
    """Draw what the variance of measured less predicted values is made of."""
    split = one.analysis.split
    parts = [part for part in split.parts if part.name != "divergence"] + list(split.divergence)
    parts = parts if split.divergence else list(split.parts)
    figure = go.Figure()
    figure.add_waterfall(
        x=[*(escape(part.name) for part in parts), "all"],
        y=[*(100.0 * part.median for part in parts), 0.0],
        measure=[*("relative" for _ in parts), "total"],
        text=[*(f"{100 * part.median:.0f} % [{100 * part.lower:.0f}, {100 * part.upper:.0f}]" for part in parts), ""],
        textposition="outside",
        increasing={"marker": {"color": ACCENT}},
        decreasing={"marker": {"color": AMBER}},
        totals={"marker": {"color": GREY}},
        connector={"line": {"color": GREY}},
        hovertemplate="%{x}: %{text}<extra></extra>",
    )
    figure.update_yaxes(title_text="% of the variance", range=[0, TOP])
    return finish(figure, height=HEIGHT, legend=False)


def against(found: Compared, one: Explained) -> Any | None:
    """Draw measured less predicted values over each channel that is named, and over lots; nothing where none is."""
    labels = {channel.name: axis_label(channel.name, channel.unit) for channel in found.channels} | {LOT: f"lot of {', '.join(found.lots)}"}
    named = [finding.factor for finding in one.named if finding.factor in labels]
    if not named:
        return None
    which = found.told(one.gap.measured)
    left = _left(found, one.gap.measured, which)
    figure = make_subplots(1, len(named), horizontal_spacing=0.1)
    for place, name in enumerate(named):
        where = {"row": 1, "col": place + 1}
        figure.add_scatter(
            x=[found.lot_of(row) if name == LOT else found.rows[row].environment[name] for row in which],
            y=left,
            mode="markers",
            marker={"color": ACCENT, "size": 7},
            text=[f"proposal {found.rows[row].number}" for row in which],
            hovertemplate="%{text}<br>%{x:.4g}<br>%{y:.4g}<extra></extra>",
            **where,
        )
        figure.add_hline(y=0.0, line={"color": INK, "dash": "dot", "width": 1.5}, row=1, col=place + 1)
        figure.update_xaxes(title_text=escape(labels[name]), nticks=6, **where)
        figure.update_yaxes(title_text=f"measured - twin{_unit(one)}" if place == 0 else "", nticks=6, **where)
    return finish(figure, height=HEIGHT, legend=False)


def failed(found: Compared, one: Failing) -> Any | None:
    """Draw the runs that a reason ended and those that were spared it over each factor that is named; nothing where none is."""
    named = one.separated.named if one.separated is not None else ()
    if not named:
        return None
    rows = in_time(found, one.tried, one.spared)
    values = factors(found, rows)
    figure = make_subplots(1, len(named), horizontal_spacing=0.1)
    for place, each in enumerate(named):
        where = {"row": 1, "col": place + 1}
        for ended, label, colour, symbol in ((True, one.reason, RED, "x"), (False, "spared", ACCENT, "circle")):
            which = [row for row, run in enumerate(rows) if (run.reason == one.reason) is ended]
            figure.add_scatter(
                x=[values[each.factor][row] for row in which],
                y=[rows[row].number for row in which],
                mode="markers",
                marker={"color": colour, "size": 8, "symbol": symbol},
                name=escape(label),
                showlegend=place == 0,
                hovertemplate="proposal %{y}<br>%{x}<extra></extra>",
                **where,
            )
        if each.interval is not None:
            figure.add_vrect(*each.interval, fillcolor=AMBER, opacity=0.3, line_width=0, row=1, col=place + 1)
        figure.update_xaxes(title_text=escape(axis_label(each.factor, unit_of(found, each.factor))), nticks=6, **where)
        figure.update_yaxes(title_text="proposal" if place == 0 else "", nticks=6, **where)
    return finish(figure, height=HEIGHT)


def over_time(found: Compared, one: Explained, watched: Watched | None) -> Any:
    """Draw measured less predicted values over the proposals, with the alarms of the drift charts."""
    which = sorted(found.told(one.gap.measured), key=lambda row: found.rows[row].number)
    figure = go.Figure()
    figure.add_scatter(
        x=[found.rows[row].number for row in which],
        y=_left(found, one.gap.measured, which),
        mode="markers",
        marker={"color": ACCENT, "size": 7},
        hovertemplate="proposal %{x}<br>%{y:.4g}<extra></extra>",
    )
    figure.add_hline(y=0.0, line={"color": INK, "dash": "dot", "width": 1.5})
    if watched is not None:
        figure.add_vline(x=watched.numbers[0] - 0.5, line={"color": GREEN, "width": 1.5}, annotation_text="watched from here")
        for at, _ in watched.alarms:
            figure.add_vline(x=at, line={"color": RED, "width": 1.5}, annotation_text="alarm")
    figure.update_xaxes(title_text="proposal")
    figure.update_yaxes(title_text=f"measured - twin{_unit(one)}", nticks=6)
    return finish(figure, height=HEIGHT, legend=False)


def rolling(one: Explained, watched: Watched) -> Any:
    """Draw how far the twin is off in the runs that were watched: corrected once, and recalibrated with each run."""
    figure = go.Figure()
    for name, colour, values in (("corrected once", GREY, watched.once), ("recalibrated with each run", ACCENT, watched.rolling)):
        figure.add_scatter(
            x=watched.numbers,
            y=values,
            mode="lines+markers",
            marker={"color": colour, "size": 6},
            line={"color": colour, "width": 1.5},
            name=name,
            hovertemplate="proposal %{x}<br>%{y:.4g}<extra></extra>",
        )
    figure.add_hline(y=0.0, line={"color": INK, "dash": "dot", "width": 1.5})
    figure.update_xaxes(title_text="proposal")
    figure.update_yaxes(title_text=f"measured - said{_unit(one)}", nticks=6)
    return finish(figure, height=HEIGHT)


def _unit(one: Explained) -> str:
    return f" ({escape(one.gap.unit)})" if one.gap.unit else ""


def _left(found: Compared, measured: str, which: Sequence[int]) -> list[float]:
    place = found.table.measured.index(measured)
    left: list[float] = (found.means(measured, which) - found.table.mean[list(which), place]).tolist()
    return left
