"""What drives a proposal, drawn: one bar per parameter, for each prediction and for the worth of the experiment."""

from typing import Final

from flows.report import colours
from flows.templating import render
from orchestrator.domain.objective import Objective
from orchestrator.suggestions import Explanation

_WIDTH: Final = 640
_MARGIN: Final = 130
"""Pixels for the parameters' names."""
_NUMBERS: Final = 90
"""Pixels for the effects as numbers."""
_ROW: Final = 18
_HEAD: Final = 26
_GAP: Final = 12


def effects_svg(explanation: Explanation, objective: Objective) -> str:
    """Draw the effects on each target's mean and on the acquisition value, each panel on its own scale."""
    units = {f"mean {target.name}": target.unit for target in objective.measured}
    shown = [name for name in explanation.effects if not name.startswith("sd ")]
    each = _HEAD + _ROW * len(explanation.players) + _GAP
    return render(
        "effects.svg",
        colours=colours,
        width=_WIDTH,
        height=each * len(shown),
        margin=_MARGIN,
        row=_ROW,
        middle=(_MARGIN + _WIDTH - _NUMBERS) / 2,
        panels=[
            {"top": each * index + _HEAD, "title": _title(explanation, name, units.get(name, "log")), "bars": _bars(explanation, name)}
            for index, name in enumerate(shown)
        ],
    )


def _title(explanation: Explanation, name: str, unit: str) -> str:
    base = explanation.base[name]
    here = base + sum(explanation.effects[name])
    return f"{name}{f' / {unit}' if unit else ''}: {base:.4g} on average, {here:.4g} here"


def _bars(explanation: Explanation, name: str) -> list[tuple[str, float, float, float]]:
    """Return parameter, effect, left end and length of each bar; the ends in pixels."""
    values, half = explanation.effects[name], (_WIDTH - _MARGIN - _NUMBERS) / 2
    scale = half / (max(abs(value) for value in values) or 1.0)
    return [
        (player, value, round(_MARGIN + half + min(0.0, value * scale), 1), round(abs(value) * scale, 1))
        for player, value in zip(explanation.players, values, strict=True)
    ]
