"""Simulated chemistries to be judged on: 4,096 Sobol points each, computed once and kept in a folder."""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flows.studies.cdse import cdse_configurations, cdse_space, draw_outside, simulated_task
from orchestrator.errors import BadInput
from simulators.chemistry.cdse import CdSeConstants, CdSeOutcome, draw_task
from simulators.chemistry.family import COMPLETED

POINTS: Final = 4096
JUDGED_SEED: Final = 90_210
"""Of the judged tasks' constants; priors come from other seeds."""
ORDER: Final = 4.0
"""Power of the other nucleation law: about half as steep as the classical one at a burst's peak (9 to 11)."""
AGED: Final = 0.75
"""Precursor rate that is left at the end of a drifting campaign: the stock ages."""
CACHE_VERSION: Final = 2

Draw = Callable[[int], CdSeConstants]


@dataclass(frozen=True)
class CdSePool:
    """What every candidate of a task would give, without noise; `n` candidates."""

    name: str
    configurations: tuple[dict[str, float | str], ...]
    outcomes: tuple[CdSeOutcome, ...]

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """Which candidates give something to measure, shape (n,)."""
        return np.array([one.reason == COMPLETED for one in self.outcomes])


def inside(index: int) -> CdSeConstants:
    """Draw a judged task of the family."""
    return draw_task(np.random.default_rng([JUDGED_SEED, index]))


def other_nucleation(index: int) -> CdSeConstants:
    """Return the judged task under a power law of nucleation."""
    return replace(inside(index), nucleation_order=ORDER)


def aged(index: int) -> CdSeConstants:
    """Return the judged task as it is when the precursor has aged."""
    fresh = inside(index)
    return replace(fresh, precursor_rate=AGED * fresh.precursor_rate)


def outside(index: int) -> CdSeConstants:
    """Draw a task with constants beyond the family's."""
    return draw_outside(np.random.default_rng([JUDGED_SEED, 1, index]))


VARIANTS: Final[Mapping[str, Draw]] = {"inside": inside, "nucleation": other_nucleation, "aged": aged, "outside": outside}


def pool(variant: str, index: int, cache: Path) -> CdSePool:
    """Return a judged task's pool, from the folder where it is there.

    Raises:
        BadInput: No such variant.
    """
    if variant not in VARIANTS:
        raise BadInput(f"variant {variant!r} is unknown; known: {', '.join(VARIANTS)}")
    constants = VARIANTS[variant](index)
    rows = cdse_configurations(POINTS, seed=JUDGED_SEED + index)
    name = f"{variant}/{constants.precursor}/{constants.ligand}/{index}"
    path = cache / f"{variant}-{index}-{_digest(constants)}.npz"
    make = partial(simulated_task, name, constants, rows)
    return CdSePool(name, rows, _load(path) if path.exists() else _save(path, make().outcomes))


def _digest(constants: CdSeConstants) -> str:
    text = f"{CACHE_VERSION}/{POINTS}/{JUDGED_SEED}/{constants}/{cdse_space().constraints}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _load(path: Path) -> tuple[CdSeOutcome, ...]:
    with np.load(path, allow_pickle=False) as stored:
        reasons, numbers = stored["reasons"], stored["numbers"]
    return tuple(CdSeOutcome(str(reason), *row.tolist()) for reason, row in zip(reasons, numbers, strict=True))


def _save(path: Path, outcomes: tuple[CdSeOutcome, ...]) -> tuple[CdSeOutcome, ...]:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [[one.conversion, one.emission_nm, one.fwhm_nm, one.quantum_yield, one.diameter_nm] for one in outcomes]
    partial_path = path.with_suffix(f".{os.getpid()}.part")
    with partial_path.open("wb") as stream:
        np.savez_compressed(stream, reasons=np.array([one.reason for one in outcomes]), numbers=np.array(rows))
    partial_path.replace(path)
    return outcomes
