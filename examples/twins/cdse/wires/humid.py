"""A laboratory that its twin does not know all of: CdSe in a tube behind wires, with other constants, whose light humid air quenches.

Quenching is Stern and Volmer's, F0/F = 1 + K [Q] (Phys. Z. 20, 183 (1919)), by water vapour, Bolton's formula (Mon. Weather Rev. 108,
1046 (1980)). K is our own choice.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from simulators.chemistry.cdse import CdSeChemistry, CdSeConstants
from simulators.chemistry.family import COMPLETED, Passage, Product

REALITY = CdSeConstants(precursor_rate=0.068, passivation=3.2, brightest=0.82)
QUENCHING = 1.2
"""1/kPa, K."""
ROOM_DEGC = 22.0
SCATTER = {"emission_nm": 0.5, "fwhm_nm": 0.7, "quantum_yield": 0.008}
"""Standard deviation from run to run, our own choice: nm, nm, 1."""


def vapour_pressure(humidity: float, degc: float) -> float:
    """Return the partial pressure of water (kPa) at a relative humidity (%)."""
    return 0.6112 * math.exp(17.67 * degc / (degc + 243.5)) * humidity / 100.0


@dataclass(frozen=True)
class HumidCdSe:
    """What flows through the tube."""

    dry: CdSeChemistry

    @property
    def species(self) -> frozenset[str]:
        """Name every species that a stock may bring."""
        return self.dry.species

    def synthesise(self, recipe: Passage) -> Product:
        """Make a sample, let the air of its time quench it, and no two samples be quite alike."""
        made = self.dry.synthesise(recipe)
        if made.reason != COMPLETED:
            return made
        humidity = max(recipe.surroundings["logger.humidity"], 0.0)
        quenched = replace(made, quantum_yield=made.quantum_yield / (1.0 + QUENCHING * vapour_pressure(humidity, ROOM_DEGC)))
        generator = np.random.default_rng(int(1e3 * recipe.left))  # by its time, so that it follows from nothing else
        scattered = {name: getattr(quenched, name) + sd * float(generator.standard_normal()) for name, sd in SCATTER.items()}
        return replace(quenched, **scattered)


class HUMID:
    """The family as a plant file names it."""

    @staticmethod
    def chemistry(_seed: int | None) -> HumidCdSe:
        """Make it; its constants are always the same."""
        return HumidCdSe(CdSeChemistry(REALITY))
