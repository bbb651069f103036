"""Perovskite crystallisation with one humidity a plate: what is constant on a plate cannot be told from the plate.

Inverse temperature crystallisation of amines with PbI2, scored 1 (clear) to 4 (crystal): data of the Darkreactions project; Li et al.,
Chem. Mater. 32, 5650 (2020). The twin is a table of one score an amine, its mean over all wells. Amines of three plates or more, some
wells of each plate; a plate is a batch. Humidity is what was recorded with a plate, or, where an effect is planted, that with the
plates' own response beneath it.
"""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from benchmarks.twin_data.cases import Case, calculated, numbers, one_hot
from benchmarks.twin_data.reading import Rows, rows

FILE: Final = "perovskite_crystallization/reactions.csv.gz"
LEAST_PLATES: Final = 3
WELLS: Final = 6
HUMIDITY: Final = "humidity"
CONTROLS: Final = ("acid_M", "inorganic_M", "organic_M", "temperature_C")


def crystals(data: Path | None = None, *, seed: int = 0) -> Case:
    """Draw wells of each plate whose humidity was recorded, in the order of time.

    Args:
        data: The data folder.
        seed: Of the draw.
    """
    by_plate: dict[str, Rows] = defaultdict(list)
    for row in rows(FILE, data):
        if row["relative_humidity_pct"]:
            by_plate[f"{row['plate']} {row['amine']}"].append(row)
    plates_of: dict[str, set[str]] = defaultdict(set)
    for plate, mine in by_plate.items():
        plates_of[mine[0]["amine"]].add(plate)
    generator, found = np.random.default_rng(seed), Rows()
    for plate in sorted(by_plate):
        mine = by_plate[plate]
        if len(plates_of[mine[0]["amine"]]) >= LEAST_PLATES:
            found += [mine[at] for at in sorted(generator.permutation(len(mine))[:WELLS])]
    amines = tuple(row["amine"] for row in found)
    own = {amine: [float(row["crystal_score"]) for plate in plates for row in by_plate[plate]] for amine, plates in plates_of.items()}
    twin = torch.tensor([float(np.mean(own[amine])) for amine in amines], dtype=torch.float64)
    plates = tuple(row["plate"] for row in found)
    return Case(
        f"crystals, draw {seed}",
        {**{name: numbers(found, name) for name in CONTROLS}, **one_hot(amines, "amine")},
        {HUMIDITY: numbers(found, "relative_humidity_pct")},
        calculated(twin),
        numbers(found, "crystal_score"),
        plates,
        amines,
        batches=plates,
        unit="score",
    )


def shuffled(case: Case, *, seed: int) -> Case:
    """Give each plate another plate's humidity: nothing of the response goes with it but by chance."""
    values = case.channels[HUMIDITY]
    first = [case.batches.index(plate) for plate in dict.fromkeys(case.batches)]
    order = torch.randperm(len(first), generator=torch.Generator().manual_seed(seed)).tolist()
    given = {case.batches[row]: values[first[to]] for row, to in zip(first, order, strict=True)}
    return replace(case, channels={HUMIDITY: torch.stack([given[plate] for plate in case.batches])})


def planted(case: Case, effect: float, deviation: float) -> Case:
    """Let humidity move the response by so many of some deviation per standard deviation of its own over the rows."""
    values = case.channels[HUMIDITY]
    moved = effect * deviation * (values - values.mean()) / values.std(correction=0)
    return replace(case, observed=case.observed + moved)
