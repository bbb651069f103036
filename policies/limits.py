"""Limits on what comes out: how likely a new measurement keeps them, and what they leave of an improvement.

A chance is the normal distribution's, component by component, a new measurement's noise included: a run is judged by what is
measured. Improvements are weighed by smoothed steps instead, BoTorch's fat-tailed ones [Ament2023] on noise-free draws, whose
slope leads to where a limit is kept; they are no chances and are never shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from botorch.utils.safe_math import fatmoid
from jaxtyping import Bool, Float
from torch import Tensor

from models.base import Surrogate, spread_of
from models.pinned import Pinned
from orchestrator.suggestions import Kept
from policies.score import Score

ETA: Final = 1e-3
"""Width of a smoothed step, in spreads of its quantity: BoTorch's own for constraints."""
SIX: Final = 6.0
"""Deviations below, or above, what is expected anywhere: what is not allowed counts as worth so little, as BoTorch's infeasible cost."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit, in the surrogate's units."""

    place: int
    """Of its quantity among all that is measured."""
    low: float | None
    high: float | None
    spread: float = 1.0
    """Of its quantity's values."""

    def margins(self, values: Tensor) -> list[Tensor]:
        """Return by how much values keep each side; what is negative does not."""
        below = [] if self.low is None else [values - self.low]
        return below if self.high is None else [*below, self.high - values]

    def kept(self, values: Tensor) -> Bool[Tensor, "*s"]:
        """Say which values keep it."""
        found = torch.ones_like(values, dtype=torch.bool)
        for margin in self.margins(values):
            found = found & (margin >= 0)
        return found

    def smoothed(self, values: Tensor) -> Tensor:
        """Return a step from 0 to 1 where the limit begins to be kept, never quite either."""
        found = torch.ones_like(values)
        for margin in self.margins(values):
            found = found * fatmoid(margin, tau=ETA * self.spread)
        return found

    def chance(self, mean: Tensor, sd: Tensor) -> Tensor:
        """Return the chance that normal values keep it."""
        below, above = torch.zeros_like(mean), torch.zeros_like(mean)
        if self.low is not None:
            below = torch.special.ndtr((self.low - mean) / sd)
        if self.high is not None:
            above = torch.special.ndtr((mean - self.high) / sd)
        return (1.0 - below - above).clamp_min(0.0)


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits of a campaign, as an improvement meets them."""

    each: tuple[Limit, ...]
    floor: float
    """The score that is to be improved on where nothing keeps them: worse than any."""
    is_met: bool
    """Whether some measured configuration counts as one that keeps them; until then none is to be improved on."""

    def kept(self, pinned: Pinned, samples: Float[Tensor, "k s b"]) -> Bool[Tensor, "c s b"]:
        """Say in which draws all are kept, for each combination."""
        found = {(one.place, which): one.kept(samples[which]) for one in self.each for which in _functions(pinned, one)}
        return torch.stack([_product([found[one.place, functions[one.place]] for one in self.each]) for functions in pinned.functions])

    def smoothed(self, pinned: Pinned, samples: Float[Tensor, "k s b"]) -> Float[Tensor, "c s b"]:
        """Return the same, smoothed."""
        found = {(one.place, which): one.smoothed(samples[which]) for one in self.each for which in _functions(pinned, one)}
        return torch.stack([_product([found[one.place, functions[one.place]] for one in self.each]) for functions in pinned.functions])


def _functions(pinned: Pinned, limit: Limit) -> list[int]:
    return sorted({functions[limit.place] for functions in pinned.functions})


def _product(factors: Sequence[Tensor]) -> Tensor:
    found = factors[0]
    for one in factors[1:]:
        found = found * one
    return found


def limits_of(score: Score) -> tuple[Limit, ...]:
    """Return the objective's limits in the surrogate's units."""
    found = []
    for place, one in score.objective.limited:
        low, high = (None if side is None else side / score.units[place] for side in one.band)
        found.append(Limit(place, low, high))
    return tuple(found)


def all_kept(limits: Sequence[Limit], samples: Float[Tensor, "*s m"]) -> Bool[Tensor, "*s"]:
    """Say which samples of all that is measured keep all limits."""
    found = torch.ones(samples.shape[:-1], dtype=torch.bool, device=samples.device)
    for one in limits:
        found = found & one.kept(samples[..., one.place])
    return found


def chances(surrogate: Surrogate, score: Score, X: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "n l"], Float[Tensor, " n"]]:
    """Return the chances that a new measurement at each point keeps each limit, and all of them.

    Within a component the quantities are independent, as the surrogates' are: the chance of all is the product there.
    """
    limits, points = limits_of(score), X.unsqueeze(-2)
    each, whole = X.new_zeros(len(X), len(limits)), X.new_zeros(len(X))
    with torch.no_grad():
        noise = surrogate.variance_parts(X)[1]
        for weight, model in surrogate.components():
            posterior = model.posterior(points)
            mean, variance = posterior.mean.squeeze(-2), posterior.variance.squeeze(-2).clamp_min(0.0)
            sd = (variance + noise).clamp_min(torch.finfo(X.dtype).tiny).sqrt()
            found = torch.stack([one.chance(mean[:, one.place], sd[:, one.place]) for one in limits], dim=-1)
            each, whole = each + weight * found, whole + weight * found.prod(dim=-1)
    return each, whole


def kept_at(surrogate: Surrogate, score: Score, x: Float[Tensor, "1 d"]) -> Kept | None:
    """Return the chances that a new measurement at one configuration keeps the limits; None where there are none."""
    if not score.objective.outcomes:
        return None
    each, whole = chances(surrogate, score, x)
    names = (one.name for one in score.objective.outcomes)
    return Kept(probability=float(whole[0]), limits=dict(zip(names, each[0].tolist(), strict=True)))


def counts_as_kept(score: Score, each: Float[Tensor, "n l"]) -> Bool[Tensor, " n"]:
    """Say which points count as ones that keep all limits: each with its own probability."""
    least = torch.tensor([one.probability for one in score.objective.outcomes], dtype=each.dtype, device=each.device)
    return (each >= least).all(dim=-1)


def limits_at(surrogate: Surrogate, score: Score, measured: Float[Tensor, "n d"], around: Float[Tensor, "g d"]) -> Limits | None:
    """Return the limits as an improvement meets them; None where there are none.

    Args:
        surrogate: Of all that is measured.
        score: The objective on its samples.
        measured: Where anything was measured that may still be proposed.
        around: Points, at least one, that say how far values spread.
    """
    if not score.objective.outcomes:
        return None
    with torch.no_grad():
        posterior = surrogate.posterior(around.unsqueeze(-2))
        mean, sd = posterior.mean.squeeze(-2), posterior.variance.clamp_min(0.0).sqrt().squeeze(-2)
        values = torch.cat([mean, mean + sd, mean - sd])
        floor = torch.cat([score(mean - SIX * sd), score(mean + SIX * sd), score(mean)]).min()
    each = tuple(Limit(one.place, one.low, one.high, spread_of(values[:, one.place]) or 1.0) for one in limits_of(score))
    is_met = bool(len(measured)) and bool(counts_as_kept(score, chances(surrogate, score, measured)[0]).any())
    return Limits(each, float(floor), is_met)
