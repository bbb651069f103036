"""The simulated families that the command line offers."""

from collections.abc import Mapping
from typing import Final

from flows.metatraining.families import SimulatedFamily

FAMILIES: Final[Mapping[str, SimulatedFamily]] = {}
"""Name -> family."""
