"""Small pictures and tables for Prefect artifacts: SVG by hand, below 100 kB, and rows that its pages can show.

The pages strip raw SVG from markdown but draw an image whose source is a data URI; an infinity in a table blanks the
whole page, so numbers are cleaned and rounded here.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import ceil, floor, isfinite, log10
from typing import Final

from flows.report.experiments import Progress, experiments_of
from flows.report.quantities import axis_label, number, objective_label, sign
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.records import Proposal
from orchestrator.history import History
from orchestrator.ports import Changes

WIDTH: Final = 700
"""Pixels; what an artifact's page shows without scaling."""
PANEL_HEIGHT: Final = 190
LEFT: Final = 72
RIGHT: Final = 14
TOP: Final = 26
BOTTOM: Final = 34
MOST_POINTS: Final = 1000
"""Points of one picture: 45 bytes each in SVG, with lines, marks and a third more in base64, stay below 100 kB."""
CROSS_SPACING: Final = 4
"""Pixels between marks on the bottom edge, which are 8 wide."""
TABLE_DIGITS: Final = 5
"""Significant digits in tables: the pages print floats in full."""
ACCENT: Final = "#2f6db3"
INK: Final = "#1f2933"
SOFT: Final = "#52606d"
GREEN: Final = "#2c8a57"
AMBER: Final = "#c77700"
RED: Final = "#b83227"

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes."""

    title: str
    points: Sequence[Point]
    line: Sequence[Point] = ()
    """Drawn as steps: each height holds until the next position."""
    crosses: Sequence[tuple[float, str]] = ()
    """Position and colour of marks on the bottom edge."""
    band: tuple[float, float] | None = None
    """Heights between which the background is shaded."""


def best_so_far_svg(data: Progress) -> str:
    """Draw the objective and the best so far over the experiments; failures are marked on the bottom edge."""
    factor = sign(data.objective)
    points = [(float(one.index), factor * (one.score or 0.0)) for one in data.scored]
    line = [(float(index), factor * value) for index, value in data.best_so_far]
    infeasible = [(float(one.index), AMBER) for one in data.with_status(RunStatus.INFEASIBLE)]
    failed = [(float(one.index), RED) for one in data.with_status(RunStatus.FAILED, RunStatus.ABORTED, RunStatus.UNKNOWN)]
    title = f"{objective_label(data.objective)}: best so far"
    return _picture([Panel(title, points, line, crosses=[*infeasible, *failed])], last=len(data.experiments))


def targets_svg(data: Progress) -> str:
    """Draw each target over the experiments, with the tolerance of a match shaded."""
    return _picture([_target_panel(data, target) for target in data.objective.targets], last=len(data.experiments))


def _target_panel(data: Progress, target: Target) -> Panel:
    points = [(float(one.index), one.results[target.name].value) for one in data.experiments if target.name in one.results]
    band = None
    if target.value is not None and target.tolerance is not None:
        band = (target.value - target.tolerance, target.value + target.tolerance)
    return Panel(axis_label(target.name, target.unit), points, band=band)


def markdown_image(svg: str, *, alt: str) -> str:
    """Wrap an SVG as a markdown image with a data URI."""
    text = "".join(character for character in alt if character not in "[]()\\`<>\r\n")
    return f"![{text}](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})"


def progress_markdown(history: History, objective: Objective) -> str:
    """Return the best so far and the targets as a markdown page of two pictures."""
    data = _progress(history, objective)
    return "\n\n".join((markdown_image(best_so_far_svg(data), alt="best so far"), markdown_image(targets_svg(data), alt="targets")))


def best_so_far_markdown(history: History, objective: Objective) -> str:
    """Return the best so far as a markdown picture."""
    return markdown_image(best_so_far_svg(_progress(history, objective)), alt="best so far")


def _progress(history: History, objective: Objective) -> Progress:
    changes = Changes(
        history.seq, history.campaign, tuple(history.proposals.values()), tuple(history.runs.values()), tuple(history.measurements.values())
    )
    return Progress(objective, experiments_of(changes, objective, ()))


def proposal_rows(history: History, objective: Objective, *, units: Mapping[str, str] | None = None) -> list[dict[str, str | float | None]]:
    """Return one table row per proposal's newest revision: rounded, None where a value is missing or not finite.

    Args:
        history: The campaign so far.
        objective: The targets whose predictions are shown.
        units: Unit by column of the search space, for the heads.
    """
    columns = dict.fromkeys(column for one in history.newest() for column in one.configuration)
    heads = {column: axis_label(column, (units or {}).get(column, "")) for column in columns}
    return [_row(one, heads, objective) for one in history.newest()]


def _row(proposal: Proposal, heads: Mapping[str, str], objective: Objective) -> dict[str, str | float | None]:
    row: dict[str, str | float | None] = {"proposal": f"{proposal.number} rev. {proposal.revision}", "state": str(proposal.status)}
    row |= {head: _entry(proposal.configuration.get(column)) for column, head in heads.items()}
    for target in objective.targets:
        predicted = proposal.provenance.predicted.get(target.name)
        row[f"predicted {axis_label(target.name, target.unit)}"] = _entry(predicted.mean if predicted else None)
        row[f"90 % interval {target.name}"] = f"{predicted.low:.4g} to {predicted.high:.4g}" if predicted else None
    row["policy"] = proposal.provenance.policy
    return row


def _entry(value: float | str | None) -> float | str | None:
    if value is None or isinstance(value, str):
        return value
    return float(f"{value:.{TABLE_DIGITS}g}") if isfinite(value) else None


def _picture(panels: Sequence[Panel], *, last: int) -> str:
    """Stack panels over one x axis that counts experiments from 1 to `last`."""
    height = PANEL_HEIGHT * len(panels)
    budget = MOST_POINTS // len(panels)
    body = "".join(_panel(panel, index * PANEL_HEIGHT, max(2, last), budget) for index, panel in enumerate(panels))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    background = f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
    return f'{head} font-family="sans-serif" font-size="13" fill="{INK}">{background}{body}</svg>'


def _panel(panel: Panel, offset: int, last: int, budget: int) -> str:
    low, high = _range(panel)
    frame = _Frame(offset, last, low, high)
    shown = _thinned(panel.points, budget)
    missing = "" if shown else " (none yet)"
    note = f" ({len(shown)} of {len(panel.points)} points)" if len(shown) < len(panel.points) else missing
    title = f'<text x="{LEFT}" y="{offset + 17}" font-weight="bold">{escape(panel.title + note)}</text>'
    dots = "".join(f'<circle cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="3.5"/>' for x, y in shown)
    return title + _band(panel, frame) + _axes(frame) + _steps(panel, frame) + f'<g fill="{ACCENT}">{dots}</g>' + _crosses(panel, frame)


@dataclass(frozen=True, slots=True)
class _Frame:
    """Maps values to pixels."""

    offset: int
    last: int
    low: float
    high: float

    @property
    def bottom(self) -> float:
        return self.offset + PANEL_HEIGHT - BOTTOM

    def x(self, value: float) -> float:
        return LEFT + 8 + (value - 1) / (self.last - 1) * (WIDTH - LEFT - RIGHT - 16)

    def y(self, value: float) -> float:
        return self.bottom - (value - self.low) / (self.high - self.low) * (PANEL_HEIGHT - TOP - BOTTOM)


def _range(panel: Panel) -> tuple[float, float]:
    values = [y for _, y in (*panel.points, *panel.line)] + list(panel.band or ())
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    return low - margin, high + margin


def _thinned(points: Sequence[Point], budget: int) -> Sequence[Point]:
    """Keep every n-th point, and the last, so that at most `budget` remain."""
    every = max(1, ceil(len(points) / max(1, budget - 1)))
    return points if every == 1 else (*points[::every], points[-1])


def _band(panel: Panel, frame: _Frame) -> str:
    if panel.band is None:
        return ""
    top, bottom = frame.y(panel.band[1]), frame.y(panel.band[0])
    width = WIDTH - LEFT - RIGHT
    return f'<rect x="{LEFT}" y="{top:.1f}" width="{width}" height="{bottom - top:.1f}" fill="{GREEN}" fill-opacity="0.18"/>'


def _axes(frame: _Frame) -> str:
    right, top = WIDTH - RIGHT, frame.offset + TOP
    lines = [f'<path d="M{LEFT} {top}V{frame.bottom}H{right}" fill="none" stroke="#9aa5b1"/>']
    for value in ticks(frame.low, frame.high, count=6):
        y = frame.y(value)
        lines.append(f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#e6eaef"/>')
        lines.append(f'<text x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end" fill="{SOFT}">{number(value)}</text>')
    for value in ticks(1, frame.last, count=10):
        if value == int(value):
            x = f"{frame.x(value):.1f}"
            lines.append(f'<text x="{x}" y="{frame.bottom + 18}" text-anchor="middle" fill="{SOFT}">{int(value)}</text>')
    return "".join(lines)


def ticks(low: float, high: float, *, count: int) -> tuple[float, ...]:
    """Return about `count` round numbers within a range, 1, 2 or 5 times a power of ten apart."""
    raw = (high - low) / count
    size = 10.0 ** floor(log10(raw))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= raw * (1 - 1e-9))
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return tuple(index * step for index in range(first, last + 1))


def _steps(panel: Panel, frame: _Frame) -> str:
    """Draw the line in steps; of several steps on one pixel the last is drawn."""
    if not panel.line:
        return ""
    heights: dict[int, float] = {}
    for x, y in panel.line:
        heights[round(frame.x(x))] = y
    places = list(heights.items())
    corners = [(x, y) for (_, before), (x, y) in pairwise(places) if y != before]
    path = f"M{places[0][0]} {frame.y(places[0][1]):.1f}"
    path += "".join(f"H{x}V{frame.y(y):.1f}" for x, y in corners) + f"H{frame.x(frame.last):.0f}"
    return f'<path d="{path}" fill="none" stroke="{INK}" stroke-width="2"/>'


def _crosses(panel: Panel, frame: _Frame) -> str:
    """Mark positions on the bottom edge, one path per colour; marks that would cover one another are one."""
    y = frame.bottom - 6
    colours = dict.fromkeys(colour for _, colour in panel.crosses)
    return "".join(
        f'<path d="{_cross_path(panel, frame, colour, y)}" fill="none" stroke="{colour}" stroke-width="2.5"/>' for colour in colours
    )


def _cross_path(panel: Panel, frame: _Frame, colour: str, y: float) -> str:
    places = dict.fromkeys(CROSS_SPACING * round(frame.x(x) / CROSS_SPACING) for x, own in panel.crosses if own == colour)
    return "".join(f"M{x - 4} {y - 4}l8 8m0 -8l-8 8" for x in places)
