"""Properties of chemical elements, from pymatgen: what a composition's components have in common.

Alone here pymatgen is loaded; it takes a second, and only meta-training on compositions needs it: a prior keeps the
table.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Final

from pymatgen.core.periodic_table import Element

from orchestrator.errors import BadInput

PROPERTIES: Final = (
    "electronegativity",
    "atomic_radius",
    "atomic_number",
    "group",
    "row",
    "ionization_energy",
    "electron_affinity",
    "melting_point",
    "oxidation_state",
)
"""Columns of the table: Pauling electronegativity, radius (angstrom), first ionization energy and electron affinity (eV),
melting point (K), highest common oxidation state."""


def element_symbol(name: str) -> str | None:
    """Return the symbol of an element however its letters are written (`ni`, `NI`); None where it is no element."""
    symbol = name.strip().capitalize()
    return symbol if Element.is_valid_symbol(symbol) else None


def element_properties(symbols: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Return the properties of elements, in the order of `PROPERTIES`.

    Raises:
        BadInput: An element of which nobody knows one of them.
    """
    return {symbol: _properties(Element(symbol)) for symbol in symbols}


def _properties(element: Element) -> tuple[float, ...]:
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # it warns of each unknown value and returns NaN
        values = (
            element.X,
            element.atomic_radius,
            element.Z,
            element.group,
            element.row,
            element.ionization_energy,
            element.electron_affinity or 0.0,  # an electron that is not bound has no affinity
            element.melting_point,
            max(element.common_oxidation_states or (0,)),
        )
    for name, value in zip(PROPERTIES, values, strict=True):
        if value is None or math.isnan(value):
            raise BadInput(f"element {element.symbol}: nobody knows its {name.replace('_', ' ')}; give the composition descriptors instead")
    return tuple(map(float, values))
