"""Exact Gaussian conditioning for surrogates with few hyperparameters: small, float64, from scratch each time.

gpytorch's lazy tensors cost milliseconds a call whatever the size; with 10 to 100 measurements one Cholesky factor is
all there is to compute. The result is a BoTorch model, so that every acquisition function works on it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import torch
from botorch.posteriors import GPyTorchPosterior
from gpytorch.distributions import MultivariateNormal
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from models.base import Model, Posterior, Surrogate
from models.gaussian_processes.plain_model import PlainModel
from models.tasks import Scale

DIAGONAL_JITTER: Final = 1e-8
"""Added to the diagonal, relative to the largest prior variance: keeps the factor of near-equal rows finite."""
LEAST_VARIANCE: Final = 1e-12
"""Predicted variances in standard units are at least this: rounding must not make one negative."""


class GaussianProcess(Protocol):
    """A Gaussian prior over functions in standard units; `n`, `m` points."""

    def mean(self, X: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n"]:
        """Return prior means."""
        ...

    def covariance(self, X: Float[Tensor, "*b n d"], Z: Float[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]:
        """Return prior covariances."""
        ...

    def variance(self, X: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n"]:
        """Return the diagonal of `covariance(X, X)`."""
        ...

    def beside(
        self, X: Float[Tensor, "*b n d"], Z: Float[Tensor, "m d"]
    ) -> tuple[Float[Tensor, "*b n"], Float[Tensor, "*b n n"], Float[Tensor, "*b n m"]]:
        """Return `mean(X)`, `covariance(X, X)` and `covariance(X, Z)`; a process that computes them together is faster."""
        return self.mean(X), self.covariance(X, X), self.covariance(X, Z)

    def noise(self, X: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n"]:
        """Return the variance of one measurement around the function."""
        ...


def canonical_order(X: Float[Tensor, "n d"], Y: Float[Tensor, " n"]) -> Tensor:
    """Return an order of support rows that does not depend on the order they came in (lexicographic, then by value)."""
    order = torch.argsort(Y, stable=True)
    for column in reversed(range(X.shape[-1])):
        order = order[torch.argsort(X[order, column], stable=True)]
    return order


def in_units(scale: Scale, mean: Float[Tensor, "*b q"], covariance: Float[Tensor, "*b q q"], inflation: float = 1.0) -> Posterior:
    """Return a normal posterior in the target's unit; `inflation`: factor on every standard deviation."""
    size = scale.spread * inflation
    return GPyTorchPosterior(MultivariateNormal(scale.level + scale.spread * mean, size**2 * covariance))


