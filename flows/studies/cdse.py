"""Simulated CdSe syntheses: hidden constants drawn anew for each task, measured as the example bench would measure.

The space is the example bench's own (`athanor init`): its parameters, and what its pumps can reach. A task has
a name like `phosphine selenide/oleic acid/3`, so that kinship is visible: the classes of precursor and ligand, and the
draw's number. Tasks of one class are a group.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import as_file, files
from itertools import islice
from typing import Final

import numpy as np
import torch

from flows.studies.emission_noise import EmissionNoise
from instruments.bench.file import load_bench
from instruments.bench.procedure import Procedure
from models.explanations.mechanistic import Tabulated, tabulated
from models.inputs.encoding import Encoding
from orchestrator.domain.campaign import load_campaign
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from orchestrator.ports import Observation
from policies.sampling import SobolPoints, feasible
from simulators.chemistry.cdse import (
    LIGAND_CLASSES,
    PRECURSOR_CLASSES,
    CdSeConditions,
    CdSeConstants,
    CdSeOutcome,
    draw_task,
)
from simulators.chemistry.cdse_batch import simulate_many
from simulators.chemistry.family import COMPLETED

CADMIUM_STOCK: Final = 0.12
SELENIUM_STOCK: Final = 0.06
LIGAND_STOCK: Final = 4.0
"""mol/L, the example bench's stocks; what selenium and cadmium leave of the flow is ligand."""
BASE_POINTS: Final = 768
BASE_SEED: Final = 4
"""Of the table of base predictions: fixed, so that a name and version stand for one table."""
NOISE_STREAM: Final = 7
"""Keeps the draws of the noise apart from those of the constants."""

CDSE_UNITS: Final = {"T": "degC", "tau": "s", "c_se": "mol/L", "ratio": "", "wavelength": "nm", "fwhm": "nm", "quantum_yield": ""}


@dataclass(frozen=True, slots=True)
class SimulatedTask:
    """One chemistry with hidden constants, tried at many conditions."""

    name: str
    constants: CdSeConstants
    configurations: tuple[dict[str, float | str], ...]
    outcomes: tuple[CdSeOutcome, ...]
    """Without noise, in the configurations' order."""

    @property
    def feasible(self) -> tuple[bool, ...]:
        """Whether each configuration gave particles that can be measured."""
        return tuple(outcome.reason == COMPLETED for outcome in self.outcomes)


@lru_cache(maxsize=1)
def cdse_space() -> SearchSpace:
    """Build the example bench's search space, its reachable region included."""
    with as_file(files("flows.cli").joinpath("scaffold")) as folder:
        file = load_campaign(folder / "campaign.toml")
        procedure = Procedure(load_bench(folder / "bench.toml"), file.space())
        return file.space(more_constraints=procedure.reachable())


def cdse_conditions(row: Configuration, *, segmented: bool = False) -> CdSeConditions:
    """Say what a configuration of the example bench makes of its stocks."""
    temperature, residence, selenium, ratio = (float(row[name]) for name in ("T", "tau", "c_se", "ratio"))
    ligand = LIGAND_STOCK * (1.0 - selenium / SELENIUM_STOCK - ratio * selenium / CADMIUM_STOCK)
    return CdSeConditions(temperature, residence, selenium, ligand, ratio, segmented)


def cdse_simulated(count: int, rows: int, seed: int, *, start: int = 0, segmented: bool = False) -> Iterator[SimulatedTask]:
    """Draw tasks and simulate each at feasible configurations of its own (scrambled Sobol), one task at a time.

    Args:
        count: Number of tasks.
        rows: Configurations of each, failures included.
        seed: Of constants and configurations.
        start: Number of the first task: other numbers are other tasks, whatever the count.
        segmented: Gas-segmented flow, where every plug stays equally long; the plant's default is single-phase flow.

    Raises:
        BadInput: No task or no row is asked for, or the space has too few feasible points.
    """
    if count < 1 or rows < 1 or start < 0:
        raise BadInput(f"family cdse: {count} tasks from {start} with {rows} rows; expected at least one of each, from 0 on")
    for index in range(start, start + count):
        constants = draw_task(np.random.default_rng([seed, index]))
        name = f"{constants.precursor}/{constants.ligand}/{index}"
        yield simulated_task(name, constants, cdse_configurations(rows, seed=seed + 1009 * index), segmented=segmented)


