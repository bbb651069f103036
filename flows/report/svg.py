"""Small pictures and tables for Prefect artifacts: SVG below 100 kB, and rows that its pages can show.

The pages strip raw SVG from markdown but draw an image whose source is a data URI; an infinity in a table blanks the
whole page, so numbers are cleaned and rounded here. A picture is drawn after each experiment: from a template it takes
1 ms and 4 kB, by matplotlib 25 ms (and 0.4 s for its import) and 11 kB, and 1,000 points would be 190 kB.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, isfinite, log10
from typing import Any, Final

from flows.report import colours
from flows.report.experiments import CampaignProgress, experiments_of
from flows.report.quantities import attained_label, axis_label, chance_to_keep, short_number, sign
from flows.templating import render
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.domain.objective import Measured, Objective, Outcome
from orchestrator.domain.records import Proposal
from orchestrator.domain.values import Configuration
from orchestrator.history import History
from orchestrator.ports import Changes
from orchestrator.suggestions import KEPT

_WIDTH: Final = 700
"""Pixels; what an artifact's page shows without scaling."""
_PANEL_HEIGHT: Final = 190
_LEFT: Final = 72
_RIGHT: Final = 14
_TOP: Final = 26
_BOTTOM: Final = 34
_MOST_POINTS: Final = 1000
"""Points of one picture: 45 bytes each in SVG, with lines, marks and a third more in base64, stay below 100 kB."""
_CROSS_SPACING: Final = 4
"""Pixels between marks on the bottom edge, which are 8 wide."""
_TABLE_DIGITS: Final = 5
"""Significant digits in tables: the pages print floats in full."""

_Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Panel:
    """One pair of axes."""

    title: str
    points: Sequence[_Point]
    line: Sequence[_Point] = ()
    """Drawn as steps: each height holds until the next position."""
    crosses: Sequence[tuple[float, str]] = ()
    """Position and colour of marks on the bottom edge."""
    band: tuple[float, float] | None = None
    """Heights between which the background is shaded."""


def best_so_far_svg(data: CampaignProgress) -> str:
    """Draw the objective and the best so far over the experiments; failures are marked on the bottom edge."""
    factor = sign(data.objective)
    points = [(float(one.index), factor * (one.score or 0.0)) for one in data.scored]
    if data.objective.kind == "pareto":
        points = [(float(index), value) for index, value in data.best_so_far]
    line = [(float(index), factor * value) for index, value in data.best_so_far]
    infeasible = [(float(one.index), colours.AMBER) for one in data.with_status(RunStatus.INFEASIBLE)]
    failed = [(float(one.index), colours.RED) for one in data.with_status(RunStatus.FAILED, RunStatus.ABORTED, RunStatus.UNKNOWN)]
    title = f"{attained_label(data.objective)}: best so far"
    return _picture([_Panel(title, points, line, crosses=[*infeasible, *failed])], last=len(data.experiments))


def targets_svg(data: CampaignProgress) -> str:
    """Draw each measured quantity over the experiments, with the tolerance of a match, or what a limit leaves, shaded."""
    return _picture([_target_panel(data, one) for one in data.objective.measured], last=len(data.experiments))


def _target_panel(data: CampaignProgress, target: Measured) -> _Panel:
    points = [(float(one.index), one.results[target.name].value) for one in data.experiments if target.name in one.results]
    band = target.band if target.band != (None, None) else _left_by(data.objective.limit_on(target.name))
    return _Panel(axis_label(target.name, target.unit), points, band=_drawn_band(band, [y for _, y in points]))


def _left_by(limit: Outcome | None) -> tuple[float | None, float | None]:
    return (None, None) if limit is None else limit.band


def _drawn_band(band: tuple[float | None, float | None], values: Sequence[float]) -> tuple[float, float] | None:
    """Return what is shaded: an open side reaches as far as the values do."""
    low, high = band
    if low is None and high is None:
        return None
    ends = [*values, *(one for one in band if one is not None)]
    return (min(ends) if low is None else low, max(ends) if high is None else high)


def markdown_image(svg: str, *, alt: str) -> str:
    """Wrap an SVG as a markdown image with a data URI."""
    text = "".join(character for character in alt if character not in "[]()\\`<>\r\n")
    return f"![{text}](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})"


def progress_markdown(history: History, objective: Objective) -> str:
    """Return the best so far and the targets as a markdown page of two pictures."""
    data = _progress(history, objective)
    if not objective.ranked:
        return markdown_image(targets_svg(data), alt="targets")
    return "\n\n".join((markdown_image(best_so_far_svg(data), alt="best so far"), markdown_image(targets_svg(data), alt="targets")))


def best_so_far_markdown(history: History, objective: Objective) -> str:
    """Return the best so far as a markdown picture; the targets where nothing is best."""
    if not objective.ranked:
        return progress_markdown(history, objective)
    return markdown_image(best_so_far_svg(_progress(history, objective)), alt="best so far")


def _progress(history: History, objective: Objective) -> CampaignProgress:
    changes = Changes(
        history.seq, history.campaign, tuple(history.proposals.values()), tuple(history.runs.values()), tuple(history.measurements.values())
    )
    return CampaignProgress(objective, experiments_of(changes, objective, None))