class Conditioned(PlainModel):
    """A process conditioned on support rows, in the target's units.

    Args:
        process: The prior in standard units.
        X, Y, noise: Support rows, in standard units; `noise` is the variance of each.
        scale: From standard units to the target's.
        inflation: Factor on every standard deviation, learned over source tasks.
        aleatoric: Variance of one measurement where a mean is predicted, in standard units; None where the process's
            own noise says it.
    """

    def __init__(
        self,
        process: GaussianProcess,
        X: Float[Tensor, "n d"],
        Y: Float[Tensor, " n"],
        noise: Float[Tensor, " n"],
        *,
        scale: Scale,
        inflation: float = 1.0,
        aleatoric: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        order = canonical_order(X, Y)
        self.process, self.scale, self.inflation, self.aleatoric = process, scale, inflation, aleatoric
        self.X, self.Y, self.support_noise = X[order], Y[order], noise[order]
        if len(X):
            K = process.covariance(self.X, self.X)
            jitter = DIAGONAL_JITTER * float(K.diagonal().max().clamp_min(1.0))
            self.factor = torch.linalg.cholesky(K + torch.diag(self.support_noise + jitter))
            self.weights = torch.cholesky_solve((self.Y - process.mean(self.X)).unsqueeze(-1), self.factor).squeeze(-1)

    def moments(self, X: Float[Tensor, "*b n d"]) -> tuple[Float[Tensor, "*b n"], Float[Tensor, "*b n"]]:
        """Return means and variances point by point, in standard units, before inflation."""
        flat = X.reshape(-1, X.shape[-1])  # one triangular solve for all points, however they are batched
        mean, variance = self.process.mean(flat), self.process.variance(flat)
        if len(self.X):
            K = self.process.covariance(flat, self.X)
            mean = mean + K @ self.weights
            half = torch.linalg.solve_triangular(self.factor, K.mT, upper=False)
            variance = variance - half.square().sum(dim=-2)
        return mean.reshape(X.shape[:-1]), variance.clamp_min(LEAST_VARIANCE).reshape(X.shape[:-1])

    def joint(self, X: Float[Tensor, "*b q d"]) -> tuple[Float[Tensor, "*b q"], Float[Tensor, "*b q q"]]:
        """Return means and covariances of joint points, in standard units, before inflation."""
        mean, covariance, K = self.process.beside(X, self.X)
        if len(self.X):
            mean = mean + K @ self.weights
            half = torch.linalg.solve_triangular(self.factor, K.mT, upper=False)
            covariance = covariance - half.mT @ half
        return mean, covariance

    @override
    def predict(self, X: Float[Tensor, "*b q d"], *, noisy: bool) -> Posterior:
        if X.shape[-2] == 1:  # a large pool is scored point by point
            mean, variance = (part.squeeze(-1) for part in self.moments(X))
            covariance = variance.unsqueeze(-1).unsqueeze(-1)
            mean = mean.unsqueeze(-1)
        else:
            mean, covariance = self.joint(X)
            covariance = covariance + LEAST_VARIANCE * torch.eye(X.shape[-2], dtype=X.dtype, device=X.device)
        if noisy:
            noise = self.process.noise(X) if self.aleatoric is None else self.aleatoric(mean)
            covariance = covariance + torch.diag_embed(noise)
        return in_units(self.scale, mean, covariance, self.inflation)


@dataclass(frozen=True, slots=True)
class Adapted(Surrogate):
    """A surrogate of one target: one conditioned process, or a weighted mixture of several."""

    name: str = field()  # explicit: else the protocol's property is taken for a default
    parts: tuple[tuple[float, Conditioned], ...]
    """(weight, model); weights sum to one."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    guard: Conditioned | None = None
    """What knows the same measurements and no history, whether or not it weighs enough to be a part."""

    @override
    def posterior(self, X: Float[Tensor, "*b q d"]) -> Posterior:
        """Return the joint posterior; of a mixture the Gaussian of the same moments, for people and plots alone."""
        return self._matched(X, observation_noise=False)

    def predictive(self, X: Float[Tensor, "*b q d"]) -> Posterior:
        """Return the joint posterior of new measurements."""
        return self._matched(X, observation_noise=True)

    def _matched(self, X: Float[Tensor, "*b q d"], *, observation_noise: bool) -> Posterior:
        found = [model.posterior(X, observation_noise=observation_noise).distribution for _, model in self.parts]
        if len(found) == 1:
            return GPyTorchPosterior(found[0])
        weights = [weight for weight, _ in self.parts]
        mean = sum(weight * one.mean for weight, one in zip(weights, found, strict=True))
        covariance = sum(
            weight * (one.covariance_matrix + (one.mean - mean).unsqueeze(-1) * (one.mean - mean).unsqueeze(-2))
            for weight, one in zip(weights, found, strict=True)
        )
        return GPyTorchPosterior(MultivariateNormal(mean, covariance))

    @override
    def variance_parts(self, X: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "n 1"], Float[Tensor, "n 1"]]:
        points = X.unsqueeze(-2)
        epistemic = self.posterior(points).variance.squeeze(-2)
        total = self.predictive(points).variance.squeeze(-2)
        return epistemic, (total - epistemic).clamp_min(0.0)

    @override
    def components(self) -> tuple[tuple[float, Model], ...]:
        return self.parts

    @override
    def description(self) -> Mapping[str, Any]:
        return self.notes

    @override
    def without_prior(self) -> "Adapted | None":
        return None if self.guard is None else Adapted(self.name, ((1.0, self.guard),))
