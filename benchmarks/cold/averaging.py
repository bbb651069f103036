"""A Gaussian process that is an average over draws from beliefs, each weighed by how well it explains what was measured.

A draw has a length scale per kind of parameter, a spread of length scales between parameters, the variance, the additive
share and the noise. In values made standard by the measured ones,

    k(x, z) = v [(1 - a) M(sum_g (d_g / l_g)^2 / G) + a sum_g M((d_g / l_g)^2) / G] + 1

where M is the Matern-5/2 correlation, d_g the distance in one number, one set of categories or one component, G how many
there are, and one the variance of the level. Nothing is fitted: the draws are the same in every campaign.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from benchmarks.cold.tasks import KINDS, ColdTask
from models.gaussian_processes.kernels import matern

NAMES: Final = (*KINDS, "variance", "share", "noise", "spread")
"""What beliefs are of: logarithms of length scales by kind, of the variance, of the odds of the additive share, of the
noise variance, of the spread of logarithms of length scales between parameters."""
MOST_LENGTHS: Final = 8
"""Length scales of a task that are drawn apart."""
LEVEL_VARIANCE: Final = 1.0
LEAST_NOISE: Final = 1e-4
"""Variance in standard units, as in the fresh model."""
JITTER: Final = 1e-6
"""Added to the noise: keeps the factors of rough draws finite."""
LEAST_WEIGHT: Final = 1e-3
"""Draws that weigh less are left out: they change no choice and cost a pool each."""
LEAST_VARIANCE: Final = 1e-10
"""Rounding must not make one negative."""
Distances = Float[Tensor, "n m l"]
"""Squared, by length scale."""


@dataclass(frozen=True, slots=True)
class Beliefs:
    """A normal distribution of each number in `NAMES`."""

    means: Float[Tensor, " b"]
    deviations: Float[Tensor, " b"]

    def written(self) -> dict[str, list[float]]:
        """Return name -> mean, deviation."""
        pairs = zip(NAMES, self.means.tolist(), self.deviations.tolist(), strict=True)
        return {name: [round(mean, 4), round(deviation, 4)] for name, mean, deviation in pairs}

    @staticmethod
    def read(written: Mapping[str, Sequence[float]]) -> "Beliefs":
        """Return the beliefs that were written."""
        means, deviations = zip(*(written[name] for name in NAMES), strict=True)
        return Beliefs(torch.tensor(means, dtype=torch.float64), torch.tensor(deviations, dtype=torch.float64))


def normal_draws(count: int, seed: int) -> tuple[Float[Tensor, "s b"], Float[Tensor, "s g"]]:
    """Return standard normal numbers, evenly spread: for the beliefs, and for single length scales."""
    sobol = torch.quasirandom.SobolEngine(len(NAMES) + MOST_LENGTHS, scramble=True, seed=seed)  # type: ignore[no-untyped-call]
    uniform = sobol.draw(count, dtype=torch.float64).clamp(1e-6, 1.0 - 1e-6)
    normal = math.sqrt(2.0) * torch.erfinv(2.0 * uniform - 1.0)
    return normal[:, : len(NAMES)], normal[:, len(NAMES) :]


def distances(task: ColdTask, A: Float[Tensor, "n d"], B: Float[Tensor, "m d"]) -> Distances:
    """Return squared distances by length scale."""
    blocks = torch.nn.functional.one_hot(torch.tensor(task.layout.blocks), task.layout.lengths).to(A.dtype)
    return (A.unsqueeze(1) - B.unsqueeze(0)).square() @ blocks


@dataclass(frozen=True)
class Draws:
    """Processes drawn from beliefs, for length scales of given kinds; `s` draws."""

    weights: Float[Tensor, "s l"]
    """Of squared distances."""
    variance: Float[Tensor, " s"]
    share: Float[Tensor, " s"]
    noise: Float[Tensor, " s"]

    @staticmethod
    def of(drawn: Float[Tensor, "s b"], apart: Float[Tensor, "s g"], kinds: Sequence[str]) -> "Draws":
        """Return the processes of drawn numbers."""
        columns = dict(zip(NAMES, drawn.unbind(dim=1), strict=True))
        spread = columns["spread"].exp()
        logs = torch.stack([columns[kind] + spread * own for kind, own in zip(kinds, apart.unbind(dim=1), strict=False)], dim=1)
        return Draws(
            torch.exp(-2.0 * logs),
            columns["variance"].exp(),
            torch.sigmoid(columns["share"]),
            columns["noise"].exp().clamp_min(LEAST_NOISE),
        )

    def covariance(self, squared: Distances) -> Float[Tensor, "s n m"]:
        """Return covariances of the function."""
        count = squared.shape[-1]
        product = torch.einsum("nml,sl->snm", squared, self.weights) / count
        total = (1.0 - self.share)[:, None, None] * matern(product)
        for index in range(count):
            alone = squared[..., index] * self.weights[:, index, None, None]
            total = total + (self.share / count)[:, None, None] * matern(alone)
        return self.variance[:, None, None] * total + LEVEL_VARIANCE

    def factor(self, squared: Distances) -> Float[Tensor, "s n n"]:
        """Return Cholesky factors of the covariances of measurements."""
        noise = (self.noise + JITTER)[:, None].expand(-1, squared.shape[0])
        factor: Tensor = torch.linalg.cholesky(self.covariance(squared) + torch.diag_embed(noise))
        return factor

    def some(self, kept: Bool[Tensor, " s"]) -> "Draws":
        """Return some of the draws."""
        return Draws(self.weights[kept], self.variance[kept], self.share[kept], self.noise[kept])

    def evidence(self, squared: Distances, y: Float[Tensor, " n"]) -> Float[Tensor, " s"]:
        """Return log likelihoods of standard values, less a constant."""
        return _evidence(*_solved(self.factor(squared), y))


def _solved(factor: Float[Tensor, "s n n"], y: Float[Tensor, " n"]) -> tuple[Float[Tensor, "s n"], Float[Tensor, "s n"]]:
    half = torch.linalg.solve_triangular(factor, y[:, None].expand(len(factor), -1, 1), upper=False).squeeze(-1)
    return half, factor.diagonal(dim1=1, dim2=2)


def _evidence(half: Float[Tensor, "s n"], diagonal: Float[Tensor, "s n"]) -> Float[Tensor, " s"]:
    return -0.5 * half.square().sum(dim=1) - diagonal.log().sum(dim=1)


def standard(y: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Return values less their mean, over their spread where they have one."""
    spread = float(y.std())
    return (y - y.mean()) / (spread if spread > 0 else 1.0)


@dataclass(frozen=True, slots=True)
class Average:
    """What the draws that weigh anything expect of a pool: weights, means and variances of the function, in standard units."""

    weights: Float[Tensor, " s"]
    means: Float[Tensor, "s N"]
    variances: Float[Tensor, "s N"]


def averaged(draws: Draws, task: ColdTask, chosen: Sequence[int], y: Float[Tensor, " n"]) -> Average:
    """Return what the draws expect of a task's pool after measurements of standard values."""
    X = task.X[list(chosen)]
    factor = draws.factor(distances(task, X, X))
    half, diagonal = _solved(factor, y)
    weights = torch.softmax(_evidence(half, diagonal), dim=0)
    kept = weights > LEAST_WEIGHT
    heard, weights = draws.some(kept), weights[kept] / weights[kept].sum()
    across = torch.linalg.solve_triangular(factor[kept], heard.covariance(distances(task, X, task.X)), upper=False)
    means = (half[kept].unsqueeze(1) @ across).squeeze(1)
    variances = (heard.variance + LEVEL_VARIANCE)[:, None] - across.square().sum(dim=1)
    return Average(weights, means, variances.clamp_min(LEAST_VARIANCE))
