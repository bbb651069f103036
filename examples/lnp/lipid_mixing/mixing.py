"""Lipid nanoparticles from two streams that meet in a microfluidic mixer: lipids in ethanol, and RNA in an acid buffer.

As the ethanol is diluted the lipids precipitate as small aggregates, which coalesce until PEG-lipid covers them. What is kept of
the published models: the balance of nucleation and growth under mixing, and how lipid, flow-rate ratio and mixing rate move
it [Shin, arXiv 2504.10533; Inguva, arXiv 2408.08577]; limit sizes that mixing reaches when it is fast [Belliveau 2012]; an
optimum of the ionisable lipid's pKa [Jayaraman 2012]. It is simplified: one mean size instead of a distribution, and every
constant without a source beside it is an effective number, chosen so that the published trends come out.

Range: total flow 0.5 to 20 mL/min, aqueous to ethanol 1 to 9, lipid 1 to 25 mol/m3 in ethanol, N/P 1 to 10, PEG-lipid 0.5 to
5 mol %, pH 3.5 to 6.5, 288 to 310 K.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

AVOGADRO: Final = 6.02214076e23
"""1/mol (SI)."""
BOLTZMANN: Final = 1.380649e-23
"""J/K (SI)."""
WIDTH: Final = 200e-6
"""m, width of the channel, which is half as high [Belliveau 2012 describes such a mixer]."""
DIFFUSIVITY: Final = 1e-9
"""m2/s, of ethanol in water; of small molecules in water by order of magnitude."""
LENGTH_PER_FOLD: Final = 8.0
"""Channel widths in which the striations of a chaotic mixer fall to 1/e; effective. Its length goes with ln(Pe) [Stroock 2002]."""
REFERENCE_KELVIN: Final = 298.0
PRIMARY_RADIUS: Final = 6e-9
"""m, radius of what precipitates first; effective."""
SHELL: Final = 6e-9
"""m that hydrated PEG adds to the diameter; effective."""
FLUID_ABOVE: Final = 0.22
"""Ethanol fraction above which aggregates are fluid enough to coalesce; effective."""
FLUIDITY_LEFT: Final = 1e-5
"""What is left of coalescence below it: a share of its size at ethanol fraction 1; effective."""
ETHANOL_THICKENS: Final = 1.6
"""Viscosity of the mixture relative to water; effective, between 1 and the maximum of about 2.4 of ethanol and water."""
CAPTURE_DIFFUSIVITY: Final = 2e-12
"""m2/s with which lipid that precipitates reaches aggregates that are there; effective."""
SOLUBILITY_PER_KELVIN: Final = 0.01
"""Decades of solubility per kelvin; effective."""
MIXED_AFTER: Final = 0.020
"""s, mixing time at which half of the quality of fast mixing is lost; effective."""
LEAST_COVERAGE: Final = 0.2
"""PEG coverage below which particles aggregate during the hold; effective."""
CHIP_RESISTANCE: Final = 7e12
"""Pa s/m3, of 50 mm of that channel for a liquid of 1.6 mPa s: 12 eta L / (w h^3 (1 - 0.63 h/w)), for h < w."""
HIGHEST_PRESSURE: Final = 20e5
"""Pa that the chip's connections hold; effective."""

COMPLETED: Final = "completed"
AGGREGATED: Final = "aggregated"
NOTHING: Final = "nothing-precipitated"
PRESSURE: Final = "pressure"

_STEPS: Final = 400
"""Of the integration; twice as many change no diameter in the range by more than 0.1 nm."""
_ITERATIONS: Final = 5
"""Newton steps of the implicit equation; they come from one side and never overshoot."""
_MIXING_TIMES: Final = 14.0
"""Mixing times after which the ethanol is at its final fraction but for a millionth."""
_NEVER: Final = 1e-300
"""Keeps quotients finite where nothing has precipitated."""


