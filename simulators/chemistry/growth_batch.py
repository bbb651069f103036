"""`simulators.chemistry.growth` for many mixtures at once: the same steps, decisions and merges, lane by lane.

Each mixture is a lane of arrays with room for a fixed number of cohorts. Every lane keeps its own time, its own step and
its own refusals, exactly as `grow` does alone; only the order of sums differs, so that results agree to rounding. A lane
that is done leaves room for the next mixture at once. What a lane gives does not depend on the others, bit for bit.

Some mixtures amplify rounding: where steps are refused or cohorts merged on a knife's edge, a change of the selenium by
1e-13 moves the peak of about a fifth of all syntheses by more than 1e-6 nm, of single ones by half a nm, in `grow` as
here. On those the two differ by as much.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import count
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.chemistry.growth import (
    BURST_ONSET,
    BURST_STEP,
    DISSOLVED_BELOW,
    FIRST_STEP,
    LONGER,
    METASTABLE_BELOW,
    MONOMER_STEP,
    MOST_COHORTS,
    NEGLIGIBLE_NUCLEI,
    NO_UPTAKE,
    POWER_LAW_AT,
    RADIUS_STEP,
    SHORTEST_STEP,
    SMALLEST_NUCLEUS,
    SPHERE,
    Array,
    Kinetics,
    Mixture,
    fresh_mixture,
    merge_cohorts,
)

Mask = NDArray[np.bool_]

LANES: Final = 512
"""Mixtures in work at a time."""
_BLOCK: Final = 128
"""Lanes advanced together: their arrays fit a core's second-level cache, and numpy's cost per call is spread thin."""
SORT_EVERY: Final = 64
"""Steps after which lanes are sorted by their number of cohorts, so that a block is as wide as it needs to be."""
STRIDE: Final = 16
"""Widths are multiples of it: numpy's sums then add a lane's cohorts in one order, whatever the width."""
SWEEP_AT: Final = 16
"""Dissolved cohorts after which a lane's slots are swept."""
SLOTS: Final = MOST_COHORTS + 2 * SWEEP_AT
"""Room for cohorts of a lane: those that may live, and those that dissolved and were not yet swept away."""
EMPTY: Final = 1.0
"""Radius (m) that stands in an empty slot: with no particles of it, it takes nothing up and hardly changes."""
LARGEST: Final = 0.5
"""Radius (m) below which a slot holds a cohort."""
_NAMES: Final = tuple(one.name for one in fields(Kinetics))


@dataclass(frozen=True, slots=True)
class GrowthCourse:
    """One mixture to grow, and when to look at it."""

    kinetics: Kinetics
    precursor: float
    """mol/m3 at the beginning."""
    times: tuple[float, ...]
    """Rising times (s)."""


def grow_many(courses: Sequence[GrowthCourse], lanes: int = LANES) -> tuple[tuple[Mixture, ...], ...]:
    """Grow many mixtures; give each at its times, as `grow` from one time to the next would."""
    work = _Lanes(courses, min(lanes, len(courses)))
    for turn in count():
        if not work.course.size:
            break
        if turn % SORT_EVERY == 0:
            work.select(np.argsort(work.top, kind="stable"))
        work.advance()
    return tuple(tuple(found) for found in work.found)


