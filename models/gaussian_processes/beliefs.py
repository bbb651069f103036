"""What is believed of a process before anything is measured, and the most probable numbers after it.

In values made standard by the measured ones, with d_g the distance of two rows in one number, one set of categories or
one component, l_g its length scale and G how many of those there are,

    k(x, z) = v M(sum_g (d_g / l_g)^2 / G) + 1

where M is the Matern-5/2 correlation [Rasmussen2006] and one is the variance of the level. The logarithms of l_g, of v and
of the noise's variance have normal distributions: one for each kind of parameter, the same for all campaigns. The fit is
in numpy with the slopes written out, a hundredth of the time that tensors with graphs take for so few numbers.
"""

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.optimize import minimize

from models.gaussian_processes.kernels import Layout
from models.inputs.encoding import Encoding
from models.inputs.features import Features
from orchestrator.domain.parameters import CompositionParameter

Array = np.ndarray[Any, np.dtype[np.float64]]

KINDS: Final = ("number", "category", "composition")
"""What a length scale may be of."""
NAMES: Final = (*KINDS, "variance", "noise")
LEVEL_VARIANCE: Final = 1.0
LEAST_NOISE: Final = 1e-4
"""Variance in standard units: below it the Cholesky factors suffer."""
FARTHEST: Final = 6.0
"""Standard deviations from what is believed that are searched: beyond lie rounding errors."""
FAILED: Final = 1e9
"""Loss where a factor does not exist."""
ITERATIONS: Final = 60
"""L-BFGS steps for a handful of numbers; the density is flat beyond."""
_STEP: Final = 1e-4
"""Of a logarithm, for differences of slopes."""
_FILE: Final = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True, slots=True)
class Belief:
    """A normal distribution of the logarithm of a number."""

    location: float
    scale: float


@dataclass(frozen=True, slots=True)
class Lengths:
    """The length scales of a space's encoded rows."""

    blocks: tuple[int, ...]
    """Input -> length scale: categories of a parameter share one, everything else has its own."""
    kinds: tuple[str, ...]
    """Length scale -> one of `KINDS`."""

    @staticmethod
    def of(encoding: Encoding) -> "Lengths":
        """Lay out the inputs of a space."""
        kinds: list[str] = []
        for code in encoding.codes:
            composed = isinstance(code.parameter, CompositionParameter)
            kinds += ["category"] if code.one_hot else ["composition" if composed else "number"] * code.width
        return Lengths(Layout.of(Features(encoding)).blocks, tuple(kinds))

    def squared(self, A: Array, B: Array) -> Array:
        """Return squared distances of rows "n d" and "m d" by length scale, "n m l"."""
        blocks = np.eye(len(self.kinds))[list(self.blocks)]
        return np.asarray((A[:, None, :] - B[None, :, :]) ** 2 @ blocks)


@dataclass(frozen=True, slots=True)
class Beliefs:
    """What is believed of the numbers of a process."""

    numbers: Mapping[str, Belief]
    """By `NAMES`."""

    def over(self, kinds: Sequence[str]) -> tuple[Array, Array]:
        """Return locations and scales of the logarithms of length scales of such kinds, of the variance and of the noise."""
        found = [self.numbers[name] for name in (*kinds, "variance", "noise")]
        return np.array([one.location for one in found]), np.array([one.scale for one in found])

    @staticmethod
    def read(written: Mapping[str, Sequence[float]]) -> "Beliefs":
        """Return beliefs from name -> location and scale."""
        return Beliefs({name: Belief(*written[name]) for name in NAMES})


@cache
def learned() -> Beliefs:
    """Return the beliefs that come with the package."""
    return Beliefs.read(tomllib.loads(_FILE.read_text(encoding="utf-8")))


def occam(around: Array) -> float:
    """Return what numbers cost that were fitted: half the log determinant of the curvature where beliefs alone have that of one."""
    values = np.linalg.eigvalsh(0.5 * (around + around.T))
    return 0.5 * float(np.log(np.maximum(values, 1.0)).sum())