@dataclass(frozen=True, slots=True)
class Lipid:
    """The hidden constants of one ionisable lipid with one PEG-lipid; the defaults are the family's centre."""

    pka: float = 6.4
    """Apparent pKa; near the optimum of 6.2 to 6.5 [Jayaraman 2012]."""
    molecule: float = 1.25e-27
    """m3 per lipid molecule, the mean of all lipids."""
    peg_area: float = 6e-18
    """m2 of surface that one PEG-lipid covers; its anchor decides how firmly it stays."""
    log_solubility: float = -3.5
    """log10 of the solubility (mol/m3) in water, at 298 K."""
    cosolvency: float = 5.6
    """Decades of solubility from water to ethanol; log-linear in the ethanol fraction."""
    efficiency: float = 60.0
    """Coalescence relative to hard spheres that stick at each touch, at ethanol fraction 1."""
    half_charge: float = 1.1
    """Charges per phosphate at which half of the RNA is held."""
    ionisable: str = "dilinoleyl"
    anchor: str = "C14"


@dataclass(frozen=True)
class Mixture:
    """What is mixed, and how; numbers or arrays of one length."""

    flow: Array
    """mL/min, both streams together."""
    ratio: Array
    """Aqueous to ethanol, by volume."""
    lipid: Array
    """mol/m3 in the ethanol."""
    np_ratio: Array
    """Ionisable nitrogen per phosphate of the RNA."""
    peg: Array
    """mol % of the lipid."""
    ph: Array
    kelvin: Array
    hold: Array
    """s between mixer and dilution, over which particles still coalesce."""

    @classmethod
    def of(
        cls,
        flow: float | Array,
        ratio: float | Array,
        lipid: float | Array,
        np_ratio: float | Array,
        peg: float | Array,
        *,
        ph: float | Array = 4.0,
        kelvin: float | Array = REFERENCE_KELVIN,
        hold: float | Array = 1.0,
    ) -> "Mixture":
        """Make one of numbers and arrays, units as above."""
        given = np.broadcast_arrays(
            *(np.atleast_1d(np.asarray(one, float)) for one in (flow, ratio, lipid, np_ratio, peg, ph, kelvin, hold))
        )
        return cls(*given)

    @property
    def final_ethanol(self) -> Array:
        """Ethanol fraction when all is mixed."""
        return 1.0 / (1.0 + self.ratio)

    @property
    def mixing_time(self) -> Array:
        """s; falls with the flow, rises with the viscosity."""
        speed = self.flow * 1e-6 / 60.0 / (WIDTH**2 / 2.0)
        peclet = speed * WIDTH / DIFFUSIVITY
        thicker: Array = (viscosity(self.kelvin) / viscosity(np.asarray(REFERENCE_KELVIN))) ** 0.3
        return LENGTH_PER_FOLD * WIDTH * np.log(peclet) / speed * thicker

    @property
    def pressure(self) -> Array:
        """Pa over the chip; goes with the flow."""
        return CHIP_RESISTANCE * self.flow * 1e-6 / 60.0 * viscosity(self.kelvin) / viscosity(np.asarray(REFERENCE_KELVIN))

    def ethanol(self, t: float | Array) -> Array:
        """Ethanol fraction around the lipid after a time (s)."""
        final = self.final_ethanol
        return final + (1.0 - final) * np.exp(-np.asarray(t) / self.mixing_time)


@dataclass(frozen=True)
class Particles:
    """What a mixture has become; lipid in mol per m3 of the final liquid."""

    number: Array
    """1/m3."""
    precipitated: Array
    """mol/m3 in particles, summed over what precipitated."""
    dissolved: Array
    """mol/m3."""
    radius: Array
    """m, without the shell; 0 where there are none."""
    coverage: Array
    """Share of the surface under PEG."""


@dataclass(frozen=True)
class Outcomes:
    """What an ideal analyser would see; numbers are 0 where nothing is there."""

    reason: tuple[str, ...]
    """`completed`, or the code of what went wrong."""
    diameter: Array
    """nm, hydrodynamic."""
    pdi: Array
    """Polydispersity index (1)."""
    encapsulation: Array
    """Share of the RNA inside, 0 to 1."""
    potency: Array
    """Proxy, 0 to 1."""


