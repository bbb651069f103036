"""The "real" plant: lipid nanoparticles with constants of their own, whose uptake a protein corona lowers; the twin lacks the corona.

Protein of the medium adsorbs by Langmuir's isotherm (J. Am. Chem. Soc. 40, 1361 (1918)) on sites that PEG leaves free, and uptake falls
exponentially with what is adsorbed. All constants of the corona, and the noise, are our own choice.
"""

import math
from pathlib import Path

from lipid_mixing.mixing import COMPLETED, Lipid, Mixture, mix

from simulators.diary import Diary

DIARY = Diary(Path("truth.jsonl"), seed=12)
REALITY = Lipid(pka=6.5, peg_area=6.6e-18, efficiency=75.0, half_charge=1.2)
AFFINITY = 0.15
"""L/g, of protein to the surface."""
SHIELDED = 1.5
"""mol % of PEG-lipid that leaves 1/e of the sites free."""
HINDRANCE = 2.5
"""Of uptake: exp(-HINDRANCE adsorbed)."""
NOISE = {"size": (0.5, 0.01), "pdi": (0.005, 0.05), "encapsulation": (0.005, 0.0), "uptake": (0.005, 0.03)}
"""Standard deviation of one measurement: in its unit, and as a share of the value."""


def taken_up(protein: float, peg: float) -> float:
    """Return the share of uptake that the corona leaves, at so much protein (g/L) and PEG-lipid (mol %)."""
    adsorbed = AFFINITY * protein / (1.0 + AFFINITY * protein) * math.exp(-peg / SHIELDED)
    return math.exp(-HINDRANCE * adsorbed)


def make(flow: float, frr: float, np: float, peg: float) -> dict[str, float]:
    """Mix a formulation and measure it: mL/min, aqueous to ethanol, N/P, mol % of PEG-lipid."""
    protein, room = DIARY.protein, DIARY.room
    made = mix(Mixture.of(flow, frr, 12.5, np, peg, kelvin=room + 273.15), REALITY)
    columns = {"size": made.diameter, "pdi": made.pdi, "encapsulation": made.encapsulation, "uptake": made.potency}
    truth = {name: float(column[0]) for name, column in columns.items()}
    truth["uptake"] *= taken_up(protein, peg)
    generator = DIARY.generator
    DIARY.note(protein=protein, room_temperature=room, reason=made.reason[0], **truth)
    if made.reason[0] != COMPLETED:
        raise type(made.reason[0], (Exception,), {})("nothing to measure")  # its name is the code that [infeasible] knows
    return {name: value + (NOISE[name][0] + NOISE[name][1] * value) * float(generator.standard_normal()) for name, value in truth.items()}
