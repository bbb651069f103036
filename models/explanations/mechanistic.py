"""A mechanistic mean: what a simulator of the chemistry predicts with base constants, and a Gaussian process on the rest.

    y = a + b p(x) + delta(x) + noise,      a ~ N(0, s_a^2),   b ~ N(1, s_b^2),   delta ~ GP(0, Matern 5/2)

in the family's standard units, with p the simulator's prediction. Level and slope are integrated out exactly, so that a
simulator that is wrong by an affine map costs a few points, and one that is wrong altogether fades as the data say. The
simulator is handed in as a table over the family's inputs (models know no simulators): it is interpolated, so that a
prediction costs microseconds and has gradients.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from models.base import Surrogate
from models.gaussian_processes.conditioning import DIAGONAL_JITTER, Adapted, Conditioned, GaussianProcess, canonical_order
from models.gaussian_processes.fitting import minimise, negative_log_density
from models.gaussian_processes.kernels import matern, squared_distances
from models.gaussian_processes.table_memory import TableMemory
from models.tasks import Family, MetaLearner, Prior, ReportProgress, Scale, TaskData, family_scale
from orchestrator.errors import BadInput

LEVEL_SD: Final = 0.5
SLOPE_SD: Final = 0.5
"""Priors of a and b in the family's standard units: tasks differ from the simulator by about half the family's spread."""
CENTRE: Final = (math.log(0.5), math.log(0.6), math.log(0.05))
"""Logarithms of the residual's amplitude, its length scale (unit cube) and the noise's deviation, before any data."""
WIDTHS: Final = (0.7, 0.5, 1.0)
"""Standard deviations of these logarithms: few points then move them little."""
STEPS: Final = 25
"""L-BFGS steps for three hyperparameters."""
_LEAST_NOISE: Final = 1e-3
"""Standard units; keeps factors of near-equal rows finite."""
TABLE_LENGTH: Final = 0.5
"""Length scale of the table's interpolation, in encoded units: with a thousand points neighbours are about 0.2 apart."""
TABLE_NUGGET: Final = 1e-4
"""Relative to the table's variance: smooths the simulator's own steps, about one per cent of the spread."""
MANY: Final = 64
"""Rows from which on predictions are kept: a pool is predicted again at each proposal."""
LEAST_POINTS: Final = 16


@dataclass(frozen=True, slots=True)
class Tabulated:
    """A simulator's predictions at `m` points, interpolated by a Matern-5/2 kernel."""

    name: str
    """Name and version, for example `cdse-base/1`."""
    points: Float[Tensor, "m d"]
    weights: Float[Tensor, " m"]
    level: float
    _memory: TableMemory = field(default_factory=TableMemory, init=False, compare=False, repr=False)

    def __call__(self, X: Float[Tensor, "*b d"]) -> Float[Tensor, " *b"]:
        """Predict the target in its unit, differentiably."""
        if X.requires_grad or X.shape[:-1].numel() < MANY:
            return self._predicted(X).squeeze(-1)
        return self._memory.get(X, self._predicted).squeeze(-1)

    def _predicted(self, X: Float[Tensor, "*b d"]) -> Float[Tensor, "*b 1"]:
        found: Tensor = matern(squared_distances(X, self.points) / TABLE_LENGTH**2) @ self.weights.unsqueeze(-1)
        return self.level + found

    def state(self) -> dict[str, Any]:
        """Return tensors and numbers that it can be made of again."""
        return {"name": self.name, "points": self.points, "weights": self.weights, "level": self.level}


def tabulated(name: str, X: Float[Tensor, "m d"], Y: Float[Tensor, " m"]) -> Tabulated:
    """Make a table of what a simulator gave, rows without a finite value left out.

    Raises:
        BadInput: Too few finite values.
    """
    known = torch.isfinite(Y)
    points, values = X[known], Y[known]
    if len(values) < LEAST_POINTS:
        raise BadInput(f"mechanistic mean {name}: {len(values)} predictions; expected at least {LEAST_POINTS}")
    level = float(values.mean())
    K = matern(squared_distances(points, points) / TABLE_LENGTH**2) + TABLE_NUGGET * torch.eye(len(points), dtype=points.dtype)
    weights = torch.cholesky_solve((values - level).unsqueeze(-1), torch.linalg.cholesky(K)).squeeze(-1)
    return Tabulated(name, points, weights, level)