def viscosity(kelvin: Array) -> Array:
    """Return water's viscosity (Pa s), 273 to 373 K within about 1 % of tables: the Vogel relation 2.414e-5 10^(247.8/(T - 140))."""
    return 2.414e-5 * 10.0 ** (247.8 / (kelvin - 140.0))


def solubility(lipid: Lipid, ethanol: Array, kelvin: Array) -> Array:
    """Return the solubility of the lipids (mol/m3)."""
    warmer = SOLUBILITY_PER_KELVIN * (kelvin - REFERENCE_KELVIN)
    return 10.0 ** (lipid.log_solubility + lipid.cosolvency * ethanol + warmer)


def insoluble(mixture: Mixture, lipid: Lipid, t: float | Array) -> Array:
    """Return what is precipitated at equilibrium after a time (s), in mol per m3 of the final liquid."""
    ethanol = mixture.ethanol(t)
    share = 1.0 - solubility(lipid, ethanol, mixture.kelvin) / (mixture.lipid * ethanol)
    return np.maximum(share, 0.0) * mixture.lipid * mixture.final_ethanol


def coalescence(mixture: Mixture, lipid: Lipid, t: float | Array) -> Array:
    """Return the rate constant (m3/s) of two uncovered aggregates after a time (s): Smoluchowski's 8kT/3eta, times fluidity."""
    collisions = 8.0 * BOLTZMANN * mixture.kelvin / (3.0 * ETHANOL_THICKENS * viscosity(mixture.kelvin))
    fluid = np.maximum(mixture.ethanol(t) - FLUID_ABOVE, 0.0) ** 2 + FLUIDITY_LEFT
    return collisions * lipid.efficiency * fluid


def radius_of(volume: Array, number: Array) -> Array:
    """Return the mean radius (m) of so many particles per m3 that have so much volume per m3."""
    return np.cbrt(3.0 * volume / (4.0 * np.pi * np.maximum(number, _NEVER)))


def coverage_of(mixture: Mixture, lipid: Lipid, radius: Array) -> Array:
    """Return the share of the surface under PEG: what a particle brings of it rises with its volume, its surface less."""
    return 0.01 * mixture.peg * lipid.peg_area * radius / (3.0 * lipid.molecule)


def limit_diameter(peg: float | Array, lipid: Lipid) -> Array:
    """Return the diameter (nm) at which PEG (mol %) covers all: what coalescence without end comes to."""
    return (2.0 * 3.0 * lipid.molecule / (0.01 * np.asarray(peg) * lipid.peg_area) + SHELL) * 1e9


def condensing(mixture: Mixture, lipid: Lipid, number: Array, radius: Array) -> Array:
    """Return the share of what precipitates that goes to aggregates that are there: as many as it meets within a mixing time."""
    met = 4.0 * np.pi * CAPTURE_DIFFUSIVITY * radius * number * mixture.mixing_time
    bare = np.maximum(1.0 - coverage_of(mixture, lipid, radius), 0.0)
    return bare * met / (1.0 + met)


