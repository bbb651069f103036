"""The value that every reduction returns."""

from dataclasses import dataclass, replace

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
        value = None if reduced.value is None else convert(reduced.value, reduced.unit, unit)
        step = abs(convert(1.0, reduced.unit, unit) - convert(0.0, reduced.unit, unit))  # an uncertainty has no zero
    except BadInput:
        wrong = f"{reduced.target} came in {reduced.unit or '1'}; expected a unit that converts to {unit or '1'}"
        reason = "; ".join([*([reduced.reason] if reduced.reason else []), wrong])
        return replace(reduced, value=None, unit=unit, uncertainty=None, reason=reason)
    return replace(reduced, value=value, unit=unit, uncertainty=None if reduced.uncertainty is None else reduced.uncertainty * step)
