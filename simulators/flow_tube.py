"""The tube as plug flow: what leaves it at a time was mixed one tube volume of liquid earlier.

The plug that a sampler catches is the last one that left. Its residence time runs from its entry to its exit with the
flows that the pumps really gave (a tube that stands still goes on reacting), its temperature is the mean over the
passage, and its composition is what entered within a few per cent of the tube volume around it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from simulators.chemistry.family import Passage
from simulators.history import Trace

PLUG = 0.05
"""Half length of a plug relative to the tube: axial dispersion mixes what enters within it."""

TEMPERATURE_POINTS = 129
"""Points of the mean temperature over the passage; the oven's trace bends on a scale of seconds."""

_SECONDS_PER_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Feed:
    """One pump's liquid on its way into the tube."""

    flow: Trace
    """mL/min over lab time."""

    species: Mapping[str, float]
    """mol/L."""

    def volume(self, since: float, until: float) -> float:
        """Return what left the pump between two lab times (s), in mL; what it drew back counts as nothing."""
        times = [since, *(time for time in self.flow.times if since < time < until), until]
        return sum(max(self.flow.held(start), 0.0) * (end - start) / 60.0 for start, end in pairwise(times))


@dataclass(frozen=True, slots=True)
class Tube:
    """A coil in the oven, fed by pumps."""

    volume: float
    """mL."""

    feeds: tuple[Feed, ...]
    trace: Trace
    """Oven temperature (degC) over lab time."""

    temperature_offset: float = 0.0
    """degC by which the liquid differs from the oven's sensor."""

    fouling: float = 0.0
    """Share of the volume that deposits take per lab day."""

    def sample(self, t: float) -> Passage | None:
        """Find what the last plug that left before lab time t went through; None when nothing of it ever left."""
        leaves = self._last_flow(t)
        if leaves is None:
            return None
        volume = self.volume * max(1.0 - self.fouling * t / _SECONDS_PER_DAY, 0.0)
        entered = self._time_before(leaves, volume)
        if entered is None:
            return None
        earliest = self._time_before(leaves, volume * (1.0 + PLUG))
        latest = self._time_before(leaves, volume * (1.0 - PLUG))
        mixed = self._mixture(entered if earliest is None else earliest, entered if latest is None else latest)
        return Passage(self._mean_temperature(entered, leaves), leaves - entered, mixed)

    def _pieces(self, t: float) -> Iterator[tuple[float, float, list[float]]]:
        """Give (start, end, flows) of constant flow, backwards from t."""
        changes = sorted({time for feed in self.feeds for time in feed.flow.times if time < t}, reverse=True)
        end = t
        for start in changes:
            yield start, end, [max(feed.flow.held(start), 0.0) for feed in self.feeds]
            end = start

    def _last_flow(self, t: float) -> float | None:
        return next((end for _, end, flows in self._pieces(t) if sum(flows) > 0.0), None)

    def _time_before(self, t: float, volume: float) -> float | None:
        """Find the time since which `volume` (mL) went in until t."""
        left = volume
        for start, end, flows in self._pieces(t):
            given = sum(flows) * (end - start) / 60.0
            if given >= left and given > 0.0:
                return end - (end - start) * left / given
            left -= given
        return None

    def _mixture(self, since: float, until: float) -> dict[str, float]:
        """Average the composition (mol/L) of what entered between two times."""
        doses = np.zeros(len(self.feeds))
        for start, end, flows in self._pieces(until):
            doses += np.array(flows) * max(end - max(start, since), 0.0)
            if start <= since:
                break
        total = float(doses.sum())
        names = {name for feed in self.feeds for name in feed.species}
        return {
            name: sum(float(dose) * feed.species.get(name, 0.0) for dose, feed in zip(doses, self.feeds, strict=True)) / total
            for name in names
        }

    def _mean_temperature(self, since: float, until: float) -> float:
        points = [self.trace.linear(float(t)) for t in np.linspace(since, until, TEMPERATURE_POINTS)]
        return float(np.mean(points)) + self.temperature_offset
