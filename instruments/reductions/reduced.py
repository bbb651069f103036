"""The value that every reduction returns."""

from dataclasses import dataclass


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
