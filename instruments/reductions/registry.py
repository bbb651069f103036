"""Readings to measurements: versioned, pure, each value with its standard uncertainty.

A reduction that is changed in any way that changes a number gets a new version; the old one stays.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from instruments.reductions.emission import EMISSION_TARGETS, reduce_emission
from instruments.reductions.reduced import Reduced
from orchestrator.domain.records import Reading
from orchestrator.errors import BadInput


@dataclass(frozen=True, slots=True)
class Reduction:
    """One version of a way from readings to measurements."""

    name: str
    targets: frozenset[str] | None
    """What it measures; None: whatever the readings are named."""
    apply: Callable[[Sequence[Reading]], tuple[Reduced, ...]]


def _identity(readings: Sequence[Reading]) -> tuple[Reduced, ...]:
    """Take each reading as the measurement of the target that has the channel's name."""
    return tuple(
        Reduced(
            target=reading.channel,
            value=reading.value,
            unit=reading.unit,
            uncertainty=None,
            reason=None if reading.quality == "good" else f"{reading.name} is of {reading.quality} quality",
            raw_sha256=(reading.sha256,),
        )
        for reading in readings
        if reading.value is not None
    )


REDUCTIONS: Final[Mapping[str, Reduction]] = {
    "cdse-emission/1": Reduction("cdse-emission/1", EMISSION_TARGETS, reduce_emission),
    "identity/1": Reduction("identity/1", None, _identity),
    "recorded/1": Reduction("recorded/1", None, _identity),  # its name in earlier releases
}


def reduce(name: str, readings: Sequence[Reading]) -> tuple[Reduced, ...]:
    """Reduce the readings of one run.

    Args:
        name: Reduction and version.
        readings: All of the run; where a channel was read more than once the last one counts.

    Raises:
        BadInput: No reduction of this name.
    """
    if name not in REDUCTIONS:
        raise BadInput(f"unknown reduction {name!r}; known are {', '.join(sorted(REDUCTIONS))}")
    return tuple(map(_finite, REDUCTIONS[name].apply(readings)))


def _finite(reduced: Reduced) -> Reduced:
    """Put no number where a device's NaN or infinity came through, and say so: nothing can be learnt from it."""
    numbers = {"value": reduced.value, "uncertainty": reduced.uncertainty}
    wrong = {name: number for name, number in numbers.items() if number is not None and not math.isfinite(number)}
    if not wrong:
        return reduced
    found = (f"{reduced.target}: its {name} is {number}; a finite number was expected" for name, number in wrong.items())
    reason = "; ".join([*([reduced.reason] if reduced.reason else []), *found])
    kept = {name: number for name, number in numbers.items() if name not in wrong}
    return replace(reduced, value=kept.get("value"), uncertainty=kept.get("uncertainty"), reason=reason)
