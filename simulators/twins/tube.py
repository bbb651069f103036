"""A twin behind a plant's tube: what flows out is what the twin says of it, in the surroundings that the plant's room has then.

So a dry run is carried out by a twin's revision, with its constants and its terms: the twin is the same code that the plant runs.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import override

from orchestrator.errors import BadInput
from orchestrator.units import convert
from simulators.chemistry.cdse import EXTINCTION
from simulators.chemistry.family import COMPLETED, NO_PARTICLES, Chemistry, Passage, Product, nothing
from simulators.twins.built_in import BUILT_IN
from simulators.twins.cdse import CDSE, CDSE_SEGMENTED
from simulators.twins.declaration import Situation, Twin
from simulators.twins.terms import DAY, ELAPSED, Term, with_terms

IN_A_TUBE: Final = frozenset({CDSE.label, CDSE_SEGMENTED.label})
"""Twins of what flows in a plant's tube: their controls follow from a passage through it."""


class ReadAt(BaseModel):
    """Where a plant reads a surrounding of its twin."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    channel: str
    """`instrument.channel` of a stand-in."""
    unit: str
    """Its unit."""


class RunningTwin(BaseModel):
    """The twin that a plant runs, as whoever starts the plant writes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str
    """As a bench file would name it."""
    label: str
    """Name and version."""
    base: str
    """The twin that it revises in the end: one of `IN_A_TUBE`."""
    terms: tuple[Term, ...] = ()
    """All that it and what it revises have taken up."""
    constants: dict[str, float]
    """A value for every constant and strength, in the unit that its twin declares."""
    surroundings: dict[str, ReadAt] = Field(default_factory=dict)
    """What the plant's room says; all else stands at the twin's reference, and `elapsed` counts from the plant's start."""

    @property
    def digest(self) -> str:
        """Get the sha256 of all that it says, in whatever order it was kept."""
        return sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

    def made(self, said: Collection[str]) -> "TwinInTube":
        """Make what flows through the tube.

        Args:
            said: Channels that the plant's room says.

        Raises:
            BadInput: There is no such base, its terms or constants are others, or the room does not say one of its surroundings.
        """
        if unsaid := sorted({one.channel for one in self.surroundings.values()} - set(said)):
            raise BadInput(f"twin {self.label} reads {unsaid[0]}, of which no stand-in with a response of kind daily says anything")
        if self.base not in IN_A_TUBE:
            raise BadInput(f"twin {self.label}: its base {self.base!r} is none of a tube; those are {', '.join(sorted(IN_A_TUBE))}")
        twin = with_terms(BUILT_IN[self.base], self.terms)
        if strange := sorted(set(twin.values) ^ set(self.constants)):
            raise BadInput(f"twin {self.label}: constant {strange[0]!r} is missing or unknown; it has {', '.join(twin.values)}")
        return TwinInTube(twin, dict(self.constants), dict(self.surroundings))


def read_running_twin(path: Path) -> RunningTwin:
    """Read what was written for a plant.

    Raises:
        BadInput: It cannot be read, or is no such document.
    """
    try:
        return RunningTwin.model_validate(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise BadInput(f"twin {path} cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class TwinInTube(Chemistry):
    """A twin of `IN_A_TUBE` as the chemistry of a tube; species Cd, Se and L (free ligand)."""

    twin: Twin
    constants: Mapping[str, float]
    surroundings: Mapping[str, ReadAt]

    @property
    @override
    def species(self) -> frozenset[str]:
        return frozenset({"Cd", "Se", "L"})

    @override
    def synthesise(self, recipe: Passage) -> Product:
        cadmium, selenium = recipe.concentrations.get("Cd", 0.0), recipe.concentrations.get("Se", 0.0)
        if cadmium <= 0.0 or selenium <= 0.0:
            return nothing(NO_PARTICLES)
        controls = {
            "temperature": recipe.temperature,
            "residence_time": recipe.residence_time,
            "selenium": selenium,
            "ligand": recipe.concentrations.get("L", 0.0),
            "cd_se_ratio": cadmium / selenium,
        }
        (made,) = self.twin.predict([Situation(controls, self.constants, self._around(recipe))])
        if isinstance(made, str):
            return nothing(made)
        absorbance = EXTINCTION * 1e3 * selenium * made["conversion"]
        return Product(COMPLETED, made["conversion"], made["emission"], made["fwhm"], made["quantum_yield"], absorbance)

    def _around(self, recipe: Passage) -> dict[str, float]:
        found = dict(self.twin.reference)
        units = {one.name: one.unit for one in self.twin.environment}
        for name in found:
            if name == ELAPSED:
                found[name] = convert(recipe.left, "s", DAY)
            elif name in self.surroundings:
                place = self.surroundings[name]
                found[name] = convert(recipe.surroundings[place.channel], place.unit, units[name])
        return found
