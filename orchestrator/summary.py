"""What people are told of a campaign's values."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from orchestrator.attained import attained_line, certainties, front_lines, known_line
from orchestrator.domain.lifecycle import MeasurementStatus
from orchestrator.domain.values import Configuration
from orchestrator.history import History, best

if TYPE_CHECKING:  # it loads pint
    from orchestrator.domain.objective import Objective

_REASONS_SHOWN: Final = 3
"""Reasons of quarantine that a summary names; the export has all."""


NONE_KEPT: Final = "no run keeps all limits yet"


def kept_word(kept: bool) -> str:
    """Say whether a run keeps all limits; one without a value of a limited quantity does not."""
    return "kept" if kept else "not kept"


def limits_kept(history: History, objective: "Objective") -> list[str]:
    """Say in a line each how many runs keep which limit; nothing where there are no limits, or nothing was measured."""
    lines = []
    for one in objective.outcomes:
        values = [found[one.name] for found in history.accepted.values() if one.name in found]
        if values:
            lines.append(f"{one.name} {one.shown}: kept by {sum(map(one.kept, values))} of {len(values)} runs")
    if lines and best(history, objective) is None:
        lines.append(NONE_KEPT)
    return lines


def values_by_status(history: History) -> dict[str, int]:
    """Count what was measured: the newest revision of each value, by status."""
    return dict(sorted(Counter(str(one.status) for one in history.measurements.values()).items()))


def best_configuration(
    history: History, objective: "Objective", units: Mapping[str, str], present: Callable[[Configuration], Configuration] = dict
) -> str | None:
    """Say where the best experiment was done, as it was measured, or that none keeps the limits; None before the first measurement.

    Of a front all its experiments are told, a line each; where nothing is best, how well the response is known.

    Args:
        history: The campaign so far.
        objective: What is best.
        units: Of the numeric columns.
        present: Leaves out of a configuration what is absent.
    """
    if objective.kind == "pareto":
        lines = (attained_line(history, objective), *front_lines(history, objective, units, present))
        return "\n  ".join(lines) if history.accepted else None
    if not objective.ranked:
        return known_line(known, objective) if (known := certainties(history)) else None
    if (found := best(history, objective)) is None:
        return NONE_KEPT if objective.outcomes and history.accepted else None
    values = present(history.configuration_of(found[0])).items()
    shown = [f"{name} {one if isinstance(one, str) else format(one, '.4g')} {units.get(name, '')}".rstrip() for name, one in values]
    return f"best: {', '.join(shown)}"


def quarantined(history: History) -> str | None:
    """Say how many values were kept from the models, and why; None where none were."""
    kept = [one for one in history.measurements.values() if one.status is MeasurementStatus.QUARANTINED]
    if not kept:
        return None
    reasons = Counter(one.reason or "no reason recorded" for one in kept).most_common(_REASONS_SHOWN + 1)
    shown = [f"{count} x {reason}" for reason, count in reasons[:_REASONS_SHOWN]] + ["..."] * (len(reasons) > _REASONS_SHOWN)
    return f"{len(kept)} of {len(history.measurements)} values were quarantined: {'; '.join(shown)}"
