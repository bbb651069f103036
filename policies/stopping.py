"""What further experiments may still bring: joint draws of the objective at many configurations, measured ones among them.

The objective is computed on draws of all targets, component by component and by their weights, as it is where proposals
are chosen: no combined score is modelled. What is left to find is, draw by draw, the best of all configurations less the best
of the measured ones [Wilson2024, the regret of which a campaign stops with a bound on its probability].

A draw's best lies between the configurations that are looked at: they are looked for twice, the second time around those
where the first draws had theirs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from botorch.utils.sampling import draw_sobol_normal_samples
from jaxtyping import Float
from torch import Tensor

from models.base import Surrogate
from models.pinned import Functions
from orchestrator.domain.stop import Advice
from policies.drawn import SEED_LIMIT, allowed, at_pins, targets_of
from policies.limits import Limits, limits_at
from policies.score import Score

DRAWS: Final = 1024
"""Joint draws, of all combinations of components together: a chance of 5 % is known to 0.7 %."""
_LEAST: Final = 128
"""Of each combination."""
POINTS: Final = 384
"""Configurations that are drawn jointly beside the measured ones."""
AROUND: Final = 16
"""Bests of draws around which is looked more closely, those of most draws first."""
_GLANCES: Final = 64
"""Draws at single points by which the most promising of all are chosen."""
INTERVAL: Final = 0.8
"""What the interval of the remaining improvement holds."""
_ROUNDING: Final = 1e-9
"""Shares that make up a part may miss it by this much."""

EVERYWHERE: Final = 512
"""Points all over an open space from which those are chosen."""


@dataclass(frozen=True, slots=True)
class AllThereIs:
    """What may be measured."""

    points: Float[Tensor, "p d"]
    """All of it, or much of it all over an open space."""
    nearby: Callable[[Float[Tensor, "k d"]], Float[Tensor, "n d"]] | None = None
    """Looks around some points; None where `points` is all that there is."""


@dataclass(frozen=True, slots=True)
class Remaining:
    """Draws of what is left to find."""

    values: Float[Tensor, "c s"]
    """The best of all configurations less the best of the measured ones, of each combination of components."""
    weights: Float[Tensor, " c"]

    def chance(self, improvement: float) -> float:
        """Return the chance that more than this is left."""
        return float(self.weights @ (self.values > improvement).to(self.weights.dtype).mean(dim=-1))

    @property
    def expected(self) -> float:
        """The mean."""
        return float(self.weights @ self.values.mean(dim=-1))

    def shortest(self, part: float = INTERVAL) -> tuple[float, float]:
        """Return the shortest interval that holds a part of the draws: where many have nothing left to find it begins at zero."""
        values, order = self.values.flatten().sort()
        shares = (self.weights.unsqueeze(-1) / self.values.shape[-1]).expand_as(self.values).flatten()[order]
        upto = shares.cumsum(0)
        ends = torch.searchsorted(upto, upto - shares + part - _ROUNDING)
        whole = ends < len(values)
        lengths = values[ends[whole]] - values[whole.nonzero().flatten()]
        first = int(lengths.argmin())
        return float(values[first]), float(values[ends[first]])


def advice(
    surrogate: Surrogate, score: Score, measured: Float[Tensor, "n d"], all_there_is: AllThereIs, *, improvement: float, seed: int
) -> Advice | None:
    """Say what further experiments may still bring; nothing while no measured configuration counts as one that keeps all limits.

    Args:
        surrogate: Of all targets.
        score: Makes the objective of them.
        measured: Where the best so far may be; at least one configuration.
        all_there_is: What may be measured.
        improvement: What another experiment is asked for.
        seed: Of the draws.
    """
    limits, functions = limits_at(surrogate, score, measured, measured), surrogate.doubtful(seed=seed)
    if limits is not None and not limits.is_met:
        return None
    found = remaining(functions, score, torch.unique(measured, dim=0), all_there_is, limits, seed=seed)
    low, high = found.shortest()
    chance = found.chance(improvement)
    return Advice(improvement=improvement, chance=chance, expected=found.expected, low=low, high=high, measured=len(measured))


def remaining(
    functions: Functions,
    score: Score,
    measured: Float[Tensor, "n d"],
    all_there_is: AllThereIs,
    limits: Limits | None = None,
    *,
    seed: int,
) -> Remaining:
    """Draw what is left to find; see `advice`. What does not keep the limits in a draw is worth nothing there."""
    with torch.no_grad():
        points = _promising(functions, score, measured, all_there_is.points, limits, seed)
        if all_there_is.nearby is not None:
            around = all_there_is.nearby(_bests(functions, score, torch.cat([measured, points]), limits, seed))
            points = _promising(functions, score, measured, torch.cat([around, points]), limits, seed)
        scores, weights = _drawn(functions, score, torch.cat([measured, points]), limits, seed + 1)
    return Remaining(scores.amax(dim=-1) - scores[..., : len(measured)].amax(dim=-1), weights)


def _bests(functions: Functions, score: Score, X: Float[Tensor, "r d"], limits: Limits | None, seed: int) -> Float[Tensor, "a d"]:
    """Return the points that are the best of most draws."""
    scores, _ = _drawn(functions, score, X, limits, seed)
    times = torch.bincount(scores.argmax(dim=-1).flatten(), minlength=len(X))
    most = times.argsort(descending=True, stable=True)[:AROUND]
    return X[most[times[most] > 0]]


def _promising(
    functions: Functions, score: Score, measured: Tensor, X: Float[Tensor, "p d"], limits: Limits | None, seed: int
) -> Float[Tensor, "r d"]:
    """Return the points whose expected excess over what the best measured one is expected to be is largest, each by itself."""
    X = torch.unique(X, dim=0)
    if len(X) <= POINTS:
        return X
    pinned = functions.pinned(X[:0])
    draws = draw_sobol_normal_samples(d=len(score.units), n=_GLANCES, seed=seed % SEED_LIMIT, dtype=X.dtype, device=X.device)
    Z = draws.mT[targets_of(pinned)].unsqueeze(-1)
    weights = torch.tensor(pinned.weights, dtype=X.dtype, device=X.device)
    level = allowed(pinned, score, pinned.beside(measured)[0].unsqueeze(1), limits).amax(dim=-1, keepdim=True)
    promise = []
    for some in torch.split(X, POINTS):
        mean, _, deviation = pinned.beside(some)
        scores = allowed(pinned, score, mean.unsqueeze(1) + Z * deviation.unsqueeze(1), limits)
        promise.append(weights @ (scores - level).clamp_min(0.0).mean(dim=1))
    return X[torch.cat(promise).argsort(descending=True, stable=True)[:POINTS]]


def _drawn(
    functions: Functions, score: Score, X: Float[Tensor, "r d"], limits: Limits | None, seed: int
) -> tuple[Float[Tensor, "c s r"], Float[Tensor, " c"]]:
    """Return joint draws of the objective, of each combination of components, and their weights."""
    pinned = functions.pinned(X)
    generator = torch.Generator().manual_seed(seed % SEED_LIMIT)
    draws = max(_LEAST, DRAWS // len(pinned.weights))
    Z = torch.randn(len(score.units), draws, len(X), dtype=X.dtype, generator=generator).to(X.device)
    scores = allowed(pinned, score, at_pins(pinned, Z[targets_of(pinned)]), limits)
    return scores, torch.tensor(pinned.weights, dtype=X.dtype, device=X.device)
