"""What a new measurement teaches of the response everywhere, or near the border where it crosses a level.

The integrated posterior variance that it removes [Sacks1989], in closed form: conditioning a Gaussian process on a value takes
from the covariances what does not depend on the value. For a level the integral is weighted by how likely the response is
there to be the level: the targeted integrated mean squared error [Picheny2010]. Each target counts in its own spread; targets
and the surrogate's components are averaged, and only the average is a logarithm. Noise of the new measurement is included, so
that a repeat teaches something, and less the better the value is known.

[Sacks1989] Sacks, Welch, Mitchell, Wynn, Statistical Science 4, 409. [Picheny2010] Picheny, Ginsbourger, Roustant, Haftka,
Kim, Journal of Mechanical Design 132, 071008.
"""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.base import Surrogate
from models.pinned import Functions, Pinned, rooted
from policies.drawn import targets_of
from policies.score import Score

LEARNT: Final = ("explore", "level")
"""Kinds of objectives that ask what is learned; nothing is best."""
REFERENCES: Final = 256
"""Points that stand for all of what is allowed."""
BORDER: Final = 0.05
"""Of the response's spread: as close to the level counts as at it (the sigma of [Picheny2010], who take as much of the range)."""
_LEAST: Final = 1e-30
"""Of what a point teaches, in squared spreads: keeps the logarithm finite where it teaches nothing."""
_CELLS: Final = 2**20
"""Covariances that are computed together."""


