"""A laboratory that its twin does not know all of: CdSe in a tube behind wires, with other constants, whose light humid air quenches.

Quenching is Stern and Volmer's, F0/F = 1 + K [Q] (Phys. Z. 20, 183 (1919)), by water vapour, Bolton's formula (Mon. Weather Rev. 108,
1046 (1980)). K is our own choice.
"""

import math
from dataclasses import dataclass, replace

from simulators.chemistry.cdse import CdSeChemistry, CdSeConstants
from simulators.chemistry.family import Passage, Product

REALITY = CdSeConstants(precursor_rate=0.068, passivation=3.2, brightest=0.82)
QUENCHING = 1.2
"""1/kPa, K."""
ROOM_DEGC = 22.0


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
        """Make a sample, and let the air of its time quench it."""
        made = self.dry.synthesise(recipe)
        humidity = max(recipe.surroundings["logger.humidity"], 0.0)
        return replace(made, quantum_yield=made.quantum_yield / (1.0 + QUENCHING * vapour_pressure(humidity, ROOM_DEGC)))


class HUMID:
    """The family as a plant file names it."""

    @staticmethod
    def chemistry(_seed: int | None) -> HumidCdSe:
        """Make it; its constants are always the same."""
        return HumidCdSe(CdSeChemistry(REALITY))
