"""The twin of mixing: `lipid_mixing.mixing` with the family's centre as its constants.

Priors are the family's own: the spread of class means and the deviation within a class together. It knows how warm the room is, and
nothing of what proteins do to the particles afterwards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Final

import numpy as np

from athanor.twins import Constant, Outcome, Situation, Surrounding, Twin
from lipid_mixing.mixing import COMPLETED, REFERENCE_KELVIN, Lipid, Mixture, mix

_BASE: Final = Lipid()
_ROOM: Final = "room_temperature"
_KELVIN: Final = 273.15
_CONTROLS: Final = {"flow": "mL/min", "frr": "", "lipid": "mol/m^3", "np": "", "peg": "", "ph": "", "hold": "s"}
_CONSTANTS: Final = (
    Constant("pka", "", _BASE.pka, sd=0.26, prior="normal", low=4.0, high=9.0),
    Constant("molecule", "m^3", _BASE.molecule, sd=0.09, low=5e-28, high=3e-27),
    Constant("peg_area", "m^2", _BASE.peg_area, sd=0.19, low=1e-18, high=4e-17),
    Constant("log_solubility", "", _BASE.log_solubility, sd=0.21, prior="normal", low=-6.0, high=0.0),
    Constant("cosolvency", "", _BASE.cosolvency, sd=0.04, low=2.0, high=10.0),
    Constant("efficiency", "", _BASE.efficiency, sd=0.51, low=1.0, high=1e4),
    Constant("half_charge", "", _BASE.half_charge, sd=0.15, low=0.2, high=5.0),
)


def _lipid(values: Mapping[str, Any]) -> Lipid:
    return replace(_BASE, **values)


def _predict(situations: Sequence[Situation]) -> list[Outcome]:
    """Mix many at once, those of one lipid together."""
    found: list[Outcome] = []
    for constants, group in groupby(situations, key=lambda one: tuple(one.constants.items())):
        found += _mixed(list(group), _lipid(dict(constants)))
    return found


def _mixed(situations: Sequence[Situation], lipid: Lipid) -> list[Outcome]:
    flow, ratio, molar, np_ratio, peg, ph, hold = (np.array([one.controls[name] for one in situations]) for name in _CONTROLS)
    kelvin = np.array([one.environment[_ROOM] for one in situations]) + _KELVIN
    made = mix(Mixture.of(flow, ratio, molar, np_ratio, peg, ph=ph, kelvin=kelvin, hold=hold), lipid)
    columns = {"size": made.diameter, "pdi": made.pdi, "encapsulation": made.encapsulation, "potency": made.potency}
    return [
        {name: float(column[row]) for name, column in columns.items()} if reason == COMPLETED else reason
        for row, reason in enumerate(made.reason)
    ]


TWIN: Final = Twin(
    name="lnp",
    version="1",
    controls=_CONTROLS,
    outputs={"size": "nm", "pdi": "", "encapsulation": "", "potency": ""},
    predict_many=_predict,
    constants=_CONSTANTS,
    environment=(Surrounding(_ROOM, "degC", REFERENCE_KELVIN - _KELVIN),),
)
