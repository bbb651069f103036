"""The "real" plant: CdSe with constants of its own, whose brightness humid air quenches; its twin knows neither.

Quenching is Stern and Volmer's, F0/F = 1 + K [Q] (Phys. Z. 20, 183 (1919)), by water vapour where no ligand covers the surface:
bare sites by Langmuir's isotherm, vapour by Bolton's formula (Mon. Weather Rev. 108, 1046 (1980)). K and the noise are our own choice.
"""

import math
from pathlib import Path

from simulators.chemistry.cdse import CdSeConditions, CdSeConstants, simulate_one
from simulators.chemistry.family import COMPLETED
from simulators.diary import Diary

DIARY = Diary(Path("truth.jsonl"), seed=11)
REALITY = CdSeConstants(precursor_rate=0.075, solubility=8.5e-4, passivation=3.2, brightest=0.82)
QUENCHING = 2.0
"""1/kPa, K of a bare surface."""
NOISE = {"wavelength": 0.4, "fwhm": 0.6, "quantum_yield": 0.012}
"""Standard deviation of one measurement: nm, nm, 1."""


def vapour_pressure(humidity: float, degc: float) -> float:
    """Return the partial pressure of water (kPa) at a relative humidity (%)."""
    return 0.6112 * math.exp(17.67 * degc / (degc + 243.5)) * humidity / 100.0


def left_bright(humidity: float, degc: float, ligand: float) -> float:
    """Return the share of the quantum yield that humid air leaves, at so much free ligand (mol/L)."""
    bare = 1.0 / (1.0 + REALITY.passivation * ligand)
    return 1.0 / (1.0 + QUENCHING * bare * vapour_pressure(humidity, degc))


def synthesise(temperature: float, residence_time: float, selenium: float, ligand: float, cd_se_ratio: float) -> dict[str, float]:
    """Make a sample and measure it: degC, s, mol/L, mol/L, 1."""
    humidity, room = DIARY.humidity, DIARY.room
    made = simulate_one(CdSeConditions(temperature, residence_time, selenium, ligand, cd_se_ratio), REALITY)
    quantum_yield = made.quantum_yield * left_bright(humidity, room, ligand)
    truth = {"wavelength": made.emission_nm, "fwhm": made.fwhm_nm, "quantum_yield": quantum_yield}
    generator = DIARY.generator
    DIARY.note(humidity=humidity, reason=made.reason, **truth)
    if made.reason != COMPLETED:
        raise type(made.reason, (Exception,), {})("nothing to measure")  # its name is the code that [infeasible] knows
    return {name: value + NOISE[name] * float(generator.standard_normal()) for name, value in truth.items()}
