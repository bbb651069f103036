"""The three cases of `examples/twins`, over seeds: their twins, their plants' hidden terms, and the library of terms, without a ledger.

    cdse   quantum yield of CdSe in a flow tube; humid air quenches it where no ligand covers
    lnp    uptake of lipid nanoparticles; a protein corona lowers it
    mos2   grain of MoS2; its edges oxidise above a humidity

What a hidden term does is the plant's own code (`plant.py` of the case), its strength apart: here it moves the target by so many
standard deviations of the noise per standard deviation of its channel over the runs. Every constant of the plant is off by a draw of
the twin's prior. The room stays as warm as the twin takes it, so that nothing acts but what is planted. Runs, repeats and channels are
those of `benchmarks.twin_plants`, in units: the acting channel and its nuisance as in the diary of the plants, a reader's own
temperature, which moves the reading where two are planted, a nuisance of that, vibration and light; and time.

Configurations are drawn from a pool of which the twin's predictions and derivatives are computed once.
"""

import importlib.util
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from pathlib import Path
from types import ModuleType
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

EXAMPLES: Final = Path(__file__).parents[1] / "examples"
sys.path.insert(0, str(EXAMPLES / "lnp"))

from benchmarks.twin_plants import AUTOCORRELATION, CHANNELS, DISTINCT, REPEATED, RUNS, environment  # noqa: E402
from flows.plans.twins.bound import BoundTwin, bound_twin  # noqa: E402
from flows.plans.twins.table import STEP  # noqa: E402
from instruments.bench.file import load_bench  # noqa: E402
from models.inputs.encoding import Encoding  # noqa: E402
from models.twin.pairs import Channel, Coefficient, Columns, Conditions, Pairs  # noqa: E402
from orchestrator.domain.campaign import load_campaign  # noqa: E402
from simulators.twins.declaration import Situation  # noqa: E402
from simulators.twins.terms import DAY, DEGREES, ELAPSED, SD, Recorded, Term, candidates, is_temperature  # noqa: E402

POOL: Final = 1500
POOL_SEED: Final = 2026
DRAWN: Final = 1.5
"""Times as many configurations as are needed are drawn: some give nothing under a plant's constants."""
RUNS_PER_DAY: Final = 6
MOST: Final = 4.0
"""Times the plant's own strength, where the search for a strength ends: up to there more moves more."""
HALVINGS: Final = 16
DAYS_TRIED: Final = 20
"""Days over which a strength is measured."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A channel in its unit: `median * exp(spread * z)`, or `median + spread * z` where it is a temperature."""

    unit: str
    median: float
    spread: float
    reference: float
    most: float = math.inf

    def of(self, z: Array) -> Array:
        made = self.median + self.spread * z if is_temperature(self.unit) else self.median * np.exp(self.spread * z)
        return np.minimum(made, self.most)


HUMIDITY: Final = Quantity("percent", 45.0, 0.3, 40.0, 95.0)
PROTEIN: Final = Quantity("g/L", 6.0, 0.35, 6.0)
WARMTH: Final = Quantity("degC", 22.0, 1.5, 22.0)
VIBRATION: Final = Quantity("um/s", 2.0, 0.3, 2.0)
LIGHT: Final = Quantity("lx", 300.0, 0.3, 300.0)

Hidden = Callable[[ModuleType, Mapping[str, float], Mapping[str, float], float, float], float]
"""Plant, its constants, controls, the acting channel's value and what the twin's physics give -> what is there."""


@dataclass(frozen=True)
class Case:
    """One of the examples."""

    name: str
    target: str
    acting: Quantity
    noise: tuple[float, float]
    """Standard deviation of one measurement: in the target's unit, and as a share of the value, as the plant has it."""
    own: float
    """The plant's own strength."""
    hidden: Hidden
    set_to: Callable[[ModuleType, float], None]
    """Gives the plant a strength."""
    saturates: bool = False
    """Whether more of it soon moves no more."""

    @cached_property
    def bound(self) -> BoundTwin:
        file = load_campaign(EXAMPLES / "twins" / self.name / "campaign.toml")
        assert file.bench_path is not None, "each example has a bench"
        found = bound_twin(load_bench(file.bench_path), file.space(), file.objective.measured)
        assert found is not None, "each example declares a twin"
        return found

    @cached_property
    def output(self) -> str:
        return self.bound.outputs[self.target]

    @cached_property
    def plant(self) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"plant_of_{self.name}", EXAMPLES / "twins" / self.name / "plant.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """In the order of `CHANNELS`."""
        return (self.acting, self.acting, WARMTH, WARMTH, VIBRATION, LIGHT)

    def sd(self, truth: Array) -> Array:
        return self.noise[0] + self.noise[1] * np.abs(truth)

    def values(self, situations: Sequence[Situation]) -> Array:
        """Ask the twin; NaN where nothing can be measured."""
        made = self.bound.twin.predict(situations)
        return np.array([math.nan if isinstance(one, str) else one[self.output] for one in made], dtype=np.float64)

    def acted(self, situations: Sequence[Situation], base: Array, z: Array, strength: float) -> Array:
        """Return what the hidden term leaves of the twin's physics."""
        if strength == 0.0:
            return base
        self.set_to(self.plant, strength)
        rows = zip(situations, self.acting.of(z).tolist(), base.tolist(), strict=True)
        return np.array([self.hidden(self.plant, one.constants, one.controls, channel, value) for one, channel, value in rows])


