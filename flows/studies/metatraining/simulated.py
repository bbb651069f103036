"""The simulated families that the command line offers."""

from collections.abc import Mapping
from typing import Final

from flows.studies.families import FAMILIES as TASKS
from flows.studies.families import task_group
from flows.studies.metatraining.sources import SimulatedFamily

_CDSE_UNITS: Final = {"T": "degC", "tau": "s", "c_se": "mol/L", "ratio": "", "wavelength": "nm", "fwhm": "nm", "quantum_yield": ""}
_CDSE_PARAMETERS: Final = ("T", "tau", "c_se", "ratio")


def _classes(task: str) -> dict[str, float | str]:
    precursor, ligand = task_group(task).split("/")
    return {"precursor": precursor, "ligand": ligand}


FAMILIES: Final[Mapping[str, SimulatedFamily]] = {
    name: SimulatedFamily(draw, _CDSE_UNITS, _CDSE_PARAMETERS, task_group, _classes) for name, draw in TASKS.items()
}
"""Name -> family; all are of the example bench's chemistry."""
