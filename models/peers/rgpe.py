"""Ranking-weighted ensemble of Gaussian processes [Feurer2018]: sources and target weighed by how well they rank the target's data."""

from collections.abc import Sequence
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from models.base import Model, OneModel, Surrogate
from models.peers.source_gps import Pointwise, SourceGPs, SourcesPrior, fitted, own_scale
from models.reproducible import drawn_seed, repeatable
from models.tasks import Scale, TaskData

_NAME: Final = "rgpe/1"
SAMPLES: Final = 256
"""Draws of the functions whose rankings are compared."""
_LEAST: Final = 3
"""With fewer measurements rankings say nothing: sources and target weigh the same."""
DILUTION: Final = 0.95
"""A source whose median loss exceeds this quantile of the target's own loss is dropped, so that many bad sources do not
take the weight by chance."""
_JITTER: Final = 1e-6
"""Added to the sources' covariances at the measured points, in standard units."""


class Ensemble(Pointwise):
    """Weighted sum of independent models: means weigh w, variances w squared."""

    def __init__(self, sources: SourceGPs, target: Model | None, weights: Float[Tensor, " T1"], scale: Scale) -> None:
        super().__init__(scale)
        self.sources, self.target, self.weights = sources, target, weights

    @override
    def moments(self, X: Float[Tensor, "n d"]) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        means, variances = self.sources.moments(X)
        if self.target is not None:
            own = self.target.posterior(X.unsqueeze(-2))
            means = torch.cat([means, own.mean.reshape(1, -1)])
            variances = torch.cat([variances, own.variance.reshape(1, -1)])
        return self.weights @ means, self.weights.square() @ variances

    @override
    def noise(self) -> float:
        known = self.sources.noise
        if self.target is not None:
            known = torch.cat([known, self.target.likelihood.noise.detach().reshape(-1)])
        return float(self.weights @ known)


class RankingPrior(SourcesPrior):
    """Fitted sources, to be weighed."""

    @override
    def adapt(self, task: TaskData, *, generator: torch.Generator) -> Surrogate:
        scale, count = own_scale(task.Y, self.scale), len(self.sources.models)
        if not len(task.Y):
            return OneModel(_NAME, Ensemble(self.sources, None, torch.full((count,), 1 / count, dtype=torch.float64), scale))
        values = scale.standard(task.Y)
        with repeatable(drawn_seed(generator)):
            target = fitted(task.X, values)
            weights = torch.full((count + 1,), 1 / (count + 1), dtype=torch.float64)
            if len(values) >= _LEAST:
                weights = ranking_weights(self.sources.models, target, task.X, values, generator=generator)
        return OneModel(_NAME, Ensemble(self.sources, target, weights, scale))


def ranking_weights(
    sources: Sequence[Model], target: Model, X: Float[Tensor, "n d"], Y: Float[Tensor, " n"], *, generator: torch.Generator
) -> Float[Tensor, " T1"]:
    """Return weights of the sources and, last, of the target: how often each misranks the fewest pairs of measurements."""
    with torch.no_grad():
        draws = [_draw(*_joint(model, X), generator) for model in sources]
        losses = torch.stack([*(ranking_loss(draw, draw, Y) for draw in draws), _own_loss(target, X, Y, generator)])
    losses[:-1][losses[:-1].median(dim=1).values > losses[-1].quantile(DILUTION)] = torch.inf
    ties = losses == losses.amin(dim=0)
    # ties go to one of the best at random: as many times as there are draws, so that equal models weigh the same
    lots = torch.rand(losses.shape, generator=generator, dtype=torch.float64)
    best = torch.where(ties, lots, -1.0).argmax(dim=0)
    return torch.bincount(best, minlength=len(losses)).double() / losses.shape[1]


def ranking_loss(predicted: Float[Tensor, "s n"], compared: Float[Tensor, "s n"], Y: Float[Tensor, " n"]) -> Float[Tensor, " s"]:
    """Count the pairs of measurements whose order the predictions get wrong: `predicted` at j against `compared` at k."""
    wrong = (predicted.unsqueeze(-1) < compared.unsqueeze(-2)) ^ (Y.unsqueeze(-1) < Y.unsqueeze(-2))
    return wrong.double().sum(dim=(-1, -2))


def _joint(model: Model, X: Float[Tensor, "n d"]) -> tuple[Tensor, Tensor]:
    found = model.posterior(X).distribution
    return found.mean, found.covariance_matrix


def _draw(mean: Float[Tensor, " n"], covariance: Float[Tensor, "n n"], generator: torch.Generator) -> Float[Tensor, "s n"]:
    # eigenvalues instead of a Cholesky factor: posteriors at rows of the source itself are nearly singular
    values, vectors = torch.linalg.eigh(covariance + _JITTER * torch.eye(len(mean), dtype=mean.dtype))
    noise = torch.randn(SAMPLES, len(mean), generator=generator, dtype=mean.dtype)
    drawn: Tensor = mean + (noise * values.clamp_min(0.0).sqrt()) @ vectors.mT
    return drawn


def _own_loss(target: Model, X: Float[Tensor, "n d"], Y: Float[Tensor, " n"], generator: torch.Generator) -> Float[Tensor, " s"]:
    """Return the target's loss: each measurement is predicted from the others, with the hyperparameters as they are."""
    mean, variance = leave_one_out(target, X, Y)
    draws = mean + variance.sqrt() * torch.randn(SAMPLES, len(Y), generator=generator, dtype=Y.dtype)
    return ranking_loss(draws, Y.expand(SAMPLES, -1), Y)


def leave_one_out(model: Model, X: Float[Tensor, "n d"], Y: Float[Tensor, " n"]) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Return mean and variance of each value given the others, in closed form [Rasmussen2006, 5.4.2]."""
    noise = model.likelihood.noise.detach().mean()
    K = model.covar_module(X).to_dense().detach() + noise * torch.eye(len(Y), dtype=Y.dtype)
    inverse = torch.linalg.inv(K)
    centred = Y - model.mean_module(X).detach()
    variance = 1 / inverse.diagonal()
    return Y - (inverse @ centred) * variance, variance