@dataclass(frozen=True, slots=True)
class MechanisticProcess(GaussianProcess):
    """The Gaussian prior of the module's formula, in standard units."""

    prediction: Tabulated
    scale: Scale
    hyper: Float[Tensor, " 3"]
    """Logarithms of amplitude, length scale and noise deviation."""

    @override
    def mean(self, X: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n"]:
        return self.scale.standard(self.prediction(X))

    @override
    def covariance(self, X: Float[Tensor, "*b n d"], Z: Float[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]:
        slope = SLOPE_SD**2 * self.mean(X).unsqueeze(-1) * self.mean(Z).unsqueeze(-2)
        return LEVEL_SD**2 + slope + (2.0 * self.hyper[0]).exp() * matern(squared_distances(X, Z) * (-2.0 * self.hyper[1]).exp())

    @override
    def variance(self, X: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n"]:
        return LEVEL_SD**2 + SLOPE_SD**2 * self.mean(X).square() + (2.0 * self.hyper[0]).exp()

    @override
    def noise(self, X: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n"]:
        return ((2.0 * self.hyper[2]).exp() + _LEAST_NOISE**2).expand(X.shape[:-1])


@dataclass(frozen=True, slots=True)
class MechanisticPrior(Prior):
    """Adapts level, slope, residual and noise to a task; knows of the sources only their scale and noise."""

    prediction: Tabulated
    scale: Scale
    noise_sd: float
    """Standard units; where the noise's prior is centred."""

    @override
    def adapt(self, task: TaskData, *, generator: torch.Generator) -> Surrogate:
        task = task.rows(canonical_order(task.X, task.Y))
        X, Y, stated = task.X, self.scale.standard(task.Y), self.scale.stated(task)
        centre = torch.tensor([*CENTRE[:2], math.log(self.noise_sd)], dtype=torch.float64)
        hyper = self._fitted(X, Y, stated, centre) if len(Y) else centre
        process = MechanisticProcess(self.prediction, self.scale, hyper)
        model = Conditioned(process, X, Y, torch.maximum(process.noise(X), stated), scale=self.scale)
        amplitude, length, noise = (float(f"{value:.4g}") for value in hyper.exp().tolist())
        notes = {"mean": self.prediction.name, "amplitude": amplitude, "length_scale": length, "noise_sd": noise, "points": len(Y)}
        return Adapted("mechanistic/1", ((1.0, model),), notes)

    def _fitted(
        self, X: Float[Tensor, "n d"], Y: Float[Tensor, " n"], stated: Float[Tensor, " n"], centre: Float[Tensor, " 3"]
    ) -> Float[Tensor, " 3"]:
        """Maximise the posterior of the hyperparameters, from their prior's centre."""
        widths = torch.tensor(WIDTHS, dtype=torch.float64)

        def loss(moves: Tensor) -> Tensor:
            process = MechanisticProcess(self.prediction, self.scale, centre + widths * moves)
            K = process.covariance(X, X)
            noise = torch.maximum(process.noise(X), stated) + DIAGONAL_JITTER * float(K.detach().diagonal().max().clamp_min(1.0))
            return negative_log_density(K + torch.diag(noise), Y - process.mean(X)) + 0.5 * moves.square().sum()

        return centre + widths * minimise(loss, torch.zeros(3, dtype=torch.float64), max_iter=STEPS)

    @override
    def state(self) -> dict[str, Any]:
        scale = {"level": self.scale.level, "spread": self.scale.spread}
        return {"kind": "mechanistic", "scale": scale, "noise_sd": self.noise_sd, "prediction": self.prediction.state()}


@dataclass(frozen=True, slots=True)
class MechanisticLearner(MetaLearner):
    """Takes a simulator's word for the mean; a row of its own in every table, never part of a default."""

    prediction: Tabulated

    @override
    def meta_train(
        self, tasks: Sequence[TaskData], family: Family, *, generator: torch.Generator, report: ReportProgress | None = None
    ) -> Prior:
        """Learn scale and noise from the sources, and nothing else."""
        scale = family_scale(tasks)
        known = [scale.stated(task).mean() for task in tasks if task.Yvar is not None and len(task.Yvar)]
        stated = float(torch.stack(known).mean().sqrt()) if known else math.exp(CENTRE[2])
        return MechanisticPrior(self.prediction, scale, max(stated, _LEAST_NOISE))
