"""Nucleation and diffusion-limited growth of particle cohorts: LaMer burst, size focusing, ripening.

The population is a set of cohorts, each with one radius (m) and one number density (1/m3). Every cohort grows with

    dr/dt = Vm D (M - Ms exp(lc / r)) / (r + D / ks),        lc = 2 gamma V / (k T)

where M is the dissolved monomer (mol/m3). Uptake is linear in M, so M relaxes exponentially over one step; the step's
mean M moves the radii, and the monomer change is taken from the exact change of particle volume, so mass closes by
construction. Sources: LaMer & Dinegar 1950 (burst), Sugimoto 1987 (focusing), Lifshitz & Slyozov 1961 and Wagner 1961
(ripening); the constants are effective numbers and stand in `simulators.chemistry.cdse`.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SPHERE = 4.0 / 3.0 * math.pi

RADIUS_STEP = 0.12
"""Largest accepted relative change of a radius in one step; the observed trends are stable below it."""

MONOMER_STEP = 0.3
"""Largest accepted relative change of the monomer in one step, so that the burst's steep rate is resolved."""

DISSOLVED_BELOW = 0.35e-9
"""Radius (m) below which a cohort counts as monomer again: less than two monomer units across."""

POWER_LAW_AT = 70.0
"""Supersaturation at which the power law of nucleation gives the classical rate: a usual burst's largest."""

METASTABLE_BELOW = 5.0
"""Supersaturation below which the power law gives no nuclei: such laws are fitted above the metastable zone, and below it
they would bear nuclei of many nm that dissolve as fast as they come."""

SMALLEST_NUCLEUS = 0.7e-9
"""Radius (m) of the smallest stable nucleus; the classical critical radius falls below a unit cell at high S."""

MOST_COHORTS = 160
"""More cohorts than this are merged pairwise by neighbouring size; it bounds the cost of a long burst."""

BURST_STEP = 0.02
"""Longest step during nucleation, relative to the time since the start: the burst then has about 100 cohorts."""

BURST_ONSET = 0.05
"""Time (s) added before `BURST_STEP` applies, so that the first steps are not infinitely short."""

FIRST_STEP = 1e-4
"""Length (s) of the first step; the following ones find their own."""

SHORTEST_STEP = 1e-7
"""A step (s) is accepted at this length whatever the relative changes: it only happens while M is still near zero."""

NEGLIGIBLE_NUCLEI = 1e-9
"""Nucleation that would take less than this fraction of the monomer in a step forms no cohort of its own."""

NO_UPTAKE = 1e-12
"""Below this share of the monomer per step, uptake is lost in rounding and M only follows the precursor."""

LONGER = 1.3
"""Factor by which a step grows after it was accepted; a refused one is halved."""