def _quenched(plant: ModuleType, constants: Mapping[str, float], controls: Mapping[str, float], humidity: float, value: float) -> float:
    vars(plant)["REALITY"] = replace(plant.REALITY, passivation=constants["passivation"])
    return value * float(plant.left_bright(humidity, WARMTH.reference, controls["ligand"]))


def _shielded(plant: ModuleType, _: Mapping[str, float], controls: Mapping[str, float], protein: float, value: float) -> float:
    return value * float(plant.taken_up(protein, controls["peg"]))


def _eaten(plant: ModuleType, _: Mapping[str, float], controls: Mapping[str, float], humidity: float, value: float) -> float:
    return max(value - 2.0 * float(plant.retreat(humidity, controls["temperature"] + 273.15)) * controls["time"], 0.0)


def _quenching(plant: ModuleType, strength: float) -> None:
    vars(plant)["QUENCHING"] = strength


def _hindrance(plant: ModuleType, strength: float) -> None:
    vars(plant)["HINDRANCE"] = strength


def _retreat(plant: ModuleType, strength: float) -> None:
    vars(plant)["RETREAT"] = (strength, *plant.RETREAT[1:])


CASES: Final[Mapping[str, Case]] = {
    one.name: one
    for one in (
        Case("cdse", "quantum_yield", HUMIDITY, (0.012, 0.0), 2.0, _quenched, _quenching),
        Case("lnp", "uptake", PROTEIN, (0.005, 0.03), 2.5, _shielded, _hindrance, saturates=True),
        Case("mos2", "grain", HUMIDITY, (0.01, 0.04), 5e-4, _eaten, _retreat),
    )
}


# ---------------------------------------------------------------------- the twin's table


@dataclass(frozen=True)
class Table:
    """What a twin says of `n` situations, its constants at given deviations."""

    situations: tuple[Situation, ...]
    mean: Array
    constants: Array
    """n x p, derivatives."""
    controls: Array
    """n x c, derivatives by what a control is off by: kelvin, or the logarithm of a factor."""


def asked(case: Case, situations: Sequence[Situation]) -> Table:
    """Ask the twin for predictions and central differences, as the product does; of one side where the other gives nothing."""
    moves = _moves(case)
    everything = [*situations, *(move(one, sign * by) for by, move in moves for sign in (-1, 1) for one in situations)]
    values = case.values(everything).reshape(1 + 2 * len(moves), len(situations))
    mean, columns = values[0], []
    for number, (by, _) in enumerate(moves):
        left, right = values[1 + 2 * number], values[2 + 2 * number]
        width = by * (np.isfinite(left).astype(float) + np.isfinite(right))
        rise = np.where(np.isfinite(right), right, mean) - np.where(np.isfinite(left), left, mean)
        columns.append(np.where(width > 0.0, rise / np.where(width > 0.0, width, 1.0), 0.0))
    slopes, count = np.stack(columns, axis=1), len(case.bound.twin.calibratable)
    return Table(tuple(situations), mean, slopes[:, :count], slopes[:, count:])


def _moves(case: Case) -> list[tuple[float, Callable[[Situation, float], Situation]]]:
    """Return by how much each constant and each control is moved, and how."""
    twin = case.bound.twin
    constants = [(STEP * one.sd, partial(_with_constant, name=one.name, prior=one.prior)) for one in twin.calibratable]
    warm = [(name, is_temperature(unit)) for name, unit in twin.controls.items()]
    controls = [(STEP * (DEGREES if shifts else SD), partial(_with_control, name=name, shifts=shifts)) for name, shifts in warm]
    return [*constants, *controls]


def _with_constant(one: Situation, by: float, *, name: str, prior: str) -> Situation:
    value = one.constants[name]
    return Situation(one.controls, {**one.constants, name: value * math.exp(by) if prior == "lognormal" else value + by}, one.environment)


def _with_control(one: Situation, by: float, *, name: str, shifts: bool) -> Situation:
    value = one.controls[name]
    return Situation({**one.controls, name: value + by if shifts else value * math.exp(by)}, one.constants, one.environment)


