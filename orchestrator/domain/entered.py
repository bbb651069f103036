"""Results that people bring: what a form, a command or a table says of one experiment, read and converted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from orchestrator.domain.values import Configuration

LARGEST: Final = 1e100
"""Of a target's values: the squares of larger ones, which fits are made of, soon exceed what a float holds."""


@dataclass(frozen=True, slots=True)
class Entered:
    """What somebody says of one target."""

    value: float | None
    """In the target's unit; None where there is none, which `reason` then says."""
    uncertainty: float | None = None
    """Standard uncertainty, in the target's unit; None where nobody said one."""
    reason: str | None = None
    """Why it is quarantined, for example `below detection: <0.1 mg/L`; None for an accepted value."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was recorded of one quantity of an experiment's surroundings."""

    value: float
    unit: str
    reference: float
    """Where the goals of a campaign hold, in the unit."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of results: of a run that the ledger has, or of an experiment that was done elsewhere."""

    place: str
    """Where it stands, for messages: `results.csv, line 3`."""
    values: Mapping[str, Entered]
    """By target; a target that is absent is not spoken of (partial results)."""
    run: str | None = None
    """Code or key of a run, as it was written."""
    configuration: Configuration | None = None
    """The measured configuration of an experiment that was done elsewhere, in the parameters' units."""
    measured_at: datetime | None = None
    """When it was measured, with its time zone, where that was said."""
    recorded: Mapping[str, Recorded] = field(default_factory=dict)
    """What was recorded of the surroundings of an experiment that was done elsewhere, by name."""
