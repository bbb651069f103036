"""Histories of what a device did over lab time, which the tube integrates."""

from bisect import bisect_right
from dataclasses import dataclass, field

_MOST_POINTS = 20_000
"""Older points than this many are forgotten; a tube looks back over a few residence times only."""


@dataclass(slots=True)
class Trace:
    """A value over lab time (s), appended in order of time."""

    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def append(self, t: float, value: float) -> None:
        """Add a point; one at or before the last time replaces the value there."""
        if self.times and t <= self.times[-1]:
            self.values[-1] = value
            return
        self.times.append(t)
        self.values.append(value)
        if len(self.times) > _MOST_POINTS:
            del self.times[: _MOST_POINTS // 2], self.values[: _MOST_POINTS // 2]

    def held(self, t: float) -> float:
        """Get the last value at or before t, 0 before the first point: a step function."""
        place = bisect_right(self.times, t)
        return self.values[place - 1] if place else 0.0

    def linear(self, t: float) -> float:
        """Get the value at t, linear between points, constant outside."""
        place = bisect_right(self.times, t)
        if place in (0, len(self.times)):
            return self.values[0 if place == 0 else -1]
        span = self.times[place] - self.times[place - 1]
        share = (t - self.times[place - 1]) / span
        return self.values[place - 1] + share * (self.values[place] - self.values[place - 1])