def grow(mixture: Mixture, lipid: Lipid, steps: int = _STEPS) -> Particles:
    """Precipitate and coalesce until the hold ends.

    Each step adds what becomes insoluble in it, then lets the particles coalesce implicitly, so that coalescence without end
    stops exactly at full coverage.
    """
    ends = _MIXING_TIMES * mixture.mixing_time
    shares = np.linspace(0.0, 1.0, steps // 2 + 1) ** 1.5
    after = np.linspace(0.0, 1.0, steps - steps // 2 + 1)[1:] ** 2
    number = np.zeros_like(mixture.flow)
    precipitated = np.zeros_like(mixture.flow)
    before = np.zeros_like(mixture.flow)
    due = np.zeros_like(mixture.flow)
    grain = lipid.molecule * AVOGADRO / (4.0 / 3.0 * np.pi * PRIMARY_RADIUS**3)
    for t in (*(share * ends for share in shares), *(ends + share * mixture.hold for share in after)):
        now = np.maximum(insoluble(mixture, lipid, t), due)
        new, due = now - due, now
        radius = radius_of(precipitated * lipid.molecule * AVOGADRO, number)
        number = number + (1.0 - condensing(mixture, lipid, number, radius)) * new * grain
        precipitated = precipitated + new
        number = _coalesce(mixture, lipid, precipitated, number, 0.5 * coalescence(mixture, lipid, 0.5 * (t + before)) * (t - before))
        before = t
    radius = np.where(precipitated > 0.0, radius_of(precipitated * lipid.molecule * AVOGADRO, number), 0.0)
    dissolved = _dissolved(mixture, lipid, before)
    return Particles(number, precipitated, dissolved, radius, coverage_of(mixture, lipid, radius))


def _dissolved(mixture: Mixture, lipid: Lipid, t: Array) -> Array:
    ethanol = mixture.ethanol(t)
    there = mixture.lipid * mixture.final_ethanol
    return np.minimum(solubility(lipid, ethanol, mixture.kelvin) / ethanol * mixture.final_ethanol, there)


def _coalesce(mixture: Mixture, lipid: Lipid, precipitated: Array, number: Array, strength: Array) -> Array:
    """Solve u = u0 + strength (1 - theta(u))^1.5 for u = 1/number: convex from the left, so that Newton comes from one side.

    `strength` is half the rate constant times the step (m3).
    """
    start = 1.0 / np.maximum(number, _NEVER)
    there = number > 0.0
    full = coverage_of(mixture, lipid, radius_of(precipitated * lipid.molecule * AVOGADRO, number))
    u = start.copy()
    for _ in range(_ITERATIONS):
        with np.errstate(over="ignore", invalid="ignore"):
            theta = full * np.cbrt(u / start)
            bare = np.maximum(1.0 - theta, 0.0)
            residual = u - start - strength * bare**1.5
            slope = 1.0 + strength * 1.5 * np.sqrt(bare) * theta / (3.0 * u)
            u = np.where(there, u - residual / slope, u)
    return np.where(there, 1.0 / u, number)


def encapsulation(mixture: Mixture, lipid: Lipid) -> Array:
    """Return the share of the RNA inside: by charges per phosphate, and somewhat less where mixing is slow."""
    charged = mixture.np_ratio / (1.0 + 10.0 ** (mixture.ph - lipid.pka))
    held: Array = charged**2.2 / (lipid.half_charge**2.2 + charged**2.2)
    return 0.97 * held * (0.75 + 0.25 * mixing_quality(mixture))


def mixing_quality(mixture: Mixture) -> Array:
    """Return 1 for mixing at once, 0 for none."""
    quality: Array = 1.0 / (1.0 + (mixture.mixing_time / MIXED_AFTER) ** 0.7)
    return quality


def mix(mixture: Mixture, lipid: Lipid) -> Outcomes:
    """Compute what mixing gives."""
    made = grow(mixture, lipid)
    quality = mixing_quality(mixture)
    bare = np.maximum(1.0 - made.coverage, 0.0)
    pdi = 0.05 + 0.12 * (1.0 - quality) + 0.06 * bare**2 + 0.025 * np.maximum(mixture.peg - 3.0, 0.0)
    diameter = 1e9 * (2.0 * made.radius + SHELL)
    inside = encapsulation(mixture, lipid)
    potency = inside * np.exp(
        -(((lipid.pka - 6.4) / 0.35) ** 2) - ((diameter - 85.0) / 45.0) ** 2 - np.maximum(mixture.peg - 1.5, 0.0) / 2.0
    )
    reasons = _reasons(mixture, made)
    there = np.array([reason in (COMPLETED, AGGREGATED) for reason in reasons])
    return Outcomes(reasons, *(np.where(there, one, 0.0) for one in (diameter, pdi, inside, potency)))


def _reasons(mixture: Mixture, made: Particles) -> tuple[str, ...]:
    blocked, none, sticky = mixture.pressure > HIGHEST_PRESSURE, made.precipitated <= 0.0, made.coverage < LEAST_COVERAGE
    chosen = np.select([blocked, none, sticky], [PRESSURE, NOTHING, AGGREGATED], COMPLETED)
    return tuple(str(one) for one in chosen)
