"""Plants with constants drawn from their twin's priors, a hidden term that the twin lacks, and goals: tasks for campaigns with a twin.

Six cases: those of `examples/twins` (CdSe, lipid nanoparticles, MoS2; their hidden terms are their plants' own), and the three toys of
`benchmarks.twin_plants`, whose hidden term moves the target by one noise standard deviation per standard deviation of its channel. A
goal is reached where the truth without noise, in median weather, is as good as the best 0.5 % of a space-filling design.
"""

import importlib.util
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from types import ModuleType
from typing import Final

import numpy as np
import torch

from benchmarks.twin_plants import PLANTS, Plant, strength
from flows.plans.plan import load_plan
from flows.plans.twins.bound import BoundTwin
from flows.plans.twins.mean import design, told
from models.inputs.encoding import Encoding
from models.source_basis.twinned import Predictions
from orchestrator.domain.objective import Objective, Outcome, Target
from orchestrator.domain.parameters import ContinuousParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.ports import Knowledge
from policies.initial import SobolPolicy
from simulators.chemistry.mos2 import COMPLETED, KELVIN, Growth, MoS2Constants, deposit
from simulators.twins.declaration import Situation

EXAMPLES: Final = Path(__file__).parents[1] / "examples"
TASKS: Final = ("cdse", "cdse", "lnp", "lnp", "mos2", "mos2", "conversion", "corona", "corona", "quantum")
GOAL: Final = 0.995
"""Quantile of the objective over the points of a design."""
JUDGED: Final = 1024
"""Points of that design."""
STEP: Final = 0.5
"""Prior standard deviations of a toy's differences, as of a twin's table."""
Values = dict[str, float]
Truth = Callable[[Sequence[Configuration], float], "list[Values | str]"]
"""What comes of configurations without noise, in a weather in standard deviations of its channel; or why nothing does."""


@dataclass(frozen=True, eq=False)
class Case:
    """A space and what a twin says there."""

    name: str
    space: SearchSpace
    predictions: Callable[[], Mapping[str, Predictions]]
    measured: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """A plant and what is wanted of it."""

    name: str
    case: Case
    objective: Objective
    truth: Truth
    noise: Callable[[str, float], float]
    """Standard deviation of one measurement of a quantity, at its value."""

    def score(self, outcome: Values | str) -> float:
        """Return the objective; minus infinity where nothing is measured, or a limit is not kept."""
        found = None if isinstance(outcome, str) else self.objective.score_kept(outcome)
        return -math.inf if found is None else found

    @cached_property
    def goal(self) -> float:
        """What is to be reached."""
        points = [one.configuration for one in SobolPolicy(self.case.space).propose(Knowledge(), count=JUDGED, seed=1)]
        return sorted(self.score(one) for one in self.truth(points, 0.0))[int(GOAL * JUDGED)]


@cache
def task(number: int, block: int, folder: Path) -> Task:
    """Return a task.

    Args:
        number: Which of `TASKS`.
        block: 0 for those that are told of; others for choosing a method.
        folder: Where twins' tables are kept.
    """
    name, generator = TASKS[number], np.random.default_rng([block, number, 77])
    return _toy(name, number, generator) if name in {one.name for one in PLANTS} else _example(name, number, generator, folder)


# ---------------------------------------------------------------------- the examples


