"""Simulated alloys: in each task other elements, mixed on a lattice, and a property that bows between the pure ones.

A task has a name like `Co-Cr-Ni/3`: its elements and the draw's number. Tasks of the same elements are a group.
"""

from itertools import combinations_with_replacement, pairwise
from typing import Any, Final

import numpy as np

from flows.studies.family import TaskObservations
from orchestrator.errors import BadInput
from orchestrator.ports import Observation
from simulators.chemistry.alloys import ELEMENTS, Alloy, draw_property

PARAMETER: Final = "alloy"
TARGET: Final = "property"
ALLOY_UNITS: Final = {**{f"{PARAMETER}.{element}": "" for element in ELEMENTS}, TARGET: ""}
COMPONENTS: Final = (3, 4)
"""So many elements has an alloy, each number as often."""
PARTS: Final = 20
"""Fractions are multiples of 5 %, as alloy spreads are sampled."""
STANDARDS: Final = 3
"""So often is each pure component measured, as standards are; all else once."""
NOISE: Final = 0.03
"""Standard deviation of one measurement; one is the property's own over elements."""
MOST_ROWS: Final = 200
"""Fewer than the lattice of three components has (231)."""
LEAST_ROWS: Final = max(COMPONENTS) * STANDARDS + 1


def alloy_tasks(count: int, rows: int, seed: int, *, kin: bool = False) -> TaskObservations:
    """Draw alloys and measure each at random points of its lattice, the pure components among them.

    Args:
        count: Number of tasks.
        rows: Measurements of each.
        seed: Of everything.
        kin: All tasks are about the same property; else each is about another, and they share their smoothness alone.

    Raises:
        BadInput: No task is asked for, or more or fewer rows than there can be.
    """
    if count < 1 or not LEAST_ROWS <= rows <= MOST_ROWS:
        raise BadInput(f"family alloys: {count} tasks with {rows} rows; expected at least one, with {LEAST_ROWS} to {MOST_ROWS} rows")
    return tuple(_task(index, rows, seed, kin=kin) for index in range(count))


def _task(index: int, rows: int, seed: int, *, kin: bool) -> tuple[str, tuple[Observation, ...]]:
    generator = np.random.default_rng([seed, 1 + index])
    found = draw_property(np.random.default_rng([seed, 0]) if kin else generator)
    chosen = sorted(generator.choice(len(ELEMENTS), size=generator.choice(COMPONENTS), replace=False).tolist())
    elements = [list(ELEMENTS)[one] for one in chosen]
    fractions = _compositions(len(chosen), rows, generator)
    return f"{'-'.join(elements)}/{index}", _measured(found.of(chosen), elements, fractions, generator)


def _compositions(components: int, rows: int, generator: np.random.Generator) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return fractions, "rows components": the pure ones as often as standards, then others of the lattice, each once."""
    lattice = simplex_lattice(components)
    pure = (lattice == PARTS).any(axis=1)
    mixed = generator.permutation(lattice[~pure])[: rows - STANDARDS * components]
    return np.concatenate([np.repeat(lattice[pure], STANDARDS, axis=0), mixed]) / PARTS


def simplex_lattice(components: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return all ways to share `PARTS` parts among components."""
    bars = combinations_with_replacement(range(PARTS + 1), components - 1)
    return np.array([[end - start for start, end in pairwise((0, *one, PARTS))] for one in bars])


def _measured(
    alloy: Alloy, elements: list[str], fractions: np.ndarray[Any, np.dtype[np.float64]], generator: np.random.Generator
) -> tuple[Observation, ...]:
    absent = {f"{PARAMETER}.{element}": 0.0 for element in ELEMENTS}
    values = alloy(fractions) + NOISE * generator.standard_normal(len(fractions))
    columns = [f"{PARAMETER}.{element}" for element in elements]
    rows = zip(fractions.tolist(), values.tolist(), strict=True)
    return tuple(Observation({**absent, **dict(zip(columns, one, strict=True))}, {TARGET: value}) for one, value in rows)


def alloy_elements(name: str) -> str:
    """Return the elements of a task: its name without the draw's number."""
    return name.rpartition("/")[0]
