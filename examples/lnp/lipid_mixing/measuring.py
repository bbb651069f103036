"""What the instruments make of what is there: noise, drift, outliers, and a room that changes from day to day.

A reading is y (1 + g) + b(t) + noise: g of the instrument, b a drift over days, and now and then a speck of dust in the cell.
All sizes here are effective, of the order that makers of particle sizers and plate readers state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean, median, stdev
from typing import Final

import numpy as np

REPEATS: Final = 5
"""Recordings of a sample by the sizer."""
WELLS: Final = 3
"""Wells of a plate for each fluorescence."""
GAIN: Final = 0.03
"""Relative deviation of one sizer's scale, its standard deviation over sizers."""
SIZE_NOISE: Final = (0.5, 0.01)
"""nm and share of the size: standard deviation of one recording."""
PDI_NOISE: Final = (0.005, 0.05)
"""Standard deviation of one recording: constant, and share of the value."""
WELL_NOISE: Final = (15.0, 0.015)
"""Counts and share: standard deviation of one well."""
DRIFT: Final = 0.2
"""Of the noise's standard deviation, per square root of a day: random walk of the sizer's scale."""
BLANK: Final = 400.0
"""Counts of a well without RNA."""
FULL: Final = 40_000.0
"""Counts that all of the RNA adds when the dye reaches it."""
OUTLIERS: Final = 0.025
"""Share of samples with dust: 2 to 3 %."""
DUST: Final = (1.3, 2.0)
"""By which factor dust enlarges the mean size, between."""
ROOM: Final = 1.5
"""K, standard deviation of the room's temperature over days."""
MEMORY: Final = 0.8
"""Correlation of the room from one day to the next."""
HASTE: Final = 0.2
"""Standard deviation of the logarithm of the hold before dilution: people's and valves' haste."""
_MOST_DAYS: Final = 3650
SECONDS_PER_DAY: Final = 86_400.0

Raw = Mapping[str, Sequence[float]]
"""Readings by name: `ZAverage` (nm), `PolydispersityIndex`, and counts `Intact`, `Lysed`, `Blank`."""
UNITS: Final = {"ZAverage": "nm", "PolydispersityIndex": "1", "Intact": "counts", "Lysed": "counts", "Blank": "counts"}


@dataclass(frozen=True, slots=True)
class Seen:
    """What an ideal analyser would see of one sample."""

    diameter: float
    """nm."""
    pdi: float
    encapsulation: float
    """Share, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Room:
    """How a day is."""

    kelvin: float
    """Temperature of the liquids."""
    hold: float
    """s from mixing to dilution, of what the procedure waits."""


@dataclass(frozen=True, slots=True)
class Habits:
    """What one laboratory's instruments do; everything follows from the seed."""

    seed: int
    noise: bool = True
    """False: exact instruments."""
    outliers: float = OUTLIERS

    @property
    def gain(self) -> float:
        """Relative deviation of the sizer's scale."""
        return float(np.random.default_rng([self.seed, 1]).normal(0.0, GAIN)) if self.noise else 0.0

    def drift(self, lab_s: float) -> float:
        """Return by how many standard deviations of the noise the sizer has drifted at a lab time (s)."""
        return _walk(self.seed, 2)[_day(lab_s)] * DRIFT if self.noise else 0.0

    def record(self, seen: Seen, lab_s: float, generator: np.random.Generator) -> Raw:
        """Record one sample at a lab time (s)."""
        spread = 1.0 if self.noise else 0.0
        dust = float(generator.uniform(*DUST)) if generator.random() < self.outliers * spread else 1.0
        size_noise = (SIZE_NOISE[0] + SIZE_NOISE[1] * seen.diameter) * spread
        size = seen.diameter * (1.0 + self.gain) * dust + self.drift(lab_s) * size_noise
        pdi = seen.pdi + 0.15 * (dust - 1.0)
        outside = BLANK + (1.0 - seen.encapsulation) * FULL
        wells = {"Intact": outside, "Lysed": BLANK + FULL, "Blank": BLANK}
        return {
            "ZAverage": generator.normal(size, size_noise, REPEATS).tolist(),
            "PolydispersityIndex": np.abs(generator.normal(pdi, (PDI_NOISE[0] + PDI_NOISE[1] * pdi) * spread, REPEATS)).tolist(),
            **{
                name: generator.normal(mean, (WELL_NOISE[0] + WELL_NOISE[1] * mean) * spread, WELLS).tolist()
                for name, mean in wells.items()
            },
        }


def room(seed: int, lab_s: float, *, ambient_degc: float = 22.0, hold: float = 1.0, still: bool = False) -> Room:
    """Return how the day of a lab time (s) is: an AR(1) process over days; `still` is a room without weather."""
    if still:
        return Room(ambient_degc + 273.15, hold)
    warmth, haste = (_weather(seed, stream)[_day(lab_s)] for stream in (3, 4))
    return Room(ambient_degc + 273.15 + ROOM * warmth, hold * float(np.exp(HASTE * haste)))


@lru_cache(maxsize=64)
def _weather(seed: int, stream: int) -> tuple[float, ...]:
    shocks = np.random.default_rng([seed, stream]).standard_normal(_MOST_DAYS)
    state, found = float(shocks[0]), []
    for shock in shocks:
        found.append(state)
        state = MEMORY * state + (1.0 - MEMORY**2) ** 0.5 * float(shock)
    return tuple(found)


@lru_cache(maxsize=64)
def _walk(seed: int, stream: int) -> tuple[float, ...]:
    return tuple(np.cumsum(np.random.default_rng([seed, stream]).standard_normal(_MOST_DAYS)).tolist())


def _day(lab_s: float) -> int:
    return min(int(lab_s // SECONDS_PER_DAY), _MOST_DAYS - 1)


@dataclass(frozen=True, slots=True)
class Found:
    """A value with its standard uncertainty."""

    value: float
    uncertainty: float


def size_of(raw: Raw) -> Found:
    """Reduce the sizer's mean sizes (nm): their median, which one stray recording does not move."""
    return _median(raw["ZAverage"], least=0.2)


def pdi_of(raw: Raw) -> Found:
    """Reduce the polydispersity indices."""
    return _median(raw["PolydispersityIndex"], least=0.002)


def encapsulation_of(raw: Raw) -> Found | None:
    """Reduce the dye's fluorescence: 1 - (intact - blank) / (lysed - blank); None where lysis shows no RNA.

    A dye that particles keep out lights up only with RNA outside; a detergent opens the particles to all of it.
    """
    intact, lysed, blank = (fmean(raw[name]) for name in ("Intact", "Lysed", "Blank"))
    noise = {name: stdev(raw[name]) / len(raw[name]) ** 0.5 for name in ("Intact", "Lysed", "Blank")}
    span = lysed - blank
    if span <= 5.0 * max(noise["Lysed"], noise["Blank"], 1e-9):
        return None
    outside = (intact - blank) / span
    parts = (noise["Intact"] / span, outside * noise["Lysed"] / span, (1.0 - outside) * noise["Blank"] / span)
    return Found(1.0 - outside, max(sum(part**2 for part in parts) ** 0.5, 0.003))


def _median(values: Sequence[float], *, least: float) -> Found:
    """Return the median; the deviation of a median is 1.253 of a mean's for normal noise."""
    return Found(median(values), max(1.253 * stdev(values) / len(values) ** 0.5, least))