@cache
def plant_of(name: str) -> ModuleType:
    """Return the plant of an example."""
    sys.path[:0] = [str(EXAMPLES / "lnp")]  # the package of lipid nanoparticles
    spec = importlib.util.spec_from_file_location(f"plant_{name}", EXAMPLES / "twins" / name / "plant.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def bound(name: str) -> tuple[BoundTwin, Objective]:
    """Return an example's twin, and its objective."""
    plant_of(name)
    plan = load_plan(EXAMPLES / "twins" / name / "campaign.toml")
    assert plan.twin is not None
    return plan.twin, plan.objective


@cache
def example(name: str, folder: Path) -> Case:
    """Return the case of an example."""
    twin, objective = bound(name)
    known = tuple(one.name for one in objective.measured)
    return Case(name, twin.space, cache(partial(told, twin, twin.space, known, folder)), known)


def _example(name: str, number: int, generator: np.random.Generator, folder: Path) -> Task:
    twin, objective = bound(name)
    drawn = {one.name: one.moved(float(generator.standard_normal())) for one in twin.twin.calibratable}
    wanted = float(generator.uniform())
    truths: dict[str, Callable[[BoundTwin, Values, Sequence[Configuration], float], list[Values | str]]] = {
        "cdse": _cdse,
        "lnp": _lnp,
        "mos2": _mos2,
    }
    stated = plant_of(name).NOISE

    def noise(quantity: str, value: float) -> float:
        one = stated[quantity]
        return float(one) if isinstance(one, float) else float(one[0] + one[1] * abs(value))

    return Task(f"{name} {number}", example(name, folder), _wanted(name, objective, wanted), partial(truths[name], twin, drawn), noise)


def _wanted(name: str, objective: Objective, part: float) -> Objective:
    """Return an objective with another goal: a wavelength of 560 to 640 nm, a size of 65 to 110 nm, a least grain of 0.3 to 1 um."""
    if name == "mos2":
        least = Outcome(name="grain", unit="um", min=0.3 + 0.7 * part)
        return Objective(targets=objective.targets, outcomes=(least,))
    value = 560 + 80 * part if name == "cdse" else 65 + 45 * part
    targets = [
        Target(name=one.name, unit=one.unit, goal="match", value=value, tolerance=one.tolerance) if one.goal == "match" else one
        for one in objective.targets
    ]
    return Objective(targets=tuple(targets))


def _predicted(twin: BoundTwin, drawn: Values, rows: Sequence[Configuration]) -> list[Values | str]:
    asked = [twin.situation(row) for row in rows]
    outcomes = twin.twin.predict([Situation(one.controls, {**one.constants, **drawn}, one.environment) for one in asked])
    return [one if isinstance(one, str) else {name: float(one[output]) for name, output in twin.outputs.items()} for one in outcomes]


def _cdse(twin: BoundTwin, drawn: Values, rows: Sequence[Configuration], z: float) -> list[Values | str]:
    plant, humidity = plant_of("cdse"), min(45.0 * math.exp(0.3 * z), 95.0)
    made = _predicted(twin, drawn, rows)
    for row, one in zip(rows, made, strict=True):
        if not isinstance(one, str):
            one["quantum_yield"] *= plant.left_bright(humidity, 22.0, float(row["ligand"]))
    return made


def _lnp(twin: BoundTwin, drawn: Values, rows: Sequence[Configuration], z: float) -> list[Values | str]:
    plant, protein = plant_of("lnp"), 6.0 * math.exp(0.35 * z)
    made = _predicted(twin, drawn, rows)
    for row, one in zip(rows, made, strict=True):
        if not isinstance(one, str):
            one["uptake"] *= plant.taken_up(protein, float(row["peg"]))
    return made


def _mos2(_: BoundTwin, drawn: Values, rows: Sequence[Configuration], z: float) -> list[Values | str]:
    plant, humidity = plant_of("mos2"), min(45.0 * math.exp(0.3 * z), 95.0)
    return [_grown(plant, humidity, drawn, row) for row in rows]


def _grown(plant: ModuleType, humidity: float, drawn: Values, row: Configuration) -> Values | str:
    """Return a film as `examples/twins/mos2/plant.py` grows it, with other constants."""
    temperature, flux, sulfur, time = (float(row[name]) for name in ("temperature", "flux", "sulfur", "time"))
    kelvin = temperature + KELVIN
    made = deposit(Growth.of(kelvin, flux, sulfur, time), MoS2Constants(**drawn))
    grain, bilayer, vacancies = (float(one[0]) for one in (made.grain, made.bilayer, made.vacancies))
    left = max(1.0 - 2.0 * plant.retreat(humidity, kelvin) * time / grain, 0.0) if grain > 0.0 else 0.0
    coverage, grain = float(made.coverage[0]) * left**2, grain * left
    quality = grain / (grain + 1.0) * (1.0 - bilayer) / (1.0 + vacancies * (1.0 + plant.VACANCIES * plant.wet(humidity)) / 1e13)
    if made.reason[0] != COMPLETED:
        return str(made.reason[0])
    return {"coverage": coverage, "grain": grain, "quality": quality} if coverage >= plant.THINNEST else "etched"


# ---------------------------------------------------------------------- the toys

_CUBE: Final = SearchSpace(parameters=tuple(ContinuousParameter(name=f"x{number}", min=0, max=1) for number in (1, 2, 3)))


def _encoded(rows: Sequence[Configuration]) -> torch.Tensor:
    return Encoding(_CUBE).encode(rows)


def _toy(name: str, number: int, generator: np.random.Generator) -> Task:
    plant = next(one for one in PLANTS if one.name == name)
    off = torch.tensor([sd * float(generator.standard_normal()) for sd in plant.sds], dtype=torch.float64)
    value = float(generator.uniform(30, 80))
    acting = strength(plant, 1.0, torch.Generator().manual_seed(number))
    match = Target(name="value", goal="match", value=value, tolerance=2)
    wanted = match if name == "conversion" else Target(name="value", goal="maximise")

    def truth(rows: Sequence[Configuration], z: float) -> list[Values | str]:
        made = plant.twin(_encoded(rows), off)
        return [{"value": float(one)} for one in plant.acts(made, torch.full_like(made, z), acting)]

    def noise(_: str, level: float) -> float:
        return plant.noise * (abs(level) if plant.relative else 1.0)

    return Task(f"{name} {number}", toy(plant), Objective(targets=(wanted,)), truth, noise)


@cache
def toy(plant: Plant) -> Case:
    """Return the case of a toy."""
    return Case(plant.name, _CUBE, cache(partial(_toy_told, plant)), ("value",))


def _toy_told(plant: Plant) -> dict[str, Predictions]:
    X = _encoded(design(_CUBE))
    steps = [STEP * sd * axis for sd, axis in zip(plant.sds, torch.eye(2, dtype=torch.float64), strict=True)]
    moved = torch.stack([(plant.twin(X, step) - plant.twin(X, -step)) / (2 * STEP) for step in steps], dim=-1)
    return {"value": Predictions("value", X, plant.twin(X, torch.zeros(2, dtype=torch.float64)), moved, ("first", "second"))}