def proposal_rows(
    history: History,
    objective: Objective,
    *,
    units: Mapping[str, str] | None = None,
    present: Callable[[Configuration], Configuration] = dict,
) -> list[dict[str, str | float | None]]:
    """Return one table row per proposal's newest revision: rounded, None where a value is missing or not finite.

    Args:
        history: The campaign so far.
        objective: The targets whose predictions are shown.
        units: Unit by column of the search space, for the heads.
        present: Leaves out of a configuration what is absent.
    """
    columns = dict.fromkeys(column for one in history.newest() for column in one.configuration)
    heads = {column: axis_label(column, (units or {}).get(column, "")) for column in columns}
    return [_row(one, present(one.configuration), heads, objective) for one in history.newest()]


def _row(proposal: Proposal, there: Configuration, heads: Mapping[str, str], objective: Objective) -> dict[str, str | float | None]:
    row: dict[str, str | float | None] = {"proposal": f"{proposal.number} rev. {proposal.revision}", "state": str(proposal.status)}
    row |= {head: _entry(there.get(column)) for column, head in heads.items()}
    for target in objective.measured:
        predicted = proposal.provenance.predicted.get(target.name)
        row[f"predicted {axis_label(target.name, target.unit)}"] = _entry(predicted.mean if predicted else None)
        row[f"90 % interval {target.name}"] = f"{predicted.low:.4g} to {predicted.high:.4g}" if predicted else None
    if objective.outcomes:
        kept = proposal.provenance.details.get(KEPT)
        row["chance to keep the limits"] = chance_to_keep(kept) if kept else None
    row["policy"] = proposal.provenance.policy
    return row


def _entry(value: float | str | None) -> float | str | None:
    if value is None or isinstance(value, str):
        return value
    return float(f"{value:.{_TABLE_DIGITS}g}") if isfinite(value) else None


def _picture(panels: Sequence[_Panel], *, last: int) -> str:
    """Stack panels over one x axis that counts experiments from 1 to `last`."""
    budget = _MOST_POINTS // len(panels)
    frames = [_frame(panel, _Scale(_PANEL_HEIGHT * index, max(2, last), *_range(panel)), budget) for index, panel in enumerate(panels)]
    return render("progress.svg", colours=colours, width=_WIDTH, height=_PANEL_HEIGHT * len(panels), frames=frames)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Maps values to pixels, to a tenth."""

    offset: int
    last: int
    low: float
    high: float

    @property
    def bottom(self) -> int:
        return self.offset + _PANEL_HEIGHT - _BOTTOM

    def x(self, value: float) -> float:
        return round(_LEFT + 8 + (value - 1) / (self.last - 1) * (_WIDTH - _LEFT - _RIGHT - 16), 1)

    def y(self, value: float) -> float:
        return round(self.bottom - (value - self.low) / (self.high - self.low) * (_PANEL_HEIGHT - _TOP - _BOTTOM), 1)


def _frame(panel: _Panel, scale: _Scale, budget: int) -> dict[str, Any]:
    """Return what the template draws of one panel, in pixels."""
    shown = _thinned(panel.points, budget)
    missing = "" if shown else " (none yet)"
    note = f" ({len(shown)} of {len(panel.points)} points)" if len(shown) < len(panel.points) else missing
    return {
        "title": panel.title + note,
        "left": _LEFT,
        "right": _WIDTH - _RIGHT,
        "top": scale.offset + _TOP,
        "bottom": scale.bottom,
        "band": panel.band and tuple(map(scale.y, panel.band)),
        "heights": [(scale.y(value), short_number(value)) for value in ticks(scale.low, scale.high, count=6)],
        "numbers": [(scale.x(value), int(value)) for value in ticks(1, scale.last, count=10) if value == int(value)],
        "steps": _steps(panel, scale),
        "dots": [(scale.x(x), scale.y(y)) for x, y in shown],
        "crosses": _crosses(panel, scale),
    }


def _range(panel: _Panel) -> tuple[float, float]:
    values = [y for _, y in (*panel.points, *panel.line)] + list(panel.band or ())
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    return low - margin, high + margin


def _thinned(points: Sequence[_Point], budget: int) -> Sequence[_Point]:
    """Keep every n-th point, and the last, so that at most `budget` remain."""
    every = max(1, ceil(len(points) / max(1, budget - 1)))
    return points if every == 1 else (*points[::every], points[-1])


def ticks(low: float, high: float, *, count: int) -> tuple[float, ...]:
    """Return about `count` round numbers within a range, 1, 2 or 5 times a power of ten apart."""
    raw = (high - low) / count
    size = 10.0 ** floor(log10(raw))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= raw * (1 - 1e-9))
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return tuple(index * step for index in range(first, last + 1))


def _steps(panel: _Panel, scale: _Scale) -> list[tuple[int, float]]:
    """Return the corners of the line; of several steps on one pixel the last is drawn."""
    heights = {round(scale.x(x)): scale.y(y) for x, y in panel.line}
    if not heights:
        return []
    places = list(heights.items())
    corners = [after for before, after in pairwise(places) if after[1] != before[1]]
    return [places[0], *corners, (round(scale.x(scale.last)), places[-1][1])]


def _crosses(panel: _Panel, scale: _Scale) -> dict[str, list[int]]:
    """Return the places of marks on the bottom edge, by colour; marks that would cover one another are one."""
    found: dict[str, dict[int, None]] = {}
    for x, colour in panel.crosses:
        found.setdefault(colour, {})[_CROSS_SPACING * round(scale.x(x) / _CROSS_SPACING)] = None
    return {colour: list(places) for colour, places in found.items()}
