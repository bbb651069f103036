"""What drives a proposal, drawn: one bar per parameter, for each prediction and for the worth of the experiment."""

from html import escape
from typing import Final

from flows.report.svg import ACCENT, AMBER, INK, SOFT
from orchestrator.domain.objective import Objective
from orchestrator.ports import Explanation

WIDTH: Final = 640
NAME: Final = 130
"""Pixels for the parameters' names."""
ROW: Final = 18
HEAD: Final = 26
GAP: Final = 12


def effects_svg(explanation: Explanation, objective: Objective) -> str:
    """Draw the effects on each target's mean and on the acquisition value, each panel on its own scale."""
    units = {f"mean {target.name}": target.unit for target in objective.targets}
    shown = [name for name in explanation.effects if not name.startswith("sd ")]
    height = len(shown) * (HEAD + ROW * len(explanation.players) + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif" font-size="12"><rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
    ]
    top = 0
    for name in shown:
        parts.append(_panel(explanation, name, units.get(name, "log"), top))
        top += HEAD + ROW * len(explanation.players) + GAP
    return "".join(parts) + "</svg>"


def _panel(explanation: Explanation, name: str, unit: str, top: int) -> str:
    values = explanation.effects[name]
    scale = (WIDTH - NAME - 90) / 2 / (max(abs(value) for value in values) or 1.0)
    middle = NAME + (WIDTH - NAME - 90) / 2
    title = (
        f"{name}{f' / {unit}' if unit else ''}: {explanation.base[name]:.4g} on average, {explanation.base[name] + sum(values):.4g} here"
    )
    parts = [f'<text x="4" y="{top + 17}" fill="{INK}" font-weight="bold">{escape(title)}</text>']
    for index, (player, value) in enumerate(zip(explanation.players, values, strict=True)):
        y, width = top + HEAD + ROW * index, abs(value) * scale
        left = middle if value >= 0 else middle - width
        colour = ACCENT if value >= 0 else AMBER
        parts.append(
            f'<text x="{NAME - 6}" y="{y + 13}" text-anchor="end" fill="{INK}">{escape(player)}</text>'
            f'<rect x="{left:.1f}" y="{y + 3}" width="{width:.1f}" height="{ROW - 6}" fill="{colour}"/>'
            f'<text x="{WIDTH - 6}" y="{y + 13}" text-anchor="end" fill="{SOFT}">{value:+.3g}</text>'
        )
    parts.append(f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="{top + HEAD}" y2="{top + HEAD + ROW * len(values)}" stroke="{SOFT}"/>')
    return "".join(parts)
