"""A Gaussian process as a sum of components, whose variances are what a campaign's few points move.

    f(x) = sum_k b_k c_k(x)  +  sum_s (v_s / T_s)^(1/2) w_s . g_s(x)  +  sum_r v_r^(1/2) u_r(x)  +  v_a^(1/2) u_a(x)

with columns c_k (one, and averages over sources) whose coefficients b_k are normal and integrated out, sets of source
functions g_s with standard normal weights w_s, and free functions u under the family's kernel. Length scales stay; the
logarithms of the variances v and of the noise have normal priors that were learned from the sources, and move to the
most probable values.

The fit is numpy and L-BFGS with exact gradients: with ten points a likelihood costs 20 microseconds, less than one call
into an autograd graph.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import minimize
from torch import Tensor
from typing_extensions import override

from models.gaussian_processes.beliefs import occam
from models.gaussian_processes.conditioning import Conditioned, GaussianProcess
from models.gaussian_processes.kernels import FamilyKernel
from models.inputs.features import Features
from models.source_basis.basis import Basis

REACHES: Final = (0.35, 1.0, 2.8)
"""Multiples of the family's length scales at which free functions vary: a task may be rougher or smoother than its kin."""
_FIT_ITERATIONS: Final = 40
_JITTER: Final = 1e-6
"""Added to the diagonal while fitting, in standard units."""
FAILED: Final = 1e9
"""Loss where a factor does not exist: the line search turns back."""
_STEP: Final = 1e-4
"""Of a logarithm, for differences of slopes."""
LOG_TWO_PI: Final = math.log(2.0 * math.pi)
LARGEST_LOG: Final = 50.0
"""A first step along a steep slope may try larger variances, whose exponentials overflow."""

_Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Beliefs:
    """Normal priors of the numbers, learned from the sources: `c` coefficients of columns, `j` logarithms.

    The logarithms are those of the components' variances, in order, and last that of the factor on the noise.
    """

    coefficient_means: Float[Tensor, " c"]
    coefficient_deviations: Float[Tensor, " c"]
    means: Float[Tensor, " j"]
    deviations: Float[Tensor, " j"]


