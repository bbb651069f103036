"""Dyes: absorption maxima calculated in vacuum, measured in solvents.

Greenman, Green, Gomez-Bombarelli, Chem. Sci. 13, 1152 (2022), 10.1039/D1SC05677H: TD-DFT (wB97X-D3) of one molecule in vacuum,
beside maxima measured in solvents, collected from several sources. What the calculation left out is the solvent. Descriptors of
solvents: refractive index n, Abraham's hydrogen-bond acidity and basicity, relative permittivity e, of the Minnesota Solvent
Descriptor Database (Winget, Dolney, Giesen, Cramer, Truhlar, https://comp.chem.umn.edu/solvation/mnsddb.pdf), as
`pyscf/solvent/smd.py` has them. Needs RDKit, for scaffolds (Bemis and Murcko, J. Med. Chem. 39, 2887 (1996), 10.1021/jm9602928).
"""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from benchmarks.twin_data.cases import Case, calculated, numbers
from benchmarks.twin_data.reading import rows
from orchestrator.errors import BadInput

FILE: Final = "multi_fidelity/uvvis_tddft.csv"
SOLVENTS: Final[Mapping[str, tuple[str, float, float, float, float]]] = {
    "ClCCl": ("dichloromethane", 1.4242, 0.10, 0.05, 8.93),
    "CC#N": ("acetonitrile", 1.3442, 0.07, 0.32, 35.688),
    "CO": ("methanol", 1.3288, 0.43, 0.47, 32.613),
    "C1CCOC1": ("tetrahydrofuran", 1.4050, 0.0, 0.48, 7.4257),
    "CS(C)=O": ("dimethylsulfoxide", 1.4783, 0.0, 0.88, 46.826),
    "Cc1ccccc1": ("toluene", 1.4961, 0.0, 0.14, 2.3741),
    "ClC(Cl)Cl": ("chloroform", 1.4459, 0.15, 0.02, 4.7113),
    "CCO": ("ethanol", 1.3611, 0.37, 0.48, 24.852),
    "O": ("water", 1.3328, 0.82, 0.35, 78.355),
    "CN(C)C=O": ("N,N-dimethylformamide", 1.4305, 0.0, 0.74, 37.219),
    "C1CCCCC1": ("cyclohexane", 1.4266, 0.0, 0.0, 2.0165),
    "CCOC(C)=O": ("ethylethanoate", 1.3723, 0.0, 0.45, 5.9867),
    "CCCCCC": ("n-hexane", 1.3749, 0.0, 0.0, 1.8819),
    "C1COCCO1": ("1,4-dioxane", 1.4224, 0.0, 0.64, 2.2099),
    "CC(C)=O": ("acetone", 1.3588, 0.04, 0.49, 20.493),
    "c1ccccc1": ("benzene", 1.5011, 0.0, 0.14, 2.2706),
    "CC(C)O": ("2-propanol", 1.3776, 0.33, 0.56, 19.264),
    "CCCCO": ("1-butanol", 1.3993, 0.37, 0.48, 17.332),
    "CCOCC": ("diethylether", 1.3526, 0.0, 0.41, 4.24),
}
"""SMILES -> name in the database, refractive index (20 degC), acidity, basicity, relative permittivity: those with 100 rows or more."""
DYES_OF_A_SCAFFOLD: Final = 3
SOLVENTS_OF_A_DYE: Final = 8
"""At most, so that no scaffold and no dye is most of what is drawn."""


def dyes(data: Path | None = None, *, count: int = 1200, seed: int = 0, least: int = 1) -> Case:
    """Draw scaffolds, with some dyes of each in some solvents, until there are so many rows.

    Args:
        data: The data folder.
        count: Rows, about.
        seed: Of the draw.
        least: Of dyes that were measured in so many of the solvents or more: what the solvent does shows within a dye.

    Raises:
        BadInput: RDKit is not installed.
    """
    known = _scaffolds(data)
    order, generator = sorted(known), np.random.default_rng(seed)
    chosen: list[tuple[str, dict[str, str]]] = []
    for place in generator.permutation(len(order)):
        if len(chosen) >= count:
            break
        of = known[order[place]]
        names = sorted(dye for dye, mine in of.items() if len(mine) >= least)
        for dye in (names[at] for at in generator.permutation(len(names))[:DYES_OF_A_SCAFFOLD]):
            mine = of[dye]
            chosen += [(order[place], mine[at]) for at in generator.permutation(len(mine))[:SOLVENTS_OF_A_DYE]]
    return _case([scaffold for scaffold, _ in chosen], [row for _, row in chosen], seed)


def _case(scaffolds: list[str], found: list[dict[str, str]], seed: int) -> Case:
    twin = numbers(found, "tddft_eV")
    described = {smiles: _described(smiles) for smiles in {row["smiles"] for row in found}}
    names = tuple(next(iter(described.values())))
    controls = {name: torch.tensor([described[row["smiles"]][name] for row in found], dtype=torch.float64) for name in names}
    own = [SOLVENTS[row["solvent_smiles"]] for row in found]
    n, acid, base, e = (torch.tensor([one[place] for one in own], dtype=torch.float64) for place in (1, 2, 3, 4))
    n = n.square()
    channels = {
        "polarisability": (n - 1) / (n + 2),
        "polarity": (e - 1) / (e + 2),
        "acidity": acid,
        "basicity": base,
    }
    return Case(
        f"dyes, scaffolds left out, draw {seed}",
        {"calculated": twin, **controls},
        channels,
        calculated(twin),
        numbers(found, "measured_eV"),
        tuple(scaffolds),
        tuple(one[0] for one in own),
        batches=tuple(scaffolds),
        repeats=tuple(row["smiles"] for row in found),
        unit="eV",
    )


def _chemistry() -> Any:
    try:
        from rdkit import Chem
        from rdkit.Chem.Scaffolds import MurckoScaffold
    except ImportError as error:
        raise BadInput("the dyes' scaffolds need RDKit, which is not installed: pip install rdkit") from error
    return Chem, MurckoScaffold


def _scaffolds(data: Path | None) -> dict[str, dict[str, list[dict[str, str]]]]:
    """Return the rows in known solvents, by scaffold and dye; what has no ring is a scaffold each."""
    _, murcko = _chemistry()
    by_dye: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows(FILE, data):
        if row["solvent_smiles"] in SOLVENTS:
            by_dye[row["smiles"]].append(row)
    found: dict[str, dict[str, list[dict[str, str]]]] = defaultdict(dict)
    for dye, mine in by_dye.items():
        found[murcko.MurckoScaffoldSmiles(dye) or dye][dye] = mine
    return found


def _described(smiles: str) -> dict[str, float]:
    """Count what a dye is made of."""
    chem, _ = _chemistry()
    molecule = chem.MolFromSmiles(smiles)
    atoms, heavy = list(molecule.GetAtoms()), molecule.GetNumHeavyAtoms()
    shares = {symbol: sum(atom.GetSymbol() == symbol for atom in atoms) / heavy for symbol in ("N", "O", "S", "B")}
    return {
        "size": float(np.log2(heavy)),
        "aromatic": sum(atom.GetIsAromatic() for atom in atoms) / heavy,
        "conjugated": sum(bond.GetIsConjugated() for bond in molecule.GetBonds()) / heavy,
        "rings": float(molecule.GetRingInfo().NumRings()),
        "cation": float(any(atom.GetFormalCharge() > 0 for atom in atoms)),
        **shares,
    }
