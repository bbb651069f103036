"""MoS2 monolayers by chemical vapour deposition: rate equations of adatoms, islands, coverage and a second layer.

Venables' rate equations (J. A. Venables, Surf. Sci. 299/300, 798 (1994), 10.1016/0039-6028(94)90698-X) with a critical nucleus
of i atoms, re-evaporation, and etching; simplified, constants are effective numbers. Sulfur condenses metal with a share
S:Mo/(S:Mo + 10) (effective). Range: 880 to 1150 K, flux 5e-4 to 5e-2 ML/s, S:Mo 2 to 200, 1 to 30 min.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BOLTZMANN_EV: Final = 8.617333262e-5
"""eV/K."""
KELVIN: Final = 273.15
ATTEMPT: Final = 1e13
"""nu (1/s), the usual order of a lattice vibration."""
LATTICE: Final = 3.16e-10
"""a of MoS2 (m)."""
SITES: Final = 2.0 / (math.sqrt(3.0) * LATTICE**2)
"""n0, sites of the lattice (1/m2)."""
HALF_CONDENSED: Final = 10.0
"""S:Mo at which half of the metal that meets an island stays; effective."""
ETCH_SHARE: Final = 1e-3
"""Of the attempt frequency; effective."""
ETCH_SULFUR: Final = 20.0
"""S:Mo that halves etching; effective."""
EDGE_LEFT: Final = 0.02
"""Etching goes by bare edges, th (1 - th); this share is left where the film is closed; effective."""
SECOND_LAYER: Final = (0.05, 950.0, 120.0)
"""Share of the flux that nucleates on a first layer at a temperature (K), and the kelvins over which it falls to 1/e; effective."""
THINNEST: Final = 0.02
"""Coverage below which there is no film to measure."""
THICKEST: Final = 0.5
"""Share of a second layer beyond which it is no monolayer."""

COMPLETED: Final = "completed"
NO_FILM: Final = "no-film"
ETCHED: Final = "etched"
MULTILAYER: Final = "multilayer"

_STEPS: Final = 800
"""On a logarithmic scale of time; twice as many change no output in the range by more than 0.5 %."""
_FIRST: Final = 1e-7
"""s, the first step: adatoms live longer in the whole range."""
_FEWEST: Final = 1.0
"""Islands per m2 at the beginning: none, to all intents."""


@dataclass(frozen=True, slots=True)
class MoS2Constants:
    """The hidden constants of one substrate with one promoter; the defaults are the family's centre."""

    adsorption_energy: float | Array = 2.35
    """Ea of an adatom (eV)."""
    diffusion_energy: float | Array = 0.75
    """Ed of an adatom (eV)."""
    bond_energy: float | Array = 0.3
    """Ei that each further atom of the critical nucleus brings (eV)."""
    critical_size: float | Array = 2.0
    """i, atoms of the critical nucleus."""
    nucleation: float | Array = 1e-9
    """eta, share of encounters that nucleate; promoters change it."""
    etch_energy: float | Array = 3.0
    """Ee of etching (eV)."""


@dataclass(frozen=True)
class Growth:
    """What is set; numbers or arrays of one length."""

    kelvin: Array
    flux: Array
    """Monolayers of metal per second."""
    sulfur: Array
    """S:Mo."""
    seconds: Array
    water: Array
    """Residual water, relative humidity 0 to 1: quickens etching (1 + 4 RH), adds vacancies."""

    @classmethod
    def of(cls, kelvin: Any, flux: Any, sulfur: Any, seconds: Any, water: Any = 0.0) -> "Growth":
        """Make one of numbers and arrays, units as above."""
        return cls(*np.broadcast_arrays(*(np.atleast_1d(np.asarray(one, float)) for one in (kelvin, flux, sulfur, seconds, water))))


@dataclass(frozen=True)
class Film:
    """What has grown."""

    adatoms: Array
    """1/m2."""
    islands: Array
    """1/m2."""
    coverage: Array
    second: Array
    """Share of the first layer under a second one."""
    arrived: Array
    attached: Array
    desorbed: Array
    """Of the metal, in monolayers: arrived is attached and desorbed and what is left as adatoms."""


@dataclass(frozen=True)
class FilmOutcomes:
    """What an ideal microscope and spectrometer would see."""

    reason: tuple[str, ...]
    """`completed`, or the code of what went wrong."""
    coverage: Array
    grain: Array
    """um."""
    bilayer: Array
    vacancies: Array
    """Sulfur vacancies (1/cm2)."""
    quality: Array
    """Score of mobility and brightness, 0 to 1: large grains, one layer, few vacancies."""