@dataclass(frozen=True, slots=True)
class Kinetics:
    """Rates of one synthesis at one temperature and composition."""

    conversion_rate: float
    """Precursor to monomer, first order (1/s)."""

    solubility: float
    """Ms, monomer in equilibrium with a flat surface (mol/m3)."""

    capillary_length: float
    """lc = 2 gamma V / (k T) (m)."""

    molar_volume: float
    """Vm of the solid per formula unit (m3/mol)."""

    diffusivity: float
    """D of the monomer (m2/s)."""

    surface_rate: float
    """ks, attachment at the surface (m/s)."""

    attempt_rate: float
    """An of the nucleation rate (1/m3/s)."""

    barrier: float
    """b of the nucleation rate An exp(-b / ln(S)^2), without unit."""

    order: float = 0.0
    """p of the empirical power law An exp(-b / ln(S0)^2) (S / S0)^p, S0 = `POWER_LAW_AT`, above the metastable zone; 0: the
    classical rate."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """Precursor, monomer and particles per m3 of liquid at one time."""

    time: float
    precursor: float
    """mol/m3."""

    monomer: float
    """mol/m3."""

    radii: Array
    """(n,) m."""

    numbers: Array
    """(n,) 1/m3."""


def fresh_mixture(precursor: float, monomer: float = 0.0) -> Mixture:
    """Make a liquid without particles; concentrations in mol/m3."""
    return Mixture(0.0, precursor, monomer, np.empty(0), np.empty(0))


def solid(mixture: Mixture, kinetics: Kinetics) -> float:
    """Compute the substance held in particles (mol per m3 of liquid)."""
    return float(SPHERE * np.sum(mixture.numbers * mixture.radii**3) / kinetics.molar_volume)


def nucleation(monomer: float, kinetics: Kinetics) -> tuple[float, float]:
    """Compute nucleation at monomer M (mol/m3): rate (1/m3/s) and nucleus radius (m); none below saturation."""
    if monomer <= kinetics.solubility:
        return 0.0, SMALLEST_NUCLEUS
    log_s = math.log(monomer / kinetics.solubility)
    rate = kinetics.attempt_rate * math.exp(-_hindrance(log_s, kinetics))
    return rate, max(kinetics.capillary_length / log_s, SMALLEST_NUCLEUS)


def _hindrance(log_s: float, kinetics: Kinetics) -> float:
    """Compute minus the logarithm of the nucleation rate per attempt."""
    if kinetics.order == 0.0:
        return kinetics.barrier / log_s**2
    if log_s < math.log(METASTABLE_BELOW):
        return math.inf
    at = math.log(POWER_LAW_AT)
    return kinetics.barrier / at**2 - kinetics.order * (log_s - at)


def _feed(mixture: Mixture, k: Kinetics, step: float) -> float:
    """Compute the monomer (mol/m3) that the precursor releases during a step."""
    return -mixture.precursor * math.expm1(-k.conversion_rate * step)


def _radius_changes(mixture: Mixture, k: Kinetics, step: float) -> tuple[Array, float]:
    """Compute the change of each radius (m) and the mean monomer (mol/m3) during a step."""
    r, released = mixture.radii, _feed(mixture, k, step)
    uptake = k.molar_volume * k.diffusivity / (r + k.diffusivity / k.surface_rate)
    surface = k.solubility * np.exp(k.capillary_length / r)
    weight = 4.0 * math.pi * r**2 * mixture.numbers * uptake / k.molar_volume
    rate = float(np.sum(weight))
    if rate * step < NO_UPTAKE:
        return uptake * (mixture.monomer - surface) * step, mixture.monomer + 0.5 * released
    target = (released / step + float(np.sum(weight * surface))) / rate
    mean = _relaxed_mean(mixture.monomer, target, rate * step)
    return uptake * (mean - surface) * step, mean


def _relaxed_mean(start: float, target: float, x: float) -> float:
    """Compute the mean of an exponential relaxation over x time constants."""
    return target + (start - target) * -math.expm1(-x) / x


def _too_far(radii: Array, change: Array) -> bool:
    """Tell whether a cohort grew, shrank or vanished by more than one step may do."""
    stays = radii + change > DISSOLVED_BELOW
    return bool(np.any((np.abs(change) > RADIUS_STEP * radii) & (stays | (radii > 2.0 * DISSOLVED_BELOW))))


def _with_nuclei(radii: Array, numbers: Array, mean: float, k: Kinetics, step: float) -> tuple[Array, Array]:
    """Add the cohort that is born during a step, if it is more than nothing."""
    rate, nucleus = nucleation(mean, k)
    if rate * step * SPHERE * nucleus**3 / k.molar_volume <= NEGLIGIBLE_NUCLEI * mean:
        return radii, numbers
    return np.append(radii, nucleus), np.append(numbers, rate * step)


def attempt_step(mixture: Mixture, kinetics: Kinetics, step: float) -> Mixture | None:
    """Advance by `step` seconds; None when the step is too long for the accepted relative changes."""
    change, mean = _radius_changes(mixture, kinetics, step)
    if step > SHORTEST_STEP and _too_far(mixture.radii, change):
        return None
    kept = mixture.radii + change > DISSOLVED_BELOW
    radii, numbers = _with_nuclei((mixture.radii + change)[kept], mixture.numbers[kept], mean, kinetics, step)
    released = _feed(mixture, kinetics, step)
    taken = float(SPHERE * np.sum(numbers * radii**3) / kinetics.molar_volume) - solid(mixture, kinetics)
    moved = released - taken
    allowed = MONOMER_STEP * max(mixture.monomer, kinetics.solubility)
    if mixture.monomer + moved < 0.0 or (step > SHORTEST_STEP and abs(moved) > allowed):
        return None
    return Mixture(mixture.time + step, mixture.precursor - released, mixture.monomer + moved, radii, numbers)


def merge_cohorts(mixture: Mixture, most: int) -> Mixture:
    """Merge neighbours by size, the closest pairs first, down to `most` cohorts; number and volume of particles stay."""
    if mixture.radii.size <= most:
        return mixture
    order = np.argsort(mixture.radii)
    r, n = mixture.radii[order], mixture.numbers[order]
    groups = np.cumsum(np.append(True, ~_pairs(np.diff(np.log(r)), r.size - most // 2))) - 1
    number = np.bincount(groups, n).astype(np.float64)
    volume = np.bincount(groups, n * r**3)
    return replace(mixture, radii=np.cbrt(volume / number), numbers=number)


def _pairs(gaps: Array, wanted: int) -> NDArray[np.bool_]:
    """Choose at most `wanted` gaps to close, smallest first, no two of them adjacent."""
    closed = np.zeros(gaps.size + 2, dtype=bool)
    for i in np.argsort(gaps)[:wanted]:
        closed[i + 1] = not (closed[i] or closed[i + 2])
    return closed[1:-1]


def _nucleates(mixture: Mixture, kinetics: Kinetics, step: float) -> bool:
    rate, nucleus = nucleation(mixture.monomer, kinetics)
    return rate * step * SPHERE * nucleus**3 / kinetics.molar_volume > NEGLIGIBLE_NUCLEI * mixture.monomer


def grow(mixture: Mixture, kinetics: Kinetics, until: float, most_cohorts: int = MOST_COHORTS) -> Mixture:
    """Advance a mixture to time `until` (s) with steps as long as the accepted relative changes allow."""
    step = FIRST_STEP
    while mixture.time < until:
        if _nucleates(mixture, kinetics, step):
            step = min(step, BURST_STEP * (mixture.time + BURST_ONSET))
        step = min(step, until - mixture.time)
        if until - (mixture.time + step) < SHORTEST_STEP:
            step = until - mixture.time
        advanced = attempt_step(mixture, kinetics, step)
        if advanced is None:
            step *= 0.5
            continue
        mixture = merge_cohorts(advanced, most_cohorts)
        step *= LONGER
    return mixture