@dataclass(frozen=True, slots=True)
class IntegratedReduction:
    """The part of the integrated variance, in the targets' spreads, that one measurement removes; the logarithm of it."""

    pinned: Pinned
    """At the references, then at what is under way."""
    towards: Float[Tensor, "k n r"]
    """From `along` of a new point to its covariances with the references, what is under way being known."""
    beside: Float[Tensor, "k n p"]
    """From `along` to what of its deviation will be known by what is under way."""
    noise: Float[Tensor, " k"]
    """Variance of one measurement."""
    weights: Float[Tensor, "k r"]
    """Of the references, over the squared spread."""
    shares: Float[Tensor, " k"]
    """Of the functions: of a component's weight, over the number of targets."""

    def __call__(self, X: Float[Tensor, "*b 1 d"]) -> Float[Tensor, " *b"]:
        """Score single points."""
        flat = X.reshape(-1, X.shape[-1])
        if flat.requires_grad:
            return self._values(flat).reshape(X.shape[:-2])
        some = torch.split(flat, max(1, _CELLS // self.towards[..., 0].numel()))
        return torch.cat([self._values(block) for block in some]).reshape(X.shape[:-2])

    def _values(self, X: Float[Tensor, "b d"]) -> Float[Tensor, " b"]:
        _, along, apart = self.pinned.beside(X)
        variance = along.square().sum(dim=-1) + apart.square() - (along @ self.beside).square().sum(dim=-1)
        removed = (along @ self.towards).square() @ self.weights.unsqueeze(-1)
        parts = removed.squeeze(-1) / (variance.clamp_min(0.0) + self.noise.unsqueeze(-1)).clamp_min(_LEAST)
        return (self.shares @ parts).clamp_min(_LEAST).log()


def integrated_reduction(
    surrogate: Surrogate, functions: Functions, score: Score, everywhere: Float[Tensor, "r d"], pending: Float[Tensor, "p d"]
) -> IntegratedReduction:
    """Build the acquisition function.

    Args:
        surrogate: Of all targets.
        functions: Its functions.
        score: The objective, and the units of the surrogate's outputs.
        everywhere: Points that stand for all of what is allowed.
        pending: What is under way: its values will be known.
    """
    with torch.no_grad():
        pinned, count = functions.pinned(torch.cat([everywhere, pending])), len(everywhere)
        targets = targets_of(pinned)
        spread, noise = (one[targets] for one in _scales(surrogate, everywhere))
        fixed, running = pinned.roots[:, :count], pinned.roots[:, count:]
        diagonal = torch.diag_embed(noise.unsqueeze(-1).expand(-1, len(pending)))
        root = rooted(running @ running.mT + diagonal)
        known = torch.linalg.solve_triangular(root, running, upper=False)
        towards = fixed.mT - known.mT @ (known @ fixed.mT)
        left = (fixed.square().sum(dim=-1) - (known @ fixed.mT).square().sum(dim=-2)).clamp_min(0.0)
        weights = _near_level(score, pinned.means[:, :count], left, spread) / (count * spread.square()).unsqueeze(-1)
    return IntegratedReduction(pinned, towards, known.mT, noise, weights, _shares(pinned, like=noise))


def _near_level(score: Score, mean: Float[Tensor, "k r"], variance: Float[Tensor, "k r"], spread: Float[Tensor, " k"]) -> Tensor:
    """Return how much each reference counts: all the same, or by how likely the response is the level there, beside the likeliest.

    What no component takes for possible is then still told apart, by how far it is from it.
    """
    if score.objective.kind == "explore":
        return torch.ones_like(mean)
    level = score.objective.reference[score.objective.targets[0].name] / score.units[0]
    wide = variance + (BORDER * spread).square().unsqueeze(-1)
    log_density = -0.5 * ((mean - level).square() / wide + wide.log())
    return (log_density - log_density.max()).exp()


def _scales(surrogate: Surrogate, X: Float[Tensor, "r d"]) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
    """Return each target's spread over what is allowed, known and unknown part together, and the variance of a measurement."""
    posterior, (_, aleatoric) = surrogate.posterior(X.unsqueeze(-2)), surrogate.variance_parts(X)
    mean, variance = posterior.mean.squeeze(-2), posterior.variance.squeeze(-2)
    return (mean.var(dim=0, correction=0) + variance.mean(dim=0)).clamp_min(_LEAST).sqrt(), aleatoric.mean(dim=0)


def _shares(pinned: Pinned, *, like: Tensor) -> Float[Tensor, " k"]:
    """Return how much each function counts: the weights of the combinations that it stands in."""
    shares = torch.zeros_like(like)
    for weight, one in zip(pinned.weights, pinned.functions, strict=True):
        for which in one:
            shares[which] += weight / len(one)
    return shares


def certainty(surrogate: Surrogate, score: Score, X: Float[Tensor, "r d"]) -> dict[str, dict[str, float]]:
    """Say how well the response is known: by target the mean deviation, in its unit; for a level also the share that is uncertain."""
    with torch.no_grad():
        sd = surrogate.posterior(X.unsqueeze(-2)).variance.clamp_min(0.0).sqrt().squeeze(-2).mean(dim=0).tolist()
        found = {"sd": {name: unit * value for name, unit, value in zip(score.objective.names, score.units, sd, strict=True)}}
        if score.objective.kind == "level":
            found["uncertain"] = {score.objective.targets[0].name: float(_uncertain(surrogate, score, X))}
    return found


UNCERTAIN: Final = 0.05
"""Chance from which on the side of the level on which a point seems not to lie counts as possible."""


def _uncertain(surrogate: Surrogate, score: Score, X: Float[Tensor, "r d"]) -> Tensor:
    """Return the share of points whose side of the level is not known."""
    target, above = score.objective.targets[0], X.new_zeros(len(X))
    level = score.objective.reference[target.name] / score.units[0]
    for weight, model in surrogate.components():
        posterior = model.posterior(X.unsqueeze(-2))
        mean, sd = posterior.mean[:, 0, 0], posterior.variance[:, 0, 0].clamp_min(_LEAST).sqrt()
        above = above + weight * torch.special.ndtr((mean - level) / sd)
    return ((above > UNCERTAIN) & (above < 1.0 - UNCERTAIN)).to(X.dtype).mean()
