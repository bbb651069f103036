"""Wall time and lab time.

Wall time governs heartbeats, time-outs and watchdogs; lab time governs holds, ramps and deadlines of the chemistry. A
dry run only changes the rate at which lab time passes: lab seconds = (monotonic - t0) * rate, the same in every process
of the machine.
"""

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from typing_extensions import override


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on both clocks."""

    wall: datetime
    """Aware, UTC."""
    lab: float
    """Lab seconds."""


class Clock(Protocol):
    """Tells both times and waits in lab time."""

    def now(self) -> Instant:
        """Return this moment."""
        ...

    def lab(self) -> float:
        """Return lab seconds."""
        ...

    def wait(self, lab_seconds: float, cancelled: threading.Event | None = None) -> bool:
        """Wait for a lab duration; return True when `cancelled` was set before its end."""
        ...

    def wall_seconds(self, lab_seconds: float) -> float:
        """Convert a lab duration to wall seconds."""
        ...


@dataclass(frozen=True, slots=True)
class LiveClock(Clock):
    """Lab time is real time, counted from the Unix epoch, so that it goes on through a restart of the machine."""

    @override
    def now(self) -> Instant:
        return Instant(wall=datetime.now(UTC), lab=time.time())

    @override
    def lab(self) -> float:
        return time.time()

    @override
    def wait(self, lab_seconds: float, cancelled: threading.Event | None = None) -> bool:
        return (cancelled or threading.Event()).wait(max(0.0, lab_seconds))

    @override
    def wall_seconds(self, lab_seconds: float) -> float:
        return lab_seconds


@dataclass(frozen=True, slots=True)
class PlantClock(Clock):
    """Lab time of a running plant."""

    t0_monotonic: float
    """`time.monotonic()` at lab second 0."""
    rate: float
    """Lab seconds per wall second."""

    @override
    def now(self) -> Instant:
        return Instant(wall=datetime.now(UTC), lab=self.lab())

    @override
    def lab(self) -> float:
        return (time.monotonic() - self.t0_monotonic) * self.rate

    @override
    def wait(self, lab_seconds: float, cancelled: threading.Event | None = None) -> bool:
        return (cancelled or threading.Event()).wait(max(0.0, lab_seconds / self.rate))

    @override
    def wall_seconds(self, lab_seconds: float) -> float:
        return lab_seconds / self.rate
