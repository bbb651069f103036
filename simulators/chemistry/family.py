"""What a simulated chemistry must offer, so that the plant can make any of them flow through its tube."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

COMPLETED = "completed"
NO_PARTICLES = "no-particles"
LOW_CONVERSION = "low-conversion"
CLOGGED = "clogged"
BROAD = "broad"


@dataclass(frozen=True, slots=True)
class Passage:
    """What really happened to a plug of liquid on its way through the tube."""

    temperature: float
    """degC, mean over the passage."""

    residence_time: float
    """s."""

    concentrations: Mapping[str, float]
    """mol/L of each species at the inlet."""

    left: float = 0.0
    """Lab s at which it was sampled."""

    surroundings: Mapping[str, float] = field(default_factory=dict)
    """What the room was like then, by `instrument.channel` of the stand-ins that say it, in each channel's unit."""


@dataclass(frozen=True, slots=True)
class Product:
    """What leaves the tube, as an ideal analyser would see it."""

    reason: str
    """`completed`, or the code of what went wrong; optical values are then zero where nothing emits."""

    conversion: float
    """Share of the limiting precursor found in particles, 0 to 1."""

    emission_nm: float
    """Position of the emission maximum (nm)."""

    fwhm_nm: float
    """Full width of the emission at half maximum (nm)."""

    quantum_yield: float
    """Photons emitted per photon absorbed, 0 to 1."""

    absorbance: float
    """At the excitation wavelength over 1 cm, undiluted (1)."""


def nothing(reason: str, conversion: float = 0.0) -> Product:
    """Make the product that does not emit."""
    return Product(reason, conversion, 0.0, 0.0, 0.0, 0.0)


class Chemistry(Protocol):
    """One task of a family: published physics with hidden constants."""

    @property
    def species(self) -> frozenset[str]:
        """Name every species that a stock may bring."""
        ...

    def synthesise(self, recipe: Passage) -> Product:
        """Compute what the recipe gives; noise is the analyser's matter."""
        ...
