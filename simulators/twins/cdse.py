"""The twin of CdSe in a flow tube: `simulators.chemistry.cdse` with the family's centre as its constants.

Priors are the family's own: the spread of class means and the deviation within a class together. It knows no surroundings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from simulators.chemistry.cdse import CdSeConditions, CdSeConstants
from simulators.chemistry.cdse_batch import simulate_pairs
from simulators.chemistry.family import COMPLETED
from simulators.twins.declaration import Constant, Outcome, Situation, Twin

_BASE: Final = CdSeConstants()
_CONSTANTS: Final = (
    Constant("precursor_rate", "1/s", _BASE.precursor_rate, sd=0.44, low=1e-4, high=10.0),
    Constant("activation_energy", "J/mol", _BASE.activation_energy, sd=0.07, low=2e4, high=2e5),
    Constant("surface_energy", "J/m^2", _BASE.surface_energy, sd=0.05, low=0.05, high=0.3),
    Constant("solubility", "mol/m^3", _BASE.solubility, sd=0.47, low=1e-5, high=0.1),
    Constant("surface_rate", "m/s", _BASE.surface_rate, sd=0.46, low=1e-6, high=1e-2),
    Constant("passivation", "L/mol", _BASE.passivation, sd=0.32, low=0.1, high=100.0),
    Constant("brightest", "", _BASE.brightest, sd=0.09, low=0.3, high=1.0),
)


def _constants(values: Mapping[str, Any]) -> CdSeConstants:
    return replace(_BASE, **values)


def _predict(situations: Sequence[Situation], *, segmented: bool) -> list[Outcome]:
    pairs = [(CdSeConditions(**one.controls, segmented=segmented), _constants(one.constants)) for one in situations]
    return [
        {
            "emission": made.emission_nm,
            "fwhm": made.fwhm_nm,
            "quantum_yield": made.quantum_yield,
            "diameter": made.diameter_nm,
            "conversion": made.conversion,
        }
        if made.reason == COMPLETED
        else made.reason
        for made in simulate_pairs(pairs)
    ]


def _twin(name: str, *, segmented: bool) -> Twin:
    return Twin(
        name=name,
        version="1",
        controls={"temperature": "degC", "residence_time": "s", "selenium": "mol/L", "ligand": "mol/L", "cd_se_ratio": ""},
        outputs={"emission": "nm", "fwhm": "nm", "quantum_yield": "", "diameter": "nm", "conversion": ""},
        predict_many=partial(_predict, segmented=segmented),
        constants=_CONSTANTS,
    )


CDSE: Final = _twin("cdse", segmented=False)
CDSE_SEGMENTED: Final = _twin("cdse-segmented", segmented=True)
