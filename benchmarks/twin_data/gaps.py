"""Band gaps of solids: calculated with PBE, measured.

Measured gaps of Zhuo, Mansouri Tehrani, Brgoch, J. Phys. Chem. Lett. 9, 1668 (2018), as in Matbench, beside the median PBE gap of the
Materials Project's entries of the composition; metals are left out. Surroundings are means and ranges of the elements' properties.
"""

from pathlib import Path
from typing import Final

import numpy as np
import torch

from benchmarks.twin_data.cases import Case, calculated, numbers
from benchmarks.twin_data.reading import Rows, rows
from models.inputs.elements import PROPERTIES, element_properties
from orchestrator.errors import BadInput

FILE: Final = "solids_levels/matbench_expt_pbe_gap.csv"
ANIONS: Final = ("F", "O", "Cl", "N", "Br", "S", "I", "Se", "Te", "P", "As", "Sb")
"""By falling electronegativity: the first that a composition has is its class."""
MEANS: Final = ("electronegativity", "atomic_radius", "ionization_energy", "oxidation_state", "group", "row")


def gaps(data: Path | None = None, *, count: int = 10_000, seed: int = 0) -> Case:
    """Draw compositions whose measured gap is not zero.

    Args:
        data: The data folder.
        count: How many; there are fewer than 1,200.
        seed: Of the draw.
    """
    known = [row for row in rows(FILE, data) if float(row["expt_gap_eV"]) > 0 and _described(row) is not None]
    order = np.random.default_rng(seed).permutation(len(known))[:count]
    found: Rows = [known[place] for place in order]
    described = [_described(row) or {} for row in found]
    channels = {name: torch.tensor([one[name] for one in described], dtype=torch.float64) for name in described[0]}
    twin = numbers(found, "pbe_gap_median_eV")
    spread = numbers(found, "pbe_gap_max_eV") - numbers(found, "pbe_gap_min_eV")
    systems = tuple("-".join(sorted(_shares(row))) for row in found)
    return Case(
        f"gaps, chemical systems left out, draw {seed}",
        {"calculated": twin, "polymorphs": spread},
        channels,
        calculated(twin),
        numbers(found, "expt_gap_eV"),
        systems,
        tuple(next((one for one in ANIONS if one in _shares(row)), "other") for row in found),
        unit="eV",
    )


def _shares(row: dict[str, str]) -> dict[str, float]:
    pairs = (part.split(":") for part in row["composition"].split())
    return {symbol: float(share) for symbol, share in pairs}


def _described(row: dict[str, str]) -> dict[str, float] | None:
    """Return means of the elements' properties and the range of the electronegativity; None where nobody knows them."""
    shares = _shares(row)
    try:
        table = element_properties(tuple(shares))
    except BadInput:
        return None
    weights = np.array(list(shares.values()))
    values = np.array([table[symbol] for symbol in shares])
    means = dict(zip(PROPERTIES, (weights @ values / weights.sum()).tolist(), strict=True))
    electronegativity = values[:, PROPERTIES.index("electronegativity")]
    return {**{f"mean {name}": means[name] for name in MEANS}, "range of electronegativity": float(np.ptp(electronegativity))}