@dataclass(frozen=True)
class _Rates:
    arriving: Array
    capture: Array
    """4 D cond (m2/s)."""
    leaving: Array
    """1/ta (1/s)."""
    nucleating: Array
    """eta exp(Ei (i - 1)/kT)."""
    etching: Array
    doubling: Array


def _rates(growth: Growth, constants: MoS2Constants) -> _Rates:
    thermal = BOLTZMANN_EV * growth.kelvin
    condensing = growth.sulfur / (growth.sulfur + HALF_CONDENSED)
    diffusivity = LATTICE**2 * ATTEMPT / 4.0 * np.exp(-constants.diffusion_energy / thermal)
    share, at, over = SECOND_LAYER
    etching = ETCH_SHARE * ATTEMPT * np.exp(-constants.etch_energy / thermal) * (1.0 + 4.0 * growth.water)
    return _Rates(
        growth.flux,
        4.0 * diffusivity * condensing,
        ATTEMPT * np.exp(-constants.adsorption_energy / thermal),
        constants.nucleation * np.exp(constants.bond_energy * (constants.critical_size - 1.0) / thermal),
        etching / (1.0 + growth.sulfur / ETCH_SULFUR),
        share * growth.flux * np.exp(-(growth.kelvin - at) / over),
    )


def grow_film(growth: Growth, constants: MoS2Constants, steps: int = _STEPS) -> Film:
    """Integrate the rate equations.

    Adatoms are solved exactly within a step, in which islands and coverage stand still, and so is where they go: what arrived is
    attached, desorbed or still there, to rounding.
    """
    rates = _rates(growth, constants)
    adatoms, second = np.zeros_like(growth.kelvin), np.zeros_like(growth.kelvin)
    islands, coverage = np.full_like(growth.kelvin, _FEWEST), np.zeros_like(growth.kelvin)
    arrived, attached, desorbed = (np.zeros_like(growth.kelvin) for _ in range(3))
    times = _FIRST * np.exp(np.linspace(0.0, 1.0, steps)[:, None] * np.log(growth.seconds / _FIRST))
    for step in np.diff(times, axis=0, prepend=0.0):
        bare = 1.0 - coverage
        loss = rates.leaving + rates.capture * islands
        source = rates.arriving * SITES * bare
        kept = -np.expm1(-loss * step)
        # the integral of adatoms over the step, of dn/dt = source - loss n
        lived = source / loss * (step - kept / loss) + adatoms * kept / loss
        mean = lived / step
        adatoms = source / loss * kept + adatoms * (1.0 - kept)
        gained = rates.capture * islands * lived / SITES
        born = rates.capture * mean * SITES * rates.nucleating * (mean / SITES) ** constants.critical_size * bare
        # coverage gains at one rate in a step and is etched in proportion: dth/dt = gained/step - etching th, exactly
        etching = rates.etching * (bare + EDGE_LEFT) * step
        coverage_left, gained_left = np.exp(-etching), -np.expm1(-etching) / etching
        second = second - (1.0 - second) * np.expm1(-rates.doubling * coverage * step)
        coverage = np.clip(coverage * coverage_left + gained * gained_left, 0.0, 1.0)
        islands = islands + born * step
        arrived, attached = arrived + rates.arriving * bare * step, attached + gained
        desorbed = desorbed + rates.leaving * lived / SITES
    return Film(adatoms, islands, coverage, second, arrived, attached, desorbed)


def deposit(growth: Growth, constants: MoS2Constants) -> FilmOutcomes:
    """Compute what a deposition gives; rows as in `growth`."""
    film = grow_film(growth, constants)
    grain = 1e6 * np.sqrt(film.coverage / film.islands)
    vacancies = 10.0 ** (13.2 - 0.5 * np.log10(growth.sulfur) + 0.0025 * (growth.kelvin - 1000.0)) * (1.0 + 1.5 * growth.water)
    quality = grain / (grain + 1.0) * (1.0 - film.second) / (1.0 + vacancies / 1e13)
    lost = np.where(film.attached >= THINNEST, ETCHED, NO_FILM)
    reasons = np.where(film.coverage < THINNEST, lost, np.where(film.second > THICKEST, MULTILAYER, COMPLETED))
    return FilmOutcomes(tuple(map(str, reasons)), film.coverage, grain, film.second, vacancies, quality)
