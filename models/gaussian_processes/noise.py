"""How much one measurement scatters, learned once over a family's source tasks.

Two shapes are held against a constant, and the data choose (BIC): sd = a + c |y|, an instrument's error; and a curve
through pooled variances in bins of y, for processes that scatter most in the middle of their range. Pooled over its
evidence either has the variance that was seen: real scatter has heavier tails than the likelihood believes.

Repeated configurations decide where there are enough of them. Where nothing was repeated, leave-one-out residuals of a
quick Gaussian process stand in; they contain its misfit, so that the answer is then an upper bound and says so
(`origin`). A campaign's own few points never move it: an optimiser that may learn noise explains misfit as noise and
ignores the experiment.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from models.gaussian_processes.fitting import minimise
from models.tasks import Scale, TaskData, replicates

NoiseOrigin = Literal["replicates", "residuals"]
NoiseShape = Literal["size", "bins"]

LEAST_NOISE_SD: Final = 0.01
"""Least sd, as a part of the family's spread: no bench repeats itself better than that, and factors stay well conditioned."""
FLOOR_PART: Final[Mapping[NoiseOrigin, float]] = {"replicates": 0.25, "residuals": 0.5}
"""The sd is nowhere less than this part of the pooled one: three zeros in a row are no proof of certainty."""
ENOUGH_REPLICATES: Final = 10
"""Degrees of freedom from which replicates alone decide: their pooled sd is then known to about a fifth."""
_ROWS: Final = 200
"""Rows per task that the quick process looks at; an eigendecomposition of that size takes some milliseconds."""
LENGTHS: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Length scales that the quick process chooses from, as parts of the root mean square distance of the rows."""
RATIOS: Final = tuple(10.0 ** (exponent / 4) for exponent in range(-16, 5))
"""Ratios of noise to signal variance that it chooses from."""
SMALL: Final = 1e-12
"""Keeps the logarithm of a constant task's signal and the scale of a single row finite."""
MOST_BINS: Final = 5
PER_BIN: Final = 30
"""Degrees of freedom per bin: its pooled sd is then known to an eighth."""
_ITERATIONS: Final = 60
"""L-BFGS steps for two numbers."""


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """Standard deviation of one measurement as a function of what it measures, in standard units."""

    shape: NoiseShape
    coefficients: tuple[float, ...]
    """size: a, c of sd = a + c |y - zero|; bins: logarithms of the variance at the knots."""
    knots: tuple[float, ...]
    """bins: mean values of the bins, in the family's standard units; constant beyond the outer ones."""
    zero: float
    """Where zero of the target's own unit lies in the family's standard units."""
    floor: float
    """Least sd in the family's standard units."""
    origin: NoiseOrigin
    units: tuple[float, float] = (0.0, 1.0)
    """Level and spread of the units that it speaks, in the family's standard units."""
    factor: float = 1.0
    """Factor on every sd."""

    def deviation(self, mean: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """Return the sd of one measurement where `mean` is expected."""
        level, spread = self.units
        y = level + spread * mean
        if self.shape == "size":
            deviation = self.coefficients[0] + self.coefficients[1] * (y - self.zero).abs()
        else:
            deviation = (0.5 * _interpolated(y, self.knots, self.coefficients)).exp()
        return deviation.clamp_min(self.floor) * (self.factor / spread)

    def variance(self, mean: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """Return the variance of one measurement where `mean` is expected."""
        return self.deviation(mean).square()

    def within(self, units: Scale) -> "NoiseModel":
        """Return the model in units whose level and spread are `units`, given in the present ones."""
        level, spread = self.units
        return replace(self, units=(level + spread * units.level, spread * units.spread))

    def times(self, factor: float) -> "NoiseModel":
        """Return the model with every sd multiplied."""
        return replace(self, factor=self.factor * factor)


def restore_noise(state: Mapping[str, Any]) -> NoiseModel:
    """Return the model that has these fields."""
    return NoiseModel(**{**state, **{name: tuple(state[name]) for name in ("coefficients", "knots", "units")}})


def _interpolated(y: Float[Tensor, "*b"], knots: Sequence[float], values: Sequence[float]) -> Float[Tensor, "*b"]:
    """Interpolate linearly between knots, constant beyond them."""
    x, v = y.new_tensor(knots), y.new_tensor(values)
    right = torch.searchsorted(x, y.detach().contiguous()).clamp(1, len(x) - 1)
    part = ((y - x[right - 1]) / (x[right] - x[right - 1])).clamp(0.0, 1.0)
    return v[right - 1] + part * (v[right] - v[right - 1])


@dataclass(frozen=True, slots=True)
class _Evidence:
    """Squared deviations in standard units: each is expected to be `latent` plus the noise variance at `means`."""

    means: Float[Tensor, " r"]
    squares: Float[Tensor, " r"]
    freedom: Float[Tensor, " r"]
    latent: Float[Tensor, " r"]

    @property
    def pooled(self) -> float:
        """Noise variance over all, at least the least."""
        mean = (self.freedom * (self.squares - self.latent)).sum() / self.freedom.sum()
        return max(float(mean), LEAST_NOISE_SD**2)

    def rows(self, index: Tensor) -> "_Evidence":
        """Return some of the rows."""
        return _Evidence(self.means[index], self.squares[index], self.freedom[index], self.latent[index])

    def loss(self, variance: Float[Tensor, " r"]) -> Float[Tensor, ""]:
        """Return the negative log likelihood of noise variances, less a constant."""
        total = self.latent + variance.clamp_min(LEAST_NOISE_SD**2)
        return 0.5 * (self.freedom * (total.log() + self.squares / total)).sum()


def _joined(parts: Sequence[_Evidence]) -> _Evidence:
    return _Evidence(*(torch.cat([getattr(part, name) for part in parts]) for name in ("means", "squares", "freedom", "latent")))


def fit_noise(tasks: Sequence[TaskData], scale: Scale) -> NoiseModel:
    """Fit the noise of a family by maximum likelihood; a shape is kept only where the data ask for it (BIC)."""
    found = replicates(tasks)
    repeated = _Evidence(scale.standard(found.means), found.variances / scale.spread**2, found.freedom, torch.zeros_like(found.means))
    enough = float(repeated.freedom.sum()) >= ENOUGH_REPLICATES
    evidence = repeated if enough else _joined([_residuals(task, scale) for task in tasks])
    origin: NoiseOrigin = "replicates" if enough else "residuals"
    stated = [math.sqrt(float(task.Yvar.mean())) / scale.spread for task in tasks if task.Yvar is not None]
    floor = max(LEAST_NOISE_SD, FLOOR_PART[origin] * math.sqrt(evidence.pooled), min(stated, default=0.0))
    zero = -scale.level / scale.spread
    shape, coefficients, knots = _best(evidence, zero)
    return NoiseModel(shape, coefficients, knots, zero, floor, origin)


def _best(evidence: _Evidence, zero: float) -> tuple[NoiseShape, tuple[float, ...], tuple[float, ...]]:
    """Return the shape of least BIC, with its coefficients and knots."""
    price = 0.5 * math.log(len(evidence.means))
    found: list[tuple[float, NoiseShape, tuple[float, ...], tuple[float, ...]]] = []
    found.append((float(evidence.loss(torch.full_like(evidence.means, evidence.pooled))), "size", (math.sqrt(evidence.pooled), 0.0), ()))
    base, slope = _sloped(evidence, zero)
    size = (evidence.means - zero).abs()
    found.append((float(evidence.loss((base + slope * size).square())) + price, "size", (base, slope), ()))
    count = min(MOST_BINS, int(float(evidence.freedom.sum()) // PER_BIN))
    if count > 1:
        knots, values = _binned(evidence, count)
        loss = float(evidence.loss(_interpolated(evidence.means, knots, values).exp()))
        found.append((loss + price * (count - 1), "bins", values, knots))
    _, shape, coefficients, knots = min(found, key=lambda one: one[0])
    return shape, coefficients, knots


def _sloped(evidence: _Evidence, zero: float) -> tuple[float, float]:
    """Return a, c of sd = a + c |y|: of greatest likelihood, then scaled so that the pooled variance is the one seen."""
    size = (evidence.means - zero).abs()
    half = 0.5 * math.sqrt(evidence.pooled)

    def loss(theta: Tensor) -> Tensor:
        return evidence.loss((theta[0].exp() + theta[1].exp() * size).square())

    start = [math.log(half), math.log(half / max(float(size.mean()), LEAST_NOISE_SD))]
    theta = minimise(loss, torch.tensor(start, dtype=torch.float64), max_iter=_ITERATIONS).tolist()
    base, slope = math.exp(theta[0]), math.exp(theta[1])
    seen = (evidence.freedom * (base + slope * size).square()).sum() / evidence.freedom.sum()
    factor = math.sqrt(evidence.pooled / float(seen))
    return factor * base, factor * slope


def _binned(evidence: _Evidence, count: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean value and the logarithm of the pooled variance of bins of equally many rows."""
    parts = [evidence.rows(index) for index in evidence.means.argsort().tensor_split(count)]
    return tuple(float(part.means.mean()) for part in parts), tuple(math.log(part.pooled) for part in parts)


def _residuals(task: TaskData, scale: Scale) -> _Evidence:
    """Return squared leave-one-out residuals of a quick process, with the variance that it expected without noise."""
    rows = torch.linspace(0, len(task.Y) - 1, min(_ROWS, len(task.Y))).round().long()
    X, y = task.X[rows], scale.standard(task.Y[rows])
    level = y.mean()
    distances = torch.cdist(X, X, compute_mode="donot_use_mm_for_euclid_dist")
    r = math.sqrt(5.0) * distances / distances.square().mean().sqrt().clamp_min(SMALL)
    found = max((_spectral(r / length, y - level) for length in LENGTHS), key=lambda one: one[0])
    _, residual, latent = found
    return _Evidence(y - residual, residual.square(), torch.ones_like(y), latent)


def _spectral(r: Float[Tensor, "n n"], y: Float[Tensor, " n"]) -> tuple[float, Tensor, Tensor]:
    """Return the best log likelihood over noise ratios, the leave-one-out residuals and latent variances there."""
    values, vectors = torch.linalg.eigh((1 + r + r.square() / 3) * torch.exp(-r))
    total = values.clamp_min(0.0) + torch.tensor(RATIOS, dtype=y.dtype).unsqueeze(-1)
    rotated = vectors.mT @ y
    signal = (rotated.square() / total).mean(dim=-1).clamp_min(SMALL)
    likelihood = -0.5 * (len(y) * signal.log() + total.log().sum(dim=-1))
    best = int(likelihood.argmax())
    precision = (vectors.square() / total[best]).sum(dim=-1)
    residual = vectors @ (rotated / total[best]) / precision
    latent = (signal[best] * (1 / precision - RATIOS[best])).clamp_min(0.0)
    return float(likelihood[best]), residual, latent