@dataclass(frozen=True)
class Pool:
    """Configurations of which the twin predicts something."""

    X: Float[Tensor, "n d"]
    table: Table


@cache
def pool(name: str, folder: Path, size: int = POOL) -> Pool:
    """Return a case's pool, kept in a folder."""
    case, generator = CASES[name], torch.Generator().manual_seed(POOL_SEED)
    encoding = Encoding(case.bound.space)
    X = torch.rand(size, len(case.bound.space.parameters), generator=generator, dtype=torch.float64)
    situations = tuple(case.bound.situation(one) for one in map(encoding.decode, X))
    path = folder / f"{name}-{size}.npz"
    if path.exists():
        with np.load(path) as kept:
            table = Table(situations, kept["mean"], kept["constants"], kept["controls"])
    else:
        table = asked(case, situations)
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(path, mean=table.mean, constants=table.constants, controls=table.controls)
    makes = np.flatnonzero(np.isfinite(table.mean))
    return Pool(X[makes], rows_of(table, makes))


def rows_of(table: Table, rows: NDArray[np.int64]) -> Table:
    return Table(tuple(table.situations[row] for row in rows), table.mean[rows], table.constants[rows], table.controls[rows])


# ---------------------------------------------------------------------- one seed


@dataclass(frozen=True)
class World:
    """One seed's plant."""

    case: Case
    pool: Pool
    off: Mapping[str, float]
    """Value of each constant."""
    strength: float
    loudness: float
    """Noise over the plant's own."""
    warming: float
    """Of the reader, in noise standard deviations per standard deviation of its temperature."""

    def sd(self, truth: Array) -> Array:
        """Return the standard deviation of one measurement."""
        return self.loudness * self.case.sd(truth)

    def real(self, rows: NDArray[np.int64]) -> tuple[Situation, ...]:
        """Return situations of the pool under the plant's constants."""
        found = (self.pool.table.situations[row] for row in rows)
        return tuple(Situation(one.controls, {**one.constants, **self.off}, one.environment) for one in found)

    def feasible(self, generator: torch.Generator, count: int) -> tuple[NDArray[np.int64], Array]:
        """Draw rows of the pool of which plant and twin give something, and what the twin's physics make of them there."""
        order, rows, base = torch.randperm(len(self.pool.X), generator=generator).numpy(), list[int](), list[float]()
        width = math.ceil(DRAWN * count)
        for start in range(0, len(order), width):
            some = order[start : start + width]
            values = self.case.values(self.real(some))
            rows += some[np.isfinite(values)].tolist()
            base += values[np.isfinite(values)].tolist()
            if len(rows) >= count:
                break
        return np.array(rows[:count]), np.array(base[:count])

    def truth(self, rows: NDArray[np.int64], base: Array, Z: Array) -> Array:
        acted = self.case.acted(self.real(rows), base, Z[:, 0], self.strength)
        return acted + self.warming * self.sd(base) * Z[:, 2]

    def conditions(self, rows: NDArray[np.int64], Z: Array, days: Array, terms: Sequence[Term], table: Table | None = None) -> Conditions:
        """Return what `models.twin` is told of rows of the pool."""
        here = rows_of(self.pool.table, rows) if table is None else table
        around = [*(one.of(z) for one, z in zip(self.case.quantities, Z.T, strict=True)), days]
        names = [*CHANNELS, ELAPSED]
        found = {one.name: _column(one, here, dict(zip(names, around, strict=True)), self.case) for one in terms}
        offered = {name: column for name, column in found.items() if bool((column != 0.0).any())}
        sds = {one.name: DEGREES if is_temperature(self.case.bound.twin.controls.get(one.on, "")) else SD for one in terms}
        declared = self.case.bound.twin.calibratable
        columns = Columns(
            tuple(one.name for one in self.case.bound.space.parameters),
            tuple(Channel(name) for name in names),
            tuple(Coefficient(one.name, one.sd) for one in declared),
            tuple(Coefficient(name, sds[name]) for name in offered),
        )
        own = np.stack(list(offered.values()), axis=1) if offered else np.zeros((len(rows), 0))
        E, mean, slopes, T = (torch.from_numpy(one) for one in (np.stack(around, axis=1), here.mean, here.constants, own))
        return Conditions(columns, self.pool.X[torch.from_numpy(rows)], E, mean, slopes, T)

    def elsewhere(
        self, rows: NDArray[np.int64], Z: Array, days: Array, terms: Sequence[Term], deviations: Mapping[str, float]
    ) -> Conditions | None:
        """Return the same with the twin's constants at deviations; None where it then says nothing of some row."""
        declared = self.case.bound.twin.calibratable
        values = {one.name: one.moved(deviations[one.name] / one.sd) for one in declared}
        at = tuple(one.coordinate(values[one.name]) - one.coordinate(one.value) for one in declared)
        distinct, back = np.unique(rows, return_inverse=True)
        situations = [self.pool.table.situations[row] for row in distinct]
        table = asked(self.case, [Situation(one.controls, {**one.constants, **values}, one.environment) for one in situations])
        if not np.isfinite(table.mean).all():
            return None
        return replace(self.conditions(rows, Z, days, terms, rows_of(table, back)), at=at)


