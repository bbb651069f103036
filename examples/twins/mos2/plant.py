"""The "real" plant: MoS2 with constants of its own, whose islands oxidise above a humidity; its twin grows them dry.

Oxidation eats islands from their edges (Sci. Bull. 62, 846 (2017), 10.1016/j.scib.2017.05.016): the edge retreats at an Arrhenius rate
(as J. Phys. Chem. C (2019), 10.1021/acs.jpcc.9b02739, finds for thick crystals) times Hill's function of the humidity (J. Physiol. 40, iv
(1910)), whose steepness makes the threshold. All constants of the oxidation, and the noise, are our own choice.
"""

import math
from pathlib import Path

from simulators.chemistry.mos2 import BOLTZMANN_EV, COMPLETED, ETCHED, KELVIN, THINNEST, Growth, MoS2Constants, deposit
from simulators.diary import Diary

DIARY = Diary(Path("truth.jsonl"), seed=13)
REALITY = MoS2Constants(adsorption_energy=2.37, nucleation=1.5e-9)
RETREAT = (5e-4, 1.0, 1000.0)
"""um/s of an edge in wet air at a temperature (K), and the activation energy (eV) between: rate, energy, temperature."""
THRESHOLD = (52.0, 8.0)
"""Relative humidity (%) of half of the rate, and Hill's exponent."""
VACANCIES = 1.5
"""By which share wet air adds sulfur vacancies."""
NOISE = {"coverage": (0.01, 0.0), "grain": (0.01, 0.04), "quality": (0.01, 0.02)}
"""Standard deviation of one measurement: in its unit, and as a share of the value."""


def wet(humidity: float) -> float:
    """Return how far the threshold is passed, 0 to 1."""
    half, steep = THRESHOLD
    return humidity**steep / (half**steep + humidity**steep)


def retreat(humidity: float, kelvin: float) -> float:
    """Return the speed at which edges retreat (um/s)."""
    rate, energy, at = RETREAT
    return rate * wet(humidity) * math.exp(-energy / BOLTZMANN_EV * (1.0 / kelvin - 1.0 / at))


def grow(temperature: float, flux: float, sulfur: float, time: float) -> dict[str, float]:
    """Grow a film and look at it: degC, monolayers/s, S:Mo, s."""
    humidity, kelvin = DIARY.humidity, temperature + KELVIN
    made = deposit(Growth.of(kelvin, flux, sulfur, time), REALITY)
    grain, bilayer, vacancies = (float(one[0]) for one in (made.grain, made.bilayer, made.vacancies))
    left = max(1.0 - 2.0 * retreat(humidity, kelvin) * time / grain, 0.0) if grain > 0.0 else 0.0
    coverage, grain = float(made.coverage[0]) * left**2, grain * left
    quality = grain / (grain + 1.0) * (1.0 - bilayer) / (1.0 + vacancies * (1.0 + VACANCIES * wet(humidity)) / 1e13)
    reason = ETCHED if made.reason[0] == COMPLETED and coverage < THINNEST else made.reason[0]
    truth = {"coverage": coverage, "grain": grain, "quality": quality}
    generator = DIARY.generator
    DIARY.note(humidity=humidity, reason=reason, **truth)
    if reason != COMPLETED:
        raise type(reason, (Exception,), {})("nothing to measure")  # its name is the code that [infeasible] knows
    return {name: value + (NOISE[name][0] + NOISE[name][1] * value) * float(generator.standard_normal()) for name, value in truth.items()}
