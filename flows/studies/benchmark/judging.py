"""How well predictive distributions fit new measurements: coverage, interval score, log score, width."""

import math
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.base import Surrogate
from models.reproducible import repeatable

NOMINAL: Final = 0.9
"""Part of the measurements that an interval should hold."""
BISECTIONS: Final = 60
"""Halvings of the bracket of a mixture's quantile: down to rounding."""
BRACKET: Final = 12.0
"""Standard deviations around the components' means within which a mixture's quantiles lie."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Means over the judged candidates; log density and widths in the score's unit."""

    coverage: float
    """Part of the measurements inside the central interval."""
    interval_score: float
    """Width plus 2 / (1 - NOMINAL) times the miss [Gneiting2007]; smaller is better."""
    log_score: float
    """Log predictive density; larger is better."""
    width: float


def judge_surrogate(surrogate: Surrogate, X: Float[Tensor, "N d"], values: Float[Tensor, " N"], left: Tensor) -> Judgement:
    """Judge the predictions of new measurements at the candidates that are left; the whole pool is predicted."""
    weights, means, deviations = predictive(surrogate, X)
    return judge_mixture(weights, means[:, left], deviations[:, left], values[left])


def predictive(surrogate: Surrogate, X: Float[Tensor, "N d"]) -> tuple[Float[Tensor, " c"], Float[Tensor, "c N"], Float[Tensor, "c N"]]:
    """Return weights, means and standard deviations of the components' predictions of one new measurement each."""
    with torch.no_grad(), repeatable(0):
        found = [(weight, model.posterior(X.unsqueeze(-2), observation_noise=True)) for weight, model in surrogate.components()]
        means = torch.stack([one.mean.reshape(-1) for _, one in found])
        deviations = torch.stack([one.variance.reshape(-1).sqrt() for _, one in found])
    weights = torch.tensor([weight for weight, _ in found], dtype=torch.float64)
    return weights / weights.sum(), means, deviations


def judge_mixture(
    weights: Float[Tensor, " c"], means: Float[Tensor, "c n"], deviations: Float[Tensor, "c n"], Y: Float[Tensor, " n"]
) -> Judgement:
    """Judge mixtures of Gaussians."""
    tail = (1 - NOMINAL) / 2
    low, high = (quantile(weights, means, deviations, part) for part in (tail, 1 - tail))
    miss = (low - Y).clamp_min(0.0) + (Y - high).clamp_min(0.0)
    z = (Y - means) / deviations
    density = torch.logsumexp(weights.log().unsqueeze(-1) - deviations.log() - 0.5 * z.square() - 0.5 * math.log(2 * math.pi), dim=0)
    return Judgement(
        coverage=float((miss == 0).double().mean()),
        interval_score=float((high - low + miss / tail).mean()),
        log_score=float(density.mean()),
        width=float((high - low).mean()),
    )


def quantile(
    weights: Float[Tensor, " c"], means: Float[Tensor, "c n"], deviations: Float[Tensor, "c n"], part: float
) -> Float[Tensor, " n"]:
    """Return a quantile of each mixture, by bisection where there are several components."""
    if len(weights) == 1:
        found: Tensor = means[0] + deviations[0] * torch.special.ndtri(torch.tensor(part, dtype=torch.float64))
        return found
    low, high = (means - BRACKET * deviations).amin(dim=0), (means + BRACKET * deviations).amax(dim=0)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        below = (weights.unsqueeze(-1) * torch.special.ndtr((middle - means) / deviations)).sum(dim=0) < part
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2