def _column(term: Term, table: Table, around: Mapping[str, Array], case: Case) -> Array:
    """Return the derivative by a term's strength, at none."""
    driven = np.array([term.driven({term.channel: value}) for value in around[term.channel]] if term.channel else [1.0] * len(table.mean))
    acts: Array = -table.mean if term.on == case.output else table.controls[:, list(case.bound.twin.controls).index(term.on)]
    found: Array = acts * driven
    return found


@dataclass(frozen=True)
class Made:
    """A seed's world and its pairs."""

    world: World
    pairs: Pairs
    rows: NDArray[np.int64]
    """Of the pool, of each run."""
    Z: Array
    days: Array
    library: tuple[Term, ...]

    def told(self, deviations: Mapping[str, float]) -> Conditions | None:
        """Return the runs' conditions with the twin's constants at deviations."""
        return self.world.elsewhere(self.rows, self.Z, self.days, self.library, deviations)

    def terms(self, *, own: bool) -> tuple[Term, ...]:
        """Return the library, or what it offers but for the channel that acts."""
        return tuple(one for one in self.library if own or one.channel != CHANNELS[0])


def make(name: str, seed: int, folder: Path, *, effects: tuple[float, float], exact: bool = False, apart: int = 0) -> Made:
    """Carry out a seed's runs; `apart` keeps the seeds of one purpose from those of another; `exact`: no constant is off."""
    generator = torch.Generator().manual_seed(1_000_000 * apart + seed)
    case, found = CASES[name], pool(name, folder)
    declared = case.bound.twin.calibratable
    deviations = torch.randn(len(declared), generator=generator, dtype=torch.float64).tolist()
    off = {} if exact else {one.name: one.moved(by) for one, by in zip(declared, deviations, strict=True)}
    world = World(case, found, off, 0.0, 1.0, effects[1])
    what = torch.cat([torch.arange(DISTINCT), torch.randperm(DISTINCT, generator=generator)[:REPEATED]])
    what = what[torch.randperm(RUNS, generator=generator)]
    distinct, base = world.feasible(generator, DISTINCT)
    size, loudness = planted(case, world.real(distinct), base, effects[0], generator)
    world = replace(world, strength=size, loudness=loudness)
    Z, days = environment(generator, autocorrelation=AUTOCORRELATION).numpy(), np.arange(RUNS) / RUNS_PER_DAY
    rows = distinct[what.numpy()]
    truth = world.truth(rows, base[what.numpy()], Z)
    y = truth + world.sd(truth) * torch.randn(RUNS, generator=generator, dtype=torch.float64).numpy()
    around = [*zip(CHANNELS, case.quantities, (one.of(z) for one, z in zip(case.quantities, Z.T, strict=True)), strict=True)]
    recorded = [Recorded(channel, one.unit, one.reference, float(values.std())) for channel, one, values in around]
    recorded.append(Recorded(ELAPSED, DAY, 0.0, float(days.std())))
    library = candidates(case.bound.twin, (case.output,), recorded, span=float(days[-1]))
    conditions = world.conditions(rows, Z, days, library)
    pairs = Pairs(conditions, torch.from_numpy(y), (), tuple(str(int(one)) for one in what))
    return Made(world, pairs, rows, Z, days, library)


def planted(case: Case, situations: Sequence[Situation], base: Array, effect: float, generator: torch.Generator) -> tuple[float, float]:
    """Return the strength of what acts, and the noise over the plant's own, so that it moves the target by so many of the noise.

    That is the root mean square over the runs' configurations of the standard deviation over days, in deviations of the noise: what
    a hidden term does every day alike is none of it. Sought is the strength at the plant's noise; where the term saturates, the
    noise at the plant's strength.
    """
    days = torch.randn(DAYS_TRIED, generator=generator, dtype=torch.float64)
    if effect == 0.0:
        return 0.0, 1.0

    def moved(size: float) -> float:
        acted = np.stack([case.acted(situations, base, np.full(len(base), z), size) for z in days.tolist()])
        return float(np.sqrt(np.square(acted.std(axis=0) / case.sd(base)).mean()) / float(days.std()))

    if case.saturates:
        return case.own, moved(case.own) / effect
    low, high = 0.0, MOST * case.own
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if moved(middle) < effect else (low, middle)
    return (low + high) / 2, 1.0
