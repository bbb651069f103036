"""A property of alloys: a rule of mixtures that bows.

With fractions x of the components, their own values p, bowing b (symmetric) and asymmetry c (of opposite sign when two
components change places),

    y(x) = sum_i x_i p_i  -  sum_{i<j} b_ij x_i x_j  +  sum_{i<j} c_ij x_i x_j (x_i - x_j).

The first sum is Vegard's law (L. Vegard, Z. Phys. 5 (1921) 17, doi:10.1007/BF01349680), the second its usual correction
(J. A. Van Vechten and T. K. Bergstresser, Phys. Rev. B 1 (1970) 3351, doi:10.1103/PhysRevB.1.3351), the second and third
are the first two terms of O. Redlich and A. T. Kister's series for each pair (Ind. Eng. Chem. 40 (1948) 345,
doi:10.1021/ie50458a036). It holds for one solid solution: phases do not change.

Which property it is stays hidden: its values for the elements follow from sourced properties by weights that are drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

ELEMENTS: Final[Mapping[str, tuple[float, float, float]]] = {
    "Al": (1.61, 1.25, 933.47),
    "Co": (1.88, 1.35, 1768.0),
    "Cr": (1.66, 1.40, 2180.0),
    "Cu": (1.90, 1.35, 1357.77),
    "Fe": (1.83, 1.40, 1811.0),
    "Mn": (1.55, 1.40, 1519.0),
    "Mo": (2.16, 1.45, 2896.0),
    "Nb": (1.60, 1.45, 2750.0),
    "Ni": (1.91, 1.35, 1728.0),
    "Ti": (1.54, 1.40, 1941.0),
    "V": (1.63, 1.35, 2183.0),
    "W": (2.36, 1.35, 3695.0),
}
"""Pauling electronegativity, atomic radius (angstrom), melting point (K), as pymatgen 2026.10.24 has them."""
OWN: Final = 0.5
"""Standard deviation of what the three properties do not say of an element; they say one. Our own choice, as the next two:
curves that bow visibly between the pure components, and have their best inside in about half of the alloys."""
BOWING: Final = 1.5
ASYMMETRY: Final = 0.75
"""Standard deviations of the pairs' constants; halfway between two components bowing moves the value by a quarter of it."""


@dataclass(frozen=True, slots=True)
class Alloy:
    """One property of the alloys of `c` components."""

    pure: Array
    """Of each pure component, "c"; no unit: one is the standard deviation over elements."""
    bowing: Array
    """Of each pair, symmetric, "c c"."""
    asymmetry: Array
    """Of each pair, antisymmetric, "c c"."""

    def __call__(self, fractions: Array) -> Array:
        """Return the property, "n", of fractions that sum to one, "n c"."""
        pairs = np.einsum("ni,nj->nij", fractions, fractions)
        bow = 0.5 * np.einsum("nij,ij->n", pairs, self.bowing)
        leaning = 0.5 * np.einsum("nij,ij,nij->n", pairs, self.asymmetry, fractions[:, :, None] - fractions[:, None, :])
        return np.asarray(fractions @ self.pure - bow + leaning)

    def of(self, components: Sequence[int]) -> "Alloy":
        """Return the property of the alloys of some components, in this order."""
        chosen = list(components)
        pairs = np.ix_(chosen, chosen)
        return Alloy(self.pure[chosen], self.bowing[pairs], self.asymmetry[pairs])


def draw_property(generator: np.random.Generator) -> Alloy:
    """Draw a property of the alloys of all `ELEMENTS`, in their order."""
    known = np.array(list(ELEMENTS.values()))
    standard = (known - known.mean(axis=0)) / known.std(axis=0)
    weights = generator.standard_normal(known.shape[1])
    said = standard @ (weights / np.linalg.norm(weights))
    pure = said + OWN * generator.standard_normal(len(known))
    bowing, asymmetry = (np.triu(generator.standard_normal((len(known),) * 2), k=1) for _ in range(2))
    return Alloy(pure, BOWING * (bowing + bowing.T), ASYMMETRY * (asymmetry - asymmetry.T))
