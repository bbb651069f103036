"""Families of functions whose constants a campaign cannot know: drawn anew for each, with the best that there is beside them.

`waves` are draws of a Matern process of unknown smoothness and length scales, `peaks` a few bumps in each of three solvents,
`kinetics` the yield of an intermediate whose two rate laws are drawn, `cdse` the syntheses of the example bench, where two
targets are combined. All but `kinetics` are tables of candidates, so that a campaign takes seconds. Objectives are of the
order of one.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import qmc

from flows.studies.cdse import SimulatedTask, cdse_configurations, cdse_space, simulated_task
from flows.studies.emission_noise import EmissionNoise
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import CategoricalParameter, ContinuousParameter, Parameter
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.ports import Observation
from simulators.chemistry.cdse import draw_task

FEATURES: Final = 400
"""Random Fourier features of a wave."""
GRID: Final = 13
"""Two to this power are the points at which a function is looked at before the best of them are climbed from."""
CLIMBS: Final = 12
CANDIDATES: Final = 256
"""Rows of a table."""
NOISE: Final = (0.005, 0.04)
"""Between these the standard deviation of a measurement is drawn, log-uniformly."""
SOLVENTS: Final = ("DMF", "NMP", "water")

_Array = NDArray[np.float64]
_Function = Callable[[_Array, int], _Array]
"""From points of the unit cube "n d" and the number of a solvent to values "n"."""


@dataclass(frozen=True)
class Case:
    """One function: what may be varied, what is wanted, what a measurement gives."""

    space: SearchSpace
    objective: Objective
    truth: Callable[[Configuration], float]
    """The objective without noise."""
    measure: Callable[[Configuration, np.random.Generator], Observation]
    best: float
    """The best that there is."""


def drawn(family: str, number: int) -> Case:
    """Draw a function of a family."""
    return FAMILIES[family](np.random.default_rng([sorted(FAMILIES).index(family), number]))


@dataclass(frozen=True)
class _Yield:
    """A function of the unit cube as a campaign sees it: one target to maximise."""

    function: _Function
    dimensions: int
    noise: float
    solvents: tuple[str, ...] = ()

    def truth(self, row: Configuration) -> float:
        x = np.array([[float(row[f"x{place}"]) for place in range(self.dimensions)]])
        return float(self.function(x, self.solvents.index(str(row["solvent"])) if self.solvents else 0)[0])

    def measure(self, row: Configuration, generator: np.random.Generator) -> Observation:
        return Observation(dict(row), {"yield": self.truth(row) + self.noise * float(generator.standard_normal())})

    def in_a_table(self, seed: int) -> Case:
        """Let a campaign choose among candidates that fill the space."""
        points = qmc.Sobol(self.dimensions + 1, seed=seed).random(CANDIDATES)
        rows = tuple({f"x{place}": float(point[place]) for place in range(self.dimensions)} | self._solvent(point[-1]) for point in points)
        space = SearchSpace(parameters=self._parameters(), candidates=rows)
        return Case(space, self._objective, self.truth, self.measure, max(map(self.truth, rows)))

    def open(self) -> Case:
        """Let a campaign choose anywhere."""
        best = max(_highest(self.function, self.dimensions, one) for one in range(max(1, len(self.solvents))))
        return Case(SearchSpace(parameters=self._parameters()), self._objective, self.truth, self.measure, best)

    def _solvent(self, place: float) -> dict[str, str]:
        return {"solvent": self.solvents[int(place * len(self.solvents))]} if self.solvents else {}

    def _parameters(self) -> tuple[Parameter, ...]:
        numbers: list[Parameter] = [ContinuousParameter(name=f"x{place}", min=0.0, max=1.0) for place in range(self.dimensions)]
        return (*numbers, CategoricalParameter(name="solvent", categories=self.solvents)) if self.solvents else tuple(numbers)

    @property
    def _objective(self) -> Objective:
        return Objective(targets=(Target(name="yield", goal="maximise"),))


def _highest(function: _Function, dimensions: int, solvent: int) -> float:
    """Return the largest value: of a dense grid, and of climbs from its best points."""
    grid = qmc.Sobol(dimensions, seed=0).random_base2(GRID)
    values = function(grid, solvent)
    starts = grid[np.argsort(-values)[:CLIMBS]]
    bounds = [(0.0, 1.0)] * dimensions
    ends = [minimize(lambda x: -float(function(x[None], solvent)[0]), start, bounds=bounds, method="L-BFGS-B") for start in starts]
    return max(float(values.max()), *(-float(end.fun) for end in ends))


def _seed(generator: np.random.Generator) -> int:
    return int(generator.integers(2**30))


def _noise(generator: np.random.Generator) -> float:
    return math.exp(generator.uniform(math.log(NOISE[0]), math.log(NOISE[1])))


def _waves(generator: np.random.Generator) -> Case:
    dimensions = int(generator.integers(2, 4))
    scales = np.exp(generator.uniform(math.log(0.15), math.log(0.8), size=dimensions)) * math.sqrt(dimensions)
    freedom = float(generator.choice([3.0, 5.0, 50.0]))  # Matern-3/2, -5/2, all but Gaussian: Student's t frequencies
    stretched = np.sqrt(freedom / generator.chisquare(freedom, size=(FEATURES, 1)))
    frequencies = generator.standard_normal((FEATURES, dimensions)) * stretched / scales
    phases, weights = generator.uniform(0, 2 * math.pi, FEATURES), generator.standard_normal(FEATURES)

    def raw(x: _Array, _solvent: int) -> _Array:
        values: _Array = math.sqrt(2 / FEATURES) * np.cos(x @ frequencies.T + phases) @ weights
        return values

    values = raw(qmc.Sobol(dimensions, seed=0).random_base2(GRID), 0)
    low, high = float(values.min()), float(values.max())
    return _Yield(lambda x, solvent: (raw(x, solvent) - low) / (high - low), dimensions, _noise(generator)).in_a_table(_seed(generator))


def _peaks(generator: np.random.Generator) -> Case:
    dimensions, bumps = 2, 4
    centres = generator.uniform(size=(len(SOLVENTS), bumps, dimensions))
    widths = np.exp(generator.uniform(math.log(0.2), math.log(0.6), size=(len(SOLVENTS), bumps)))
    heights = generator.uniform(0.1, 1.0, size=(len(SOLVENTS), bumps))

    def function(x: _Array, solvent: int) -> _Array:
        away = ((x[:, None] - centres[solvent]) ** 2).sum(axis=-1) / widths[solvent] ** 2
        values: _Array = (heights[solvent] * np.exp(-0.5 * away)).max(axis=-1)
        return values

    return _Yield(function, dimensions, _noise(generator), SOLVENTS).in_a_table(_seed(generator))


def _kinetics(generator: np.random.Generator) -> Case:
    """Draw A -> B -> C with a catalyst: yield of B over temperature (20 to 120 degC), time (1 to 60 min) and loading (1 to 10 %)."""
    rate, loss = np.exp(generator.normal(math.log(0.03), 0.8)), np.exp(generator.normal(math.log(0.004), 0.8))
    energies = generator.uniform([45e3, 60e3], [80e3, 110e3])
    orders = generator.uniform([0.3, 0.0], [1.0, 0.8])

    def function(x: _Array, _solvent: int) -> _Array:
        inverse = 1.0 / (293.15 + 100.0 * x[:, 0]) - 1.0 / 343.15
        minutes, loading = 1.0 + 59.0 * x[:, 1], 0.2 + 1.8 * x[:, 2]
        made = rate * np.exp(-energies[0] / 8.314 * inverse) * loading ** orders[0]
        lost = loss * np.exp(-energies[1] / 8.314 * inverse) * loading ** orders[1]
        apart = np.where(np.abs(lost - made) < 1e-9, 1e-9, lost - made)
        values: _Array = made / apart * (np.exp(-made * minutes) - np.exp(-lost * minutes))
        return values

    return _Yield(function, 3, _noise(generator)).open()


def _cdse(generator: np.random.Generator) -> Case:
    task = _made(simulated_task("judged", draw_task(generator), cdse_configurations(CANDIDATES, seed=_seed(generator))))
    middle = float(np.quantile([one.emission_nm for one in task.outcomes], generator.uniform(0.25, 0.75)))
    wavelength = Target(name="wavelength", unit="nm", goal="match", value=round(middle, 1), tolerance="5 nm")
    objective = Objective(targets=(wavelength, Target(name="fwhm", unit="nm", goal="minimise", low=25, high=80)))
    space = SearchSpace(parameters=cdse_space().parameters, candidates=task.configurations)
    outcomes = dict(zip(map(space.key, task.configurations), task.outcomes, strict=True))
    chain = EmissionNoise()

    def truth(row: Configuration) -> float:
        outcome = outcomes[space.key(row)]
        return float(objective.score({"wavelength": outcome.emission_nm, "fwhm": outcome.fwhm_nm}))

    def measure(row: Configuration, noise: np.random.Generator) -> Observation:
        found = chain.observe(row, outcomes[space.key(row)], noise)
        return Observation(found.configuration, *(_without_yield(one) for one in (found.values, found.uncertainties)))

    return Case(space, objective, truth, measure, max(map(truth, task.configurations)))


def _made(task: SimulatedTask) -> SimulatedTask:
    """Leave out what gives nothing to measure."""
    good: Sequence[int] = [index for index, made in enumerate(task.feasible) if made]
    rows, outcomes = tuple(task.configurations[index] for index in good), tuple(task.outcomes[index] for index in good)
    return SimulatedTask(task.name, task.constants, rows, outcomes)


def _without_yield(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if name != "quantum_yield"}


FAMILIES: Final[Mapping[str, Callable[[np.random.Generator], Case]]] = {
    "cdse": _cdse,
    "kinetics": _kinetics,
    "peaks": _peaks,
    "waves": _waves,
}