def correlation(squared: Array) -> tuple[Array, Array]:
    """Return the Matern-5/2 correlation at squared distances, and its slope."""
    r = np.sqrt(5.0 * squared)
    falling = np.exp(-r)
    return (1.0 + r + r * r / 3.0) * falling, (-5.0 / 6.0) * (1.0 + r) * falling


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of one process, in standard units."""

    lengths: Array
    """By length scale, without the factor of the root of how many there are."""
    variance: float
    noise: float

    @property
    def reach(self) -> Array:
        """Length scales as kernels of other packages have them."""
        return self.lengths * math.sqrt(len(self.lengths))

    def covariance(self, squared: Array) -> Array:
        """Return covariances at squared distances "n m l"."""
        return self.variance * correlation(squared @ self.reach**-2.0)[0] + LEVEL_VARIANCE


@dataclass(frozen=True, slots=True)
class Density:
    """How likely the numbers of a process are, by what is believed and what was measured."""

    squared: Array
    """Squared distances of measured rows by length scale, "n n l"."""
    y: Array
    """Standard values, "n"."""
    locations: Array
    scales: Array
    least_noise: float
    """Least variance of the noise."""

    def falling(self, theta: Array) -> tuple[float, Array]:
        """Return the negative log density, less a constant, and its slope, at logarithms of lengths, variance and noise."""
        value, slope = negative_log_likelihood(theta, self.squared, self.y)
        offset = (theta - self.locations) / self.scales
        return value + 0.5 * float(offset @ offset), slope + offset / self.scales

    def curvature(self, theta: Array) -> Array:
        """Return the slope's slopes, by differences to both sides."""
        steps = _STEP * np.eye(len(theta))
        return np.stack([(self.falling(theta + one)[1] - self.falling(theta - one)[1]) / (2 * _STEP) for one in steps])

    def integrated(self, theta: Array) -> float:
        """Return the log likelihood with the numbers integrated out, by Laplace's approximation at the most probable ones.

        D. J. C. MacKay, Neural Comput. 4 (1992) 415, doi:10.1162/neco.1992.4.3.415.
        """
        around = self.curvature(theta) * np.outer(self.scales, self.scales)
        return -self.falling(theta)[0] - 0.5 * len(self.y) * math.log(2.0 * math.pi) - occam(around)

    def noisy(self, theta: Array) -> Array:
        """Return the same with at least the least noise."""
        return np.append(theta[:-1], max(theta[-1], math.log(self.least_noise)))

    def numbers(self, theta: Array) -> Numbers:
        """Return what logarithms stand for."""
        return Numbers(np.exp(theta[:-2]), math.exp(theta[-2]), math.exp(theta[-1]))


def fit(squared: Array, y: Array, kinds: Sequence[str], beliefs: Beliefs, *, least_noise: float = LEAST_NOISE) -> Numbers:
    """Return the most probable numbers.

    Args:
        squared: Squared distances of measured rows by length scale, "n n l".
        y: Standard values, "n".
        kinds: Of the length scales.
        beliefs: What is believed of them.
        least_noise: Least variance of the noise.
    """
    return most_probable(Density(squared, y, *beliefs.over(kinds), least_noise))


def most_probable(density: Density) -> Numbers:
    """Return the most probable numbers."""
    locations, scales = density.locations, density.scales
    low, high = locations - FARTHEST * scales, locations + FARTHEST * scales
    low[-1] = math.log(density.least_noise)
    high[-1] = max(high[-1], low[-1])
    start = np.clip(locations, low, high)
    bounds = list(zip(low, high, strict=True))
    found = minimize(density.falling, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": ITERATIONS, "ftol": 1e-7}).x
    return density.numbers(found)


def negative_log_likelihood(theta: Array, squared: Array, y: Array) -> tuple[float, Array]:
    """Return the negative log likelihood, less a constant, and its slope, at logarithms of lengths, variance and noise."""
    n, _, count = squared.shape
    weights, variance, noise = np.exp(-2.0 * theta[:-2]) / count, math.exp(theta[-2]), math.exp(theta[-1])
    k, falling = correlation(squared @ weights)
    try:
        half = np.linalg.inv(np.linalg.cholesky(variance * k + LEVEL_VARIANCE + noise * np.eye(n)))
    except np.linalg.LinAlgError:
        return FAILED, np.zeros_like(theta)
    inverse = half.T @ half
    solved = inverse @ y
    slope = 0.5 * (inverse - np.outer(solved, solved))
    of_lengths = -2.0 * variance * weights * np.tensordot(slope * falling, squared, axes=2)
    value = 0.5 * y @ solved - np.log(np.diag(half)).sum()
    return float(value), np.r_[of_lengths, variance * (slope * k).sum(), noise * np.trace(slope)]
