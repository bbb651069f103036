"""Families on which no belief was chosen: recorded tables outside the catalogue, by the file that each comes in.

All rows with a value of the target; equal rows are replicates. Numbers over their range, categories one-hot, fractions as
they are.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import torch

from benchmarks.cold.tasks import ColdTask
from models.gaussian_processes.kernels import Layout

NUMBERS: Final = (
    ("cdse", "nano_assembly/cdse.csv", ("oleylamine", "cadmium_acetate", "oleic_acid", "selenium"), "fl_peak_intensity"),
    (
        "silver",
        "nano_assembly/silver_wells.csv",
        ("pvp_uL", "water_uL", "tannic_acid_uL", "ascorbic_acid_uL", "silver_nitrate_uL", "seeds_uL"),
        "peak_extinction",
    ),
)
"""Name, file, parameters, target to maximise."""


def unseen(data: Path) -> Iterator[ColdTask]:
    """Load the tasks from the data folder."""
    for name, file, columns, target in NUMBERS:
        rows = _rows(data / file, target)
        X = torch.tensor([[float(row[column]) for column in columns] for row in rows], dtype=torch.float64)
        low, high = X.amin(dim=0), X.amax(dim=0)
        yield _task(name, "number", _apart(len(columns)), ((X - low) / (high - low)).tolist(), [float(row[target]) for row in rows])
    rows = _rows(data / "perovskite_aging/aging_samples.csv", "instability_index")
    shares = [[float(row[ion]) for ion in ("Cs", "FA", "MA")] for row in rows]
    yield _task("aging", "composition", _apart(3, together=True), shares, [-float(row["instability_index"]) for row in rows])
    rows = _rows(data / "lipid_delivery/agile.csv", "hela_log2")
    parts = [[row[f"{part}_smiles"] for row in rows] for part in ("amine", "aldehyde", "isocyanide")]
    names = [sorted(set(column)) for column in parts]
    chosen = [[float(own == name) for own, known in zip(row, names, strict=True) for name in known] for row in zip(*parts, strict=True)]
    ends = [sum(map(len, names[: index + 1])) for index in range(len(names))]
    slices = tuple(slice(end - len(known), end) for end, known in zip(ends, names, strict=True))
    blocks = tuple(index for index, known in enumerate(names) for _ in known)
    yield _task("agile", "category", Layout(blocks, slices), chosen, [float(row["hela_log2"]) for row in rows])


def _rows(path: Path, target: str) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row[target]]


def _apart(count: int, *, together: bool = False) -> Layout:
    """Return a layout of length scales of their own, of one parameter or of as many."""
    slices = (slice(0, count),) if together else tuple(slice(index, index + 1) for index in range(count))
    return Layout(tuple(range(count)), slices)


def _task(name: str, kind: str, layout: Layout, inputs: Sequence[Sequence[float]], values: Sequence[float]) -> ColdTask:
    found: dict[tuple[float, ...], list[float]] = {}
    for row, value in zip(inputs, values, strict=True):
        found.setdefault(tuple(row), []).append(value)
    X = torch.tensor(list(found), dtype=torch.float64)
    return ColdTask(name, name, layout, (kind,) * layout.lengths, X, tuple(tuple(one) for one in found.values()))
