"""The value that every reduction returns."""

import math
from dataclasses import dataclass, replace

import numpy as np

from orchestrator.errors import BadInput
from orchestrator.units import convert


@dataclass(frozen=True, slots=True)
class Reduced:
    """One target of one run."""

    target: str
    value: float | None
    """In `unit`; None where there was nothing to reduce, which `reason` then says."""
    unit: str
    uncertainty: float | None
    """Standard uncertainty in `unit`: what repeating the run's measurement would scatter by. None where nobody knows."""
    reason: str | None
    """Why it must be quarantined; None when nothing speaks against it."""
    raw_sha256: tuple[str, ...]
    """Hashes of the raw readings that it was reduced from."""


def in_unit(reduced: Reduced, unit: str) -> Reduced:
    """Return a value in the unit of its target; without a number, and with the reason, where its own does not convert to that."""
    if reduced.unit == unit:
        return reduced
    try:
        with np.errstate(all="ignore"):  # a logarithm of zero is no finite number, which is said below
            value, uncertainty = _converted(reduced, unit)
    except BadInput:
        wrong = f"{reduced.target} came in {reduced.unit or '1'}; expected a unit that converts to {unit or '1'}"
        reason = "; ".join([*([reduced.reason] if reduced.reason else []), wrong])
        return replace(reduced, value=None, unit=unit, uncertainty=None, reason=reason)
    return finite(replace(reduced, value=value, unit=unit, uncertainty=uncertainty))


def _converted(reduced: Reduced, unit: str) -> tuple[float | None, float | None]:
    """Convert a value, and half of what lies between the ends of its uncertainty: units may be logarithms or have a zero of their own."""
    if reduced.value is None:
        return None, None
    value = convert(reduced.value, reduced.unit, unit)
    if reduced.uncertainty is None:
        return value, None
    low, high = (convert(reduced.value + sign * reduced.uncertainty, reduced.unit, unit) for sign in (-1, 1))
    return value, abs(high - low) / 2


def finite(reduced: Reduced) -> Reduced:
    """Put no number where a device's NaN or infinity came through, and say so: nothing can be learnt from it."""
    numbers = {"value": reduced.value, "uncertainty": reduced.uncertainty}
    wrong = {name: number for name, number in numbers.items() if number is not None and not math.isfinite(number)}
    if not wrong:
        return reduced
    found = (f"{reduced.target}: its {name} is {number}; a finite number was expected" for name, number in wrong.items())
    reason = "; ".join([*([reduced.reason] if reduced.reason else []), *found])
    kept = {name: number for name, number in numbers.items() if name not in wrong}
    return replace(reduced, value=kept.get("value"), uncertainty=kept.get("uncertainty"), reason=reason)
