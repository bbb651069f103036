"""Three toy plants and their twins; the formulas stand here and nowhere else.

    conversion   100 (1 - exp(-k t)), k by Arrhenius; humidity quenches it by exp(-a z)
    corona       uptake of particles by size and charge; protein adsorbs, uptake over (1 + a exp(z / 2))
    quantum      a yield by ligand and temperature; oxygen above a threshold takes from it

Each has three controls and a twin that lacks a term and has two constants off. Runs are in time, some of them repeats of others.
Six channels are recorded: what acts, a nuisance that correlates with it by 0.8, the reader's own temperature and a nuisance of
that, and two that do nothing, all by AR(1) of 0.8 from run to run; and the lot, which does nothing either. What is planted moves
the target by so many noise standard deviations per standard deviation of its channel over the runs.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.twin.model import NOISE, READOUT, RUN, Scale
from models.twin.pairs import Channel, Coefficient, Columns, Conditions, Pairs
from models.twin.shares import CONSTANTS, DIVERGENCE

DISTINCT: Final = 40
REPEATED: Final = 20
RUNS: Final = DISTINCT + REPEATED
AUTOCORRELATION: Final = 0.8
NUISANCE: Final = 0.8
READOUT_PART: Final = 0.5
"""Of the variance of one reading of one run."""
LOTS: Final = 5
CHANNELS: Final = ("acting", "nuisance", "reader", "reader's nuisance", "vibration", "light")
STEP: Final = 0.05
"""Of the derivatives."""
TERM_SD: Final = 0.3

Formula = Callable[[Float[Tensor, "n 3"], Float[Tensor, " 2"]], Float[Tensor, " n"]]


@dataclass(frozen=True, slots=True)
class Plant:
    """A toy: the twin's formula, and what the real one does besides."""

    name: str
    twin: Formula
    """Of controls and the deviations of two constants."""
    acts: Callable[[Tensor, Tensor, float], Tensor]
    """Prediction, standard channel and strength -> what is measured without noise."""
    sds: tuple[float, float]
    noise: float
    """Standard deviation of one reading of one run, in the target's unit; relative where `relative`."""
    relative: bool


def conversion(X: Tensor, off: Tensor) -> Tensor:
    """Percent, first order in time, the rate by Arrhenius between 330 and 370 K."""
    T, minutes = 330 + 40 * X[:, 0], 10 + 50 * X[:, 1]
    rate = 0.02 * (1 + 0.5 * X[:, 2]) * torch.exp(off[0] - (7000 + 1000 * off[1]) * (1 / T - 1 / 350))
    return 100 * (1 - torch.exp(-rate * minutes))


def uptake(X: Tensor, off: Tensor) -> Tensor:
    """Arbitrary units: a bell over size, rising with charge and dose."""
    size, charge = 30 + 150 * X[:, 0], 2 * X[:, 1] - 1
    bell = torch.exp(-(((size - 80 * torch.exp(0.3 * off[0])) / 70) ** 2))
    return 50 * bell * torch.exp(0.5 * charge * torch.exp(off[1])) * (1 + X[:, 2])


def quantum(X: Tensor, off: Tensor) -> Tensor:
    """Percent: saturates with ligand, falls with temperature."""
    bound = 4 * torch.exp(off[0]) * (0.2 + 3.8 * X[:, 0])
    return 80 * bound / (1 + bound) * (1 - 0.3 * torch.exp(off[1]) * X[:, 1]) * (0.8 + 0.2 * X[:, 2])


def _quench(m: Tensor, z: Tensor, strength: float) -> Tensor:
    return m * torch.exp(-strength * z)


def _adsorbed(m: Tensor, z: Tensor, strength: float) -> Tensor:
    protein = torch.exp(0.5 * z)
    return m * (1 + strength) / (1 + strength * protein)


def _oxidised(m: Tensor, z: Tensor, strength: float) -> Tensor:
    return m - strength * 10 * (z + 0.3).clamp_min(0.0)


PLANTS: Final = (
    Plant("conversion", conversion, _quench, (0.2, 1.0), 2.0, relative=False),
    Plant("corona", uptake, _adsorbed, (0.3, 0.3), 0.08, relative=True),
    Plant("quantum", quantum, _oxidised, (0.3, 0.3), 2.0, relative=False),
)


def library(plant: Plant, m: Tensor, z: Tensor, *, own: bool) -> tuple[tuple[str, ...], Float[Tensor, "n t"]]:
    """Return candidate columns: a quench and a threshold of each channel but the acting one, and the plant's own where it is in."""
    names = [f"{form} of {name}" for name in CHANNELS[2:] for form in ("quench", "threshold")]
    columns = [one for number in range(2, len(CHANNELS)) for one in (-m * z[:, number], -(z[:, number] - 0.3).clamp_min(0.0) * m.mean())]
    names += ["quench of nuisance"]
    columns += [-m * z[:, 1]]
    if own:
        names.append(f"{plant.name}'s own")
        columns.append((plant.acts(m, z[:, 0], STEP) - m) / STEP)
    return tuple(names), torch.stack(columns, dim=1)


def environment(generator: torch.Generator, rows: int = RUNS, *, autocorrelation: float = AUTOCORRELATION) -> Float[Tensor, "n 6"]:
    """Draw channels of mean 0 and standard deviation 1 over the rows: AR(1) in time, the two nuisances following what may act."""
    first, *later = torch.randn(rows, len(CHANNELS), generator=generator, dtype=torch.float64)
    z = [first]
    for row in later:
        z.append(autocorrelation * z[-1] + math.sqrt(1 - autocorrelation**2) * row)
    Z = torch.stack(z)
    Z = (Z - Z.mean(dim=0)) / Z.std(dim=0)
    for follower, leader in ((1, 0), (3, 2)):
        Z[:, follower] = NUISANCE * Z[:, leader] + math.sqrt(1 - NUISANCE**2) * Z[:, follower]
    return Z