def cdse_configurations(count: int, *, seed: int) -> tuple[dict[str, float | str], ...]:
    """Return feasible configurations of the example bench: the first of a scrambled Sobol sequence.

    Raises:
        BadInput: The sequence ends before.
    """
    encoding = Encoding(cdse_space())
    found = tuple(islice(feasible(encoding, SobolPoints(encoding.latent, seed)), count))
    if len(found) < count:
        raise BadInput(f"family cdse: the space gave {len(found)} feasible points; expected {count}")
    return found


def simulated_task(
    name: str, constants: CdSeConstants, configurations: tuple[dict[str, float | str], ...], *, segmented: bool = False
) -> SimulatedTask:
    """Simulate one task at given configurations."""
    conditions = [cdse_conditions(row, segmented=segmented) for row in configurations]
    return SimulatedTask(name, constants, configurations, simulate_many(conditions, constants))


def measured(task: SimulatedTask, generator: np.random.Generator, noise: EmissionNoise | None = None) -> tuple[Observation, ...]:
    """Measure what a task gave, with the noise of the real reduction; what failed gives no observation."""
    chain = noise or EmissionNoise()
    pairs = zip(task.configurations, task.outcomes, strict=True)
    return tuple(chain.observe(row, outcome, generator) for row, outcome in pairs if outcome.reason == COMPLETED)


def cdse_tasks(
    count: int, rows: int, seed: int, *, start: int = 0, segmented: bool = False
) -> tuple[tuple[str, tuple[Observation, ...]], ...]:
    """Draw CdSe tasks with measurements of `wavelength` and `fwhm` (nm) and `quantum_yield`; see `cdse_simulated`.

    Of the rows those that fail are left out, so that tasks have somewhat fewer.
    """
    tasks = cdse_simulated(count, rows, seed, start=start, segmented=segmented)
    return tuple((task.name, measured(task, np.random.default_rng([seed, NOISE_STREAM, _number(task.name)]))) for task in tasks)


def task_group(name: str) -> str:
    """Return the classes that a task belongs to: its name without the draw's number."""
    return name.rpartition("/")[0]


def task_classes(name: str) -> dict[str, float | str]:
    """Return what a chemist knows of a task before the first experiment: its precursor and ligand."""
    precursor, ligand = task_group(name).split("/")
    return {"precursor": precursor, "ligand": ligand}


def task_descriptors(name: str) -> tuple[float, ...]:
    """Return a task's classes, one-hot.

    Classes that the family does not have are zeros throughout.
    """
    precursor, ligand = task_classes(name).values()
    return (*(float(precursor == one) for one in PRECURSOR_CLASSES), *(float(ligand == one) for one in LIGAND_CLASSES))


def draw_outside(generator: np.random.Generator) -> CdSeConstants:
    """Draw a task beyond the family: a precursor and a ligand of classes that it does not have.

    The precursor converts five times as fast as the base one, with 0.78 of its activation energy; the ligand raises the
    solubility to 2.5 and the surface rate to 2.2 of the base: each beyond the class means by more than two of the
    deviations within a class.
    """
    inside = draw_task(generator)
    precursor, ligand = PRECURSOR_CLASSES[inside.precursor], LIGAND_CLASSES[inside.ligand]
    return replace(
        inside,
        precursor_rate=inside.precursor_rate / precursor[0] * 5.0,
        activation_energy=inside.activation_energy / precursor[1] * 0.78,
        solubility=inside.solubility / ligand[1] * 2.5,
        surface_rate=inside.surface_rate / ligand[2] * 2.2,
        surface_energy=inside.surface_energy / ligand[0],
        passivation=inside.passivation / ligand[3],
        precursor="unknown precursor",
        ligand="unknown ligand",
    )


def base_predictions(rows: int = BASE_POINTS) -> Mapping[str, Tabulated]:
    """Tabulate what the simulator predicts with base constants, for each target over the example bench's space."""
    task = simulated_task("base", CdSeConstants(), cdse_configurations(rows, seed=BASE_SEED))
    X = Encoding(cdse_space()).encode(task.configurations)
    columns = {
        "wavelength": [one.emission_nm for one in task.outcomes],
        "fwhm": [one.fwhm_nm for one in task.outcomes],
        "quantum_yield": [one.quantum_yield for one in task.outcomes],
    }
    made = torch.tensor(task.feasible)
    return {
        target: tabulated(f"cdse-base-{target}/1", X[made], torch.tensor(values, dtype=torch.float64)[made])
        for target, values in columns.items()
    }


def _number(name: str) -> int:
    return int(name.rpartition("/")[2])
