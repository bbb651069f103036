"""The plant's two times: lab seconds drive physics, wall seconds drive communication watchdogs."""

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment on both clocks."""

    lab: float
    """Lab seconds since the plant's t0."""

    wall: float
    """CLOCK_MONOTONIC (s), shared by all processes of the machine."""


@dataclass(frozen=True, slots=True)
class LabClock:
    """Lab time = (monotonic - t0) * rate."""

    t0_monotonic: float
    rate: float

    def now(self) -> Moment:
        """Get the present moment."""
        wall = time.monotonic()
        return Moment((wall - self.t0_monotonic) * self.rate, wall)

    def wall_at(self, lab: float) -> float:
        """Convert lab seconds to the monotonic clock (s)."""
        return self.t0_monotonic + lab / self.rate
