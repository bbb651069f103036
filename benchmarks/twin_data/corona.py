"""Protein corona: cell association of gold particles, predicted from the particle as made, explained by what was measured in serum.

Walkey et al., ACS Nano 8, 2439 (2014), 10.1021/nn406018q. The twin knows the particle as made alone, as the paper's model of size,
aggregation and charge does: log2 of the cell association is linear in hydrodynamic size, polydispersity and zeta potential, fitted to
what it may learn from. The size of the core is not among them: where one of three is left out, two tell no slope. What was measured in
serum, and the shares of the proteins on the particle, are the surroundings; its ligand is its lot.
"""

from pathlib import Path
from typing import Final

from torch import Tensor

from benchmarks.twin_data.cases import Case, linear, numbers, one_hot
from benchmarks.twin_data.reading import Rows, rows

FILE: Final = "protein_corona/particles.csv"
AS_MADE: Final = ("z_average_before_nm", "zeta_before_mV", "pdi_before")
IN_SERUM: Final = ("z_average_after_nm", "zeta_after_mV", "pdi_after", "total_protein_ug")
LOGARITHMS: Final = ("z_average_before_nm", "z_average_after_nm", "total_protein_ug")


def corona(data: Path | None = None, *, by: str = "family", proteins: bool = True) -> Case:
    """Return the gold particles that were measured before and after serum.

    Args:
        data: The data folder.
        by: What is left out together: `family` (a core size) or `ligand`.
        proteins: Whether the shares of proteins are among the surroundings, as square roots.
    """
    found = [row for row in rows(FILE, data) if row["zeta_before_mV"] and row["zeta_after_mV"]]
    made = {name: _column(found, name) for name in AS_MADE}
    channels = {name: _column(found, name) for name in IN_SERUM}
    if proteins:
        channels |= {name: numbers(found, name).sqrt() for name in found[0] if name.startswith("protein_")}
    observed = numbers(found, "log2_cell_association")
    ligands, families = tuple(row["ligand"] for row in found), tuple(row["particle"][:3] for row in found)
    classes = tuple(row["charge_class"] for row in found)
    controls = {**made, **one_hot(classes, "charge")}
    return Case(
        f"corona, {by} left out{'' if proteins else ', without proteins'}",
        controls,
        channels,
        linear(made, observed),
        observed,
        families if by == "family" else ligands,
        classes,
        lots=ligands,
        unit="log2",
    )


def _column(found: Rows, name: str) -> Tensor:
    values = numbers(found, name)
    return values.log2() if name in LOGARITHMS else values