@dataclass(frozen=True, slots=True)
class World:
    """One seed's plant: constants as they are, and how strongly what is planted acts."""

    plant: Plant
    off: Float[Tensor, " 2"]
    strength: float
    warming: float
    """Of the reader, in noise standard deviations per standard deviation."""

    def noise(self, truth: Tensor) -> Tensor:
        return self.plant.noise * (truth.abs() if self.plant.relative else torch.ones_like(truth))

    def truth(self, X: Tensor, Z: Tensor) -> Tensor:
        made = self.plant.twin(X, self.off)
        acted = self.plant.acts(made, Z[:, 0], self.strength)
        return acted + self.warming * self.noise(made) * Z[:, 2]

    def conditions(self, X: Tensor, Z: Tensor, lots: tuple[str, ...], *, own: bool) -> Conditions:
        """Return what the twin says there, its constants at their nominal values."""
        plant, none = self.plant, torch.zeros(2, dtype=torch.float64)
        m = plant.twin(X, none)
        slopes = [(plant.twin(X, STEP * axis) - plant.twin(X, -STEP * axis)) / (2 * STEP) for axis in torch.eye(2, dtype=torch.float64)]
        names, columns = library(plant, m, Z, own=own)
        constants = tuple(Coefficient(f"constant {number}", sd) for number, sd in enumerate(plant.sds, start=1))
        head = Columns(
            ("x1", "x2", "x3"), tuple(Channel(name) for name in CHANNELS), constants, tuple(Coefficient(name, TERM_SD) for name in names)
        )
        return Conditions(head, X, Z, m, torch.stack(slopes, dim=1), columns, lots)


def strength(plant: Plant, effect: float, generator: torch.Generator) -> float:
    """Return the strength with which what acts moves the target by so many noise standard deviations per standard deviation."""
    if effect == 0:
        return 0.0
    X, z = torch.rand(2000, 3, generator=generator, dtype=torch.float64), torch.randn(2000, generator=generator, dtype=torch.float64)
    m = plant.twin(X, torch.zeros(2, dtype=torch.float64))
    scale = plant.noise * (m.abs() if plant.relative else 1.0)
    low, high = 0.0, 8.0
    for _ in range(40):
        middle = (low + high) / 2
        moved = float(((plant.acts(m, z, middle) - m) / scale - ((plant.acts(m, z, middle) - m) / scale).mean()).std())
        low, high = (middle, high) if moved < effect else (low, middle)
    return (low + high) / 2


@dataclass(frozen=True, slots=True)
class Made:
    """A seed's world, its pairs, and what each part of the difference really was."""

    world: World
    pairs: Pairs
    X: Float[Tensor, "n 3"]
    Z: Float[Tensor, "n 6"]
    levels: tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
    """Per reading: the twin, with its constants as they are, the truth, with the run's noise, as read."""

    def shares(self, scale: Scale) -> Mapping[str, float]:
        """Return the true shares of the variances of the parts on a scale."""
        levels = self.levels if scale == "additive" else tuple(one.log() for one in self.levels)
        names = (CONSTANTS, DIVERGENCE, RUN, READOUT)
        found = {name: float((b - a).var()) for name, a, b in zip(names, levels, levels[1:], strict=False)}
        found[NOISE] = float((levels[4] - levels[2]).var())
        total = sum(found[name] for name in names)
        return {name: value / total for name, value in found.items()}

    def again(self, *, own: bool) -> Pairs:
        """Return the same runs beside another library of terms."""
        one = self.pairs
        rows = torch.tensor([int(name) for name in one.samples])
        conditions = self.world.conditions(self.X[rows], self.Z[rows], one.conditions.lots, own=own)
        return Pairs(conditions, one.observed, one.samples, one.repeats)


def make(seed: int, *, effects: tuple[float, float], own: bool = True, readings: int = 1, exact: bool = False, apart: int = 0) -> Made:
    """Carry out a seed's runs; `apart` keeps the seeds of one purpose from those of another; `exact`: no constant is off."""
    generator = torch.Generator().manual_seed(1_000_000 * apart + seed)
    plant = PLANTS[seed % len(PLANTS)]
    off = torch.randn(2, generator=generator, dtype=torch.float64) * torch.tensor(plant.sds, dtype=torch.float64)
    off = 0.0 * off if exact else off
    world = World(plant, off, strength(plant, effects[0], generator), effects[1])
    what = torch.cat([torch.arange(DISTINCT), torch.randperm(DISTINCT, generator=generator)[:REPEATED]])
    what = what[torch.randperm(RUNS, generator=generator)]
    X, Z = torch.rand(DISTINCT, 3, generator=generator, dtype=torch.float64)[what], environment(generator)
    truth = world.truth(X, Z)
    sd = world.noise(truth)
    ran = truth + math.sqrt(1 - READOUT_PART) * sd * torch.randn(RUNS, generator=generator, dtype=torch.float64)
    rows = torch.arange(RUNS).repeat_interleave(readings)
    y = ran[rows] + math.sqrt(READOUT_PART) * sd[rows] * torch.randn(len(rows), generator=generator, dtype=torch.float64)
    lots = tuple(f"L{int(row) * LOTS // RUNS}" for row in rows)
    conditions = world.conditions(X[rows], Z[rows], lots, own=own)
    pairs = Pairs(conditions, y, tuple(str(int(row)) for row in rows), tuple(str(int(what[row])) for row in rows))
    return Made(world, pairs, X, Z, (conditions.mean, plant.twin(X, off)[rows], truth[rows], ran[rows], y))
