"""How well predictive distributions fit new measurements: coverage, interval score, log score, width."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import MixtureSameFamily

from flows.studies.predicted import normal_mixture, predicted_parts
from models.base import Surrogate

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
    weights, means, deviations = predicted_parts(surrogate, X)
    return judge_mixture(normal_mixture(weights, means[:, left], deviations[:, left]), values[left])


def judge_mixture(mixture: MixtureSameFamily, Y: Float[Tensor, " n"]) -> Judgement:
    """Judge mixtures of normal distributions."""
    tail = (1 - NOMINAL) / 2
    low, high = quantile(mixture, tail), quantile(mixture, 1 - tail)
    miss = (low - Y).clamp_min(0.0) + (Y - high).clamp_min(0.0)
    return Judgement(
        coverage=float((miss == 0).double().mean()),
        interval_score=float((high - low + miss / tail).mean()),
        log_score=float(mixture.log_prob(Y).mean()),  # type: ignore[no-untyped-call]  # torch's own
        width=float((high - low).mean()),
    )


def quantile(mixture: MixtureSameFamily, part: float) -> Float[Tensor, " n"]:
    """Return a quantile of each mixture, by bisection where there are several components."""
    means, deviations = mixture.component_distribution.mean, mixture.component_distribution.stddev
    if means.shape[-1] == 1:
        found: Tensor = (means + deviations * torch.special.ndtri(torch.tensor(part, dtype=torch.float64))).squeeze(-1)
        return found
    low, high = (means - BRACKET * deviations).amin(dim=-1), (means + BRACKET * deviations).amax(dim=-1)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        below = mixture.cdf(middle) < part  # type: ignore[no-untyped-call]  # torch's own
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2
