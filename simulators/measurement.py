"""From the tube to the analyser: the vial is filled with what leaves the tube, the chemistry says what that is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from simulators.chemistry.family import COMPLETED, NO_PARTICLES, Chemistry, Passage, nothing
from simulators.flow_tube import Tube
from simulators.spectra import WAVELENGTHS, Recording, Spectrometer
from simulators.synthesis_platform import SATURATED, ProgramResult, Variables
from simulators.truth import PhysicalEvent, Record, TruthValue

Measuring = Callable[[], tuple[str, Variables]]
"""A long computation without side effects: gives outcome and variables."""


class Filling(Protocol):
    """What stands behind a unit's programs."""

    def fill(self, result: ProgramResult, lab: float) -> Measuring:
        """Take at lab time (s) what the program is about; give the measurement, to be computed elsewhere."""
        ...


PLACE = "tube"
"""Name of the tube in the ground truth."""


def _values(recipe: Passage | None) -> dict[str, TruthValue]:
    """Say what a vial was filled with; None: nothing had passed the tube yet."""
    if recipe is None:
        return {"filled": False}
    concentrations = {f"{species}_mol_per_l": value for species, value in sorted(recipe.concentrations.items())}
    passage: dict[str, TruthValue] = {"temperature_degc": recipe.temperature, "residence_time_s": recipe.residence_time}
    return {"filled": True, **passage, **concentrations}


@dataclass(frozen=True, slots=True)
class Analyser:
    """What stands behind the platform's sampler."""

    tube: Tube
    chemistry: Chemistry
    spectrometer: Spectrometer
    record: Record
    around: Callable[[float], Mapping[str, float]]
    """What the room is like at a lab time (s), by channel."""

    def fill(self, result: ProgramResult, lab: float) -> Measuring:
        """Catch the plug that leaves the tube at lab time (s); give the measurement, to be computed elsewhere."""
        if result.ran_template != "Characterise":
            return lambda: (COMPLETED, {})
        recipe = self._sampled(lab)
        self.record(PhysicalEvent(lab, PLACE, "sample", _values(recipe), result.order.task_id))
        return lambda: self._measure(recipe, result, lab)

    def _sampled(self, lab: float) -> Passage | None:
        recipe = self.tube.sample(lab)
        return None if recipe is None else replace(recipe, left=lab, surroundings=self.around(lab))

    def _measure(self, recipe: Passage | None, result: ProgramResult, lab: float) -> tuple[str, Variables]:
        product = nothing(NO_PARTICLES) if recipe is None else self.chemistry.synthesise(recipe)
        recording = self.spectrometer.record(product, result.integration_time, lab, result.number)
        outcome = SATURATED if recording.saturated and product.reason == COMPLETED else product.reason
        return outcome, self._variables(recording, result.integration_time)

    def _variables(self, recording: Recording, integration_time: float) -> Variables:
        return {
            "Wavelength": WAVELENGTHS.tolist(),
            "Dark": recording.dark.tolist(),
            "Sample": recording.sample.tolist(),
            "Reference": recording.reference.tolist(),
            "SampleAbsorbance": recording.sample_absorbance,
            "ReferenceAbsorbance": recording.reference_absorbance,
            "ReferenceQuantumYield": self.spectrometer.dye.quantum_yield,
            "IntegrationTime": integration_time,
            "Conversion": recording.conversion,
        }
