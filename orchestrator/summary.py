"""What people are told of a campaign's values."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from orchestrator.domain.lifecycle import MeasurementStatus
from orchestrator.domain.values import Configuration
from orchestrator.history import History, best

if TYPE_CHECKING:  # it loads pint
    from orchestrator.domain.objective import Objective

_REASONS_SHOWN: Final = 3
"""Reasons of quarantine that a summary names; the export has all."""


def values_by_status(history: History) -> dict[str, int]:
    """Count what was measured: the newest revision of each value, by status."""
    return dict(sorted(Counter(str(one.status) for one in history.measurements.values()).items()))


def best_configuration(
    history: History, objective: "Objective", units: Mapping[str, str], present: Callable[[Configuration], Configuration] = dict
) -> str | None:
    """Say where the best experiment was done, as it was measured; None before the first complete measurement.

    Args:
        history: The campaign so far.
        objective: What is best.
        units: Of the numeric columns.
        present: Leaves out of a configuration what is absent.
    """
    if (found := best(history, objective)) is None:
        return None
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