class _Lanes:
    """All lanes in work; `b` lanes, `c` slots."""

    def __init__(self, courses: Sequence[GrowthCourse], size: int) -> None:
        self.courses = courses
        self.found: list[list[Mixture]] = [[] for _ in courses]
        self.waiting = iter(range(len(courses)))
        self.course = np.full(size, -1, dtype=np.int64)
        self.rates = {name: np.ones(size) for name in _NAMES}
        self.time, self.until, self.step = np.zeros(size), np.zeros(size), np.zeros(size)
        self.precursor, self.monomer = np.zeros(size), np.zeros(size)
        self.volume = np.zeros(size)
        """Sum of number r^3 over a lane's cohorts."""
        self.radii, self.numbers = np.full((size, SLOTS), EMPTY), np.zeros((size, SLOTS))
        self.top = np.zeros(size, dtype=np.int64)
        """First slot that was not used since the last sweep."""
        self.living = np.zeros(size, dtype=np.int64)
        for lane in range(size):
            self._load(lane)

    def select(self, lanes: NDArray[np.int64]) -> None:
        """Keep some lanes, in an order."""
        self.course, self.top, self.living = self.course[lanes], self.top[lanes], self.living[lanes]
        self.time, self.until, self.step = self.time[lanes], self.until[lanes], self.step[lanes]
        self.precursor, self.monomer, self.volume = self.precursor[lanes], self.monomer[lanes], self.volume[lanes]
        self.radii, self.numbers = self.radii[lanes], self.numbers[lanes]
        self.rates = {name: values[lanes] for name, values in self.rates.items()}

    def advance(self) -> None:
        """Try one step in every lane, then serve those that reached their time."""
        for start in range(0, self.course.size, _BLOCK):
            self._advance(slice(start, start + _BLOCK))
        for lane in np.flatnonzero(self.time >= self.until):
            self._next_time(int(lane))
        if (self.course < 0).any():
            self.select(np.flatnonzero(self.course >= 0))

    # ----------------------------------------------------------------- one step of a block

    def _advance(self, rows: slice) -> None:
        """Try one step; keep it where it is accepted, halve it elsewhere."""
        block = self._block(rows)
        block.choose_steps()
        change, mean = block.radius_changes()
        moved = block.radii + change
        stays = moved > DISSOLVED_BELOW
        refused = block.too_far(change, stays)
        gone = None if stays.all() else ~stays
        left = block.numbers if gone is None else block.numbers * stays
        number, radius = block.nuclei(mean)
        volume = np.einsum("bc,bc->b", left, moved * moved * moved) + number * radius**3
        good = block.accept(volume, refused)
        np.copyto(block.radii, moved, where=good[:, None])
        if gone is not None:
            self._dissolve(rows, block, good[:, None] & gone)
        self._bear(rows.start + np.flatnonzero(good & (number > 0.0)), rows.start, number, radius)
        self.step[rows] *= np.where(good, LONGER, 0.5)
        self._merge(rows)

    def _block(self, rows: slice) -> "_Block":
        width = min(-(-(int(self.top[rows].max()) + 1) // STRIDE) * STRIDE, SLOTS)
        rates = {name: values[rows] for name, values in self.rates.items()}
        state = self.time[rows], self.until[rows], self.step[rows], self.precursor[rows], self.monomer[rows], self.volume[rows]
        return _Block(rates, *state, self.radii[rows, :width], self.numbers[rows, :width])

    # ----------------------------------------------------------------- cohorts

    def _dissolve(self, rows: slice, block: "_Block", gone: Mask) -> None:
        block.radii[gone], block.numbers[gone] = EMPTY, 0.0
        self.living[rows] -= gone.sum(axis=1)
        for lane in np.flatnonzero(self.top[rows] - self.living[rows] >= SWEEP_AT):
            mixture = self._mixture(rows.start + int(lane))
            self._fill(rows.start + int(lane), mixture.radii, mixture.numbers)

    def _bear(self, lanes: NDArray[np.int64], start: int, number: Array, radius: Array) -> None:
        slots = self.top[lanes]
        self.radii[lanes, slots], self.numbers[lanes, slots] = radius[lanes - start], number[lanes - start]
        self.top[lanes] += 1
        self.living[lanes] += 1

    def _merge(self, rows: slice) -> None:
        for index in np.flatnonzero(self.living[rows] > MOST_COHORTS):
            lane = rows.start + int(index)
            merged = merge_cohorts(self._mixture(lane), MOST_COHORTS)
            self._fill(lane, merged.radii, merged.numbers)
            self.volume[lane] = float(np.sum(merged.numbers * merged.radii**3))

    def _fill(self, lane: int, radii: Array, numbers: Array) -> None:
        self.radii[lane], self.numbers[lane] = EMPTY, 0.0
        self.radii[lane, : radii.size], self.numbers[lane, : radii.size] = radii, numbers
        self.top[lane] = self.living[lane] = radii.size

    def _mixture(self, lane: int) -> Mixture:
        alive = self.radii[lane] < LARGEST
        state = float(self.time[lane]), float(self.precursor[lane]), float(self.monomer[lane])
        return Mixture(*state, self.radii[lane][alive], self.numbers[lane][alive])

    # ----------------------------------------------------------------- lanes come and go

    def _next_time(self, lane: int) -> None:
        number = int(self.course[lane])
        self.found[number].append(self._mixture(lane))
        reached = len(self.found[number])
        if reached == len(self.courses[number].times):
            self._load(lane)
        else:
            self.until[lane], self.step[lane] = self.courses[number].times[reached], FIRST_STEP

    def _load(self, lane: int) -> None:
        """Begin the next course that waits; mark the lane idle where none does."""
        number = next(self.waiting, -1)
        self.course[lane] = number
        if number < 0:
            return
        course = self.courses[number]
        mixture = fresh_mixture(course.precursor)
        for name in _NAMES:
            self.rates[name][lane] = getattr(course.kinetics, name)
        self.time[lane], self.precursor[lane], self.monomer[lane] = 0.0, mixture.precursor, mixture.monomer
        self.until[lane], self.step[lane], self.volume[lane] = course.times[0], FIRST_STEP, 0.0
        self._fill(lane, mixture.radii, mixture.numbers)


@dataclass(frozen=True, slots=True)
class _Block:
    """Some lanes' arrays, as views that are changed in place."""

    rates: Mapping[str, Array]
    time: Array
    until: Array
    step: Array
    precursor: Array
    monomer: Array
    volume: Array
    radii: Array
    numbers: Array

    def choose_steps(self) -> None:
        """Shorten each step to what nucleation and the lane's end allow, as `grow` does."""
        number, radius = nucleation_in_lanes(self.monomer, self.rates)
        weight = number * self.step * SPHERE * radius**3 / self.rates["molar_volume"]
        burst = weight > NEGLIGIBLE_NUCLEI * self.monomer
        step = np.where(burst, np.minimum(self.step, BURST_STEP * (self.time + BURST_ONSET)), self.step)
        step = np.minimum(step, self.until - self.time)
        self.step[:] = np.where(self.until - (self.time + step) < SHORTEST_STEP, self.until - self.time, step)

    @property
    def released(self) -> Array:
        """Monomer (mol/m3) that the precursor gives in a step."""
        return -self.precursor * np.expm1(-self.rates["conversion_rate"] * self.step)

    def radius_changes(self) -> tuple[Array, Array]:
        """Compute the change of each radius (m) and each lane's mean monomer (mol/m3) in a step."""
        k, step, released = self.rates, self.step, self.released
        surface = np.divide(k["capillary_length"][:, None], self.radii)
        np.exp(surface, out=surface)
        surface *= k["solubility"][:, None]
        uptake = self.radii + (k["diffusivity"] / k["surface_rate"])[:, None]
        np.divide((k["molar_volume"] * k["diffusivity"])[:, None], uptake, out=uptake)
        weight = self.radii * self.radii
        weight *= uptake
        weight *= self.numbers
        area = 4.0 * math.pi / k["molar_volume"]
        rate = area * np.einsum("bc,bc->b", weight, np.ones_like(weight))
        idle = rate * step < NO_UPTAKE
        rate = np.where(idle, 1.0, rate)
        target = (released / step + area * np.einsum("bc,bc->b", weight, surface)) / rate
        mean = target + (self.monomer - target) * -np.expm1(-rate * step) / (rate * step)
        np.subtract(np.where(idle, self.monomer, mean)[:, None], surface, out=surface)
        surface *= uptake
        surface *= step[:, None]
        return surface, np.where(idle, self.monomer + 0.5 * released, mean)

    def too_far(self, change: Array, stays: Mask) -> Mask:
        """Tell in which lanes a cohort grew, shrank or vanished by more than one step may do."""
        far = np.abs(change) > RADIUS_STEP * self.radii
        if not far.any():
            return np.zeros(self.time.shape, dtype=bool)
        found: Mask = np.any(far & (stays | (self.radii > 2.0 * DISSOLVED_BELOW)), axis=1)
        return found

    def nuclei(self, mean: Array) -> tuple[Array, Array]:
        """Compute number (1/m3) and radius (m) of the cohort born in a step; no number where it is next to nothing."""
        rate, radius = nucleation_in_lanes(mean, self.rates)
        born = rate * self.step * SPHERE * radius**3 / self.rates["molar_volume"] > NEGLIGIBLE_NUCLEI * mean
        return np.where(born, rate * self.step, 0.0), radius

    def accept(self, volume: Array, refused: Mask) -> Mask:
        """Move precursor, monomer, particle volume and time on where a step is accepted; return where."""
        released = self.released
        moved = released - SPHERE / self.rates["molar_volume"] * (volume - self.volume)
        allowed = MONOMER_STEP * np.maximum(self.monomer, self.rates["solubility"])
        small = ~refused & (np.abs(moved) <= allowed)
        good: Mask = ((self.step <= SHORTEST_STEP) | small) & (self.monomer + moved >= 0.0)
        self.volume[good] = volume[good]
        self.precursor[good] -= released[good]
        self.monomer[good] += moved[good]
        self.time[good] += self.step[good]
        return good


def nucleation_in_lanes(monomer: Array, k: Mapping[str, Array]) -> tuple[Array, Array]:
    """Compute `growth.nucleation` in every lane."""
    above = monomer > k["solubility"]
    log_s = np.log(np.where(above, monomer / k["solubility"], math.e))
    at = math.log(POWER_LAW_AT)
    power = np.where(log_s < math.log(METASTABLE_BELOW), math.inf, k["barrier"] / at**2 - k["order"] * (log_s - at))
    hindrance = np.where(k["order"] == 0.0, k["barrier"] / log_s**2, power)
    rate = k["attempt_rate"] * np.exp(-hindrance)
    radius = np.maximum(k["capillary_length"] / log_s, SMALLEST_NUCLEUS)
    return np.where(above, rate, 0.0), np.where(above, radius, SMALLEST_NUCLEUS)
