"""Log expected improvement over draws at what is to be improved on: one acquisition function for all combinations of components.

The values at measured and pending points are drawn once per proposal; a new point is conditioned on them. Each distinct
(target, component) is evaluated once per call, and so is its share of the score; what a combination of them improves is
averaged over draws and weights, and only that average is a logarithm. Improvements are BoTorch's fat-tailed ones
[Ament2023]: each is greater than zero, so that averaging first and taking the logarithm last loses nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from botorch.acquisition.logei import TAU_RELU
from botorch.utils.safe_math import fatplus
from botorch.utils.sampling import draw_sobol_normal_samples
from jaxtyping import Float
from torch import Tensor

from models.pinned import Functions, Pinned
from policies.limits import Limits
from policies.score import Score

SEED_LIMIT: Final = 2**31
"""Sobol's scrambling takes seeds below it."""
EXAMINATIONS: Final = 512
"""Joint draws of the measured points; one that is the best in none of them, for no combination, is not to be improved on."""
_CELLS: Final = 2**18
"""Improvements that are computed together: more no longer fit into a processor's cache."""


@dataclass(frozen=True, slots=True)
class DrawnImprovement:
    """What new points add to the best of each draw, averaged; the logarithm of it, in units of `scale`."""

    pinned: Pinned
    score: Score
    scale: float
    at_pins: Float[Tensor, "k s r"]
    """Standard normal draws, one set for each function; functions of one target share theirs."""
    beyond: Float[Tensor, "k s 1"]
    """The same at the new point."""
    best: Float[Tensor, "c s"]
    """The best score of each combination in each draw; where there are limits, of what keeps them in that draw."""
    limits: Limits | None = None
    """What improves counts only where it keeps them."""

    def __call__(self, X: Float[Tensor, "*b 1 d"]) -> Float[Tensor, " *b"]:
        """Score single points."""
        flat = X.reshape(-1, X.shape[-1])
        if flat.requires_grad:
            return self._values(flat).reshape(X.shape[:-2])
        some = torch.split(flat, max(1, _CELLS // self.best.numel()))
        return torch.cat([self._values(block) for block in some]).reshape(X.shape[:-2])

    def _values(self, X: Float[Tensor, "b d"]) -> Float[Tensor, " b"]:
        samples = self._samples(X)
        gained = (combined(self.pinned, self.score, samples) - self.best.unsqueeze(-1)) / self.scale
        improved = fatplus(gained, tau=TAU_RELU)
        if self.limits is not None:
            improved = improved * self.limits.smoothed(self.pinned, samples)
        return _averaged(self.pinned, improved.mean(dim=1)).log()

    def _samples(self, X: Float[Tensor, "b d"]) -> Float[Tensor, "k s b"]:
        mean, along, apart = self.pinned.beside(X)
        return mean.unsqueeze(1) + self.at_pins @ along.mT + self.beyond * apart.unsqueeze(1)

    def improves(self, X: Float[Tensor, "b d"]) -> Float[Tensor, " b"]:
        """Return the weighed share of draws in which a point improves and keeps all limits, nothing smoothed."""
        with torch.no_grad():
            samples = self._samples(X)
            better = combined(self.pinned, self.score, samples) > self.best.unsqueeze(-1)
            if self.limits is not None:
                better = better & self.limits.kept(self.pinned, samples)
            return _averaged(self.pinned, better.to(X.dtype).mean(dim=1))


def _averaged(pinned: Pinned, values: Float[Tensor, "c b"]) -> Float[Tensor, " b"]:
    weights = torch.tensor(pinned.weights, dtype=values.dtype, device=values.device)
    return weights @ values


def combined(pinned: Pinned, score: Score, samples: Float[Tensor, "k s b"]) -> Float[Tensor, "c s b"]:
    """Return the scores of all combinations, each function's share computed once."""
    wanted = [one[: len(score.objective.targets)] for one in pinned.functions]
    shares = {(target, which) for one in wanted for target, which in enumerate(one)}
    found = {which: score.share(target, samples[which]) for target, which in sorted(shares)}
    return torch.stack([_summed([found[which] for which in one]) for one in wanted])


def _summed(shares: Sequence[Tensor]) -> Tensor:
    total = shares[0]
    for one in shares[1:]:
        total = total + one
    return total


def drawn_improvement(
    functions: Functions,
    score: Score,
    *,
    measured: Float[Tensor, "n d"],
    pending: Float[Tensor, "p d"],
    expected: Float[Tensor, "e d"] | None,
    scale: float,
    samples: int,
    seed: int,
    limits: Limits | None = None,
) -> DrawnImprovement:
    """Draw what is to be improved on: `measured` and `pending`, or what is expected at points that nobody has measured.

    Samples at points that nobody has measured are no level to improve on: every point far from them would seem better. Where
    there are limits, only what keeps them in a draw is one in that draw; where nothing measured counts as keeping them, the
    level is so low that the chance to keep them decides, and among equal chances the score.
    """
    if expected is None:
        known = measured if limits is None or limits.is_met else measured[:0]
        pins = torch.cat([_contenders(functions, score, torch.unique(known, dim=0), seed, limits), pending])
    else:
        pins = torch.unique(pending, dim=0)
    pinned = functions.pinned(pins)
    draws = draw_sobol_normal_samples(
        d=(len(pins) + 1) * len(score.units), n=samples, seed=seed % SEED_LIMIT, device=pins.device, dtype=pins.dtype
    )
    by_target = draws.reshape(samples, len(pins) + 1, len(score.units)).permute(2, 0, 1)
    Z = by_target[targets_of(pinned)]
    lowest = -torch.inf if limits is None else limits.floor
    best = torch.full((len(pinned.weights), samples), lowest, dtype=pins.dtype, device=pins.device)
    with torch.no_grad():
        if len(pins):
            best = allowed(pinned, score, at_pins(pinned, Z[..., :-1]), limits).amax(dim=-1)
        if expected is not None:
            level = allowed(pinned, score, pinned.beside(expected)[0].unsqueeze(1), limits).amax(dim=-1)
            best = torch.maximum(best, level)
    return DrawnImprovement(pinned, score, scale, Z[..., :-1], Z[..., -1:], best, limits)


def allowed(
    pinned: Pinned, score: Score, samples: Float[Tensor, "k s b"], limits: Limits | None, *, lowest: float | None = None
) -> Float[Tensor, "c s b"]:
    """Return the scores of all combinations; where limits are not kept, the lowest: the floor where it is left out."""
    scores = combined(pinned, score, samples)
    if limits is None:
        return scores
    return torch.where(limits.kept(pinned, samples), scores, limits.floor if lowest is None else lowest)


def at_pins(pinned: Pinned, Z: Float[Tensor, "k s r"]) -> Float[Tensor, "k s r"]:
    """Return the values at the pins of standard normal draws."""
    return pinned.means.unsqueeze(1) + Z @ pinned.roots.mT


def targets_of(pinned: Pinned) -> Tensor:
    """Return which target each function belongs to."""
    found = {which: target for one in pinned.functions for target, which in enumerate(one)}
    return torch.tensor([found.get(which, 0) for which in range(len(pinned.means))])


def _contenders(functions: Functions, score: Score, X: Float[Tensor, "n d"], seed: int, limits: Limits | None) -> Float[Tensor, "c d"]:
    """Return the points that are the best in some draw of some combination, of what keeps the limits there."""
    if len(X) < 2:
        return X
    with torch.no_grad():
        pinned = functions.pinned(X)
        generator = torch.Generator().manual_seed(seed % SEED_LIMIT)
        Z = torch.randn(len(score.units), EXAMINATIONS, len(X), dtype=X.dtype, generator=generator).to(X.device)
        scores = allowed(pinned, score, at_pins(pinned, Z[targets_of(pinned)]), limits, lowest=-torch.inf)
        best, where = scores.max(dim=-1)
    return X[torch.unique(where[best > -torch.inf])]