@dataclass(frozen=True)
class Skeleton:
    """Everything about a family's process that no campaign moves."""

    features: Features
    kernel: FamilyKernel
    basis: Basis

    @property
    def columns(self) -> int:
        """Number of columns, c."""
        return 1 + self.basis.columns

    @property
    def names(self) -> tuple[str, ...]:
        """What each logarithm is of: sets of sources, reaches, single parameters, noise."""
        additive = ("single parameters",) if self._additive else ()
        sets = tuple(f"{name} sources" for name in self.basis.set_names)
        return (*sets, *(f"free x{reach:g}" for reach in REACHES), *additive, "noise")

    @property
    def _additive(self) -> bool:
        return len(self.kernel.layout.parameters) > 1

    def low_rank(self, X: Float[Tensor, "*b n d"]) -> tuple[Float[Tensor, "*b n c"], tuple[Float[Tensor, "*b n t"], ...]]:
        """Return the columns, and each set's source functions over the root of their number."""
        averages, sets = self.basis(X)
        return torch.cat([torch.ones_like(X[..., :1]), averages], dim=-1), sets

    def scaled(self, X: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n f"]:
        """Return features in length scales."""
        return self.kernel.scaled(self.features(X))

    def free(self, A: Float[Tensor, "*b n f"], B: Float[Tensor, "*b m f"]) -> tuple[Float[Tensor, "*b n m"], ...]:
        """Return the correlations of the free functions at scaled features."""
        products = self.kernel.products(A, B, REACHES)
        return (*products, self.kernel.additive(A, B)) if self._additive else products


@dataclass(frozen=True)
class ComponentProcess(GaussianProcess):
    """The process with given variances."""

    skeleton: Skeleton
    beliefs: Beliefs
    logs: Float[Tensor, " j"]
    """Logarithms of the variances and of the factor on the noise."""

    def half(self, columns: Float[Tensor, "*b n c"], sets: Sequence[Float[Tensor, "*b n t"]]) -> Float[Tensor, "*b n r"]:
        """Return the root of the low-rank part."""
        parts = [columns * self.beliefs.coefficient_deviations]
        parts += [torch.exp(0.5 * log) * functions for log, functions in zip(self.logs, sets, strict=False)]
        return torch.cat(parts, dim=-1)

    @property
    def free_variances(self) -> Float[Tensor, " u"]:
        """The variances of the free functions."""
        return self.logs[len(self.skeleton.basis.set_names) : -1].exp()

    @override
    def mean(self, X: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n"]:
        return self.skeleton.low_rank(X)[0] @ self.beliefs.coefficient_means

    @override
    def covariance(self, X: Float[Tensor, "*b n d"], Z: Float[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]:
        low_rank = self.half(*self.skeleton.low_rank(X)) @ self.half(*self.skeleton.low_rank(Z)).mT
        return low_rank + self._news(self.skeleton.scaled(X), self.skeleton.scaled(Z))

    @override
    def beside(
        self, X: Float[Tensor, "*b n d"], Z: Float[Tensor, "m d"]
    ) -> tuple[Float[Tensor, "*b n"], Float[Tensor, "*b n n"], Float[Tensor, "*b n m"]]:
        columns, sets = self.skeleton.low_rank(X)
        half, scaled = self.half(columns, sets), self.skeleton.scaled(X)
        low_rank = half @ self.half(*self.skeleton.low_rank(Z)).mT
        return (
            columns @ self.beliefs.coefficient_means,
            half @ half.mT + self._news(scaled, scaled),
            low_rank + self._news(scaled, self.skeleton.scaled(Z)),
        )

    def _news(self, A: Float[Tensor, "*b n f"], B: Float[Tensor, "*b m f"]) -> Float[Tensor, "*b n m"]:
        """Return the covariance of what no source knows, at scaled features."""
        total = torch.zeros((), dtype=A.dtype)
        for variance, part in zip(self.free_variances, self.skeleton.free(A, B), strict=True):
            total = total + variance * part
        return total

    @override
    def variance(self, X: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n"]:
        return self.half(*self.skeleton.low_rank(X)).square().sum(dim=-1) + self.free_variances.sum()

    @override
    def noise(self, X: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n"]:
        return self.logs[-1].exp().expand(X.shape[:-1])


@dataclass(frozen=True, slots=True)
class Evidence:
    """A support as the fit sees it, in standard units: `n` rows, `c` columns, `k` components."""

    y: _Array
    columns: _Array
    components: _Array
    """k n n: covariance of each component at variance one."""
    noise: _Array
    """Variance of each row at factor one."""

    @staticmethod
    def of(skeleton: Skeleton, X: Float[Tensor, "n d"], y: Float[Tensor, " n"], noise: Float[Tensor, " n"]) -> "Evidence":
        """Compute everything once."""
        with torch.no_grad():
            columns, sets = skeleton.low_rank(X)
            A = skeleton.scaled(X)
            components = torch.stack([*(functions @ functions.mT for functions in sets), *skeleton.free(A, A)])
        return Evidence(y.numpy(), columns.numpy(), components.numpy(), noise.numpy())

    def loss(self, coefficients: _Array, logs: _Array, *, fixed: _Array | float = 0.0) -> tuple[float, _Array, _Array]:
        """Return the negative log likelihood (constant left out) and its gradients by coefficients and logarithms.

        Args:
            coefficients: Of the columns.
            logs: Of the components' variances and of the noise's factor.
            fixed: Covariance that does not depend on either.
        """
        if logs.max() > LARGEST_LOG:
            return FAILED, np.zeros_like(coefficients), np.zeros_like(logs)
        variances = np.exp(logs)
        noise = variances[-1] * self.noise
        K = fixed + np.tensordot(variances[:-1], self.components, axes=1) + np.diag(noise + _JITTER)
        try:
            factor = np.linalg.cholesky(K)
        except np.linalg.LinAlgError:
            return FAILED, np.zeros_like(coefficients), np.zeros_like(logs)
        inverse = np.linalg.inv(K)
        residual = self.y - self.columns @ coefficients
        solved = inverse @ residual
        value = 0.5 * float(residual @ solved) + float(np.log(np.diag(factor)).sum())
        sensitivity = inverse - np.outer(solved, solved)
        by_logs = np.append(
            0.5 * variances[:-1] * np.tensordot(self.components, sensitivity, axes=([1, 2], [0, 1])),
            0.5 * float((np.diag(sensitivity) * noise).sum()),
        )
        return value, -(self.columns.T @ solved), by_logs


def most_probable(evidence: Evidence, beliefs: Beliefs) -> tuple[Float[Tensor, " j"], float]:
    """Return the most probable logarithms, coefficients integrated out, and the log likelihood there (Gaussian constant included)."""
    coefficients = beliefs.coefficient_means.numpy()
    half = evidence.columns * beliefs.coefficient_deviations.numpy()
    fixed = half @ half.T
    location, width = beliefs.means.numpy(), beliefs.deviations.numpy()

    def loss(logs: _Array) -> tuple[float, _Array]:
        value, _, slope = evidence.loss(coefficients, logs, fixed=fixed)
        z = (logs - location) / width
        return value + 0.5 * float(z @ z), slope + z / width

    found = minimize(loss, location, jac=True, method="L-BFGS-B", options={"maxiter": _FIT_ITERATIONS})
    likelihood = -evidence.loss(coefficients, found.x, fixed=fixed)[0] - 0.5 * len(evidence.y) * float(np.log(2 * np.pi))
    return torch.tensor(found.x, dtype=torch.float64), likelihood


def integrated(evidence: Evidence, beliefs: Beliefs, logs: Float[Tensor, " j"]) -> float:
    """Return the log likelihood with coefficients and logarithms integrated out, the latter by Laplace's approximation."""
    coefficients, theta = beliefs.coefficient_means.numpy(), logs.numpy()
    location, width = beliefs.means.numpy(), beliefs.deviations.numpy()
    half = evidence.columns * beliefs.coefficient_deviations.numpy()
    fixed = half @ half.T

    def slope(at: _Array) -> _Array:
        return evidence.loss(coefficients, at, fixed=fixed)[2]

    steps = _STEP * np.eye(len(theta))
    curvature = np.stack([(slope(theta + one) - slope(theta - one)) / (2 * _STEP) for one in steps])
    offset = (theta - location) / width
    value = evidence.loss(coefficients, theta, fixed=fixed)[0] + 0.5 * float(offset @ offset) + 0.5 * len(evidence.y) * LOG_TWO_PI
    return -value - occam(np.eye(len(theta)) + curvature * np.outer(width, width))


def agreement(model: Conditioned) -> float:
    """Return how sure it is, above a coin's toss, that the new task rises where the sources' average rises: 2 P - 1, or 0.

    Nothing is agreed on without an average. The column looked at is the average of which most is expected. How far the task
    rises with it is normal, given the support: the column's own coefficient, and the part of the sources' random weights that
    they all share.
    """
    process = model.process
    assert isinstance(process, ComponentProcess)
    means, deviations = process.beliefs.coefficient_means, process.beliefs.coefficient_deviations
    if len(means) < FIRST_AVERAGE + 1:
        return 0.0
    which = FIRST_AVERAGE + int(means[FIRST_AVERAGE:].abs().argmax())
    mean, variance = means[which], deviations[which].square()
    if which - FIRST_AVERAGE < len(process.skeleton.basis.set_names):
        variance = variance + process.logs[which - FIRST_AVERAGE].exp()
    if len(model.X):
        with torch.no_grad():
            column = process.skeleton.low_rank(model.X)[0][:, which]
        mean = mean + variance * (column @ model.weights)
        half = torch.linalg.solve_triangular(model.factor, column.unsqueeze(-1), upper=False)
        variance = variance - variance.square() * half.square().sum()
    return max(0.0, 2.0 * float(torch.special.ndtr(mean / variance.clamp_min(_JITTER).sqrt())) - 1.0)


FIRST_AVERAGE: Final = 1
"""Columns: the constant, then the averages."""
START_COEFFICIENT: Final = 0.5
"""Where the search for the columns' coefficients starts: half believing that sources' average holds."""
START_VARIANCE: Final = -2.0
START_NOISE: Final = 0.0
FIRST_COEFFICIENT_DEVIATION: Final = 0.5
FIRST_DEVIATION: Final = 2.0
FIRST_NOISE_DEVIATION: Final = 1.0
REPLICATED_NOISE_DEVIATION: Final = 0.2
"""Normal priors before any source has spoken, on the scale of the numbers."""
PSEUDO_TASKS: Final = 2
"""The first priors' spreads, halved, count for so many tasks when spreads are estimated from a few."""
_LEAST_DEVIATION: Final = 0.1
LEAST_COEFFICIENT_DEVIATION: Final = 0.4
LEAST_LEVEL_DEVIATION: Final = 1.0
"""Priors' spreads are at least these: a handful of sources that agree is no proof that the next task will. The level's is
as wide as the fresh process's: campaigns measured where it was good, so that a new task's first rows lie far below."""
_ROUNDS: Final = 3
"""Rounds of empirical Bayes; the third changes little."""


def first_beliefs(columns: int, logs: int, *, replicated: bool = False) -> Beliefs:
    """Return the beliefs of somebody who has seen no task.

    Args:
        columns: Number of columns.
        logs: Number of logarithms.
        replicated: Whether repeated experiments have told the noise: misfit is then not to pass for it.
    """
    noise = REPLICATED_NOISE_DEVIATION if replicated else FIRST_NOISE_DEVIATION
    coefficient = [0.0] + [START_COEFFICIENT] * min(1, columns - 1) + [0.0] * max(0, columns - 2)
    return Beliefs(
        torch.tensor(coefficient, dtype=torch.float64),
        torch.full((columns,), FIRST_COEFFICIENT_DEVIATION, dtype=torch.float64),
        torch.tensor([START_VARIANCE] * (logs - 1) + [START_NOISE], dtype=torch.float64),
        torch.tensor([FIRST_DEVIATION] * (logs - 1) + [noise], dtype=torch.float64),
    )


def learn_beliefs(tasks: Sequence[Sequence[Evidence]], first: Beliefs) -> Beliefs:
    """Learn the priors from tasks (each with some supports) by empirical Bayes: modes per task, then their mean and spread."""
    count = len(first.coefficient_means)
    first_location = torch.cat([first.coefficient_means, first.means]).numpy()
    first_width = torch.cat([first.coefficient_deviations, first.deviations]).numpy()
    location, width = first_location, first_width
    for _ in range(_ROUNDS if tasks else 0):
        modes = np.stack([_mode(supports, location, width, count) for supports in tasks])
        location = modes.mean(axis=0)
        squares = ((modes - location) ** 2).sum(axis=0) + PSEUDO_TASKS * (0.5 * first_width) ** 2
        least = np.where(np.arange(len(location)) < count, LEAST_COEFFICIENT_DEVIATION, _LEAST_DEVIATION)
        least[0] = LEAST_LEVEL_DEVIATION
        width = np.maximum(np.sqrt(squares / (len(modes) + PSEUDO_TASKS)), least)
    mean, deviation = torch.tensor(location, dtype=torch.float64), torch.tensor(width, dtype=torch.float64)
    return Beliefs(mean[:count], deviation[:count], mean[count:], deviation[count:])


def _mode(supports: Sequence[Evidence], location: _Array, width: _Array, count: int) -> _Array:
    """Return the most probable numbers of one task, given all of its supports."""

    def loss(theta: _Array) -> tuple[float, _Array]:
        z = (theta - location) / width
        value, slope = 0.5 * float(z @ z), z / width
        for support in supports:
            more, by_coefficients, by_logs = support.loss(theta[:count], theta[count:])
            value, slope = value + more, slope + np.concatenate([by_coefficients, by_logs])
        return value, slope

    found: _Array = minimize(loss, location, jac=True, method="L-BFGS-B", options={"maxiter": _FIT_ITERATIONS}).x
    return found
