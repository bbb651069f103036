"""The twin of MoS2 growth: `simulators.chemistry.mos2` on a dry substrate; it knows no humidity.

Priors are our own choice: what moves the island density of the middle of the range by about a factor of two.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from simulators.chemistry.mos2 import COMPLETED, KELVIN, Growth, MoS2Constants, deposit
from simulators.twins.declaration import Constant, Outcome, Situation, Twin

_CONTROLS: Final = {"temperature": "degC", "flux": "1/s", "sulfur": "", "time": "s"}
_OUTPUTS: Final = {"coverage": "", "grain": "um", "bilayer": "", "vacancies": "1/cm^2", "quality": ""}
_CONSTANTS: Final = (
    Constant("adsorption_energy", "eV", 2.35, sd=0.02, prior="normal", low=1.5, high=3.5),
    Constant("diffusion_energy", "eV", 0.75, sd=0.06, prior="normal", low=0.2, high=1.5),
    Constant("bond_energy", "eV", 0.3, prior="normal", low=0.0, high=1.0, calibratable=False),
    Constant("critical_size", "", 2.0, prior="normal", low=1.0, high=4.0, calibratable=False),
    Constant("nucleation", "", 1e-9, sd=0.7, low=1e-12, high=1e-5),
    Constant("etch_energy", "eV", 3.0, sd=0.05, prior="normal", low=2.0, high=4.5),
)


def _predict(situations: Sequence[Situation]) -> list[Outcome]:
    if not situations:
        return []
    set_to = {name: np.array([one.controls[name] for one in situations]) for name in _CONTROLS}
    constants = MoS2Constants(**{one.name: np.array([each.constants[one.name] for each in situations]) for one in _CONSTANTS})
    made = deposit(Growth.of(set_to["temperature"] + KELVIN, set_to["flux"], set_to["sulfur"], set_to["time"]), constants)
    columns = np.stack([made.coverage, made.grain, made.bilayer, made.vacancies, made.quality], axis=1)
    return [
        dict(zip(_OUTPUTS, map(float, row), strict=True)) if reason == COMPLETED else reason
        for reason, row in zip(made.reason, columns, strict=True)
    ]


MOS2: Final = Twin(name="mos2", version="1", controls=_CONTROLS, outputs=_OUTPUTS, predict_many=_predict, constants=_CONSTANTS)
