"""Line plots as small SVG files: light ground, labelled axes, a band around each line."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Final

from benchmarks.tasks import RecordedTask

WIDTH: Final = 640
HEIGHT: Final = 400
LEFT, RIGHT, TOP, BOTTOM = 76, 16, 44, 56
LEGEND: Final = 190
"""Width of one entry of the legend."""
COLOURS: Final = {"random": "#8a8a8a", "plain-botorch": "#d0742b", "athanor": "#1f6fb4"}
OTHERS: Final = ("#3b8a4a", "#8d4fa8", "#b3404a")


@dataclass(frozen=True, slots=True)
class Line:
    """One curve with its band."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything that a picture shows."""

    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    level: tuple[str, float] | None = None
    """A dashed horizontal line with its name."""


def draw(chart: Chart) -> str:
    """Write a chart as one SVG."""
    xs = [x for line in chart.lines for x in line.x]
    ys = [y for line in chart.lines for y in (*line.y, *line.low, *line.high)] + ([chart.level[1]] if chart.level else [])
    x_ticks, y_ticks = ticks(min(xs), max(xs)), ticks(min(ys), max(ys))
    frame = _Frame(min(xs), max(xs), min(min(ys), y_ticks[0]), max(max(ys), y_ticks[-1]))
    parts = [_axes(chart, frame, x_ticks, y_ticks)]
    if chart.level is not None:
        parts.append(_level(chart.level, frame))
    parts += [_curve(line, number, frame) for number, line in enumerate(chart.lines)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">'
    ground = f'<title>{escape(chart.title)}</title><rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    return "\n".join([head, ground, *parts, "</svg>"]) + "\n"


@dataclass(frozen=True, slots=True)
class _Frame:
    x_min: float
    x_max: float
    y_min: float
    y_max: float

    def x(self, value: float) -> float:
        return LEFT + (value - self.x_min) / ((self.x_max - self.x_min) or 1.0) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.y_min) / ((self.y_max - self.y_min) or 1.0) * (HEIGHT - TOP - BOTTOM)

    def path(self, xs: Sequence[float], ys: Sequence[float]) -> str:
        return " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in zip(xs, ys, strict=True))


def ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Return round numbers that cover a range."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / about))
    step = next(factor * power for factor in (1, 2, 5, 10) if span / (factor * power) <= about)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _axes(chart: Chart, frame: _Frame, x_ticks: Sequence[float], y_ticks: Sequence[float]) -> str:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = [f'<text x="{LEFT}" y="20" font-size="15" fill="#222">{escape(chart.title)}</text>']
    for tick in y_ticks:
        y = frame.y(tick)
        parts.append(f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#444">{tick:g}</text>')
    for tick in (one for one in x_ticks if frame.x_min <= one <= frame.x_max):
        x = frame.x(tick)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 5}" stroke="#444"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 20}" text-anchor="middle" fill="#444">{tick:g}</text>')
    parts.append(f'<path d="M{LEFT},{TOP} V{bottom} H{right}" fill="none" stroke="#444"/>')
    middle_x, middle_y = (LEFT + right) / 2, (TOP + bottom) / 2
    parts.append(f'<text x="{middle_x}" y="{HEIGHT - 14}" text-anchor="middle" fill="#222">{escape(chart.x_label)}</text>')
    turned = f'transform="rotate(-90 18 {middle_y})" x="18" y="{middle_y}"'
    parts.append(f'<text {turned} text-anchor="middle" fill="#222">{escape(chart.y_label)}</text>')
    return "\n".join(parts)


def _level(level: tuple[str, float], frame: _Frame) -> str:
    y = frame.y(level[1])
    line = f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#222" stroke-dasharray="5 4"/>'
    beside = y - 5 if y < HEIGHT / 2 else y + 15  # away from the curves, which come from the other side
    text = f'<text x="{WIDTH - RIGHT - 4}" y="{beside:.1f}" text-anchor="end" fill="#222" font-size="12">{escape(level[0])}</text>'
    return f"{line}\n{text}"


def _curve(line: Line, number: int, frame: _Frame) -> str:
    colour = COLOURS.get(line.name) or OTHERS[number % len(OTHERS)]
    parts = []
    if line.low:
        band = f"{frame.path(line.x, line.low)} {frame.path(line.x[::-1], line.high[::-1])}"
        parts.append(f'<polygon points="{band}" fill="{colour}" fill-opacity="0.15"/>')
    parts.append(f'<polyline points="{frame.path(line.x, line.y)}" fill="none" stroke="{colour}" stroke-width="2"/>')
    x = LEFT + 8 + LEGEND * number
    parts.append(f'<line x1="{x}" x2="{x + 22}" y1="34" y2="34" stroke="{colour}" stroke-width="3"/>')
    parts.append(f'<text x="{x + 28}" y="38" fill="#222">{escape(line.name)}</text>')
    return "\n".join(parts)


def replay_pictures(folder: Path, tasks: Sequence[RecordedTask], rows: Sequence[dict[str, Any]], *, initial: int) -> None:
    """Draw one picture per task: the best so far, mean over seeds with twice its standard error."""
    folder.mkdir(parents=True, exist_ok=True)
    for task in tasks:
        mine = [row for row in rows if row["task"] == task.name]
        names = [name for name in COLOURS if any(row["surrogate"] == name for row in mine)]
        if names:
            lines = tuple(_mean_line(name, [row["best_so_far"] for row in mine if row["surrogate"] == name]) for name in names)
            seeds = len({row["seed"] for row in mine})
            (folder / f"replay-{task.name}.svg").write_text(draw(_replay_chart(task, lines, initial, seeds)), encoding="utf-8")


def _mean_line(name: str, curves: Sequence[Sequence[float]]) -> Line:
    columns = list(zip(*curves, strict=True))
    means = tuple(fmean(column) for column in columns)
    errors = [2 * stdev(column) / math.sqrt(len(column)) if len(column) > 1 else 0.0 for column in columns]
    low = tuple(mean - error for mean, error in zip(means, errors, strict=True))
    high = tuple(mean + error for mean, error in zip(means, errors, strict=True))
    return Line(name, tuple(float(number) for number in range(1, len(means) + 1)), means, low, high)


def _replay_chart(task: RecordedTask, lines: tuple[Line, ...], initial: int, seeds: int) -> Chart:
    (target,) = task.file.objective.targets
    best = max(task.scores) if target.goal == "maximise" else -max(task.scores)
    return Chart(
        title=f"{task.name}: {len(task.pool.candidates)} candidates, mean of {seeds} seeds and twice its standard error",
        x_label=f"experiments (the first {initial} at random, the same for all)",
        y_label=f"best {target.name} so far ({target.unit or '1'})",
        lines=lines,
        level=("best in the table", best),
    )
